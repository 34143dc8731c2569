#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "app/commands/top/text.hpp"

namespace greenroom::client {

/// One column of a table. Fields are those of actors/inspection.hpp.
struct top_column {
  std::string_view field;
  std::string_view title;
  top_kind kind = top_kind::text;
  /// Columns on the screen; 0: what the others leave, at least `flexible_min`.
  std::size_t width = 0;

  static constexpr std::size_t flexible_min = 20;
};

/// One table of the inspection API.
struct top_table {
  std::string_view name; ///< on the command line and on the screen
  std::string_view path; ///< below /inspect/
  std::string_view sort; ///< the field it is sorted by at first
  bool descending = true;
  /// Those that matter most come first: a narrow screen shows fewer.
  std::span<const top_column> columns;
};

/// Tree, rooms, lag, connections, closed: as they stand on the screen.
std::span<const top_table> top_tables() noexcept;

/// The first of them is drawn as a tree.
inline constexpr std::size_t top_tree = 0;

/// A field as text, `-` where there is none.
std::string cell_of(const boost::json::object& row, const top_column& column,
                    bool ascii);

/// A field as a number; 0 if it is none.
std::int64_t number_of(const boost::json::object& row, std::string_view field);

/// A field as a text; empty if it is none.
std::string_view text_of(const boost::json::object& row,
                         std::string_view field);

/// What a line of the tree is called: `room lobby`, `reader #12`.
std::string name_of_actor(const boost::json::object& row, bool ascii);

/// How a field of this name is shown where no column says it.
top_kind kind_of_field(std::string_view field) noexcept;

} // namespace greenroom::client
