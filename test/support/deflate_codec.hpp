#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace greenroom::test {

// The payloads of RFC 7692 §7.2, by zlib and without the broker's own code. Programs
// that use them link zlib.

/// What a client that offered nothing less makes of a compressed message.
/// @throws std::runtime_error if it is none, or refers to more than the window
std::string inflate_message(std::string_view payload, int window_bits = 15);

/// Compresses a client's messages.
class message_deflater {
public:
  /// @param context whether messages refer to earlier ones
  explicit message_deflater(int window_bits = 15, bool context = false,
                            int level = 6);

  ~message_deflater();

  /// @returns the payload of a frame with RSV1
  std::string operator()(std::string_view message);

  struct state;

private:
  std::unique_ptr<state> state_;
};

/// The payload of a message of `size` zeros, made without holding them.
std::string deflated_zeros(std::size_t size);

} // namespace greenroom::test
