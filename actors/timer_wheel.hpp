#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <limits>

#include "actors/model.hpp"

namespace greenroom {

/// One timer, embedded in whatever needs it: no allocation to arm or disarm. Must
/// be disarmed or destroyed on the thread of its wheel.
class timer {
public:
  timer() noexcept : prev_(this), next_(this) {}

  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;

  virtual ~timer() { disarm(); }

  bool armed() const noexcept { return next_ != this; }

  steady_time deadline() const noexcept { return deadline_; }

  void disarm() noexcept {
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = this;
  }

protected:
  /// Called on the wheel's thread once the deadline has passed; may arm again.
  virtual void fired() {}

private:
  friend class timer_wheel;

  void link_behind(timer& x) noexcept {
    prev_ = &x;
    next_ = x.next_;
    x.next_->prev_ = this;
    x.next_ = this;
  }

  timer* prev_;
  timer* next_;
  steady_time deadline_{};
};

/// All timers of one unit: a hashed wheel, fed with the unit's clock. Arming is
/// constant time; a timer fires up to one tick late, never early. One thread.
class timer_wheel {
public:
  /// Coarse on purpose: the limits here are tens of milliseconds to minutes, and
  /// a unit with armed timers wakes at most once a tick.
  static constexpr std::chrono::milliseconds tick{20};
  static constexpr std::uint64_t slots = 4096; // one round: 82 s

  explicit timer_wheel(steady_time start) noexcept
    : now_(start), current_(rounded_up(start)) {}

  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  ~timer_wheel() {
    for (auto& slot : slots_)
      while (slot.armed())
        slot.next_->disarm();
  }

  /// The clock of the unit: the start of its turn.
  steady_time now() const noexcept { return now_; }

  /// Arms `x` for `at`, wherever it was armed before.
  void arm(timer& x, steady_time at) noexcept {
    x.disarm();
    x.deadline_ = at;
    // A deadline in the past fires with the next tick.
    auto due = std::max(rounded_up(at), current_);
    x.link_behind(slots_[due % slots]);
    earliest_ = std::min(earliest_, due);
  }

  void arm_in(timer& x, std::chrono::steady_clock::duration span) noexcept {
    arm(x, now_ + span);
  }

  /// Moves the clock to `now` and fires what is due.
  void advance(steady_time now) {
    now_ = std::max(now_, now);
    auto last = static_cast<std::uint64_t>(now_.time_since_epoch() / tick);
    if (last < earliest_) {
      current_ = std::max(current_, last + 1);
      return;
    }
    // One round over all slots finds everything after a long sleep.
    auto first = std::max(current_, last - std::min(last, slots - 1));
    current_ = last + 1;
    earliest_ = never;
    for (auto i = first; i <= last; ++i)
      fire(slots_[i % slots]);
    find_earliest();
  }

  /// When to call `advance` next at the latest; the far future if nothing is
  /// armed. May be early, never late.
  steady_time next_deadline() const noexcept {
    if (earliest_ == never)
      return steady_time::max();
    return steady_time{tick * static_cast<std::int64_t>(earliest_)};
  }

private:
  static constexpr auto never = std::numeric_limits<std::uint64_t>::max();

  static std::uint64_t rounded_up(steady_time at) noexcept {
    if (at > steady_time::max() - tick)
      return never - 1;
    return static_cast<std::uint64_t>((at.time_since_epoch() + tick) / tick);
  }

  void fire(timer& slot) {
    timer due; // a list head of its own: what fires may arm into this slot
    while (slot.armed()) {
      auto* x = slot.next_;
      x->disarm();
      x->link_behind(due);
    }
    while (due.armed()) {
      auto* x = due.next_; // the order in which they were armed
      x->disarm();
      if (x->deadline_ > now_)
        arm(*x, x->deadline_); // a later round
      else
        x->fired();
    }
  }

  void find_earliest() noexcept {
    for (auto i = current_; i < current_ + slots; ++i)
      if (i >= earliest_) {
        return;
      } else if (slots_[i % slots].armed()) {
        earliest_ = i;
        return;
      }
  }

  std::array<timer, slots> slots_;
  steady_time now_;
  std::uint64_t current_;          // the first tick that has not fired yet
  std::uint64_t earliest_ = never; // no timer is due before this tick
};

} // namespace greenroom
