#include "app/commands/client/args.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command_line.hpp"
#include "app/utf8.hpp"
#include "app/values.hpp"

namespace greenroom::client {

namespace {

bool flag(const argument& x) {
  return x.name.starts_with('-');
}

fault usage(std::string line) {
  return {errc::bad_request, std::move(line)};
}

std::string left_column(const argument& x) {
  return x.placeholder.empty() ? x.name : x.name + ' ' + x.placeholder;
}

} // namespace

result<request> read_arguments(const manual& page,
                               std::span<const std::string> args) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  bool help = false;
  app.add_flag("-h,--help", help);
  std::vector<CLI::Option*> bound;
  std::vector<std::string> values(page.arguments.size());
  std::vector<std::string> flags{"--help"};
  // CLI11 leaves the values where each is bound to.
  for (std::size_t i = 0; i < page.arguments.size(); ++i) {
    const auto& x = page.arguments[i];
    if (flag(x) && x.placeholder.empty())
      bound.push_back(app.add_flag(x.name));
    else
      bound.push_back(
        app.add_option(x.name, values[i])
          ->expected(1)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast));
    if (flag(x))
      flags.push_back(x.name);
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
  if (help)
    return request::help;
  for (const auto& word : app.remaining()) {
    if (!word.starts_with('-'))
      return usage(fmt::format("unexpected word '{}'", word));
    auto name = word.substr(0, word.find('='));
    return usage(fmt::format("unknown flag {}{}", name,
                             did_you_mean(nearest(name, flags))));
  }
  for (std::size_t i = 0; i < page.arguments.size(); ++i) {
    const auto& x = page.arguments[i];
    if (bound[i]->count() == 0) {
      if (x.required)
        return usage(fmt::format("{} is missing (see greenroom {} --help)",
                                 x.name, page.name));
      continue;
    }
    if (auto wrong = x.set(values[i]); !wrong.empty())
      return usage(fmt::format("{} {}: {}", x.name, values[i], wrong));
  }
  return request::run;
}

std::string help_of(const manual& page) {
  auto usage_line = fmt::format("Usage: greenroom {}", page.name);
  std::size_t left = 0;
  for (const auto& x : page.arguments) {
    left = std::max(left, left_column(x).size());
    if (!flag(x))
      usage_line += x.required ? ' ' + x.name : " [" + x.name + ']';
  }
  auto result = usage_line + " [flags]\n\n" + wrap(page.about, 0) + '\n';
  auto rows = page.arguments;
  rows.push_back({"--help", "", "", "Shows this.", {}});
  for (const auto& x : rows) {
    auto text = wrap(x.fallback.empty()
                       ? x.text
                       : fmt::format("{} Default: {}.", x.text, x.fallback),
                     left + 4);
    auto column = left_column(x);
    text.replace(2, column.size(), column);
    result += text;
  }
  if (!page.closing.empty())
    result += '\n' + page.closing;
  return result;
}

std::optional<int> understand(const manual& page,
                              std::span<const std::string> args) {
  auto asked = read_arguments(page, args);
  if (!asked) {
    fmt::print(stderr, "greenroom {}: {}\n", page.name,
               printable(asked.error().detail));
    return 2;
  }
  if (*asked == request::help) {
    fmt::print("{}", help_of(page));
    return 0;
  }
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> parse_seconds(std::string_view text) {
  double seconds = 0;
  auto end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, seconds);
  if (error == std::errc{} && rest == end) {
    if (!(seconds >= 0) || seconds > 1e9)
      return std::nullopt;
    return std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1000)};
  }
  return parse_duration(text);
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    auto next = first_code_point(text);
    if (next.bytes == 0) {
      result += '?'; // not UTF-8
      next.bytes = 1;
    } else if (control(next.value) && next.value != '\t') {
      result += '?';
    } else {
      result += text.substr(0, next.bytes);
    }
    text.remove_prefix(next.bytes);
  }
  return result;
}

} // namespace greenroom::client
