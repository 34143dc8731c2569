#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace greenroom::net {

/// Stands between the socket and Beast on a connection that negotiated compression.
/// Beast would keep 13 KiB of streams for each such connection, does not go on
/// behind a last block (RFC 7692 §7.2.3.4), and fails frames with RSV1 otherwise.
/// So the mark is taken off the first frame of a compressed message, which becomes
/// a binary one, since it is no text before it is inflated; and it is remembered.
/// All else passes as it is: an RSV1 where none may be stays for Beast to find.
class frame_marks {
public:
  /// What a data message was on the wire.
  enum class kind : std::uint8_t {
    plain,
    deflated_text,
    deflated_binary,
  };

  /// Looks at bytes on their way to Beast, in any pieces.
  void pass(std::span<char> bytes);

  /// Of the next message that Beast begins to deliver.
  kind next() noexcept;

  /// Nobody will ask for the kinds of what came so far.
  void forget() noexcept;

  /// Bytes it takes for messages, for tests.
  std::size_t memory() const noexcept { return kinds_.capacity(); }

private:
  char begin_frame(char first);

  // Of messages Beast has not begun, from `first_` on. It reads 1.5 KiB ahead, so
  // there are at most as many as fit into that.
  std::vector<kind> kinds_;
  std::size_t first_ = 0;
  std::uint64_t skip_ = 0;        // rest of a payload and its mask
  std::uint64_t length_ = 0;      // as far as it is known
  std::uint8_t header_bytes_ = 0; // seen of the current header
  std::uint8_t length_bytes_ = 0; // that are still to come
  bool masked_ = false;
  bool in_message_ = false; // its last fragment has not begun
};

} // namespace greenroom::net
