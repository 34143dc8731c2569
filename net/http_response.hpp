#pragma once

#include <string>
#include <string_view>

#include "actors/errc.hpp"

namespace greenroom::net {

/// What an HTTP request is answered with. Nothing of ours may be cached.
struct http_response {
  unsigned status = 200;
  std::string_view content_type = "application/json";
  std::string body = {};
  /// More fields, each as `Name: value` with CRLF.
  std::string fields = {};
};

/// The answer that refuses a request: the status of `why`, its name in a JSON
/// body, and what a client needs to do better: Upgrade and
/// Sec-WebSocket-Version with 426, Retry-After (1 to 5 s, so that not all come
/// back at once) with 503.
/// @param allow the methods that are right, with 405
http_response refusal(errc why, std::string_view allow = {});

/// What becomes of the connection behind an answer.
enum class connection_use : bool { close, keep };

/// The answer as it goes over the wire (RFC 9112).
/// @param head_only to HEAD: without the body, but with its length
std::string to_text(const http_response& x, connection_use then,
                    bool head_only = false);

} // namespace greenroom::net
