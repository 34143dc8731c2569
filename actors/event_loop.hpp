#pragma once

#include <cstddef>
#include <functional>

#include "actors/model.hpp"
#include "actors/timer_wheel.hpp"

namespace greenroom {

/// The sockets of one unit, as the unit sees them. `net/` implements it over
/// epoll, tests with a stepped fake. On the unit's thread unless said otherwise.
class event_loop {
public:
  virtual ~event_loop() = default;

  /// Runs what is ready and does not wait.
  /// @returns how many handlers ran
  virtual std::size_t poll() = 0;

  /// Sends what this turn appended to sockets. May leave a rest for the next turn
  /// (a huge room must not stall its unit).
  /// @returns whether something is left to send now
  virtual bool flush() = 0;

  /// Sleeps until something is ready, `wake` was called, or `until` has passed.
  virtual void wait(steady_time until) = 0;

  /// Ends a sleep, now or the next one. Any thread.
  virtual void wake() noexcept = 0;

  /// The unit's timers; the unit advances them.
  virtual timer_wheel& timers() noexcept = 0;
};

} // namespace greenroom
