#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/result.hpp"

namespace greenroom {

/// One setting: the row from which its flag, its environment variable, its help,
/// its checks and its documentation come.
struct option {
  /// Words joined by dashes: `rooms-max` is the flag `--rooms-max` and the
  /// variable `GREENROOM_ROOMS_MAX`.
  std::string key;
  /// What stands behind the flag, for example `SIZE`.
  std::string placeholder;
  /// The default, written as on the command line. Empty: none.
  std::string fallback;
  /// Heading of the help under which it stands; rows of a group are neighbours.
  std::string group;
  /// What it does and what happens at it, in one or two sentences.
  std::string text;
  /// Takes a value. @returns what is wrong with it, or an empty string
  std::function<std::string(std::string_view)> set;
  /// May be given more than once; `;` separates the values of its variable.
  bool repeatable = false;
  /// The flag alone means `on`.
  bool bare = false;
  /// It has no variable: only a subcommand knows it.
  bool flag_only = false;
  /// What it is given is not repeated in an error.
  bool secret = false;
};

std::string flag_of(const option& row);
std::string variable_of(const option& row);

/// What was asked for beside settings, and which settings were given at all: keys,
/// and the flag or variable that gave them.
struct command_line {
  bool help = false;
  bool version = false;
  std::map<std::string, std::string, std::less<>> given;
};

/// What to do with a variable `GREENROOM_...` that no row knows.
enum class strangers : std::uint8_t {
  refuse, ///< it may be a typing mistake that costs somebody a night
  ignore, ///< a subcommand shares its environment with the broker
};

/// Gives every row the values it is told: by flags, else by its variable, else
/// none. An empty variable counts as absent, and so do those that Kubernetes
/// makes for a service called greenroom (`GREENROOM_PORT=tcp://...`).
/// @param args without the name of the program
/// @param environment as `NAME=value`
/// @param command a word that may stand among the flags, once
/// @returns a fault whose detail is one line for the user
result<command_line> read_command_line(std::span<const option> rows,
                                       std::span<const std::string> args,
                                       std::span<const std::string> environment,
                                       strangers unknown,
                                       std::string_view command = {});

/// The flags by groups, at most 80 columns wide: per row flag, default and
/// variable in columns, the text below.
std::string help_of(std::span<const option> rows);

/// The same as tables of Markdown, one per group under a `### heading`.
std::string markdown_of(std::span<const option> rows);

/// The word that `word` was probably meant to be; empty if none is near.
std::string nearest(std::string_view word,
                    std::span<const std::string> candidates);

/// `, did you mean X?`, or nothing.
std::string did_you_mean(std::string_view guess);

/// Breaks text at blanks into lines of at most `width` columns, each behind
/// `indent` blanks and followed by a line feed.
std::string wrap(std::string_view text, std::size_t indent,
                 std::size_t width = 80);

/// The environment of this process as `NAME=value`.
std::vector<std::string> environment();

} // namespace greenroom
