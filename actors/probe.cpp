#include "actors/probe.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "actors/outlet.hpp"
#include "actors/process_facts.hpp"
#include "actors/reader.hpp"
#include "actors/room.hpp"
#include "actors/runtime/unit.hpp"
#include "actors/writer.hpp"

namespace greenroom {

namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// Both are counted in 32 bits and wrap around.
std::uint64_t depth_of(const actor_stats& x) noexcept {
  return static_cast<std::uint32_t>(x.received - x.handled);
}

std::uint64_t id_of(const caf::actor& x) noexcept {
  return x ? x->id() : 0;
}

/// The writer of a member of this unit; null if it has none of ours.
const writer* writer_of(const member& who, const unit& home) {
  auto* x = caf::actor_cast<caf::abstract_actor*>(who.writer);
  auto* ours = static_cast<const actor*>(x); // all of them are
  return ours != nullptr && ours->kind() == actor_kind::writer
             && &ours->home() == &home
           ? static_cast<const writer*>(ours)
           : nullptr;
}

notable_actor notable(const actor& x, const actor_stats& s) {
  notable_actor row;
  row.kind = x.kind();
  row.id = x.id();
  row.client = x.serves();
  row.room = x.room_name();
  row.depth = depth_of(s);
  row.busy_us = duration_cast<microseconds>(s.busy).count();
  row.wait_max_us = duration_cast<microseconds>(s.wait_max).count();
  return row;
}

} // namespace

probe::probe(caf::actor_config& cfg, unit& home, const engine& env)
  : actor(cfg, home, actor_kind::probe), env_(env) {}

std::uint64_t probe::parent() const {
  return id_of(env_.supervisor);
}

// -- behaviour ------------------------------------------------------------------------

bool probe::receive(caf::mailbox_element& in) {
  return dispatch(
    in,
    [this](report_to& x) {
      home().report_to([whom = x.whom](lifecycle_batch batch) {
        tell(whom, reported{std::move(batch)});
      });
    },
    [this](take_walk& x) { begin(x); },
    [this](walk_on& x) {
      if (plan_ && plan_->number == x.number)
        go_on();
    },
    [this](retire& x) { quit(x.why); });
}

void probe::stopped(errc) {
  plan_ = nullptr;
  found_ = nullptr;
  whom_ = nullptr;
}

// -- walking --------------------------------------------------------------------------

void probe::begin(take_walk& x) {
  plan_ = std::move(x.plan);
  whom_ = std::move(x.whom);
  found_ = std::make_shared<unit_findings>();
  for (auto& q : plan_->questions)
    found_->rows.push_back(selection_for(q));
  wants_actors_ = plan_->wants(view::actors);
  wants_connections_ = plan_->wants(view::connections);
  wants_rooms_ = plan_->wants(view::rooms);
  wants_edges_ = plan_->wants(view::edges);
  seats_of_ = 0;
  auto any = [this](view what, auto&& is) {
    return std::any_of(plan_->questions.begin(), plan_->questions.end(),
                       [&](auto& q) { return q.what == what && is(q); });
  };
  whole_actors_ = any(view::actors, [](auto& q) {
    return q.sort == "links" || q.sort == "monitors";
  });
  // Found by its lag, a row may wait for the rest until it is on a page.
  auto by_more = [](auto& q) {
    return !(q.sort.empty() || q.sort == "lag_ms") || !q.text.empty()
           || q.actor != 0;
  };
  whole_connections_ = any(view::connections, by_more);
  whole_edges_ = any(view::edges, by_more);
  busiest_ = lagging_ = {};
  home().begin_walk();
  go_on();
}

void probe::go_on() {
  auto begin = thread_time();
  budget_ = std::max<std::size_t>(env_.inspection.chunk, 1);
  while (budget_ > 0) {
    auto* x = home().walk_at();
    if (x == nullptr)
      break;
    --budget_;
    if (look_at(*x))
      home().walk_on();
  }
  home().charge_sampling(thread_time() - begin);
  if (home().walk_at() == nullptr)
    finish();
  else
    home().next_turn(
      [me = self(), number = plan_->number] { tell(me, walk_on{number}); });
}

void probe::finish() {
  auto& sample = found_->sample;
  sample.unit = home().id();
  sample.turns = home().turns();
  sample.handled = home().handled();
  auto& row = found_->unit;
  row.unit = home().id();
  for (auto n : sample.actors)
    row.actors += n;
  row.connections = sample.actors[static_cast<std::size_t>(actor_kind::reader)];
  row.turns = sample.turns;
  row.handled = sample.handled;
  row.depth = sample.depth;
  row.cpu_us = duration_cast<microseconds>(thread_time()).count();
  row.sample_us = duration_cast<microseconds>(home().sampling_cost()).count();
  tell(whom_, walked{plan_->number, std::move(found_)});
  stopped(errc::none); // lets go of everything
}

