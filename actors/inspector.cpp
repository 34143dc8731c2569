#include "actors/inspector.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "actors/log_lines.hpp"
#include "actors/process_facts.hpp"

namespace greenroom {

namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// How long an inspector that is told to go listens for the units' last reports.
constexpr milliseconds last_reports{30};
// A walk takes milliseconds; a unit that does not answer for so long is stuck, and
// who waits for it is told so.
constexpr std::chrono::seconds walk_timeout{10};

std::int64_t unix_ms(std::chrono::system_clock::time_point x) {
  return duration_cast<milliseconds>(x.time_since_epoch()).count();
}

void add(unit_sample& to, const unit_sample& x) {
  for (std::size_t i = 0; i < to.actors.size(); ++i)
    to.actors[i] += x.actors[i];
  to.depth += x.depth;
  to.depth_max = std::max(to.depth_max, x.depth_max);
  to.handled += x.handled;
  to.turns += x.turns;
  to.memberships += x.memberships;
  to.bytes_queued += x.bytes_queued;
  if (x.busiest.busy_us >= to.busiest.busy_us)
    to.busiest = x.busiest;
  if (x.lagging.depth > to.lagging.depth
      || (x.lagging.depth == to.lagging.depth
          && x.lagging.wait_max_us >= to.lagging.wait_max_us))
    to.lagging = x.lagging;
}

} // namespace

inspector::inspector(caf::actor_config& cfg, unit& home, const engine& env,
                     std::vector<caf::actor> probes,
                     std::shared_ptr<closed_memory> closed)
  : actor(cfg, home, actor_kind::inspector), env_(env),
    probes_(std::move(probes)), closed_(std::move(closed)), due_(*this),
    pulse_(*this), clock_(*this) {}

std::uint64_t inspector::parent() const {
  return env_.supervisor ? env_.supervisor->id() : 0;
}

void inspector::started() {
  for (auto& p : probes_)
    tell(p, report_to{self()});
  if (env_.inspection.every.count() > 0)
    home().timers().arm_in(pulse_, env_.inspection.every);
  note_latency();
}

// -- behaviour ------------------------------------------------------------------------

bool inspector::receive(caf::mailbox_element& in) {
  return dispatch(
    in,
    [this](reported& x) {
      for (auto& e : x.what) {
        write(e);
        remember(e);
      }
    },
    [this](looked& x) { take(std::move(x.what)); },
    [this](walked& x) { add(x); }, [this](idle_rooms& x) { add(x); },
    [this](walk_due&) { walk_is_due(); },
    [this](tick&) {
      if (retiring_)
        quit(errc::none);
      else
        beat();
    },
    [this](latency_due&) { note_latency(); },
    [this](counted& x) {
      books_ = std::make_unique<books>(x.what);
      write_snapshot();
    },
    [this](retire&) { retire_softly(); });
}

// What ended last is still being reported by the units.
void inspector::retire_softly() {
  retiring_ = true;
  home().timers().arm_in(pulse_, last_reports);
  clock_.disarm();
  abandon_walk();
  waiting_.clear();
}

void inspector::stopped(errc) {
  pulse_.disarm();
  due_.disarm();
  clock_.disarm();
  probes_.clear();
  abandon_walk();
  waiting_.clear();
}

void inspector::remember(const lifecycle_event& x) {
  if (x.what == happening::seat_over) {
    closed_->add_seat(x.client, x.room, x.number);
  } else if (x.what == happening::client_down) {
    if (x.closed)
      closed_->add(std::move(*x.closed));
    else
      closed_->forget(x.client);
  }
}

void inspector::write(const lifecycle_event& x) const {
  if (x.what != happening::seat_over && env_.log->wants(loudness_of(x)))
    env_.log->write(line_of(x));
}

// -- questions ------------------------------------------------------------------------

void inspector::take(question x) {
  if (retiring_ || answer_at_once(x))
    return;
  // The same question is asked by the walk under way.
  if (plan_)
    for (auto& q : plan_->questions)
      if (same_question(q, x->what)) {
        asked_.push_back(std::move(x));
        return;
      }
  waiting_.push_back(std::move(x));
  start_walk();
}

