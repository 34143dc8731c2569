#include "app/commands/top/keys.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "app/utf8.hpp"

namespace greenroom::client {

namespace {

using what = top_key::what;

/// Longer ones are none that a key sends.
constexpr std::size_t sequence_bytes_max = 16;

constexpr std::array<std::pair<std::string_view, what>, 15> sequences{{
  {"A", what::up},
  {"B", what::down},
  {"C", what::right},
  {"D", what::left},
  {"H", what::home},
  {"F", what::end},
  {"Z", what::back_tab},
  {"1~", what::home},
  {"7~", what::home},
  {"4~", what::end},
  {"8~", what::end},
  {"5~", what::page_up},
  {"6~", what::page_down},
  {"I", what::page_up},
  {"G", what::page_down},
}};

} // namespace

std::optional<top_key> top_keyboard::next(bool idle) {
  if (bytes_.empty())
    return std::nullopt;
  auto first = bytes_.front();
  if (first == '\x1b')
    return sequence(idle);
  auto take = [this](std::size_t n, what is, std::string text = {}) {
    bytes_.erase(0, n);
    return top_key{is, std::move(text)};
  };
  switch (first) {
    case '\r':
    case '\n':
      return take(1, what::enter);
    case '\t':
      return take(1, what::tab);
    case '\b':
    case '\x7f':
      return take(1, what::backspace);
    default:
      break;
  }
  auto character = first_code_point(bytes_);
  if (character.bytes == 0) {
    // It may be the begin of one: at most 4 bytes make one.
    if (!idle && bytes_.size() < 4)
      return std::nullopt;
    return take(1, what::unknown);
  }
  if (control(character.value))
    return take(character.bytes, what::unknown);
  return take(character.bytes, what::text, bytes_.substr(0, character.bytes));
}

std::optional<top_key> top_keyboard::sequence(bool idle) {
  if (bytes_.size() == 1 && !idle)
    return std::nullopt;
  if (bytes_.size() == 1 || (bytes_[1] != '[' && bytes_[1] != 'O')) {
    bytes_.erase(0, 1);
    return top_key{what::escape, {}};
  }
  // CSI: parameters, then one final byte (ECMA-48 §5.4).
  auto final = std::find_if(bytes_.begin() + 2, bytes_.end(),
                            [](char c) { return c >= '@' && c <= '~'; });
  if (final == bytes_.end()) {
    if (!idle && bytes_.size() < sequence_bytes_max)
      return std::nullopt;
    bytes_.clear();
    return top_key{};
  }
  std::string body{bytes_.begin() + 2, final + 1};
  bytes_.erase(bytes_.begin(), final + 1);
  for (const auto& [text, is] : sequences)
    if (body == text)
      return top_key{is, {}};
  return top_key{};
}

} // namespace greenroom::client