// -- looking --------------------------------------------------------------------------

// @returns false if there is more to see of it
bool probe::look_at(const actor& x) {
  auto s = x.stats();
  // Behind the first members of a room: this was done.
  const bool again = seats_of_ != 0 && seats_of_ == x.id();
  if (!again) {
    count(x, s);
    if (wants_actors_)
      show(x, s);
  }
  const roster* members = nullptr;
  std::uint64_t of = x.id();
  switch (x.kind()) {
    case actor_kind::reader:
      if (wants_connections_)
        show(static_cast<const reader&>(x), s);
      return true;
    case actor_kind::room:
      members = &static_cast<const room&>(x).here();
      break;
    case actor_kind::outlet:
      members = &static_cast<const outlet&>(x).here();
      of = x.parent();
      break;
    default:
      return true;
  }
  if ((!wants_rooms_ && !wants_edges_) || !asks_for(x.room_name()))
    return true;
  if (!again) {
    seats_of_ = x.id();
    group_ = members->groups().size();
    seats_left_ = 0;
    room_row_ = {};
  }
  if (!show_seats(*members, of, x.room_name()))
    return false;
  if (wants_rooms_)
    show_room(x, s, *members);
  seats_of_ = 0;
  return true;
}

void probe::count(const actor& x, const actor_stats& s) {
  auto& sum = found_->sample;
  auto depth = depth_of(s);
  auto first = sum.busiest.id == 0;
  ++sum.actors[static_cast<std::size_t>(x.kind())];
  sum.depth += depth;
  sum.depth_max = std::max(sum.depth_max, s.depth_max);
  if (x.kind() == actor_kind::writer)
    sum.bytes_queued += static_cast<const writer&>(x).queued();
  else if (x.kind() == actor_kind::room)
    sum.memberships += static_cast<const room&>(x).members();
  if (first || s.busy > busiest_.busy) {
    busiest_ = s;
    sum.busiest = notable(x, s);
  }
  auto deepest = depth_of(lagging_);
  if (first || depth > deepest
      || (depth == deepest && s.wait_max > lagging_.wait_max)) {
    lagging_ = s;
    sum.lagging = notable(x, s);
  }
}

void probe::show(const actor& x, const actor_stats& s) {
  auto& row = actor_row_;
  row.id = x.id();
  row.kind = to_string(x.kind());
  row.unit = home().id();
  row.client = x.serves();
  row.room = x.room_name();
  row.depth = depth_of(s);
  row.state = &x == this ? "running" : row.depth > 0 ? "ready" : "idle";
  row.depth_max = s.depth_max;
  row.handled = s.handled;
  row.busy_us = duration_cast<microseconds>(s.busy).count();
  row.wait_last_us = duration_cast<microseconds>(s.wait_last).count();
  row.wait_max_us = duration_cast<microseconds>(s.wait_max).count();
  row.age_ms = duration_cast<milliseconds>(home().now() - s.born).count();
  row.parent = x.parent();
  offer(row, !whole_actors_, [&x, &row] {
    auto ties = x.ties();
    row.links = ties.links;
    row.monitors = ties.monitors;
  });
}

// @param later whether the rest of it is filled in only for whoever keeps it
template <class Row, class F>
void probe::offer(Row& row, bool later, F&& rest) {
  if (!later)
    rest();
  for (std::size_t i = 0; i < plan_->questions.size(); ++i)
    if (auto* rows = std::get_if<top_rows<Row>>(&found_->rows[i]);
        rows != nullptr && fits(plan_->questions[i], row))
      rows->offer(row, [&](Row&) {
        if (std::exchange(later, false))
          rest();
      });
}

// -- connections ------------------------------------------------------------------------

