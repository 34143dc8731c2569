#pragma once

#include <span>
#include <string>

namespace greenroom {

/// `greenroom top`: what goes on inside a broker, on a terminal, by its inspection
/// API.
/// @param args behind the name of the command
/// @returns exit status: 0 left by the user, 1 no terminal or no answer, 2 not
/// understood
int top_command(std::span<const std::string> args);

} // namespace greenroom
