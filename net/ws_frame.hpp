#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "actors/wire.hpp"

namespace greenroom::net {

/// What a frame is (RFC 6455 §5.2).
enum class ws_opcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
};

/// A close reason may be no longer (RFC 6455 §5.5: 125 with the code).
inline constexpr std::size_t close_reason_bytes_max = 123;

/// Bytes of a server's frame header, which has no mask (RFC 6455 §5.1).
constexpr std::size_t ws_header_size(std::uint64_t payload) noexcept {
  return payload < 126 ? 2 : payload < 65'536 ? 4 : 10;
}

/// Appends one whole, final frame.
/// @param rsv1 marks a compressed message (RFC 7692 §6)
void append_ws_frame(wire_builder& out, ws_opcode op, std::string_view payload,
                     bool rsv1 = false);

/// A block of one close frame. Reserved codes that must not be sent (1004 to
/// 1006, 1015, below 1000: RFC 6455 §7.4) leave the frame empty; a reason that is
/// too long is cut between two characters.
wire_ptr make_ws_close(std::uint16_t code, std::string_view reason);

/// An empty ping. Made anew each time: one kept for all would count as live for ever.
wire_ptr ws_ping();

/// Bytes of the frame that `bytes` begins with, header included, which may be
/// more than are there.
/// @pre `bytes` begins with the whole header of a frame without mask
/// @returns 0 if it does not
std::uint64_t ws_frame_size(std::string_view bytes) noexcept;

} // namespace greenroom::net
