#pragma once

#include <chrono>
#include <utility>

#include "actors/messages.hpp"
#include "actors/roster.hpp"
#include "actors/runtime/unit.hpp"
#include "actors/timer_wheel.hpp"

namespace greenroom {

/// Looks after members that lag in a room that conflates: while something is held
/// back for one, its owner gets a `tick` every 50 ms and releases what it can, so
/// that the latest value arrives although nothing new is published.
class catch_up final : public timer {
public:
  static constexpr std::chrono::milliseconds every{50};

  catch_up(unit& home, caf::actor_addr owner)
    : home_(home), owner_(std::move(owner)) {}

  /// Call after each turn and each release.
  void look_at(const roster& members) {
    if (members.holding() && !armed())
      home_.timers().arm_in(*this, every);
  }

protected:
  void fired() override { tell(caf::actor_cast<caf::actor>(owner_), tick{}); }

private:
  unit& home_;
  caf::actor_addr owner_;
};

} // namespace greenroom
