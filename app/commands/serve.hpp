#pragma once

#include <span>
#include <string>

namespace greenroom {

/// `greenroom [serve]`: runs the broker until a signal ends it. SIGTERM or SIGINT
/// drains, a second one ends at once with 128 + its number.
/// @returns exit status: 0 drained, 1 could not start, 2 not understood, 70 a fault
/// of our own
int serve_command(std::span<const std::string> args);

} // namespace greenroom
