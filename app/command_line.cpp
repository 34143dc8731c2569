#include "app/command_line.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

namespace greenroom {

namespace {

constexpr std::string_view prefix = "GREENROOM_";

/// What the scripts of this tree's tests tell each other.
constexpr std::string_view of_our_tests[] = {"GREENROOM_BINARY",
                                             "GREENROOM_SOURCE_DIR"};

fault usage(std::string line) {
  return {errc::bad_request, std::move(line)};
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> result;
  for (;;) {
    auto end = text.find(at);
    result.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos)
      return result;
    text.remove_prefix(end + 1);
  }
}

// -- near words -------------------------------------------------------------------

/// Optimal string alignment: insertions, deletions, substitutions and swaps of
/// neighbours that lead from one to the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before;
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      auto other = a[i - 1] == b[j - 1] ? 0U : 1U;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + other});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

/// `max-rooms` and `rooms-max` are the same words.
std::string in_order(std::string_view key) {
  auto words = split(key, '-');
  std::sort(words.begin(), words.end());
  return fmt::format("{}", fmt::join(words, "-"));
}

// -- environment --------------------------------------------------------------------

/// Whether Kubernetes made it for a service called greenroom: it tells every pod
/// of its namespace where each service is.
bool service_link(std::string_view name, std::string_view value) {
  name.remove_prefix(prefix.size());
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return name == "SERVICE_HOST" || name.starts_with("SERVICE_PORT")
         || (name == "PORT" && value.find("://") != std::string_view::npos)
         || (name.starts_with("PORT_") && name.size() > 5 && digit(name[5]));
}

using variables = std::map<std::string, std::string, std::less<>>;

variables ours(std::span<const std::string> environment) {
  variables result;
  for (const auto& entry : environment) {
    auto equals = entry.find('=');
    if (equals == std::string::npos || !entry.starts_with(prefix))
      continue;
    auto name = entry.substr(0, equals);
    auto value = entry.substr(equals + 1);
    if (value.empty() || service_link(name, value)
        || std::count(std::begin(of_our_tests), std::end(of_our_tests), name))
      continue;
    result.emplace(std::move(name), std::move(value));
  }
  return result;
}

// -- help -----------------------------------------------------------------------------

std::string left_column(const option& row) {
  return fmt::format("{} {}{}", flag_of(row), row.placeholder,
                     row.repeatable ? " ..." : "");
}

std::string shown_default(const option& row) {
  return row.fallback.empty() ? "-" : row.fallback;
}

/// A `|` would end the cell of a table.
std::string cell(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == '|')
      result += '\\';
    result += c;
  }
  return result;
}

} // namespace

// -- rows -----------------------------------------------------------------------------

std::string flag_of(const option& row) {
  return "--" + row.key;
}

std::string variable_of(const option& row) {
  std::string result{prefix};
  for (char c : row.key)
    result += c == '-' ? '_' : static_cast<char>(c >= 'a' ? c - 'a' + 'A' : c);
  return result;
}

std::string nearest(std::string_view word,
                    std::span<const std::string> candidates) {
  auto best = std::max<std::size_t>(2, word.size() / 3) + 1;
  std::string result;
  for (const auto& candidate : candidates) {
    auto far = std::min(distance(word, candidate),
                        distance(in_order(word), in_order(candidate)) + 1);
    if (far < best && far < candidate.size()) {
      best = far;
      result = candidate;
    }
  }
  return result;
}

std::string did_you_mean(std::string_view guess) {
  return guess.empty() ? std::string{}
                       : fmt::format(", did you mean {}?", guess);
}

// -- reading ----------------------------------------------------------------------------

