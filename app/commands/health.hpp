#pragma once

#include <span>
#include <string>

namespace greenroom {

/// `greenroom health`: asks a running broker at `/health`, or any other HTTP
/// address, for 200. One line on stdout if it says so, else one on stderr.
/// @param args behind the name of the command
/// @returns exit status: 0 healthy, 1 not, 2 not understood
int health_command(std::span<const std::string> args);

} // namespace greenroom
