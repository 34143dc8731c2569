#include "net/proxy_protocol.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace greenroom::net {

namespace {

constexpr std::string_view signature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t fixed_bytes = 16;

// Version in the upper half, command in the lower.
constexpr std::uint8_t local = 0x20;
constexpr std::uint8_t proxy = 0x21;

template <std::size_t N>
ip_address address_at(std::string_view bytes) noexcept {
  std::array<std::uint8_t, N> copy{};
  std::copy_n(bytes.begin(), N, copy.begin());
  return ip_address{std::span<const std::uint8_t, N>{copy}};
}

} // namespace

proxy_header parse_proxy_header(std::string_view bytes) noexcept {
  using enum proxy_header::state;
  auto seen = bytes.substr(0, signature.size());
  if (!signature.starts_with(seen))
    return {absent, {}, 0};
  if (bytes.size() < fixed_bytes)
    return {need_more, {}, 0};
  auto at = [bytes](std::size_t i) {
    return static_cast<std::uint8_t>(bytes[i]);
  };
  auto command = at(12);
  auto family = at(13);
  auto length = static_cast<std::size_t>(at(14)) << 8 | at(15);
  if (command != local && command != proxy)
    return {malformed, {}, 0};
  if (fixed_bytes + length > proxy_header_bytes_max)
    return {malformed, {}, 0};
  if (bytes.size() < fixed_bytes + length)
    return {need_more, {}, 0};
  proxy_header result{complete, {}, fixed_bytes + length};
  // The addresses of a health check mean nothing, whatever they are.
  if (command == local)
    return result;
  auto body = bytes.substr(fixed_bytes, length);
  std::size_t needed = 0; // source and destination address and port
  switch (family) {
    case 0x00: // unspecified
      break;
    case 0x11: // TCP over IPv4
      needed = 12;
      if (length >= needed)
        result.source = address_at<4>(body);
      break;
    case 0x21: // TCP over IPv6
      needed = 36;
      if (length >= needed)
        result.source = address_at<16>(body);
      break;
    case 0x12: // datagrams, and UNIX sockets: nobody's address
      needed = 12;
      break;
    case 0x22:
      needed = 36;
      break;
    case 0x31:
    case 0x32:
      needed = 216;
      break;
    default:
      return {malformed, {}, 0};
  }
  if (length < needed)
    return {malformed, {}, 0};
  return result;
}

} // namespace greenroom::net
