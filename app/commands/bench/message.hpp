#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace greenroom::client {

/// What a message of a measurement says about itself.
struct stamp {
  std::uint32_t room = 0;      ///< 24 bits
  std::uint32_t publisher = 0; ///< of all rooms; 24 bits
  std::uint64_t sequence = 0;  ///< from 1; 0 is the warm-up; 36 bits
  /// When it was due, in nanoseconds from the start of the run; 48 bits, 3 days.
  std::uint64_t time = 0;
};

inline constexpr std::uint32_t stamp_id_max = (1U << 24) - 1;

/// What a received payload turned out to be.
enum class verdict : std::uint8_t {
  ours,
  foreign, ///< somebody else talks in this room
  corrupt, ///< ours once, but changed on its way
};

/// Makes and checks payloads of one size: a printable head (run, room, publisher,
/// sequence, time, check sum; 32 characters of six bits) and a body that follows
/// from run, publisher and sequence, so every byte of a delivery is checked.
class message_format {
public:
  static constexpr std::size_t head_bytes = 32;

  /// @param run tells this measurement from others; 30 bits are used
  /// @pre `size >= head_bytes`
  message_format(std::uint32_t run, std::size_t size);

  std::size_t size() const noexcept { return size_; }

  /// @returns the payload, valid until the next call
  std::string_view make(const stamp& what);

  /// @param out is written if the verdict is `ours`
  verdict read(std::string_view payload, stamp& out) const noexcept;

private:
  std::string_view body(std::uint32_t publisher,
                        std::uint64_t sequence) const noexcept;

  std::size_t size_;
  std::string run_;
  std::string text_;
  std::string payload_;
};

} // namespace greenroom::client
