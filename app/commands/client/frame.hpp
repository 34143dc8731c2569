#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/ws_frame.hpp"

namespace greenroom::client {

// The client's half of RFC 6455 §5, by hand and not by Beast: `bench` is a
// measuring tool that must cost less than what it measures, and `join` shares
// its small parts. The broker itself parses with Beast.

using net::ws_opcode;

/// Appends one whole masked frame (RFC 6455 §5.3). The keys come from a seeded
/// generator that is not cryptographic: no web page chooses our payloads.
void append_masked(std::string& out, ws_opcode op, std::string_view payload);

/// A masked close frame; without a code it is empty.
void append_close(std::string& out, std::uint16_t code,
                  std::string_view reason = {});

/// What a close frame says; 1005 if it says nothing.
struct close_words {
  std::uint16_t code = 1005;
  std::string reason;
};

close_words read_close(std::string_view payload);

/// `1008 rate_limited`, printable.
std::string to_string(const close_words& x);

/// Takes frames of a server out of bytes that come in any pieces. A message that
/// lies whole within what was fed is handed out in place; else it is collected.
class frame_reader {
public:
  enum class step : std::uint8_t {
    need_more, ///< what was fed is used up
    message,   ///< a whole data message, put together from its fragments
    control,   ///< a close, ping or pong
    broken,    ///< no more can be understood: `error()`
  };

  /// @param message_bytes_max longer messages are a fault
  explicit frame_reader(std::size_t message_bytes_max)
    : message_bytes_max_(message_bytes_max) {}

  /// @param bytes must stay where they are until `next` needs more
  /// @pre the last step was `need_more`, or there was none
  void feed(std::string_view bytes) noexcept { input_ = bytes; }

  step next();

  /// Of the last message or control frame, until the next call.
  ws_opcode opcode() const noexcept { return opcode_; }
  std::string_view payload() const noexcept { return payload_; }

  /// How many frames the last message came in.
  std::size_t frames() const noexcept { return frames_; }

  /// What is wrong; a literal.
  const char* error() const noexcept { return error_; }

  /// Whether a frame or a message has begun that is not complete.
  bool within() const noexcept { return fragmented_ || !carry_.empty(); }

private:
  step fail(const char* why) noexcept;
  /// Moves input behind `carry_` until that has `size` bytes.
  bool collect(std::size_t size);
  /// @returns the bytes of the header, 0: incomplete
  std::size_t header_bytes(std::string_view at) const noexcept;
  /// @returns what is wrong with the frame, or nullptr
  const char* fault_of(std::string_view header, std::uint64_t length) const;
  step take(unsigned char first, std::string_view payload);

  std::string_view input_;
  std::string_view payload_;
  std::string carry_;   ///< a frame that came in pieces
  std::string message_; ///< a message that came in fragments
  std::size_t message_bytes_max_;
  const char* error_ = nullptr;
  std::size_t frames_ = 0;
  std::size_t fragments_ = 0;
  ws_opcode opcode_ = ws_opcode::text;
  ws_opcode message_opcode_ = ws_opcode::text;
  bool fragmented_ = false;
  bool carry_spent_ = false;
  bool message_spent_ = false;
};

} // namespace greenroom::client
