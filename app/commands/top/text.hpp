#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace greenroom::client {

/// Columns a text takes on a terminal, in a text that `tame` made.
std::size_t columns_of(std::string_view text);

/// A name of a stranger, safe to print: what controls a terminal, what has no width
/// (marks that combine, directions, joiners) and what is no UTF-8 becomes `?`.
/// @param ascii the terminal knows nothing else: all other letters are `?`, too
std::string tame(std::string_view text, bool ascii = false);

/// The first `columns` of a tame text, with a `~` at its end if some is missing.
std::string cut(std::string_view text, std::size_t columns);

/// What to show of a number.
enum class top_kind : std::uint8_t {
  text,
  count, ///< 0 to 9999999, then 12.3M
  id,    ///< 0 is a dash
  bytes, ///< 812B, 1.2K, 10M: powers of 1024
  ms,    ///< 764ms, 10.3s, 1.5m, 2.0h, 3.0d; -1 is a dash
  us,    ///< 12us, then as ms
  at,    ///< a time of the local day
};

/// At most 8 columns, without blanks. Not for `text`.
std::string short_of(top_kind kind, std::int64_t value);

} // namespace greenroom::client
