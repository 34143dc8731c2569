#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "actors/engine.hpp"
#include "actors/member.hpp"
#include "actors/timer_wheel.hpp"

namespace greenroom {

/// Keeps a burst from ending members that read as fast as they can: what a room sends
/// is taken by the kernel turn by turn of the unit, and where that is faster than
/// members read, the room rests until they have read again. Only in a burst, only
/// while those it rests for get on, and not for long altogether: whoever is just slow
/// holds nobody up. Plain, for one room on one unit; its thread only.
class pacer final : public timer {
public:
  /// A room that sent more than its share of a member's limit in this time is in a
  /// burst: 13 MB a second with the defaults. At a steady rate below nobody is waited
  /// for: a member that stalls would cost the others the time until that is known.
  static constexpr std::chrono::milliseconds burst_window{20};
  /// Those a room rests for must together have read `progress_min` in this time, or
  /// it goes on without them. Longer than the scheduler lets a busy client wait.
  static constexpr std::chrono::milliseconds stalled_after{50};
  static constexpr std::uint64_t progress_min = std::uint64_t{64} * 1024;
  /// Whoever did not get on is not waited for again within this time.
  static constexpr std::chrono::milliseconds unheeded_for{1000};
  /// Looks again after this, if no socket of the unit wakes it before.
  static constexpr std::chrono::milliseconds look_every{20};
  /// Of the time that passes a room gets back this share (1: all) of its patience.
  static constexpr int regained_share = 10;

  pacer(const engine& env, unit& home);

  /// Bytes under way that are much for a member: it is told by `has_much`.
  std::uint64_t much() const noexcept { return much_; }

  void has_much(const member_ptr& who);

  /// That so much was sent to members.
  void sent(std::uint64_t bytes) noexcept;

  enum class verdict : std::uint8_t {
    go,    ///< sends the next turn
    pause, ///< in the unit's next turn
    rest,  ///< when members got on; asks again then
  };

  /// Whether the next turn may be sent.
  verdict judge();

  /// Gives up everything.
  void stop() noexcept;

private:
  verdict end_rest() noexcept;
  std::uint64_t under_way() const noexcept;

  unit& home_;
  std::chrono::steady_clock::duration patience_;
  std::uint64_t much_;
  // What was sent to one member: in this turn of the unit, in this window.
  std::uint64_t turn_ = 0;
  std::uint64_t turn_bytes_ = 0;
  steady_time window_{};
  std::uint64_t window_bytes_ = 0;
  // Those it rests for, and since when. Weak: whoever leaves is let go at once.
  std::vector<std::weak_ptr<member>> behind_;
  bool resting_ = false;
  steady_time since_{};
  steady_time looked_{};
  std::uint64_t looked_bytes_ = 0;
  // What is left to rest, as of `credit_at_`.
  std::chrono::steady_clock::duration credit_;
  steady_time credit_at_{};
};

} // namespace greenroom
