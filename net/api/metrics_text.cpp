#include "net/api/metrics_text.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <iterator>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "actors/errc.hpp"

namespace greenroom::net {

namespace {

// What is written under a family's heading, where it is one number or one for each
// reason of what all count; the others are written by hand.
struct family {
  metric_family text;
  counter metrics::*one = nullptr;
  errc_counters metrics::*by_reason = nullptr;
};

constexpr std::array table{
  // -- the process: names that every exporter uses
  family{{"greenroom_build_info", "gauge", "version", "Always 1."}},
  family{{"process_cpu_seconds_total", "counter", "",
          "CPU time of the process, user and system."}},
  family{{"process_resident_memory_bytes", "gauge", "", "Resident memory."}},
  family{{"process_open_fds", "gauge", "", "Open file descriptors."}},
  family{{"process_max_fds", "gauge", "",
          "File descriptors the process may have open."}},
  family{{"process_start_time_seconds", "gauge", "",
          "When it was started, in seconds of Unix time."}},
  // -- sockets
  family{
    {"greenroom_connections_opened_total", "counter", "", "Sockets accepted."},
    &metrics::connections_opened},
  family{{"greenroom_connections_open", "gauge", "", "Sockets."},
         &metrics::connections_open},
  family{{"greenroom_sessions_open", "gauge", "", "WebSocket sessions."},
         &metrics::sessions_open},
  family{{"greenroom_refused_total", "counter", "reason",
          "Handshakes and requests refused."},
         nullptr,
         &metrics::refused},
  family{{"greenroom_closed_total", "counter", "reason",
          "WebSocket sessions ended."},
         nullptr,
         &metrics::closed},
  family{{"greenroom_commands_refused_total", "counter", "reason",
          "Commands of clients refused, joins among them."},
         nullptr,
         &metrics::commands_refused},
  family{{"greenroom_accept_backoffs_total", "counter", "",
          "Pauses of the listener because descriptors ran out."},
         &metrics::accept_backoffs},
  family{{"greenroom_messages_in_total", "counter", "",
          "Messages that clients sent."},
         &metrics::messages_in},
  family{
    {"greenroom_bytes_in_total", "counter", "", "Bytes that clients sent."},
    &metrics::bytes_in},
  family{{"greenroom_frames_out_total", "counter", "",
          "Frames that the kernel took."},
         &metrics::frames_out},
  family{
    {"greenroom_bytes_out_total", "counter", "", "Bytes that the kernel took."},
    &metrics::bytes_out},
  family{{"greenroom_sends_total", "counter", "",
          "System calls or ring entries that carried them."},
         &metrics::sends},
  // -- messages
  family{{"greenroom_publications_total", "counter", "",
          "Messages that rooms took."},
         &metrics::publications},
  family{{"greenroom_deliveries_total", "counter", "",
          "Messages put on their way to one member."},
         &metrics::deliveries},
  family{{"greenroom_dropped_total", "counter", "reason",
          "Deliveries dropped by an overflow policy, which is the reason."}},
  family{{"greenroom_discarded_total", "counter", "",
          "Frames that an ended connection never sent."},
         &metrics::discarded},
  family{{"greenroom_untold_total", "counter", "",
          "Deliveries for which a member's dialect has no word."},
         &metrics::untold},
  family{{"greenroom_posts_lost_total", "counter", "",
          "Messages lost in a crashed room; none was acknowledged."},
         &metrics::posts_lost},
  family{{"greenroom_delivery_latency_seconds", "histogram", "le",
          "From a publication to the kernel's acceptance of its turn, once for "
          "each member."}},
  family{{"greenroom_turn_publications", "histogram", "le",
          "Publications of a turn: what one send carries."}},
  family{
    {"greenroom_queued_bytes", "gauge", "", "Bytes under way to all members."}},
  family{{"greenroom_live_bytes", "gauge", "",
          "Bytes of messages held in memory, shared ones once."}},
  // -- faults
  family{{"greenroom_crashes_total", "counter", "", "Exceptions in handlers."},
         &metrics::crashes},
  family{{"greenroom_rooms_restarted_total", "counter", "",
          "Rooms that crashed and went on."},
         &metrics::rooms_restarted},
  family{{"greenroom_rooms_quarantined_total", "counter", "",
          "Rooms that crashed too often and were closed."},
         &metrics::rooms_quarantined},
  family{{"greenroom_audit_faults_total", "counter", "fault",
          "What the zombie audit found and put right."}},
  family{{"greenroom_receipts_total", "counter", "",
          "Orders to end something that were answered."},
         &metrics::receipts},
  family{{"greenroom_receipts_unclean_total", "counter", "",
          "Of them, those with something left at the deadline."},
         &metrics::receipts_unclean},
  family{{"greenroom_inspection_restarts_total", "counter", "",
          "Crashes of the inspector and its probes."},
         &metrics::inspection_restarts},
  family{{"greenroom_log_lost_total", "counter", "",
          "Log lines and events that found no room."},
         &metrics::log_lost},
  // -- rooms
  family{{"greenroom_rooms", "gauge", "", "Rooms."}},
  family{
    {"greenroom_memberships", "gauge", "", "Members of all rooms together."}},
  family{{"greenroom_quarantined_rooms", "gauge", "",
          "Rooms that are closed because they crashed too often."},
         &metrics::quarantined_now},
  family{{"greenroom_room_members", "gauge", "room", "Members of a room."}},
  family{{"greenroom_room_publications_total", "counter", "room",
          "Messages that a room took."}},
  family{{"greenroom_room_deliveries_total", "counter", "room",
          "Messages of a room put on their way to one member."}},
  family{{"greenroom_room_dropped_total", "counter", "room",
          "Deliveries of a room dropped by its overflow policy."}},
  family{{"greenroom_room_queued_bytes", "gauge", "room",
          "Bytes of a room under way to its members."}},
  family{{"greenroom_room_lag_seconds", "gauge", "room",
          "Lag of the slowest member; named rooms only."}},
  family{{"greenroom_room_received_bytes_total", "counter", "room",
          "Payload of a room's publications; named rooms only."}},
  family{{"greenroom_room_sent_bytes_total", "counter", "room",
          "Frames of a room enqueued for its members; named rooms only."}},
  family{{"greenroom_room_cpu_seconds_total", "counter", "room",
          "CPU time of a room and its outlets; named rooms only."}},
  // -- units
  family{{"greenroom_unit_cpu_seconds_total", "counter", "unit",
          "CPU time of a unit's thread."}},
  family{{"greenroom_unit_inspection_seconds_total", "counter", "unit",
          "CPU time that looking inside has cost a unit."}},
  family{{"greenroom_unit_turns_total", "counter", "unit", "Turns of a unit."}},
  family{{"greenroom_unit_handled_total", "counter", "unit",
          "Messages that a unit's actors handled."}},
  family{{"greenroom_unit_waiting_messages", "gauge", "unit",
          "Messages that wait in the mailboxes of a unit's actors."}},
  family{{"greenroom_unit_actors", "gauge", "unit", "Actors of a unit."}},
  // -- the inspection listener
  family{{"greenroom_inspect_connections_open", "gauge", "",
          "Sockets of the inspection listener."}},
  family{{"greenroom_inspect_refused_total", "counter", "reason",
          "Requests to the inspection listener refused."}},
};

constexpr auto texts = [] {
  std::array<metric_family, table.size()> out{};
  for (std::size_t i = 0; i < table.size(); ++i)
    out[i] = table[i].text;
  return out;
}();

// Those that drop something.
constexpr std::array policies{
  std::pair{overflow_policy::drop_newest, std::string_view{"drop_newest"}},
  std::pair{overflow_policy::drop_oldest, std::string_view{"drop_oldest"}},
  std::pair{overflow_policy::conflate, std::string_view{"conflate"}},
};

double seconds(std::int64_t us) {
  return static_cast<double>(us) / 1e6;
}

std::uint64_t over(std::uint64_t whole, std::uint64_t part) {
  return whole > part ? whole - part : 0;
}

double descriptors_max() {
  rlimit most{};
  ::getrlimit(RLIMIT_NOFILE, &most);
  return static_cast<double>(most.rlim_cur);
}

} // namespace

std::span<const metric_family> metric_families() noexcept {
  return texts;
}

std::string metrics_markdown() {
  std::string out = "| metric | type | labels | |\n|---|---|---|---|\n";
  for (auto& x : texts)
    out += fmt::format("| `{}` | {} | {} | {} |\n", x.name, x.type,
                       x.labels.empty() ? std::string{"-"}
                                        : fmt::format("`{}`", x.labels),
                       x.help);
  return out;
}

// -- writing ----------------------------------------------------------------------

/// Samples under their families, whatever the order in which they are given.
class metrics_text::writer {
public:
  template <class T>
  void add(std::string_view name, T value) {
    fmt::format_to(to(name), "{} {}\n", name, value);
  }

