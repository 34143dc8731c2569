#include "actors/inspector.hpp"

#include <algorithm>

namespace greenroom {

namespace {

// How long an inspector that is told to go listens for the units' last reports.
constexpr std::chrono::milliseconds last_reports{30};

} // namespace

inspector::inspector(caf::actor_config& cfg, unit& home, const engine& env,
                     std::vector<caf::actor> probes)
  : actor(cfg, home, actor_kind::inspector), env_(env),
    probes_(std::move(probes)), pulse_(*this) {}

void inspector::started() {
  for (auto& p : probes_)
    tell(p, report_to{self()});
  if (env_.inspection.every.count() > 0)
    home().timers().arm_in(pulse_, env_.inspection.every);
}

// -- behaviour ------------------------------------------------------------------------

bool inspector::receive(caf::mailbox_element& in) {
  return dispatch(
    in,
    [this](reported& x) {
      for (auto& e : x.what)
        write(e);
    },
    [this](tick&) {
      if (retiring_)
        quit(errc::none);
      else
        beat();
    },
    [this](sampled& x) {
      samples_.push_back(std::move(x.what));
      if (samples_.size() == probes_.size() && books_known_)
        snapshot();
    },
    [this](counted& x) {
      books_ = x.what;
      books_known_ = true;
      if (samples_.size() == probes_.size())
        snapshot();
    },
    [this](retire&) {
      // What ended last is still being reported by the units.
      retiring_ = true;
      home().timers().arm_in(pulse_, last_reports);
    });
}

void inspector::stopped(errc) {
  pulse_.disarm();
  probes_.clear();
}

// -- log lines -------------------------------------------------------------------------

namespace {

level loudness_of(const lifecycle_event& x) {
  switch (x.what) {
    case happening::actor_crashed:
    case happening::room_quarantined:
      return level::error;
    case happening::room_restarted:
    case happening::limit:
      return level::warn;
    case happening::client_down:
    case happening::refused:
      return std::max(level::info, describe(x.why).loudness);
    default:
      return level::info;
  }
}

} // namespace

void inspector::write(const lifecycle_event& x) {
  auto how = loudness_of(x);
  if (!env_.log->wants(how))
    return;
  auto line = log_record{how, to_string(x.what)};
  auto put = [&line](std::string_view key, auto value) {
    line.add(key, value);
  };
  put("unit", x.unit);
  switch (x.what) {
    case happening::client_up:
      put("client", x.client);
      put("dialect", std::string_view{x.text});
      put("address", std::string_view{x.room});
      break;
    case happening::client_down:
      put("client", x.client);
      put("reason", to_string(x.why));
      put("first", to_string(x.kind));
      put("chain", std::string_view{x.text});
      put("rooms", x.number);
      put("gaps", x.number2);
      break;
    case happening::joined:
    case happening::left:
      put("client", x.client);
      put("room", std::string_view{x.room});
      put("members", x.number);
      break;
    case happening::refused:
      put("client", x.client);
      put("room", std::string_view{x.room});
      put("reason", to_string(x.why));
      break;
    case happening::limit:
      put("client", x.client);
      put("reason", to_string(x.why));
      put("bytes", x.number);
      break;
    case happening::actor_crashed:
      put("kind", to_string(x.kind));
      put("actor", x.actor);
      if (x.client != 0)
        put("client", x.client);
      if (!x.room.empty())
        put("room", std::string_view{x.room});
      put("what", std::string_view{x.text});
      break;
    case happening::actor_down:
      put("kind", to_string(x.kind));
      put("reason", to_string(x.why));
      break;
    case happening::room_opened:
    case happening::room_closed:
    case happening::room_restarted:
    case happening::room_quarantined:
      put("room", std::string_view{x.room});
      put("members", x.number);
      if (x.why != errc::none)
        put("reason", to_string(x.why));
      break;
    case happening::draining:
      put("connections", x.number);
      break;
  }
  env_.log->write(std::move(line));
}

// -- snapshots --------------------------------------------------------------------------

void inspector::beat() {
  home().timers().arm_in(pulse_, env_.inspection.every);
  samples_.clear();
  books_known_ = false;
  for (auto& p : probes_)
    tell(p, take_sample{self()});
  auto me = self();
  tell(env_.supervisor,
       ask_books{
         {}, 0, [me](const books& x, const caf::actor&, const member_ptr&) {
           tell(me, counted{x});
         }});
}

void inspector::snapshot() {
  unit_sample all;
  for (auto& s : samples_) {
    for (std::size_t i = 0; i < all.actors.size(); ++i)
      all.actors[i] += s.actors[i];
    all.depth += s.depth;
    all.depth_max = std::max(all.depth_max, s.depth_max);
    all.handled += s.handled;
    all.turns += s.turns;
    if (s.busiest.busy_us >= all.busiest.busy_us)
      all.busiest = s.busiest;
    if (s.lagging.depth > all.lagging.depth
        || (s.lagging.depth == all.lagging.depth
            && s.lagging.wait_max_us >= all.lagging.wait_max_us))
      all.lagging = s.lagging;
  }
  samples_.clear();
  books_known_ = false;
  auto line = log_record{level::info, "snapshot"};
  auto put = [&line](std::string_view key, auto value) {
    line.add(key, value);
  };
  put("connections", books_.clients);
  put("sockets", books_.sockets);
  put("rooms", books_.rooms);
  put("memberships", books_.memberships);
  put("quarantined", books_.quarantined);
  put("bytes_queued", books_.bytes_queued);
  put("bytes_live", wire::live_bytes());
  for (std::size_t i = 0; i < all.actors.size(); ++i) {
    auto key = "actors_" + std::string{to_string(static_cast<actor_kind>(i))};
    put(key, all.actors[i]);
  }
  put("mailbox_depth", all.depth);
  put("mailbox_depth_max", all.depth_max);
  put("messages_handled", all.handled);
  put("turns", all.turns);
  auto& c = *env_.counts;
  put("publications", c.publications.get());
  put("deliveries", c.deliveries.get());
  put("dropped", c.dropped.get());
  put("crashes", c.crashes.get());
  auto notable = [&put](std::string_view prefix, const notable_actor& x) {
    auto key = [prefix](std::string_view rest) {
      return std::string{prefix} + "_" + std::string{rest};
    };
    put(key("kind"), to_string(x.kind));
    put(key("actor"), x.id);
    if (x.client != 0)
      put(key("client"), x.client);
    if (!x.room.empty())
      put(key("room"), std::string_view{x.room});
    put(key("mailbox"), x.depth);
    put(key("busy_us"), x.busy_us);
    put(key("wait_max_us"), x.wait_max_us);
  };
  notable("busiest", all.busiest);
  notable("lagging", all.lagging);
  env_.log->write(std::move(line));
}

// -- probe --------------------------------------------------------------------------------

probe::probe(caf::actor_config& cfg, unit& home)
  : actor(cfg, home, actor_kind::probe) {}

bool probe::receive(caf::mailbox_element& in) {
  return dispatch(
    in,
    [this](report_to& x) {
      home().report_to([whom = x.whom](lifecycle_batch batch) {
        tell(whom, reported{std::move(batch)});
      });
    },
    [this](take_sample& x) { tell(x.whom, sampled{look()}); },
    [this](retire& x) { quit(x.why); });
}

unit_sample probe::look() const {
  unit_sample result;
  result.unit = home().id();
  result.turns = home().turns();
  const actor* busiest = nullptr;
  const actor* lagging = nullptr;
  actor_stats most_busy, most_lag;
  home().each_actor([&](const actor& x) {
    auto s = x.stats();
    auto depth = s.received - s.handled;
    ++result.actors[static_cast<std::size_t>(x.kind())];
    result.depth += depth;
    result.depth_max = std::max(result.depth_max, s.depth_max);
    result.handled += s.handled;
    if (busiest == nullptr || s.busy > most_busy.busy) {
      busiest = &x;
      most_busy = s;
    }
    auto deepest = most_lag.received - most_lag.handled;
    if (lagging == nullptr || depth > deepest
        || (depth == deepest && s.wait_max > most_lag.wait_max)) {
      lagging = &x;
      most_lag = s;
    }
  });
  auto row_of = [](const actor* x, const actor_stats& s) {
    using namespace std::chrono;
    notable_actor row;
    if (x == nullptr)
      return row;
    row.kind = x->kind();
    row.id = x->id();
    row.client = x->serves();
    row.room = x->room_name();
    row.depth = s.received - s.handled;
    row.busy_us = duration_cast<microseconds>(s.busy).count();
    row.wait_max_us = duration_cast<microseconds>(s.wait_max).count();
    return row;
  };
  result.busiest = row_of(busiest, most_busy);
  result.lagging = row_of(lagging, most_lag);
  return result;
}

} // namespace greenroom
