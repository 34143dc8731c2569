#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/options.hpp"

namespace greenroom::net {

/// What a client and we agreed on: permessage-deflate (RFC 7692 §7). Our side never
/// refers to earlier messages, so that one compressed message serves everybody.
struct deflate_terms {
  /// Log2 of the window of what the client is sent, 9 to 15.
  int server_window_bits = 15;
  /// The same of what it sends, 8 to 15.
  int client_window_bits = 15;
  /// Whether its messages may refer to earlier ones.
  bool client_context = false;
  /// The value of the answer's Sec-WebSocket-Extensions.
  std::string answer;
};

/// Looks for the first offer of permessage-deflate that can be honoured as it is.
/// Offers with unknown, repeated or malformed parameters are declined (§7.1), and so
/// is everything if the field itself is malformed (RFC 6455 §9.1). An offer whose
/// window for us is smaller than ours gets the smallest there is, of 512 bytes, so
/// that a room never compresses for more than two windows; one of 256 bytes is
/// declined, since zlib cannot keep it.
/// @param fields the values of Sec-WebSocket-Extensions, in their order
/// @returns nothing: the extension is not used
std::optional<deflate_terms> agree_on_deflate(
  std::span<const std::string_view> fields, const deflate_options& ours);

} // namespace greenroom::net
