#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/commands/client/socket.hpp"
#include "app/commands/client/url.hpp"

namespace greenroom {

/// `greenroom join`: lines of standard input into a room, its messages onto
/// standard output.
/// @param args behind the name of the command
/// @returns exit status: 0 ended as asked, 1 refused or lost, 2 not understood
int join_command(std::span<const std::string> args);

namespace client {

struct join_request {
  url to;
  bool binary = false;
  /// Stays when the input has ended.
  bool linger = false;
  /// Leaves after so many messages.
  std::optional<std::uint64_t> count;
  /// Leaves after so long, from the connect on.
  std::optional<std::chrono::milliseconds> timeout;
};

/// The descriptors of a session, none of which it closes.
struct join_streams {
  int in = 0;
  int out = 1;
  /// Readable when somebody wants it to end; -1: nobody will.
  int interrupt = -1;
  /// What is for a terminal only: hints go to `err`, and messages cannot move
  /// its cursor.
  bool hints = false;
  bool out_is_terminal = false;
};

/// How it ended.
struct join_outcome {
  int status = 0;
  std::string
    words; ///< one line for the user, empty if there is nothing to say
};

/// From this size on a line of the input is refused: it is held in memory.
inline constexpr std::size_t line_bytes_max = 16 * 1024 * 1024;

/// Joins, talks and leaves. Blocks until then; waits of the opening and of the
/// goodbye have deadlines of their own.
/// @param endpoints of the URL, tried in their order
join_outcome run_join(const join_request& what, std::vector<endpoint> endpoints,
                      const join_streams& streams);

} // namespace client

} // namespace greenroom