  template <class T>
  void add(std::string_view name, std::string_view label, std::string_view of,
           T value) {
    auto out = to(name);
    fmt::format_to(out, "{}{{{}=\"", name, label);
    for (auto c : of) {
      if (c == '\n' || c == '"' || c == '\\')
        *out++ = '\\';
      *out++ = c == '\n' ? 'n' : c;
    }
    fmt::format_to(out, "\"}} {}\n", value);
  }

  /// @param units of the histogram's values in one of ours
  void add(std::string_view name, const histogram_counts& values,
           double units) {
    auto out = to(name);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i + 1 < histogram_counts::buckets; ++i) {
      below += values.in[i];
      fmt::format_to(out, "{}_bucket{{le=\"{}\"}} {}\n", name,
                     static_cast<double>(histogram_counts::bound(i)) / units,
                     below);
    }
    fmt::format_to(out, "{}_bucket{{le=\"+Inf\"}} {}\n", name, values.count());
    fmt::format_to(out, "{}_sum {}\n", name,
                   static_cast<double>(values.sum) / units);
    fmt::format_to(out, "{}_count {}\n", name, values.count());
  }

  std::string text() const {
    std::string out;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      fmt::format_to(std::back_inserter(out),
                     "# HELP {0} {1}\n# TYPE {0} {2}\n", texts[i].name,
                     texts[i].help, texts[i].type);
      out += samples_[i];
    }
    return out;
  }

