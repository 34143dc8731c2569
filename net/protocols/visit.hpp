#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/ports.hpp"

namespace greenroom::net {

/// What a dialect may know of an upgrade request: the decoded parts of it that
/// choose a room, an encoding, and so on.
struct visit {
  /// What stood for the `{...}` of the path, decoded once.
  std::vector<std::string> names;
  /// The query, decoded once, in its order; a parameter without `=` has no
  /// value.
  std::vector<std::pair<std::string, std::string>> query;
  /// What Sec-WebSocket-Protocol offers, in the client's order.
  std::vector<std::string_view> subprotocols;
  /// How long the name of a room may be (--room-name-max).
  std::size_t room_name_bytes_max = 255;
};

/// Where such a request leads.
struct entrance {
  const protocol* dialect = nullptr;
  /// Decides where the connection lives; empty: anywhere.
  std::string room;
  /// Must succeed before the 101.
  std::vector<command> implied;
  /// Whether `room_options::raw` applies to the implied join.
  bool raw = false;
  /// Echoed in the response; empty: no such header. Only what was offered, or
  /// browsers fail the connection (RFC 6455 §4.1).
  std::string subprotocol;
};

} // namespace greenroom::net
