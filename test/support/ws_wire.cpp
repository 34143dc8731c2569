#include "test/support/ws_wire.hpp"

#include <array>
#include <atomic>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace greenroom::test {

namespace {

/// The next number of a fixed sequence (splitmix64), whatever the thread.
std::uint64_t next_number() {
  static std::atomic<std::uint64_t> state = 0;
  auto x = state += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

void append_big_endian(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    out += static_cast<char>(value >> shift);
}

std::uint64_t read_big_endian(std::string_view bytes) {
  std::uint64_t result = 0;
  for (auto byte : bytes)
    result = (result << 8) | static_cast<std::uint8_t>(byte);
  return result;
}

std::string to_base64(std::string_view bytes) {
  std::string result((bytes.size() + 2) / 3 * 4, '\0');
  // OpenSSL writes a terminating zero, for which std::string has room.
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(result.data()),
                  reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  return result;
}

/// The value of a header field in a request, which may be malformed elsewhere.
std::optional<std::string> field_of(std::string_view request,
                                    std::string_view name) {
  while (!request.empty()) {
    auto end = std::min(request.find("\r\n"), request.size());
    auto line = request.substr(0, end);
    request.remove_prefix(std::min(end + 2, request.size()));
    auto colon = line.find(':');
    if (colon == std::string_view::npos
        || !equal_ignoring_case(line.substr(0, colon), name))
      continue;
    auto value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    return std::string{value};
  }
  return std::nullopt;
}

} // namespace

// -- frames -------------------------------------------------------------------

std::string to_string(opcode op) {
  switch (op) {
    case opcode::continuation:
      return "continuation";
    case opcode::text:
      return "text";
    case opcode::binary:
      return "binary";
    case opcode::close:
      return "close";
    case opcode::ping:
      return "ping";
    case opcode::pong:
      return "pong";
  }
  return fmt::format("opcode {}", static_cast<int>(op));
}

void append_frame(std::string& out, const frame_spec& spec,
                  std::string_view payload) {
  auto first = static_cast<unsigned>(spec.op) & 0x0f;
  first |= (spec.rsv & 7u) << 4 | (spec.fin ? 0x80u : 0u);
  out += static_cast<char>(first);
  auto mask_bit = spec.masked ? 0x80u : 0u;
  auto length = spec.claimed_length.value_or(payload.size());
  if (spec.length == length_form::eight_bytes || length > 0xffff) {
    out += static_cast<char>(mask_bit | 127);
    append_big_endian(out, length, 8);
  } else if (spec.length == length_form::two_bytes || length > 125) {
    out += static_cast<char>(mask_bit | 126);
    append_big_endian(out, length, 2);
  } else {
    out += static_cast<char>(mask_bit | length);
  }
  auto key = std::uint32_t{0};
  if (spec.masked) {
    key = spec.mask_key ? *spec.mask_key
                        : static_cast<std::uint32_t>(next_number());
    append_big_endian(out, key, 4);
  }
  auto start = out.size();
  out += payload;
  if (key != 0)
    apply_mask(std::span{out}.subspan(start), key);
}

std::string make_frame(const frame_spec& spec, std::string_view payload) {
  std::string result;
  result.reserve(payload.size() + 14);
  append_frame(result, spec, payload);
  return result;
}

std::string close_payload(std::uint16_t code, std::string_view reason) {
  std::string result;
  append_big_endian(result, code, 2);
  result += reason;
  return result;
}

std::optional<frame_header> parse_frame_header(std::string_view bytes) {
  if (bytes.size() < 2)
    return std::nullopt;
  auto first = static_cast<std::uint8_t>(bytes[0]);
  auto second = static_cast<std::uint8_t>(bytes[1]);
  frame_header result;
  result.fin = (first & 0x80) != 0;
  result.rsv = (first >> 4) & 7;
  result.op = static_cast<opcode>(first & 0x0f);
  result.masked = (second & 0x80) != 0;
  result.length = second & 0x7f;
  auto extra = std::size_t{0};
  if (result.length >= 126)
    extra = result.length == 126 ? 2 : 8;
  result.header_size = 2 + extra + (result.masked ? 4 : 0);
  if (bytes.size() < result.header_size)
    return std::nullopt;
  if (extra != 0) {
    result.length = read_big_endian(bytes.substr(2, extra));
    result.wasteful = result.length <= (extra == 2 ? 125 : 0xffff);
  }
  if (result.masked)
    result.mask_key =
      static_cast<std::uint32_t>(read_big_endian(bytes.substr(2 + extra, 4)));
  return result;
}

void apply_mask(std::span<char> bytes, std::uint32_t key) {
  std::array<char, 8> pattern;
  for (std::size_t i = 0; i < pattern.size(); ++i)
    pattern[i] = static_cast<char>(key >> (24 - 8 * (i % 4)));
  std::uint64_t wide;
  std::memcpy(&wide, pattern.data(), sizeof(wide));
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, &bytes[i], sizeof(word));
    word ^= wide;
    std::memcpy(&bytes[i], &word, sizeof(word));
  }
  for (; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(bytes[i] ^ pattern[i % 8]);
}

