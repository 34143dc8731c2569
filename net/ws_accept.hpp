#pragma once

#include <string>
#include <string_view>

#include "actors/wire.hpp"

namespace greenroom::net {

/// What proves to a client that its handshake was understood (RFC 6455 §4.2.2,
/// point 5.4). Any thread.
/// @param key its Sec-WebSocket-Key
std::string accept_token(std::string_view key);

/// What was agreed on in a handshake.
struct agreement {
  std::string_view key;
  /// One that the client offered; empty: none.
  std::string_view subprotocol;
  /// The value of Sec-WebSocket-Extensions; empty: none.
  std::string_view extensions = {};
};

/// The answer that makes a connection a WebSocket, 101 (RFC 6455 §4.2.2, point 5).
/// @param what checked before: it must not hold anything that ends a header line
wire_ptr make_upgrade_answer(const agreement& what);

} // namespace greenroom::net
