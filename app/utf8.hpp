#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace greenroom {

/// One character at the start of a text.
struct code_point {
  char32_t value = 0;
  std::size_t bytes = 0; ///< 0: the text is empty or does not start with UTF-8
};

/// Strict: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629).
constexpr code_point first_code_point(std::string_view text) noexcept {
  if (text.empty())
    return {};
  auto byte = [&](std::size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  if (byte(0) < 0x80)
    return {byte(0), 1};
  std::size_t bytes = 0;
  char32_t value = 0;
  char32_t least = 0;
  if ((byte(0) & 0xe0) == 0xc0) {
    bytes = 2;
    value = byte(0) & 0x1f;
    least = 0x80;
  } else if ((byte(0) & 0xf0) == 0xe0) {
    bytes = 3;
    value = byte(0) & 0x0f;
    least = 0x800;
  } else if ((byte(0) & 0xf8) == 0xf0) {
    bytes = 4;
    value = byte(0) & 0x07;
    least = 0x10000;
  } else {
    return {};
  }
  if (text.size() < bytes)
    return {};
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80)
      return {};
    value = (value << 6) | (byte(i) & 0x3f);
  }
  if (value < least || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
    return {};
  return {value, bytes};
}

/// C0, DEL and C1: what makes a terminal or a log do something.
constexpr bool control(char32_t x) noexcept {
  return x < 0x20 || (x >= 0x7f && x < 0xa0);
}

} // namespace greenroom
