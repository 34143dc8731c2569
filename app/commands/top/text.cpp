#include "app/commands/top/text.hpp"

#include <array>
#include <cmath>
#include <ctime>
#include <cwchar>

#include <fmt/format.h>

#include "app/utf8.hpp"

namespace greenroom::client {

namespace {

/// One step of a scale: from `size` on, numbers end in `unit`.
struct scale_step {
  double size;
  std::string_view unit;
};

template <std::size_t N>
std::string scaled(double value, const std::array<scale_step, N>& steps) {
  std::size_t i = 0;
  while (i + 1 < N && value >= steps[i + 1].size)
    ++i;
  auto x = value / steps[i].size;
  auto digits = i > 0 && x < 9.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", x, digits, steps[i].unit);
}

constexpr std::array<scale_step, 5> sizes{
  {{1, "B"}, {0x1p10, "K"}, {0x1p20, "M"}, {0x1p30, "G"}, {0x1p40, "T"}}};
constexpr std::array<scale_step, 6> times{{{1, "us"},
                                           {1e3, "ms"},
                                           {1e6, "s"},
                                           {60e6, "m"},
                                           {3600e6, "h"},
                                           {86400e6, "d"}}};
constexpr std::array<scale_step, 3> counts{{{1, ""}, {1e6, "M"}, {1e9, "G"}}};

std::string clock_of(std::int64_t at) {
  auto seconds = static_cast<std::time_t>(at / 1000);
  std::tm local{};
  if (at <= 0 || localtime_r(&seconds, &local) == nullptr)
    return "-";
  return fmt::format("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min,
                     local.tm_sec);
}

} // namespace

std::size_t columns_of(std::string_view text) {
  std::size_t result = 0;
  while (!text.empty()) {
    auto next = first_code_point(text);
    auto width =
      next.value < 0x7f ? 1 : ::wcwidth(static_cast<wchar_t>(next.value));
    result += width > 0 ? static_cast<std::size_t>(width) : 1;
    text.remove_prefix(next.bytes == 0 ? 1 : next.bytes);
  }
  return result;
}

std::string tame(std::string_view text, bool ascii) {
  std::string result;
  while (!text.empty()) {
    auto next = first_code_point(text);
    auto shown =
      next.bytes != 0 && !control(next.value)
      && (next.value < 0x7f
          || (!ascii && ::wcwidth(static_cast<wchar_t>(next.value)) > 0));
    auto bytes = next.bytes == 0 ? 1 : next.bytes;
    if (shown)
      result += text.substr(0, bytes);
    else
      result += '?';
    text.remove_prefix(bytes);
  }
  return result;
}

std::string cut(std::string_view text, std::size_t columns) {
  if (columns_of(text) <= columns)
    return std::string{text};
  if (columns == 0)
    return {};
  std::string result;
  std::size_t used = 0;
  while (!text.empty()) {
    auto bytes = std::max<std::size_t>(first_code_point(text).bytes, 1);
    auto width = columns_of(text.substr(0, bytes));
    if (used + width > columns - 1)
      break;
    used += width;
    result += text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
  return result + '~';
}

std::string short_of(top_kind kind, std::int64_t value) {
  auto x = static_cast<double>(value);
  switch (kind) {
    case top_kind::count:
      return value < 10'000'000 ? fmt::format("{}", value) : scaled(x, counts);
    case top_kind::id:
      return value == 0 ? "-" : fmt::format("{}", value);
    case top_kind::bytes:
      return scaled(x, sizes);
    case top_kind::ms:
      if (value < 0)
        return "-";
      return value < 1000 ? fmt::format("{}ms", value) : scaled(x * 1e3, times);
    case top_kind::us:
      return scaled(x, times);
    case top_kind::at:
      return clock_of(value);
    case top_kind::text:
      break;
  }
  return {};
}

} // namespace greenroom::client
