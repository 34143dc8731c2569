#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "app/commands/client/url.hpp"

namespace greenroom::client {

/// The opening handshake of a client (RFC 6455 §4.1).
struct handshake {
  std::string request;
  /// The Sec-WebSocket-Accept that answers it.
  std::string accept;
};

/// With a fresh random key.
handshake make_handshake(const url& to);

/// The same with a key of one's own, base64 of 16 bytes.
handshake make_handshake(const url& to, std::string_view key);

/// What the server said to it, as far as it arrived.
struct handshake_answer {
  enum class kind : std::uint8_t {
    need_more,
    accepted,
    refused, ///< HTTP, but another status than 101
    broken,  ///< no HTTP, or a 101 that does not fit
  };

  kind what = kind::need_more;
  /// Bytes of the head if it is accepted; what follows are frames.
  std::size_t head_bytes = 0;
  /// The status line and the first line of the body, or what is wrong, on one
  /// printable line.
  std::string words;
};

/// Heads longer than this are no answer to a handshake.
inline constexpr std::size_t answer_head_bytes_max = 16 * 1024;

/// @param bytes all that came so far
/// @param ended whether nothing follows
handshake_answer read_answer(std::string_view bytes, std::string_view accept,
                             bool ended = false);

} // namespace greenroom::client
