#pragma once

#include <span>
#include <string>

#include "actors/result.hpp"
#include "app/commands/bench/run.hpp"
#include "app/commands/client/args.hpp"

namespace greenroom {

/// `greenroom bench`: measures a broker from outside and checks every delivery.
/// @param args behind the name of the command
/// @returns exit status: 0 nothing went wrong, 1 something did, 2 not understood
int bench_command(std::span<const std::string> args);

namespace client {

/// What the words of a command line ask for, defaults and bounds included.
/// @returns a fault whose detail is one line for the user
result<bench_request> read_bench(std::span<const std::string> args);

} // namespace client

} // namespace greenroom
