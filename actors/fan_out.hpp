#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "actors/catch_up.hpp"
#include "actors/engine.hpp"
#include "actors/pacer.hpp"
#include "actors/roster.hpp"

namespace greenroom {

/// A room's way to its members on one unit, in slices: so many members per turn of
/// the unit, and bursts no faster than they are read. Plain: the room has one, and
/// each of its outlets; they handle no message while it is not `done`.
class fan_out {
public:
  fan_out(const engine& env, unit& home, caf::actor_addr owner,
          overflow_policy overflow)
    : env_(env), overflow_(overflow), catch_up_(home, std::move(owner)),
      pace_(env, home, overflow) {}

  roster& members() noexcept { return members_; }

  const roster& members() const noexcept { return members_; }

  /// Begins with a turn. @pre done
  void begin(std::shared_ptr<const broadcast> what);

  /// Whether every member has what was begun.
  bool done() const noexcept { return what_ == nullptr; }

  /// Sends the next slice, if members are ready for it. If it is not `done` then,
  /// the owner does what is said and calls it again.
  pacer::verdict go_on();

  /// Lets members that lag catch up, where the room conflates.
  void release();

  /// Timers that run. Gives up everything.
  std::size_t stop() noexcept;

private:
  const engine& env_;
  overflow_policy overflow_;
  roster members_;
  catch_up catch_up_;
  pacer pace_;
  std::shared_ptr<const broadcast> what_;
  roster::progress at_;
};

} // namespace greenroom
