#pragma once

#include "net/api/call.hpp"

namespace greenroom::net {

// The inspection API, net/api/README.md. All of them need `http_call::inspect`.

/// `/inspect/rights`: what the token of the request may do.
http_response answer_rights(const http_call& in);

/// `/inspect/VIEW`: a page of rows, or a stream of pages.
void ask_rows(const http_call& in, http_reply to);

/// `/inspect/trace`: a stream of events.
void ask_trace(const http_call& in, http_reply to);

/// `/inspect/kill` and `/inspect/restart`: a receipt.
void ask_kill(const http_call& in, http_reply to);
void ask_restart(const http_call& in, http_reply to);

/// `/metrics`: for Prometheus.
void ask_metrics(const http_call& in, http_reply to);

} // namespace greenroom::net
