#include "net/api/json_rows.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <simdjson.h>

namespace greenroom::net {

namespace {

bool plain(char c) noexcept {
  return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/// Bytes of the well-formed character at the start; 0: there is none
/// (Unicode 15, table 3-7).
std::size_t character(std::string_view text) noexcept {
  auto at = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  auto lead = at(0);
  std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return simdjson::validate_utf8(text.data(), std::min(size, text.size()))
           ? std::min(size, text.size())
           : 0;
}

void append_escape(std::string& out, unsigned c) {
  constexpr std::string_view digits = "0123456789abcdef";
  out += "\\u00";
  out += digits[c >> 4U];
  out += digits[c & 15U];
}

} // namespace

void append_json(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    auto end = std::find_if_not(text.begin(), text.end(), plain);
    out.append(text.begin(), end);
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
    if (text.empty())
      break;
    auto c = static_cast<unsigned char>(text.front());
    auto size = character(text);
    if (size == 0) {
      out += "\xef\xbf\xbd";
      size = 1;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20 || c == 0x7f) {
      append_escape(out, c);
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  out += '"';
}

} // namespace greenroom::net
