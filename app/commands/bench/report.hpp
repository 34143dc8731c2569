#pragma once

#include <string>

#include "app/commands/bench/run.hpp"

namespace greenroom::client {

/// A page for people, at most 80 columns wide.
std::string text_report(const bench_request& asked, const bench_result& got);

/// One JSON object on one line: what was asked for, and every figure. Times are
/// in microseconds, sizes in bytes.
std::string json_report(const bench_request& asked, const bench_result& got);

} // namespace greenroom::client
