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

class roster;

/// Keeps a burst from ending members that read as fast as they can: on one machine
/// a room is faster than its members. Before a room sends amid a burst it lets those
/// that have much under way have the rest of the unit's turn, and, where its policy
/// is to end them, rests until they have read. Only in a burst, each time for
/// `rest_max` at most and in the long run for a hundredth of the time: whoever is just
/// slow holds nobody up. Plain, for one room on one unit; its thread only.
class pacer final : public timer {
public:
  /// Whoever has not read by then is not rested for again within `unheeded_for`.
  /// Longer than the scheduler of a busy machine lets a client wait.
  static constexpr std::chrono::milliseconds rest_max{100};
  static constexpr std::chrono::milliseconds unheeded_for{5000};
  /// Looks again after this, if no socket of the unit wakes it before. With less
  /// patience left it does not rest.
  static constexpr std::chrono::milliseconds look_every{20};
  /// One part in so many of the time that passes is given back to its patience.
  static constexpr int regained_share = 100;

  pacer(const engine& env, unit& home, overflow_policy overflow);

  enum class verdict : std::uint8_t {
    go,    ///< sends the next turn
    pause, ///< in the unit's next turn
    rest,  ///< when members have read; asks again then
  };

  /// Whether the next turn may be sent to them.
  verdict judge(const roster& members);

  /// That so much was sent to members.
  void sent(std::uint64_t bytes) noexcept;

  /// Gives up everything.
  void stop() noexcept;

private:
  bool has_much(const member_ptr& x) const noexcept;
  void collect(const roster& members);
  verdict end_rest(bool in_vain) noexcept;

  unit& home_;
  std::chrono::steady_clock::duration patience_;
  std::uint64_t much_; // bytes under way to a member
  bool rests_;
  // Those with much under way, while their room waits. Weak: whoever leaves is let
  // go at once.
  std::vector<std::weak_ptr<member>> behind_;
  bool resting_ = false;
  steady_time since_{};
  // What is left to rest, as of `credit_at_`.
  std::chrono::steady_clock::duration credit_;
  steady_time credit_at_{};
};

} // namespace greenroom
