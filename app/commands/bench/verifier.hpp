#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "app/commands/bench/message.hpp"

namespace greenroom::client {

/// Who talks to whom: rooms of the same size, whose first members publish.
/// Connection `room * members + i` is member i of a room, publisher
/// `room * publishers + k` is its member k.
struct layout {
  std::uint32_t rooms = 1;
  std::uint32_t members = 100;
  std::uint32_t publishers = 1;

  std::size_t connections() const {
    return static_cast<std::size_t>(rooms) * members;
  }
  std::size_t talkers() const {
    return static_cast<std::size_t>(rooms) * publishers;
  }
  std::uint32_t room_of_member(std::size_t who) const {
    return static_cast<std::uint32_t>(who / members);
  }
  std::uint32_t room_of_publisher(std::uint32_t who) const {
    return who / publishers;
  }
  /// The connection of a publisher.
  std::size_t member_of_publisher(std::uint32_t who) const {
    return static_cast<std::size_t>(who / publishers) * members
           + who % publishers;
  }
};

/// What went wrong with deliveries, each counted per member that it happened to.
struct delivery_faults {
  std::uint64_t lost = 0;      ///< never came
  std::uint64_t repeated = 0;  ///< came again
  std::uint64_t reordered = 0; ///< came behind a later one of its publisher
  std::uint64_t misrouted = 0; ///< came to a member of another room
  std::uint64_t corrupt = 0;   ///< changed: bytes, length or kind of message
  /// Members that saw their room's publishers interleaved in another order than
  /// the first member did.
  std::uint64_t divergent = 0;

  std::uint64_t all() const {
    return lost + repeated + reordered + misrouted + corrupt + divergent;
  }
};

/// Keeps what every member has seen of every publisher of its room.
class delivery_verifier {
public:
  explicit delivery_verifier(const layout& plan);

  /// The next sequence number of a publisher.
  std::uint64_t publish(std::uint32_t publisher) {
    return ++published_[publisher];
  }

  std::uint64_t published(std::uint32_t publisher) const {
    return published_[publisher];
  }

  enum class seen : std::uint8_t { fresh, repeated, misrouted, corrupt };

  /// Takes a delivery whose payload is ours. Counts what is wrong with it; one
  /// that comes late but for the first time is fresh.
  /// @pre it is no warm-up
  seen take(std::size_t member, const stamp& what);

  void count_corrupt() { ++faults_.corrupt; }

  /// Counts what is still missing, once nothing comes any more.
  /// @param present whether a connection was there from the start
  /// @param echo whether a room's publishers get their own messages
  delivery_faults finish(const std::vector<bool>& present,
                         const std::vector<bool>& echo) const;

private:
  /// What a member has seen of one publisher.
  struct track {
    std::uint64_t last = 0;  ///< the highest sequence
    std::uint64_t fresh = 0; ///< how many different ones
    /// Bit i: `last - i` has come. Bits before the beginning count as seen.
    std::uint64_t window = ~std::uint64_t{0};
  };

  std::uint64_t missing(std::size_t member, std::uint32_t publisher) const;

  layout plan_;
  std::vector<std::uint64_t> published_;
  std::vector<track> tracks_;
  /// A hash over the order in which a member saw its room's messages.
  std::vector<std::uint64_t> order_;
  delivery_faults faults_;
};

} // namespace greenroom::client
