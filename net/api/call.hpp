#pragma once

#include "actors/ports.hpp"
#include "net/http_request.hpp"
#include "net/http_response.hpp"
#include "net/http_target.hpp"

namespace greenroom::net {

/// A plain HTTP request and what its answer may be made of.
struct http_call {
  const http_request& request;
  const http_target& target;
  const front_desk& desk;
};

/// Answers at once, on a loop's thread: it must not wait.
using http_handler = http_response (*)(const http_call&);

} // namespace greenroom::net
