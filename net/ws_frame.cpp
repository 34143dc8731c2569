#include "net/ws_frame.hpp"

#include <cassert>

namespace greenroom::net {

namespace {

// What may stand in a close frame (RFC 6455 §7.4).
bool sendable(std::uint16_t code) noexcept {
  return code >= 1000 && code < 5000 && code != 1015
         && (code < 1004 || code > 1006);
}

std::string_view cut_reason(std::string_view reason) noexcept {
  if (reason.size() <= close_reason_bytes_max)
    return reason;
  auto n = close_reason_bytes_max;
  while (n > 0 && (static_cast<unsigned char>(reason[n]) & 0xC0) == 0x80)
    --n; // not into the middle of a character
  return reason.substr(0, n);
}

void put_big_endian(char* at, std::uint64_t value, int bytes) noexcept {
  for (int i = bytes - 1; i >= 0; --i) {
    at[i] = static_cast<char>(value & 0xFF);
    value >>= 8;
  }
}

std::uint64_t get_big_endian(const char* at, int bytes) noexcept {
  std::uint64_t value = 0;
  for (int i = 0; i < bytes; ++i)
    value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

} // namespace

void append_ws_frame(wire_builder& out, ws_opcode op, std::string_view payload,
                     bool rsv1) {
  assert(op < ws_opcode::close || payload.size() <= 125);
  auto size = payload.size();
  auto at = out.extend(ws_header_size(size)).data();
  at[0] = static_cast<char>(0x80 | (rsv1 ? 0x40 : 0) | static_cast<int>(op));
  if (size < 126) {
    at[1] = static_cast<char>(size);
  } else if (size < 65'536) {
    at[1] = 126;
    put_big_endian(at + 2, size, 2);
  } else {
    at[1] = 127;
    put_big_endian(at + 2, size, 8);
  }
  out.append(payload);
  out.end_frame(op == ws_opcode::close);
}

wire_ptr make_ws_close(std::uint16_t code, std::string_view reason) {
  char payload[2 + close_reason_bytes_max];
  std::size_t size = 0;
  if (sendable(code)) {
    put_big_endian(payload, code, 2);
    size = 2 + cut_reason(reason).copy(payload + 2, close_reason_bytes_max);
  }
  wire_builder out{2 + size};
  append_ws_frame(out, ws_opcode::close, {payload, size});
  return out.finish();
}

wire_ptr ws_ping() {
  wire_builder out{2};
  append_ws_frame(out, ws_opcode::ping, {});
  return out.finish();
}

std::uint64_t ws_frame_size(std::string_view bytes) noexcept {
  if (bytes.size() < 2)
    return 0;
  auto length = static_cast<unsigned char>(bytes[1]);
  if (length < 126)
    return 2 + length;
  auto extended = length == 126 ? 2 : 8;
  if (length > 127 || bytes.size() < 2U + extended)
    return 0;
  return 2 + extended + get_big_endian(bytes.data() + 2, extended);
}

} // namespace greenroom::net
