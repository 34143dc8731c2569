#include "net/protocols/json_text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/serializer.hpp>

namespace greenroom::net {

namespace {

namespace json = boost::json;

/// Takes everything and keeps nothing: the parser alone judges. Limits of size
/// are the message's.
struct no_handler {
  static constexpr std::size_t max_object_size = SIZE_MAX;
  static constexpr std::size_t max_array_size = SIZE_MAX;
  static constexpr std::size_t max_key_size = SIZE_MAX;
  static constexpr std::size_t max_string_size = SIZE_MAX;

  using text = json::string_view;
  using error = json::error_code;

  bool on_document_begin(error&) { return true; }
  bool on_document_end(error&) { return true; }
  bool on_object_begin(error&) { return true; }
  bool on_object_end(std::size_t, error&) { return true; }
  bool on_array_begin(error&) { return true; }
  bool on_array_end(std::size_t, error&) { return true; }
  bool on_key_part(text, std::size_t, error&) { return true; }
  bool on_key(text, std::size_t, error&) { return true; }
  bool on_string_part(text, std::size_t, error&) { return true; }
  bool on_string(text, std::size_t, error&) { return true; }
  bool on_number_part(text, error&) { return true; }
  bool on_int64(std::int64_t, text, error&) { return true; }
  bool on_uint64(std::uint64_t, text, error&) { return true; }
  bool on_double(double, text, error&) { return true; }
  bool on_bool(bool, error&) { return true; }
  bool on_null(error&) { return true; }
  bool on_comment_part(text, error&) { return true; }
  bool on_comment(text, error&) { return true; }
};

bool parses(std::string_view text, std::size_t depth_max) {
  json::parse_options options;
  options.max_depth = depth_max;
  json::basic_parser<no_handler> parser{options};
  json::error_code failed;
  auto taken = parser.write_some(false, text.data(), text.size(), failed);
  return !failed && taken == text.size();
}

/// Calls `outside(i)` for every character that is not in a string, and
/// `escaped(i)` for every backslash in one that escapes what follows.
template <class Outside, class Escaped>
void walk_json(std::string_view text, Outside outside, Escaped escaped) {
  auto in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      in_string = !in_string;
    } else if (!in_string) {
      outside(i);
    } else if (text[i] == '\\') {
      escaped(i);
      ++i; // what is escaped escapes nothing
    }
  }
}

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

/// Two things are JSON that the parser does not take, so it judges a copy without
/// them: half a surrogate pair, escaped (RFC 8259 §8.2; JavaScript writes it when a
/// text was cut through an emoji), and an exponent beyond its own numbers (§6).
/// @returns whether there was one
bool simplify(std::string& text) {
  auto found = false;
  std::size_t exponent = 0; // behind its sign
  walk_json(
    text,
    [&](std::size_t i) {
      auto c = text[i];
      if (c == 'e' || c == 'E') {
        exponent = i + 1;
      } else if ((c == '+' || c == '-') && exponent == i) {
        exponent = i + 1;
      } else if (is_digit(c) && exponent == i && i != 0) {
        exponent = i + 1;
        found = found || c != '0';
        text[i] = '0';
      }
    },
    [&](std::size_t i) {
      if (i + 6 > text.size() || text[i + 1] != 'u')
        return;
      auto* hex = text.data() + i + 2;
      if ((hex[0] == 'd' || hex[0] == 'D') && hex[1] > '7') {
        std::memcpy(hex, "00", 2);
        found = true;
      }
    });
  return found;
}

} // namespace

bool is_json(std::string_view text, std::size_t depth_max) {
  if (parses(text, depth_max))
    return true;
  std::string other{text};
  return simplify(other) && parses(other, depth_max);
}

std::vector<std::size_t> flatten_json(std::string& text,
                                      std::size_t depth_max) {
  std::vector<std::size_t> cuts;
  std::size_t depth = 0;
  std::size_t begin = 0; // of what is too deep
  walk_json(
    std::string{text},
    [&](std::size_t i) {
      auto c = text[i];
      if (c == '[' || c == '{') {
        if (++depth == depth_max + 1)
          begin = i;
      } else if ((c == ']' || c == '}') && depth > 0
                 && depth-- == depth_max + 1) {
        std::fill(text.begin() + static_cast<std::ptrdiff_t>(begin),
                  text.begin() + static_cast<std::ptrdiff_t>(i) + 1, ' ');
        text[begin] = '0';
        cuts.push_back(begin);
      }
    },
    [](std::size_t) {});
  return cuts;
}

void append_json_string(std::string& out, std::string_view text) {
  // Text seldom needs more than its quotes; what does takes another round.
  json::serializer writer;
  writer.reset(json::string_view{text.data(), text.size()});
  auto size = out.size();
  auto room = text.size() + 2;
  do {
    out.resize(size + room);
    size += writer.read(out.data() + size, room).size();
  } while (!writer.done());
  out.resize(size);
}

void append_json_line(std::string& out, std::string_view json) {
  auto begin = out.size();
  out += json;
  if (std::memchr(json.data(), '\n', json.size()) != nullptr)
    std::replace(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(),
                 '\n', ' ');
}

} // namespace greenroom::net
