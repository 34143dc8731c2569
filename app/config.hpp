#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/errc.hpp"
#include "actors/model.hpp"
#include "actors/options.hpp"
#include "actors/result.hpp"
#include "net/options.hpp"

namespace greenroom {

/// Whether sends go through io_uring.
enum class io_uring_use : std::uint8_t {
  automatic, ///< where the kernel allows it
  on,        ///< or do not start
  off,
};

enum class log_format : std::uint8_t {
  automatic, ///< text on a terminal, JSON lines elsewhere
  json,
  text,
};

struct log_options {
  log_format format = log_format::automatic;
  /// Quieter lines are not written.
  level loudness = level::info;
  /// Lines that wait for a slow reader of the log; those that find no room are
  /// counted and told of in a `log_lost` line. Bigger bridges longer stalls and
  /// costs memory while they last.
  std::size_t lines_max = 8192;
  std::size_t bytes_max = 4 * 1024 * 1024;
};

/// Everything a broker is started with.
struct broker_options {
  net::listener_options listener;
  net::http_options http;
  net::session_options session;
  net::inspect_options inspect;
  reader_options reader;
  member_options member;
  supervisor_options supervisor;
  room_limits room;
  inspector_options inspector;
  audit_options audit;
  log_options log;
  /// What a room is that says nothing else: named ones and those on demand.
  room_options room_defaults;
  std::vector<named_room> rooms;
  /// Units; 1 to 256. The flag's default is one per core.
  std::size_t threads = 1;
  io_uring_use io_uring = io_uring_use::automatic;
  /// From the first signal until the process has ended.
  std::chrono::milliseconds drain_timeout{10'000};

  /// The last part of it, for cutting off what has not ended and for the log: a
  /// fifth, 2 s at most.
  std::chrono::milliseconds drain_reserve() const noexcept;
};

// -- from the command line ------------------------------------------------------

/// What `greenroom [serve]` was asked to do.
struct invocation {
  bool help = false;
  bool version = false;
  broker_options options;
  /// The settings somebody chose: keys, and the flag or variable that said so.
  std::map<std::string, std::string, std::less<>> given;
};

/// Reads flags over environment over defaults and checks that they fit together.
/// @param args without the name of the program
/// @param environment as `NAME=value`
/// @returns a fault whose detail is one line for the user
result<invocation> read_invocation(std::span<const std::string> args,
                                   std::span<const std::string> environment);

/// A room as `NAME[,OPTION=VALUE...]` names it.
/// @returns a fault whose detail says what is wrong with it
result<named_room> read_room(std::string_view text,
                             const room_options& defaults,
                             std::size_t name_bytes_max);

/// Every flag with its default and variable, by groups; at most 80 columns wide.
std::string flags_help();

/// Every flag as the tables of app/README.md show them.
std::string flags_markdown();

/// Whether there is a room into which an anonymous client may publish.
bool anybody_may_publish(const broker_options& options);

} // namespace greenroom
