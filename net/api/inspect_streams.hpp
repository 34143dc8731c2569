#pragma once

#include <chrono>
#include <memory>
#include <string_view>

#include "actors/inspection.hpp"
#include "net/api/call.hpp"
#include "net/api/inspect_query.hpp"
#include "net/api/inspect_service.hpp"

namespace greenroom::net {

/// A JSON object per line.
inline constexpr std::string_view ndjson = "application/x-ndjson";

/// A stream that has nothing to say for so long says that it lives.
inline constexpr std::chrono::milliseconds beat_every{5'000};

/// Pages of a view, one every so often. The next one is asked for when the client
/// has taken the last one, so it is never old.
/// @param service and its port outlive the stream
std::unique_ptr<http_stream> make_page_stream(inspect_question what,
                                              inspect_service::place place,
                                              inspect_service& service);

/// The events of a trace. What its client does not take waits, bounded, then it is
/// lost and counted.
std::unique_ptr<http_stream> make_trace_stream(trace_order what,
                                               inspect_service::place place,
                                               inspect_service& service);

} // namespace greenroom::net
