#pragma once

#include "net/api/call.hpp"

namespace greenroom::net {

/// `/health`: the process lives. What an orchestrator restarts it by, so it says
/// nothing of load or of a drain.
http_response answer_health(const http_call& in);

/// `/ready`: connections may come in. 503 while the broker drains, so that a
/// load balancer looks elsewhere.
http_response answer_ready(const http_call& in);

} // namespace greenroom::net
