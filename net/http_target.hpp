#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/result.hpp"

namespace greenroom::net {

/// A request's target, taken apart and decoded once (RFC 3986).
struct http_target {
  /// Of the path, without its slashes: `/room/a%20b` is `room`, `a b`.
  std::vector<std::string> segments;
  /// A parameter without `=` has an empty value.
  std::vector<std::pair<std::string, std::string>> query;
  /// `host[:port]` of a target in absolute form; it replaces the Host header
  /// (RFC 9112 §3.2.2).
  std::string authority;
  /// The path as it was sent, for logs: without the query, which may hold
  /// tokens.
  std::string path;
};

/// Takes origin form and absolute form. The others (`*`, `host:port`) name
/// nothing here and are refused like malformed ones: `bad_request`.
result<http_target> parse_target(std::string_view target);

} // namespace greenroom::net