result<command_line> read_command_line(std::span<const option> rows,
                                       std::span<const std::string> args,
                                       std::span<const std::string> environment,
                                       strangers unknown,
                                       std::string_view command) {
  command_line out;
  std::vector<std::string> keys{"help", "version"};
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  app.add_flag("-h,--help", out.help);
  app.add_flag("-V,--version", out.version);
  std::vector<CLI::Option*> flags;
  // CLI11 binds each flag to a place where it leaves the values.
  std::vector<std::vector<std::string>> values(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto* flag = app.add_option(flag_of(rows[i]), values[i]);
    flag->allow_extra_args(false);
    flag->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    if (rows[i].bare)
      flag->expected(0, 1)->default_str("on");
    else
      flag->expected(1);
    flags.push_back(flag);
    keys.push_back(rows[i].key);
  }
  try {
    // CLI11 takes them from the back.
    app.parse(std::vector<std::string>{args.rbegin(), args.rend()});
  } catch (const CLI::ArgumentMismatch& error) {
    std::string_view what{error.what()};
    return usage(
      fmt::format("{} needs a value", what.substr(0, what.find(':'))));
  } catch (const CLI::ParseError& error) {
    std::string_view what{error.what()};
    return usage(std::string{what.substr(0, what.find('\n'))});
  }
  if (out.help)
    return out;
  auto strange = app.remaining();
  if (auto i = std::find(strange.begin(), strange.end(), command);
      i != strange.end())
    strange.erase(i);
  if (out.version && strange.empty())
    return out;
  auto names = ours(environment);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    auto variable = variable_of(row);
    bool by_flag = flags[i]->count() > 0;
    std::vector<std::string> texts;
    if (by_flag)
      texts = values[i];
    else if (auto found = names.find(variable);
             found == names.end() || row.flag_only)
      continue;
    else if (row.repeatable)
      texts = split(found->second, ';');
    else
      texts = {found->second};
    if (texts.size() > 1 && !row.repeatable)
      return usage(fmt::format("{} is given more than once", flag_of(row)));
    out.given.emplace(row.key, by_flag ? flag_of(row) : variable);
    for (auto& text : texts) {
      if (by_flag && row.bare && text.empty())
        text = "on";
      // CLI11 takes whatever follows.
      if (by_flag && text.starts_with("--"))
        return usage(fmt::format("{} needs a value", flag_of(row)));
      auto wrong = row.set(text);
      if (!wrong.empty() && row.secret)
        return usage(
          fmt::format("{}: {}", by_flag ? flag_of(row) : variable, wrong));
      if (!wrong.empty())
        return usage(by_flag
                       ? fmt::format("{} {}: {}", flag_of(row), text, wrong)
                       : fmt::format("{}={}: {}", variable, text, wrong));
    }
  }
  for (const auto& word : strange) {
    if (!word.starts_with('-'))
      return usage(fmt::format("unexpected word '{}'", word));
    auto name = word.substr(0, word.find('='));
    auto bare = name.substr(std::min(name.find_first_not_of('-'), name.size()));
    auto guess = nearest(bare, keys);
    return usage(
      fmt::format("unknown flag {}{}", name,
                  did_you_mean(guess.empty() ? guess : "--" + guess)));
  }
  if (unknown == strangers::ignore)
    return out;
  std::vector<std::string> known; // without the prefix, which all share
  for (const auto& row : rows)
    if (!row.flag_only)
      known.push_back(variable_of(row).substr(prefix.size()));
  for (const auto& [name, value] : names) {
    auto rest = name.substr(prefix.size());
    if (std::find(known.begin(), known.end(), rest) != known.end())
      continue;
    auto guess = nearest(rest, known);
    if (!guess.empty())
      guess.insert(0, prefix);
    return usage(
      fmt::format("unknown variable {}{}", name, did_you_mean(guess)));
  }
  return out;
}

// -- showing ----------------------------------------------------------------------------

std::string wrap(std::string_view text, std::size_t indent, std::size_t width) {
  std::string result;
  std::string line;
  auto end_line = [&] {
    if (!line.empty())
      result += std::string(indent, ' ') + line + '\n';
    line.clear();
  };
  for (const auto& word : split(text, ' ')) {
    if (word.empty())
      continue;
    if (!line.empty() && indent + line.size() + 1 + word.size() > width)
      end_line();
    line += (line.empty() ? "" : " ") + word;
  }
  end_line();
  return result;
}

std::string help_of(std::span<const option> rows) {
  std::size_t left = 0;
  std::size_t middle = 0;
  for (const auto& row : rows) {
    left = std::max(left, left_column(row).size());
    middle = std::max(middle, shown_default(row).size());
  }
  std::string result;
  std::string_view group;
  for (const auto& row : rows) {
    if (row.group != group) {
      group = row.group;
      result += fmt::format("\n{}\n", group);
    }
    auto line = fmt::format("  {:{}}  {:{}}  {}", left_column(row), left,
                            shown_default(row), middle,
                            row.flag_only ? std::string{} : variable_of(row));
    line.erase(line.find_last_not_of(' ') + 1);
    result += line + '\n';
    result += wrap(row.text, 6);
  }
  return result;
}

std::string markdown_of(std::span<const option> rows) {
  std::string result;
  std::string_view group;
  for (const auto& row : rows) {
    if (row.group != group) {
      group = row.group;
      result += fmt::format("{}### {}\n\n| flag | variable | default | |\n"
                            "|---|---|---|---|\n",
                            result.empty() ? "" : "\n", group);
    }
    result +=
      fmt::format("| `{}` | `{}` | {} | {} |\n", cell(left_column(row)),
                  variable_of(row), cell(shown_default(row)), cell(row.text));
  }
  return result;
}

std::vector<std::string> environment() {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry)
    result.emplace_back(*entry);
  return result;
}

} // namespace greenroom
