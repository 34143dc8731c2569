#include "actors/tracer.hpp"

#include <algorithm>
#include <utility>

#include "actors/runtime/reason.hpp"

namespace greenroom {

namespace {

// How often what came is handed over.
constexpr std::chrono::milliseconds hand_over_every{100};

} // namespace

tracer::tracer(caf::actor_config& cfg, unit& home, const engine& env,
               trace_order what, std::weak_ptr<trace_sink> to,
               caf::actor target)
  : actor(cfg, home, actor_kind::tracer), env_(env), what_(std::move(what)),
    to_(std::move(to)), target_(std::move(target)),
    tap_(std::make_shared<trace_tap>()), pulse_(*this) {}

std::uint64_t tracer::parent() const {
  return env_.supervisor ? env_.supervisor->id() : 0;
}

void tracer::started() {
  until_ = home().now() + std::min(what_.lasts, env_.inspection.trace_longest);
  monitor(env_.supervisor);
  look_at(std::exchange(target_, nullptr));
  home().timers().arm_in(pulse_, hand_over_every);
}

void tracer::look_at(caf::actor target) {
  if (!target || target_)
    return;
  target_ = std::move(target);
  monitor(target_);
  tell(target_, attach_tap{tap_});
}

bool tracer::receive(caf::mailbox_element& in) {
  return dispatch(
    in, [this](tick&) { hand_over(); },
    [this](trace_target& x) { look_at(std::move(x.what)); });
}

// Its last words are in the tap already.
void tracer::monitor_down(const caf::down_msg& x) {
  auto id = x.source.id();
  if (target_ && id == target_->id()) {
    target_ = nullptr;
    if (what_.client != 0)
      quit(reason(x.reason));
  } else if (id == env_.supervisor->id()) {
    quit(errc::shutdown);
  }
}

void tracer::hand_over() {
  auto to = to_.lock();
  if (!to || home().now() >= until_) {
    quit(errc::none);
    return;
  }
  std::vector<box_row> rows;
  auto lost = tap_->take(rows);
  if (!rows.empty() || lost != 0)
    to->traced(std::move(rows), lost);
  if (!target_) {
    // A room that was restarted, or will be there again.
    auto me = self();
    tell(env_.supervisor,
         ask_books{what_.room, 0,
                   [me](const books&, const caf::actor& room,
                        const member_ptr&) { tell(me, trace_target{room}); }});
  }
  home().timers().arm_in(pulse_, hand_over_every);
}

void tracer::stopped(errc why) {
  pulse_.disarm();
  tap_->end();
  target_ = nullptr;
  auto to = to_.lock();
  if (!to)
    return;
  std::vector<box_row> rows;
  auto lost = tap_->take(rows);
  if (!rows.empty() || lost != 0)
    to->traced(std::move(rows), lost);
  to->ended(why);
}

} // namespace greenroom
