#pragma once

#include <string>
#include <string_view>

#include "actors/errc.hpp"
#include "actors/result.hpp"

namespace greenroom::net {

/// What an HTTP request is answered with. Nothing of ours may be cached.
struct http_response {
  unsigned status = 200;
  std::string_view content_type = "application/json";
  std::string body = {};
  /// More fields, each as `Name: value` with CRLF.
  std::string fields = {};
  /// Of a refusal: what is counted and logged, with some words for people.
  errc why = errc::none;
  std::string detail = {};
};

/// The answer that refuses a request: the status of `why`, its name in a JSON
/// body, and what a client needs to do better: WWW-Authenticate with 401, Upgrade
/// and Sec-WebSocket-Version with 426, Retry-After (1 to 5 s, so that not all come
/// back at once) with 503.
/// @param allow the methods that are right, with 405
http_response refusal(errc why, std::string_view allow = {});

/// The same with words for people in `detail` of its body.
http_response refusal(const fault& why);

/// What becomes of the connection behind an answer.
enum class connection_use : bool { close, keep };

/// The answer as it goes over the wire (RFC 9112).
/// @param head_only to HEAD: without the body, but with its length
std::string to_text(const http_response& x, connection_use then,
                    bool head_only = false);

/// The head of an answer that goes on until the connection ends.
/// @param chunked whether its length comes in pieces (RFC 9112 §7.1), as HTTP/1.0
/// cannot have it
std::string stream_head(std::string_view content_type, bool chunked);

/// A piece of such an answer, and its end.
void append_chunk(std::string& to, std::string_view bytes);
void append_last_chunk(std::string& to);

} // namespace greenroom::net
