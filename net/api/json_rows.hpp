#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace greenroom::net {

/// Appends text as a JSON string, quotes included (RFC 8259 §7). Bytes that are
/// no UTF-8 become U+FFFD: what a reader is sent is always JSON.
void append_json(std::string& out, std::string_view text);

inline void append_json(std::string& out, const std::string& text) {
  append_json(out, std::string_view{text});
}

inline void append_json(std::string& out, const char* text) {
  append_json(out, std::string_view{text});
}

/// Integers exactly, `true` and `false`.
template <std::integral T>
void append_json(std::string& out, T x) {
  if constexpr (std::same_as<T, bool>) {
    out += x ? "true" : "false";
  } else {
    char text[24];
    out.append(text, std::to_chars(text, text + sizeof(text), x).ptr);
  }
}

/// Something that lists its fields, see actors/inspection.hpp.
template <class T>
concept has_fields = requires(const T& x) {
  x.each_field([](std::string_view, const auto&) {});
};

template <has_fields T>
void append_json(std::string& out, const T& row);

template <class T>
void append_json(std::string& out, const std::vector<T>& all) {
  out += '[';
  auto first = true;
  for (auto& x : all) {
    if (!first)
      out += ',';
    first = false;
    append_json(out, x);
  }
  out += ']';
}

/// One object, its members in the order of the fields.
template <has_fields T>
void append_json(std::string& out, const T& row) {
  char before = '{';
  row.each_field([&](std::string_view name, const auto& value) {
    out += before;
    before = ',';
    out += '"';
    out += name;
    out += "\":";
    append_json(out, value);
  });
  out += '}';
}

} // namespace greenroom::net
