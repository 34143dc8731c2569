#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "actors/member.hpp"
#include "actors/metrics.hpp"
#include "actors/model.hpp"
#include "actors/options.hpp"
#include "actors/ports.hpp"

namespace greenroom {

class unit;

/// Members who get the same bytes: they speak one dialect and agreed on one
/// compression, or on none.
struct variant {
  const protocol* dialect;
  const compression* compressed;

  friend bool operator==(const variant&, const variant&) = default;
};

/// One turn of a room, encoded once per variant, for members anywhere. Immutable
/// once sent.
struct broadcast {
  struct portion {
    variant to;
    wire_ptr bytes;         ///< null: the dialect has no word for it
    std::size_t untold = 0; ///< events that the dialect has no word for
  };

  std::vector<portion> portions;
  /// Members that must not see all of it, with what they do see (null: nothing).
  std::unordered_map<client_id, wire_ptr> cuts;
  /// How many events they do not see that others of their dialect do.
  std::unordered_map<client_id, std::size_t> cut_events;
  std::size_t events = 0;
  std::uint64_t last = 0; ///< offset of the last event

  /// One publisher's last event of the turn, alone, as each dialect tells it.
  struct single {
    struct portion {
      wire_ptr bytes;         ///< null: the dialect tells none of its events
      std::size_t events = 0; ///< how many it tells, the last one included
    };

    client_id from;
    std::vector<portion> portions; ///< in the order of the broadcast's
  };

  /// What its publishers are allowed again once nobody has it to send any more.
  std::vector<inflow_token> credits;

  /// In rooms that conflate, in order; empty in others.
  std::vector<single> latest;
  /// Where a publisher is among `latest`.
  std::unordered_map<client_id, std::size_t> latest_of;
};

/// The members of a room on one unit, by variant. Plain: the room uses one for its
/// own unit, each outlet one for its. One thread.
class roster {
public:
  /// The latest event per publisher, oldest first.
  struct backlog {
    std::deque<std::pair<client_id, wire_ptr>> events;
    std::size_t bytes = 0;
  };

  /// What a policy took from a member.
  struct losses {
    std::uint64_t drops = 0; ///< events
    std::uint64_t gaps = 0;  ///< times that happened without a break
    std::uint64_t turn = 0;  ///< the last one it happened in
    std::uint64_t head = 0;  ///< the last offset enqueued before that gap
    bool over = false;       ///< the member is about to end: nothing follows
  };

  /// Since the beginning; of the seats that are gone as well.
  struct sums {
    std::uint64_t deliveries = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t dropped = 0;
    std::uint64_t queue_max = 0; ///< the most that was under way to one member
  };

  struct seat {
    member_ptr who;
    bool echo;
    /// What a lagging member of a room that conflates gets when it has caught up.
    /// Null: nothing is held back.
    std::unique_ptr<backlog> held;
    /// Null: it has lost nothing.
    std::unique_ptr<losses> lost;
  };

  struct group {
    variant to;
    std::vector<seat> seats;
    /// Offset of the last event of the last turn that was sent to these seats, or
    /// dropped by a policy.
    std::uint64_t head = 0;
  };

  /// @returns false if the client is in already: its seat stays as it is
  bool add(member_ptr who, bool echo);

  /// @returns the member that left; null for a stranger
  member_ptr remove(client_id who);

  const seat* find(client_id who) const noexcept;

  std::size_t size() const noexcept { return index_.size(); }

  const std::vector<group>& groups() const noexcept { return groups_; }

  /// Members miss nothing behind this offset. Call before `add`.
  void begin_at(std::uint64_t offset) noexcept {
    head_ = std::max(head_, offset);
  }

  /// Offset of the last event of the last turn.
  std::uint64_t head() const noexcept { return head_; }
  /// Offset of the last event that was enqueued for a seat.
  std::uint64_t head_of(const seat& x) const noexcept {
    auto* lost = x.lost.get();
    return lost != nullptr && (lost->over || lost->turn == turns_) ? lost->head
                                                                   : head_;
  }

  const sums& sum() const noexcept { return sums_; }

  /// How far a turn has come.
  struct progress {
    std::size_t group = 0;
    std::size_t seat = 0;
  };

  /// What holds for all that is sent.
  struct terms {
    overflow_policy policy;
    const member_options& limits;
    metrics& counts;
  };

  /// Sends a turn to the next `most` members; whoever has too much under way is
  /// treated as the room's policy says. Costs a message with a pointer per member.
  /// @param at where to go on; members must not change before it has been finished
  /// @returns whether all members have it
  bool deliver(const broadcast& what, progress& at, std::size_t most,
               const terms& how);

  /// Whether something is held back for a member: call `release` now and then.
  bool holding() const noexcept { return holding_ > 0; }

  /// Sends what is held back to members that have caught up to half their limit.
  void release(const member_options& limits, metrics& counts);

private:
  struct place {
    std::uint32_t group;
    std::uint32_t at;
  };

  void hold(seat& to, const broadcast& what, std::size_t portion,
            const member_options& limits, metrics& counts);
  void lose(seat& whose, std::uint64_t events);
  void end_at_head(seat& whose);
  bool let_go(seat& to, const member_options& limits, metrics& counts);

  std::size_t holding_ = 0; // seats with something held back
  std::uint64_t head_ = 0;
  std::uint64_t turns_ = 0;
  sums sums_;
  std::vector<group> groups_;
  std::unordered_map<client_id, place> index_;
};

/// Ends a member: it gets nothing more.
void sentence(member& who, errc why);

/// Reports how far a member had come whose connection has died.
void note_last_offset(const roster& members, client_id who,
                      const std::string& room, unit& home);

/// Sends frames to one member: counts them in its flow, then tells its writer. For
/// answers: no policy drops them, they may take what is under way to twice the
/// member's limit, and beyond it the member ends as `slow_consumer`, or before as
/// `overloaded`, where the whole process has too much.
void deliver_to(member& who, wire_ptr what, const member_options& limits);

/// A publication that wants an answer.
struct acknowledgement {
  member_ptr who;
  std::uint32_t number; ///< of its reader
  std::uint64_t offset = 0;
};

/// Tells a publisher's reader that its publication is on the way to everybody.
void acknowledge(const acknowledgement& x);

/// Tells it that it may not be: the room died. Members may have it all the same if
/// that happened while the turn was sent.
void apologize(const acknowledgement& x);

} // namespace greenroom