// Boxes are with whom they are about. If that ends before it has answered, the
// inquiry does.
void inspector::ask_for_box(const question& x) const {
  tell(env_.supervisor,
       ask_books{
         x->what.room, x->what.client,
         [x](const books&, const caf::actor& room, const member_ptr& client) {
           auto whom = client ? client->reader : room;
           if (!whom) {
             inspect_page none;
             none.why = errc::not_found;
             x->answer(std::move(none));
             return;
           }
           tell(whom, show_box{[x](std::vector<box_row> rows) {
                  inspect_page page;
                  page.total = rows.size();
                  page.sampled_at = unix_ms(std::chrono::system_clock::now());
                  auto& q = x->what;
                  auto from = std::min(q.offset, rows.size());
                  auto count = std::min(q.limit, rows.size() - from);
                  rows.erase(rows.begin(),
                             rows.begin() + static_cast<std::ptrdiff_t>(from));
                  rows.resize(count);
                  page.rows = std::move(rows);
                  x->answer(std::move(page));
                }});
         }});
}

// Not for the whole period: whoever asks once in it would be early by the time the
// last answer took, and see every second one twice.
bool inspector::answer_at_once(question& x) {
  if (x->what.what == view::box) {
    ask_for_box(x);
    return true;
  }
  if (home().now() >= answered_at_ + env_.inspection.sample_every * 9 / 10)
    return false;
  for (auto& a : answers_)
    if (same_question(a.what, x->what)) {
      a.asked_at = home().now();
      x->answer(a.page);
      return true;
    }
  return false;
}

// Each walk uses up one sampling period, and after a quiet time a few may follow
// each other at once. Snapshots come seldom and are not held up.
void inspector::start_walk() {
  if (plan_ || retiring_ || (waiting_.empty() && !snapshot_wanted_))
    return;
  auto now = home().now();
  auto period = env_.inspection.sample_every;
  auto credit = period * static_cast<int>(env_.inspection.burst);
  auto paid = std::max(paid_until_, now) + period;
  if (!snapshot_wanted_
      && paid > now + std::max<milliseconds>(credit, period)) {
    if (!due_.armed())
      home().timers().arm(due_, paid - std::max<milliseconds>(credit, period));
    return;
  }
  paid_until_ = paid;
  auto plan = std::make_shared<walk_plan>();
  plan->number = ++walks_;
  auto known = [&plan](const inspect_query& x) {
    return std::any_of(plan->questions.begin(), plan->questions.end(),
                       [&x](auto& q) { return same_question(q, x); });
  };
  std::vector<question> later;
  for (auto& x : waiting_) {
    if (!known(x->what)) {
      if (plan->questions.size() >= env_.inspection.questions_per_walk) {
        later.push_back(std::move(x));
        continue;
      }
      plan->questions.push_back(x->what);
    }
    asked_.push_back(std::move(x));
  }
  waiting_ = std::move(later);
  // A page asks several questions again and again, and not in the same moment: what
  // the first of them begins would be over before the next one comes.
  for (auto& x : answers_)
    if (now < x.asked_at + period * 3 / 2 && !known(x.what)
        && plan->questions.size() < env_.inspection.questions_per_walk)
      plan->questions.push_back(x.what);
  snapshot_walks_ = std::exchange(snapshot_wanted_, false);
  plan_ = std::move(plan);
  units_.clear();
  answers_due_ = probes_.size();
  sum_ = {};
  found_.reset();
  walk_began_ = now;
  home().timers().arm_in(due_, walk_timeout);
  for (auto& p : probes_)
    tell(p, take_walk{plan_, self()});
  idle_rooms_.clear();
  if (plan_->wants(view::rooms)) {
    ++answers_due_;
    tell(env_.supervisor, ask_idle_rooms{plan_->number, self()});
  }
}

void inspector::walk_is_due() {
  // A unit is stuck; or this was for a walk that began meanwhile.
  if (plan_ && home().now() >= walk_began_ + walk_timeout)
    abandon_walk();
  start_walk();
}

void inspector::abandon_walk() {
  plan_ = nullptr;
  found_.reset();
  asked_.clear(); // answered as lost
}

void inspector::add(walked& x) {
  if (!plan_ || x.number != plan_->number)
    return;
  auto begin = thread_time();
  greenroom::add(sum_, x.what->sample);
  units_.push_back(x.what->unit);
  if (!found_)
    found_ = std::make_unique<unit_findings>(std::move(*x.what));
  else
    merge(*found_, std::move(*x.what));
  home().charge_sampling(thread_time() - begin);
  if (--answers_due_ == 0)
    finish_walk();
}

void inspector::add(idle_rooms& x) {
  if (!plan_ || x.number != plan_->number)
    return;
  idle_rooms_ = std::move(x.rows);
  if (--answers_due_ == 0)
    finish_walk();
}

