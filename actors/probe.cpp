#include "actors/probe.hpp"

#include <algorithm>
#include <chrono>

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
  sorts_by_ties_ =
    std::any_of(plan_->questions.begin(), plan_->questions.end(), [](auto& q) {
      return q.sort == "links" || q.sort == "monitors";
    });
  busiest_ = lagging_ = {};
  home().begin_walk();
  go_on();
}

void probe::go_on() {
  auto begin = thread_time();
  for (std::size_t n = 0; n < env_.inspection.chunk; ++n) {
    auto* x = home().walk_at();
    if (x == nullptr)
      break;
    look_at(*x);
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

void probe::look_at(const actor& x) {
  auto s = x.stats();
  count(x, s);
  if (wants_actors_)
    show(x, s);
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
  auto tie = [&x](actor_row& to) {
    auto ties = x.ties();
    to.links = ties.links;
    to.monitors = ties.monitors;
  };
  for (std::size_t i = 0; i < plan_->questions.size(); ++i) {
    auto* rows = std::get_if<top_rows<actor_row>>(&found_->rows[i]);
    if (rows == nullptr || !fits(plan_->questions[i], row))
      continue;
    if (sorts_by_ties_)
      tie(row);
    rows->offer(row, tie);
  }
}

} // namespace greenroom
