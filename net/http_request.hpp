#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/result.hpp"
#include "net/origin.hpp"

namespace greenroom::net {

// -- finding the end of a head ------------------------------------------------------

/// Whether a request's head (RFC 9112 §2.1) has arrived.
enum class head_state : std::uint8_t {
  need_more,
  complete,
  /// Not HTTP, or HTTP that two readers may understand in two ways: a line that
  /// does not end in CRLF, a control character, a folded line (§5.2).
  broken,
};

/// Looks for the empty line. Remembers how far it came, so that bytes which
/// trickle in are looked at once.
class head_scanner {
public:
  /// @param bytes from the start of the request; may only grow between calls
  head_state scan(std::string_view bytes) noexcept;

  /// Bytes of the head, its empty line included.
  /// @pre the head is complete
  std::size_t size() const noexcept { return seen_; }

private:
  std::size_t seen_ = 0;
  std::size_t line_ = 0; // where the current line begins
};

// -- what it says -------------------------------------------------------------------

struct header_field {
  std::string_view name;
  std::string_view value;
};

/// One request's head. Its texts point into the bytes it was parsed from.
struct http_request {
  std::string_view method;
  std::string_view target;
  bool version_1_1 = true; ///< else 1.0
  std::vector<header_field> fields;
  /// Whether the client wants the connection to stay (RFC 9112 §9.3).
  bool keep_alive = true;
  /// Whether there is a Transfer-Encoding, of any kind.
  bool transfer_coded = false;
  std::uint64_t content_length = 0;

  bool has_body() const noexcept {
    return transfer_coded || content_length != 0;
  }

  /// Of the first field of that name, in any case; empty if there is none.
  std::string_view header(std::string_view name) const noexcept;

  std::size_t count(std::string_view name) const noexcept;

  /// The values of all fields of that name, in order.
  std::vector<std::string_view> values(std::string_view name) const;

  /// Whether a comma separated field has this element, in any case.
  bool lists(std::string_view name, std::string_view element) const noexcept;
};

/// Parses a complete head, the empty line included, with Beast's parser. Refuses
/// what two servers may take for different requests: lengths that differ or
/// stand beside a Transfer-Encoding, malformed names, in HTTP/1.1 no Host, a
/// malformed or a second one (RFC 9112 §3.2, §6.3).
/// @returns `bad_request` with what is wrong
result<http_request> parse_head(std::string_view head);

// -- upgrades -----------------------------------------------------------------------

/// Whether the request asks for a WebSocket (RFC 6455 §4.2.1, points 1, 3 and 4).
/// In HTTP/1.0 nothing does (RFC 9110 §7.8).
bool wants_websocket(const http_request& in) noexcept;

/// What a handshake that is right says.
struct handshake {
  std::string_view key; ///< base64 of 16 bytes
  /// Empty if no browser asks.
  std::string_view origin;
  /// What is offered, in the client's order.
  std::vector<std::string_view> subprotocols;
};

/// What has to be right before a WebSocket is accepted and what Beast leaves to
/// us: no body, version 13, one Sec-WebSocket-Key of 16 bytes, a welcome origin,
/// a well-formed offer of subprotocols (RFC 6455 §4.2.1, §11.3.4).
/// @param host the broker as the client calls it
/// @pre `wants_websocket(in)`
/// @returns `bad_request`, `upgrade_required` for another version, or
/// `origin_refused`, if it is not
result<handshake> check_handshake(const http_request& in,
                                  const origin_rules& origins,
                                  std::string_view host);

} // namespace greenroom::net
