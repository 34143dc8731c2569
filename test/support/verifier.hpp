#pragma once

#include "test/support/ws_wire.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace greenroom::test {

struct verifier_options {
  /// Everything random follows from it; it is part of every report.
  std::uint64_t seed = 1;
  /// Bounds of a message in bytes, each at least `verifier::header_size`.
  std::size_t length_min = 16;
  std::size_t length_max = 256;
  /// The share of binary messages in a thousand.
  unsigned binary_per_mille = 500;
};

/// Invents messages and checks that rooms deliver them: every member gets each
/// message of its room exactly once, byte for byte and with its opcode, and all
/// members of a room in the same order, which keeps each publisher's own.
///
/// A message is publisher and sequence in hex, and a body that follows from the
/// seed, so each delivery is compared with what was sent and not with a hash of
/// it. Not for several threads at once.
class verifier {
public:
  static constexpr std::size_t header_size = 12;

  explicit verifier(verifier_options options);

  // -- who there is --

  std::size_t add_room();

  /// A source of messages, whose order the room must keep.
  std::size_t add_publisher(std::size_t room);

  /// Someone who misses nothing from now on: what is invented later must
  /// arrive. Add members of the start before the first message; one that joins
  /// later may see messages that were on their way.
  /// @param without a publisher whose messages it does not get (`echo=0`)
  std::size_t add_member(std::size_t room,
                         std::optional<std::size_t> without = {});

  /// From now on what this member lacks is no fault. What it still gets is
  /// checked, as it may have been on its way.
  void remove_member(std::size_t member);

  /// Says that the last messages of a publisher which nobody got will not come
  /// any more, as it was cut off. Call it when nothing is on its way.
  void lose_tail(std::size_t publisher);

  // -- what happens --

  struct outgoing {
    opcode op = opcode::text;
    std::string payload = {};
  };

  /// The next message of a publisher, which has to be sent.
  outgoing next(std::size_t publisher);

  /// Checks a delivery. Only the first fault of a member is kept.
  void received(std::size_t member, opcode op, std::string_view payload);

  // -- what came of it --

  /// Whether everything has arrived, or a fault makes waiting pointless.
  bool finished() const { return missing_ == 0 || !faults_.empty(); }

  /// Deliveries that are still to come.
  std::uint64_t missing() const { return missing_; }

  std::uint64_t published() const { return published_; }

  std::uint64_t delivered() const { return delivered_; }

  /// The last checks, once nothing is under way any more.
  /// @returns the faults and the seed, or an empty text
  std::string report();

  /// A hash chain over the order of a room's messages, for comparisons between
  /// processes.
  std::uint64_t digest(std::size_t room) const;

private:
  using message_id = std::uint64_t; // publisher, sequence

  struct room_state {
    std::vector<std::size_t> publishers;
    std::vector<message_id> order;
    std::uint64_t published = 0;
    std::size_t live = 0;
  };

  struct publisher_state {
    std::size_t home = 0;
    std::size_t index = 0;
    std::uint32_t next = 0;
    /// The one that the room's order has to go on with.
    std::uint32_t next_in_order = 0;
    /// Live members that do not get its messages.
    std::size_t excluded = 0;
  };

  struct member_state {
    std::size_t home = 0;
    std::optional<std::size_t> without;
    /// Whether it sees all of the room: such members define the order.
    bool whole = true;
    bool live = true;
    bool broken = false;
    /// How many messages it must have got by now is what has been published
    /// since, its own left out.
    std::uint64_t base = 0;
    std::uint64_t own_base = 0;
    std::uint64_t delivered = 0;
    /// Of one that is not whole: by publisher of the room, what had been sent
    /// when it came and what has to come next, and all it got.
    std::vector<std::uint32_t> start;
    std::vector<std::optional<std::uint32_t>> expected;
    std::vector<message_id> seen;
  };

  outgoing invent(std::size_t publisher, std::uint32_t sequence) const;
  bool matches(std::size_t publisher, std::uint32_t sequence, opcode op,
               std::string_view payload) const;
  /// @returns what is wrong, or nullptr
  const char* take_in_order(member_state& who, message_id id);
  const char* take_by_publisher(member_state& who, message_id id);
  std::uint64_t lacking(const member_state& who) const;
  const char* check_order(const member_state& who) const;
  void blame(std::size_t member, std::string what);

  verifier_options options_;
  std::vector<room_state> rooms_;
  std::vector<publisher_state> publishers_;
  std::vector<member_state> members_;
  std::vector<std::string> faults_;
  std::uint64_t fault_count_ = 0;
  std::uint64_t missing_ = 0;
  std::uint64_t published_ = 0;
  std::uint64_t delivered_ = 0;
};

} // namespace greenroom::test