void probe::show(const reader& x, const actor_stats& s) {
  auto* who = x.who();
  if (who == nullptr)
    return;
  auto& row = connection_row_;
  auto lag = x.lag();
  row.client = who->id;
  row.lag_ms = std::max(lag.queue_age, lag.kernel_age).count();
  offer(row, !whole_connections_, [&] {
    auto* out = writer_of(*who, home());
    auto socket = x.socket();
    row.address = who->address;
    row.dialect = who->dialect->name();
    row.unit = home().id();
    row.reader = x.id();
    row.writer = id_of(who->writer);
    row.rooms = x.rooms();
    row.messages_in = x.messages_in();
    row.bytes_in = socket.bytes_in;
    row.frames_out = socket.frames_out;
    row.bytes_out = socket.bytes_out;
    row.frames_queued = socket.frames_queued;
    row.bytes_queued = socket.bytes_queued;
    row.queue_max = socket.queue_max;
    row.queue_age_ms = socket.queue_age.count();
    row.kernel_bytes = socket.kernel_bytes;
    row.kernel_age_ms = socket.kernel_age.count();
    row.lag_ms = std::max(row.queue_age_ms, row.kernel_age_ms);
    row.last_flush_ms = socket.last_flush.count();
    row.gaps = who->gaps.load(std::memory_order_relaxed);
    auto busy = s.busy;
    if (out != nullptr)
      busy += out->stats().busy;
    row.cpu_us = duration_cast<microseconds>(busy).count();
    row.age_ms = duration_cast<milliseconds>(home().now() - s.born).count();
  });
}

// -- rooms and their members ------------------------------------------------------------

bool probe::asks_for(std::string_view room) const {
  return std::any_of(plan_->questions.begin(), plan_->questions.end(),
                     [&](auto& q) {
                       return (q.what == view::rooms || q.what == view::edges)
                              && (q.room.empty() || q.room == room);
                     });
}

// @returns false if the budget was used up before
bool probe::show_seats(const roster& members, std::uint64_t room,
                       std::string_view name) {
  auto& groups = members.groups();
  edge_row_.room = name;
  for (;;) {
    while (seats_left_ == 0) {
      if (group_ == 0)
        return true;
      seats_left_ = groups[--group_].seats.size();
    }
    auto& seats = groups[group_].seats;
    seats_left_ = std::min(seats_left_, seats.size());
    if (seats_left_ == 0)
      continue;
    if (budget_ == 0)
      return false;
    --budget_;
    show(seats[--seats_left_], members, room);
  }
}

void probe::show(const roster::seat& x, const roster& all, std::uint64_t room) {
  auto& who = *x.who;
  auto* out = writer_of(who, home());
  if (out == nullptr)
    return;
  auto lag = out->lag();
  auto& row = edge_row_;
  auto waits = lag.bytes_queued != 0 ? out->queued_of(room) : queued_events{};
  row.lag_ms = std::max(waits.age, lag.kernel_age).count();
  room_row_.bytes_queued += waits.bytes;
  room_row_.lag_ms = std::max(room_row_.lag_ms, row.lag_ms);
  auto trimmed = out->trimmed_of(room);
  room_row_.dropped += trimmed.drops;
  if (!wants_edges_)
    return;
  row.client = who.id;
  offer(row, !whole_edges_, [&] {
    auto socket = out->socket();
    row.address = who.address;
    row.dialect = who.dialect->name();
    row.unit = home().id();
    row.head = all.head_of(x);
    // What its mailbox still holds is not in the outbox yet and not flushed.
    row.flushed = waits.events != 0 ? waits.first - 1 : row.head;
    row.messages_queued = waits.events;
    row.bytes_queued = waits.bytes;
    row.queue_age_ms = waits.age.count();
    row.kernel_bytes = socket.kernel_bytes;
    row.kernel_age_ms = socket.kernel_age.count();
    row.lag_ms = std::max(row.queue_age_ms, row.kernel_age_ms);
    row.last_flush_ms = socket.last_flush.count();
    row.drops = trimmed.drops + (x.lost ? x.lost->drops : 0);
    row.gaps = trimmed.gaps + (x.lost ? x.lost->gaps : 0);
  });
}

void probe::show_room(const actor& x, const actor_stats& s,
                      const roster& members) {
  auto& row = room_row_;
  auto& sums = members.sum();
  row.room = x.room_name();
  row.members = members.size();
  row.deliveries = sums.deliveries;
  row.bytes_out = sums.bytes_out;
  row.dropped += sums.dropped; // to what was trimmed of its members
  row.queue_max = sums.queue_max;
  row.cpu_us = duration_cast<microseconds>(s.busy).count();
  if (x.kind() == actor_kind::room) {
    auto& r = static_cast<const room&>(x);
    row.actor = r.id();
    row.unit = home().id();
    row.named = r.past().named;
    row.restarts = r.past().restarts;
    row.outlets = r.outlets();
    row.epoch = r.epoch();
    row.offset = r.offset();
    row.publications = r.publications();
    row.bytes_in = r.bytes_in();
    row.age_ms = duration_cast<milliseconds>(home().now() - s.born).count();
    if (row.outlets == 0) {
      offer(row, false, [] {});
      return;
    }
  }
  found_->rooms.rows.push_back(row);
}

} // namespace greenroom