private:
  std::back_insert_iterator<std::string> to(std::string_view name) {
    auto i = std::find_if(texts.begin(), texts.end(),
                          [&](auto& x) { return x.name == name; });
    assert(i != texts.end());
    return std::back_inserter(
      samples_[static_cast<std::size_t>(i - texts.begin())]);
  }

  std::array<std::string, texts.size()> samples_;
};

std::uint64_t metrics_text::growing::at(std::uint64_t value) {
  if (value < last)
    base += last; // it began anew
  last = value;
  return base + value;
}

inspect_query metrics_text::rooms_query() {
  inspect_query out;
  out.what = view::rooms;
  out.sort = "named";
  out.limit = inspect_query::limit_max;
  return out;
}

http_response metrics_text::answer(const inspect_page& now,
                                   const inspect_page& rooms) {
  for (auto* page : {&now, &rooms})
    if (page->why != errc::none)
      return refusal(fault{page->why, {}});
  auto* found = std::get_if<std::vector<overview>>(&now.rows);
  if (found == nullptr || found->size() != 1)
    return refusal(fault{errc::fault, "no overview"});
  auto& whole = found->front();
  writer to;
  write_process(to, whole);
  write_counts(to);
  {
    std::lock_guard guard{mutex_};
    write_rooms(to, whole, rooms);
  }
  return {.status = 200,
          .content_type = "text/plain; version=0.0.4; charset=utf-8",
          .body = to.text()};
}

void metrics_text::write_process(writer& to, const overview& now) const {
  to.add("greenroom_build_info", "version", now.version, 1);
  to.add("process_cpu_seconds_total", seconds(now.cpu_us));
  to.add("process_resident_memory_bytes", now.memory_bytes);
  to.add("process_open_fds", now.descriptors);
  to.add("process_max_fds", descriptors_max());
  to.add("process_start_time_seconds",
         static_cast<double>(now.started_at) / 1e3);
  to.add("greenroom_queued_bytes", now.bytes_queued);
  to.add("greenroom_live_bytes", now.bytes_live);
  to.add("greenroom_rooms", now.rooms);
  to.add("greenroom_memberships", now.memberships);
  for (auto& x : now.units) {
    auto unit = std::to_string(x.unit);
    auto add = [&](std::string_view name, auto value) {
      to.add(name, "unit", unit, value);
    };
    add("greenroom_unit_cpu_seconds_total", seconds(x.cpu_us));
    add("greenroom_unit_inspection_seconds_total", seconds(x.sample_us));
    add("greenroom_unit_turns_total", x.turns);
    add("greenroom_unit_handled_total", x.handled);
    add("greenroom_unit_waiting_messages", x.depth);
    add("greenroom_unit_actors", x.actors);
  }
}

