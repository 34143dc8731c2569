#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/commands/top/model.hpp"

namespace greenroom::client {

/// How text looks.
enum class top_style : std::uint8_t {
  plain,
  bold,
  faint,
  bar,
  good,
  warn,
  bad
};

/// Text from a column on. Every span goes to its own place, so a terminal that
/// thinks a letter wider than we do spoils that one and no other.
struct top_span {
  std::size_t column = 0;
  std::string text;
  top_style style = top_style::plain;

  bool operator==(const top_span&) const = default;
};

using top_row = std::vector<top_span>;

struct top_size {
  std::size_t rows = 24;
  std::size_t columns = 80;

  bool operator==(const top_size&) const = default;
};

/// Lines of the screen that are not rows of the list.
inline constexpr std::size_t top_frame_lines = 6;

/// What the screen shows, a row a line: nothing leaves it at the right.
/// @param from the address of the broker
std::vector<top_row> draw(const top_model& what, top_size on,
                          std::string_view from);

/// Turns screens into what a terminal has to be sent, only where they differ.
class top_painter {
public:
  explicit top_painter(bool colours) : colours_(colours) {}

  std::string paint(std::vector<top_row> screen, top_size on);

  /// The terminal shows something else now.
  void forget() { before_.clear(); }

private:
  bool colours_;
  top_size size_;
  std::vector<top_row> before_;
};

/// The list as plain lines for a pipe: a heading, then rows; columns are as wide as
/// they have to be.
std::string plain_table(const top_model& what);

} // namespace greenroom::client
