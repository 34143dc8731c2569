#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "actors/result.hpp"

namespace greenroom::client {

/// Where a client connects to (RFC 6455 §3, RFC 9110 §4.2.1).
struct url {
  std::string host; ///< without brackets
  std::uint16_t port = 80;
  /// As the Host header wants it.
  std::string authority{};
  /// Path and query.
  std::string target{};
};

/// From text such as `ws://127.0.0.1:8000/room/lobby`. Blanks, other letters than
/// ASCII and what else a shell user would not think of are encoded by the way.
/// @param scheme `ws` or `http`; the other one of the kind, with TLS, is refused
/// @returns a fault whose detail is for the user
result<url> parse_url(std::string_view text, std::string_view scheme = "ws");

/// One segment of a path, percent-encoded.
std::string encode_segment(std::string_view text);

/// Adds a parameter such as `echo=0` to a target.
void add_parameter(std::string& target, std::string_view parameter);

} // namespace greenroom::client