void metrics_text::write_counts(writer& to) const {
  auto by_reason = [&to](std::string_view name, const errc_counters& all) {
    // Those at zero as well: else nobody sees the first one.
    for (auto& row : errc_table())
      if (row.code != errc::none)
        to.add(name, "reason", row.name, at(all, row.code).get());
  };
  for (auto& x : table) {
    if (x.one != nullptr)
      to.add(x.text.name, (counts_.*x.one).get());
    if (x.by_reason != nullptr)
      by_reason(x.text.name, counts_.*x.by_reason);
  }
  for (auto [policy, reason] : policies)
    to.add("greenroom_dropped_total", "reason", reason,
           at(counts_.dropped_by, policy).get());
  for (std::size_t i = 0; i < counts_.audit_faults.size(); ++i) {
    auto what = static_cast<audit_fault>(i);
    to.add("greenroom_audit_faults_total", "fault", to_string(what),
           at(counts_.audit_faults, what).get());
  }
  to.add("greenroom_delivery_latency_seconds", counts_.latency_us(), 1e6);
  to.add("greenroom_turn_publications", counts_.batch(), 1);
  to.add("greenroom_inspect_connections_open",
         inspect_counts_.connections_open.get());
  by_reason("greenroom_inspect_refused_total", inspect_counts_.refused);
}

void metrics_text::write_rooms(writer& to, const overview& now,
                               const inspect_page& page) {
  room_row named; // all together
  auto* found = std::get_if<std::vector<room_row>>(&page.rows);
  for (auto& x : found != nullptr ? *found : std::vector<room_row>{}) {
    if (!x.named)
      continue;
    auto& grown = rooms_[x.room];
    auto add = [&](std::string_view name, auto value) {
      to.add(name, "room", x.room, value);
    };
    auto count = [&](std::string_view name, growing& kept, std::uint64_t value,
                     std::uint64_t& sum) {
      auto n = kept.at(value);
      sum += n;
      add(name, n);
    };
    std::uint64_t none = 0;
    add("greenroom_room_members", x.members);
    named.members += x.members;
    count("greenroom_room_publications_total", grown.publications,
          x.publications, named.publications);
    count("greenroom_room_deliveries_total", grown.deliveries, x.deliveries,
          named.deliveries);
    count("greenroom_room_dropped_total", grown.dropped, x.dropped,
          named.dropped);
    add("greenroom_room_queued_bytes", x.bytes_queued);
    named.bytes_queued += x.bytes_queued;
    add("greenroom_room_lag_seconds", static_cast<double>(x.lag_ms) / 1e3);
    count("greenroom_room_received_bytes_total", grown.bytes_in, x.bytes_in,
          none);
    count("greenroom_room_sent_bytes_total", grown.bytes_out, x.bytes_out,
          none);
    add(
      "greenroom_room_cpu_seconds_total",
      static_cast<double>(grown.cpu_us.at(static_cast<std::uint64_t>(x.cpu_us)))
        / 1e6);
  }
  // The rest, however many they are.
  auto add = [&](std::string_view name, std::uint64_t value) {
    to.add(name, "room", other_rooms, value);
  };
  auto count = [&](std::string_view name, std::uint64_t& kept,
                   std::uint64_t value) {
    kept = std::max(kept, value);
    add(name, kept);
  };
  add("greenroom_room_members", over(now.memberships, named.members));
  count("greenroom_room_publications_total", other_publications_,
        over(now.publications, named.publications));
  count("greenroom_room_deliveries_total", other_deliveries_,
        over(now.deliveries, named.deliveries));
  count("greenroom_room_dropped_total", other_dropped_,
        over(now.dropped, named.dropped));
  add("greenroom_room_queued_bytes",
      over(now.bytes_queued, named.bytes_queued));
}

} // namespace greenroom::net
