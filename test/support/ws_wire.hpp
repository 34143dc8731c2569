#pragma once

#include "test/support/http_client.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace greenroom::test {

// The bytes of RFC 6455, written a second time on purpose: a test that used the
// broker's own codec would not see its mistakes.

// -- frames -------------------------------------------------------------------

enum class opcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
};

constexpr bool is_control(opcode op) {
  return (static_cast<std::uint8_t>(op) & 8) != 0;
}

std::string to_string(opcode op);

/// How the length field is written; only `shortest` is legal.
enum class length_form { shortest, two_bytes, eight_bytes };

/// One frame to build. The defaults give what a good client sends; every bit
/// can be made wrong.
struct frame_spec {
  /// Reserved opcodes by `static_cast`; 4 bits are written.
  opcode op = opcode::text;
  bool fin = true;
  /// The three reserved bits, RSV1 being 4.
  std::uint8_t rsv = 0;
  bool masked = true;
  /// Nothing: the next key of a fixed sequence.
  std::optional<std::uint32_t> mask_key = {};
  length_form length = length_form::shortest;
  /// A length that lies about the payload.
  std::optional<std::uint64_t> claimed_length = {};
};

/// Appends the frame to `out`.
void append_frame(std::string& out, const frame_spec& spec,
                  std::string_view payload);

std::string make_frame(const frame_spec& spec, std::string_view payload);

/// Code and reason as the payload of a close frame.
std::string close_payload(std::uint16_t code, std::string_view reason);

/// What the bytes before a frame's payload say.
struct frame_header {
  opcode op = opcode::text;
  bool fin = true;
  std::uint8_t rsv = 0;
  bool masked = false;
  std::uint32_t mask_key = 0;
  std::size_t header_size = 0;
  std::uint64_t length = 0;
  /// Whether a shorter form of the length was possible.
  bool wasteful = false;
};

/// @returns nothing while the header is not complete
std::optional<frame_header> parse_frame_header(std::string_view bytes);

/// Masks or unmasks in place.
void apply_mask(std::span<char> bytes, std::uint32_t key);

/// What is wrong with a header that comes from a server, or nullptr.
/// @param compression whether RSV1 was negotiated
const char* fault_of_server_frame(const frame_header& header, bool compression);

/// Code and reason of a close frame; 1005 stands for an empty payload.
struct close_words {
  std::uint16_t code = 1005;
  std::string reason = {};
};

/// @throws std::runtime_error for a payload of one byte, a code that must not
/// be sent, or a reason that is not UTF-8
close_words parse_close(std::string_view payload);

bool is_utf8(std::string_view text);

// -- handshake ----------------------------------------------------------------

/// base64 of 16 bytes of a fixed sequence, so that runs can be repeated.
std::string next_handshake_key();

/// The Sec-WebSocket-Accept that belongs to a key (RFC 6455 §4.2.2).
std::string accept_for(std::string_view key);

/// What makes up a handshake request.
struct handshake_spec {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string path = "/";
  header_list headers = {};
  std::string origin = {};
  /// The value of Sec-WebSocket-Protocol, a list being possible.
  std::string subprotocol = {};
  std::string key = {};
};

std::string make_handshake(const handshake_spec& spec);

/// What is wrong with a 101 response to this request, or an empty text.
std::string fault_of_handshake(const http_response& response,
                               std::string_view request);

} // namespace greenroom::test
