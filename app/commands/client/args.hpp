#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/result.hpp"

namespace greenroom::client {

/// One word of a client command: `URL`, `--count N`, `--binary`.
struct argument {
  /// A flag begins with dashes; another name is the name of a place.
  std::string name;
  /// What stands behind a flag; empty: it takes no value.
  std::string placeholder;
  /// The default as it is shown; empty: none.
  std::string fallback;
  std::string text;
  /// Takes the value, empty for a flag without one. @returns what is wrong with
  /// it, or an empty string
  std::function<std::string(std::string_view)> set;
  /// Must be given.
  bool required = false;
};

/// What a command is told by. Unlike the broker's flags these have no variables:
/// a client that runs beside a broker shares its environment.
struct manual {
  std::string name; ///< `join`
  std::string about;
  std::vector<argument> arguments;
  std::string closing; ///< examples and exit statuses, shown as they are
};

/// What was asked for.
enum class request : std::uint8_t { run, help };

/// Gives the arguments their values.
/// @returns a fault whose detail is one line for the user
result<request> read_arguments(const manual& page,
                               std::span<const std::string> args);

/// At most 80 columns wide.
std::string help_of(const manual& page);

/// Both of the above for a command: prints help to standard output, a complaint
/// to standard error.
/// @returns nothing if the command is to run, else its exit status: 0 or 2
std::optional<int> understand(const manual& page,
                              std::span<const std::string> args);

/// A time with a unit as everywhere else, or a number of seconds (`5`, `0.5`).
std::optional<std::chrono::milliseconds> parse_seconds(std::string_view text);

/// The same words without anything that could move a terminal's cursor.
std::string printable(std::string_view text);

} // namespace greenroom::client