void inspector::finish_walk() {
  auto begin = thread_time();
  due_.disarm();
  std::sort(units_.begin(), units_.end(),
            [](auto& a, auto& b) { return a.unit < b.unit; });
  settle_rooms(*plan_, *found_, idle_rooms_);
  auto before = std::exchange(answers_, {});
  answered_at_ = home().now();
  for (std::size_t i = 0; i < plan_->questions.size(); ++i)
    answers_.push_back({plan_->questions[i], answer_to(i), {}});
  for (auto& x : answers_)
    for (auto& old : before)
      if (same_question(x.what, old.what))
        x.asked_at = old.asked_at;
  for (auto& x : std::exchange(asked_, {})) {
    auto a = std::find_if(answers_.begin(), answers_.end(), [&x](auto& y) {
      return same_question(y.what, x->what);
    });
    a->asked_at = walk_began_;
    x->answer(a->page);
  }
  plan_ = nullptr;
  found_.reset();
  home().charge_sampling(thread_time() - begin);
  if (std::exchange(snapshot_walks_, false)) {
    sample_ = std::make_unique<unit_sample>(sum_);
    ask_for_books();
  }
  start_walk();
}

inspect_page inspector::answer_to(std::size_t which) {
  inspect_page page;
  page.sampled_at = unix_ms(std::chrono::system_clock::now());
  switch (plan_->questions[which].what) {
    case view::overview:
      page.total = 1;
      page.rows = std::vector<overview>{sum_up()};
      break;
    case view::closed:
      closed_->answer(plan_->questions[which], page);
      break;
    default:
      take_page(found_->rows[which], page);
      break;
  }
  return page;
}

overview inspector::sum_up() const {
  auto kinds = [this](actor_kind x) {
    return sum_.actors[static_cast<std::size_t>(x)];
  };
  auto count = [](const counter& x) {
    return static_cast<std::uint64_t>(x.get());
  };
  auto process = look_at_process();
  auto& c = *env_.counts;
  overview x;
  x.version = env_.version;
  x.now_at = unix_ms(std::chrono::system_clock::now());
  x.started_at = unix_ms(env_.started_at);
  x.cpu_us = duration_cast<microseconds>(process.cpu).count();
  x.memory_bytes = process.memory_bytes;
  x.descriptors = process.descriptors;
  x.connections = kinds(actor_kind::reader);
  x.rooms = kinds(actor_kind::room);
  x.memberships = sum_.memberships;
  x.quarantined = count(c.quarantined_now);
  x.bytes_queued = sum_.bytes_queued;
  x.bytes_live = static_cast<std::uint64_t>(wire::live_bytes());
  x.messages_in = count(c.messages_in);
  x.bytes_in = count(c.bytes_in);
  x.frames_out = count(c.frames_out);
  x.bytes_out = count(c.bytes_out);
  x.publications = count(c.publications);
  x.deliveries = count(c.deliveries);
  x.dropped = count(c.dropped);
  x.crashes = count(c.crashes);
  x.audit_faults = static_cast<std::uint64_t>(sum(c.audit_faults));
  auto recent = c.latency_us().since(latency_long_before_);
  x.latency_p50_us = static_cast<std::int64_t>(recent.quantile(0.5));
  x.latency_p99_us = static_cast<std::int64_t>(recent.quantile(0.99));
  x.latency_max_us = static_cast<std::int64_t>(recent.highest());
  x.units = units_;
  return x;
}

// -- snapshots --------------------------------------------------------------------------

void inspector::beat() {
  home().timers().arm_in(pulse_, env_.inspection.every);
  sample_.reset();
  books_.reset();
  snapshot_wanted_ = true;
  start_walk();
}

// Behind the walk, which would else find this question waiting in the supervisor's
// mailbox and call it the one that lags.
void inspector::ask_for_books() {
  auto me = self();
  tell(env_.supervisor,
       ask_books{
         {}, 0, [me](const books& x, const caf::actor&, const member_ptr&) {
           tell(me, counted{x});
         }});
}

void inspector::write_snapshot() {
  if (!sample_ || !books_)
    return;
  env_.log->write(snapshot_line(*sample_, *books_, *env_.counts));
  sample_.reset();
  books_.reset();
}

// -- latency ----------------------------------------------------------------------------

void inspector::note_latency() {
  latency_long_before_ = latency_before_;
  latency_before_ = env_.counts->latency_us();
  // What nobody asks for any more.
  if (home().now() >= answered_at_ + 2 * env_.inspection.sample_every)
    answers_.clear();
  home().timers().arm_in(clock_, env_.inspection.sample_every);
}

} // namespace greenroom
