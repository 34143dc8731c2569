#include "net/api/health.hpp"

namespace greenroom::net {

http_response answer_health(const http_call&) {
  return {.status = 200, .body = "{\"status\":\"ok\"}\n"};
}

http_response answer_ready(const http_call& in) {
  if (in.desk.ready())
    return {.status = 200, .body = "{\"status\":\"ok\"}\n"};
  return {.status = 503, .body = "{\"status\":\"draining\"}\n"};
}

} // namespace greenroom::net
