#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace greenroom::net {

/// The most bytes that a message of `n` bytes takes when whoever compressed it
/// meant well: what zlib itself promises at its worst settings, and a little.
constexpr std::size_t deflated_bytes_max(std::size_t n) noexcept {
  return n + n / 8 + n / 64 + 256;
}

/// Puts the compressed messages of one connection back as they were (RFC 7692
/// §7.2.2). Holds no zlib stream: that is the thread's, one for all connections.
/// With context takeover it remembers the last bytes, up to the window; else
/// nothing.
class inflater {
public:
  enum class outcome : std::uint8_t {
    done,
    too_big, ///< more than `bytes_max`; not even that much was made
    broken,  ///< no DEFLATE, or it ends within a block
  };

  /// @param window_bits log2 of the window of the client, 8 to 15
  inflater(int window_bits, bool takeover) noexcept
    : window_bits_(static_cast<std::uint8_t>(window_bits)),
      takeover_(takeover) {}

  /// @param in the payload of a whole message
  /// @param out where it goes if all is well; else some of it may
  /// After any other outcome than `done` the connection is of no use.
  outcome inflate(const std::string& in, std::size_t bytes_max,
                  std::string& out);

  /// Bytes that are remembered, for tests and figures.
  std::size_t remembered() const noexcept { return history_.capacity(); }

private:
  void remember(const std::string& message);

  std::vector<char> history_; // a string would take twice of what it is told to
  std::uint8_t window_bits_;
  bool takeover_;
};

} // namespace greenroom::net