const char* fault_of_server_frame(const frame_header& header,
                                  bool compression) {
  auto data = header.op == opcode::text || header.op == opcode::binary;
  auto known = data || header.op == opcode::continuation
               || header.op == opcode::close || header.op == opcode::ping
               || header.op == opcode::pong;
  if (!known)
    return "a reserved opcode";
  if (header.rsv != 0 && !(compression && header.rsv == 4 && data))
    return "a reserved bit";
  if (header.masked)
    return "a masked frame from a server";
  if (header.wasteful)
    return "a length longer than need be";
  if (header.length >> 63 != 0)
    return "a length with the highest bit";
  if (is_control(header.op) && (!header.fin || header.length > 125))
    return "a control frame that is cut or long";
  return nullptr;
}

close_words parse_close(std::string_view payload) {
  if (payload.empty())
    return {};
  if (payload.size() == 1)
    throw std::runtime_error("a close frame with one byte of payload");
  auto code = static_cast<std::uint16_t>(read_big_endian(payload.substr(0, 2)));
  // RFC 6455 §7.4, and the codes IANA has added since.
  auto legal = (code >= 1000 && code <= 1014 && code != 1004 && code != 1005
                && code != 1006)
               || (code >= 3000 && code <= 4999);
  if (!legal)
    throw std::runtime_error(fmt::format("a close frame with code {}", code));
  if (!is_utf8(payload.substr(2)))
    throw std::runtime_error("a close reason that is not UTF-8");
  return {code, std::string{payload.substr(2)}};
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    auto lead = static_cast<std::uint8_t>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    auto more = lead >= 0xf0 ? 3u : lead >= 0xe0 ? 2u : 1u;
    if (lead < 0xc2 || lead > 0xf4 || text.size() - i <= more)
      return false;
    std::uint32_t point = lead & (0x3f >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      auto byte = static_cast<std::uint8_t>(text[i + k]);
      if ((byte & 0xc0) != 0x80)
        return false;
      point = (point << 6) | (byte & 0x3f);
    }
    constexpr std::array<std::uint32_t, 4> smallest = {0, 0x80, 0x800, 0x10000};
    if (point < smallest[more] || point > 0x10ffff
        || (point >= 0xd800 && point <= 0xdfff))
      return false;
    i += more + 1;
  }
  return true;
}

// -- handshake ----------------------------------------------------------------

std::string next_handshake_key() {
  std::string bytes;
  append_big_endian(bytes, next_number(), 8);
  append_big_endian(bytes, next_number(), 8);
  return to_base64(bytes);
}

std::string accept_for(std::string_view key) {
  auto text = fmt::format("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(),
                 nullptr)
      != 1)
    throw std::runtime_error("no SHA-1");
  return to_base64({reinterpret_cast<const char*>(digest.data()), size});
}

std::string make_handshake(const handshake_spec& spec) {
  auto result = fmt::format("GET {} HTTP/1.1\r\n"
                            "Host: {}\r\n"
                            "Upgrade: websocket\r\n"
                            "Connection: Upgrade\r\n"
                            "Sec-WebSocket-Key: {}\r\n"
                            "Sec-WebSocket-Version: 13\r\n",
                            spec.path, host_field(spec.host, spec.port),
                            spec.key.empty() ? next_handshake_key() : spec.key);
  if (!spec.origin.empty())
    result += fmt::format("Origin: {}\r\n", spec.origin);
  if (!spec.subprotocol.empty())
    result += fmt::format("Sec-WebSocket-Protocol: {}\r\n", spec.subprotocol);
  for (const auto& [name, value] : spec.headers)
    result += fmt::format("{}: {}\r\n", name, value);
  return result + "\r\n";
}

std::string fault_of_handshake(const http_response& response,
                               std::string_view request) {
  if (response.status != 101)
    return fmt::format("status {}", response.status);
  if (!response.lists("Upgrade", "websocket"))
    return "no 'Upgrade: websocket'";
  if (!response.lists("Connection", "upgrade"))
    return "no 'Connection: upgrade'";
  if (response.count("Sec-WebSocket-Accept") != 1)
    return "not exactly one Sec-WebSocket-Accept";
  auto key = field_of(request, "Sec-WebSocket-Key");
  if (key && response.header("Sec-WebSocket-Accept") != accept_for(*key))
    return "a wrong Sec-WebSocket-Accept";
  if (auto chosen = response.header("Sec-WebSocket-Protocol")) {
    auto offer = field_of(request, "Sec-WebSocket-Protocol");
    http_response offered;
    offered.headers.emplace_back("offer", offer.value_or(""));
    if (!offered.lists("offer", *chosen))
      return "a subprotocol that was not offered";
  }
  if (response.header("Sec-WebSocket-Extensions")
      && !field_of(request, "Sec-WebSocket-Extensions"))
    return "an extension that was not offered";
  return {};
}

} // namespace greenroom::test
