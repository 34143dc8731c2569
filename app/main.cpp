#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "app/command_line.hpp"
#include "app/commands/bench.hpp"
#include "app/commands/health.hpp"
#include "app/commands/join.hpp"
#include "app/commands/serve.hpp"
#include "app/commands/top.hpp"
#include "app/config.hpp"
#include "greenroom_version.hpp"

namespace {

using namespace greenroom;

using arguments = std::span<const std::string>;

int version_command(arguments args) {
  if (!args.empty() && (args.front() == "--help" || args.front() == "-h")) {
    fmt::print("Usage: greenroom version\n\nSays which version this is.\n");
    return 0;
  }
  if (!args.empty()) {
    fmt::print(stderr, "greenroom version: unexpected word '{}'\n",
               args.front());
    return 2;
  }
  fmt::print("greenroom {}\n", version);
  return 0;
}

struct command_row {
  std::string_view name;
  std::string_view text;
  int (*run)(arguments);
};

/// A subcommand is a row here and a pair of files in app/commands/.
constexpr std::array commands{
  command_row{"serve", "Run the broker; also what greenroom alone does.",
              serve_command},
  command_row{"health", "Ask a running broker: exit status 0 if it is well.",
              health_command},
  command_row{"join", "Join a room: lines in, messages out.", join_command},
  command_row{"top", "See what goes on inside a broker.", top_command},
  command_row{"bench", "Measure a broker and check every delivery.",
              bench_command},
  command_row{"version", "Say which version this is.", version_command},
};

std::string help() {
  auto result = fmt::format(
    "Greenroom {}, a WebSocket room broker.\n\n"
    "  greenroom --room lobby --room news,echo=off,members=500\n\n"
    "opens ws://127.0.0.1:8000/room/lobby and .../room/news: what one client\n"
    "sends to a room, all of its clients get.\n\n"
    "Commands\n",
    version);
  for (const auto& row : commands)
    result += fmt::format("  greenroom {:<8} {}\n", row.name, row.text);
  return result
         + "\nEach flag has a default and an environment variable; the flag "
           "wins. A flag\nwith ... may be given again; its variable takes "
           "several values between\nsemicolons. SIZE is 64KiB or 1m, TIME is "
           "250ms, 10s or 2m.\n"
         + flags_help()
         + "\n  -h, --help     This text.\n  -V, --version  The version.\n";
}

int run(arguments args) {
  if (args.empty())
    return serve_command(args);
  auto first = args.front();
  auto row = std::find_if(commands.begin(), commands.end(),
                          [&](const auto& x) { return x.name == first; });
  auto serves = row == commands.begin() || first.starts_with('-');
  auto wants_help = [](const std::string& x) {
    return x == "--help" || x == "-h";
  };
  if (first == "help"
      || (serves && std::any_of(args.begin(), args.end(), wants_help))) {
    fmt::print("{}", help());
    return 0;
  }
  if (serves) // its word may also stand behind flags
    return serve_command(args);
  if (row != commands.end())
    return row->run(args.subspan(1));
  std::vector<std::string> names;
  for (const auto& x : commands)
    names.emplace_back(x.name);
  fmt::print(stderr, "greenroom: unknown command '{}'{}\n", first,
             did_you_mean(nearest(first, names)));
  return 2;
}

} // namespace

int main(int argc, char** argv) {
  try {
    return run(std::vector<std::string>{argv + std::min(argc, 1), argv + argc});
  } catch (const std::exception& error) {
    fmt::print(stderr, "greenroom: {}\n", error.what());
    return 1;
  }
}
