#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace greenroom::client {

/// Something to ask the inspection API, without its offset and limit.
struct top_question {
  std::string path;   ///< below /inspect/
  std::string filter; ///< `&kind=room`, encoded; may be empty
};

/// Rows that the server holds and of which a window is known here.
struct top_section {
  top_question ask;
  std::string title = {}; ///< a line above the rows; empty: none
  int level = 0;          ///< how far the rows are indented
  bool open = true;
  bool searched = true; ///< whether a search narrows it down

  // As of the latest answer.
  std::size_t total = 0;
  std::size_t offset = 0; ///< of the first row that is known
  boost::json::array rows = {};

  /// Rows that can be reached: the server sorts no further.
  static constexpr std::size_t reach = 10'000;
};

/// One line of the list.
struct top_line {
  enum class what : std::uint8_t { title, row, child, unknown };

  what is = what::unknown;
  std::size_t section = 0;
  int level = 0;
  /// Of a row or a child; null if it is not known yet.
  const boost::json::object* row = nullptr;
};

/// The lines of a view: sections one below the other, of which the screen shows a
/// window. It says which rows to ask for and takes them; only those are ever held.
class top_list {
public:
  explicit top_list(std::vector<top_section> sections)
    : sections_(std::move(sections)) {}

  const std::vector<top_section>& sections() const { return sections_; }

  /// Lines of all sections.
  std::size_t size() const;

  /// The line at `index` from the top; `unknown` if it was not asked for yet.
  top_line at(std::size_t index) const;

  // -- the window --

  std::size_t top() const { return top_; }
  std::size_t cursor() const { return cursor_; }
  void set_height(std::size_t lines);
  std::size_t height() const { return height_; }
  /// Moves the cursor, and the window with it.
  void move(std::ptrdiff_t by);
  void to_begin() { move_to(0); }
  void to_end() { move_to(size() == 0 ? 0 : size() - 1); }

  // -- rows --

  /// Whether every line of the window is known.
  bool complete() const;

  /// Rows of a section to ask for: those the window shows, offset and count, at
  /// least one.
  /// @param around as many before and behind as well, so that moving finds them here
  std::pair<std::size_t, std::size_t> wanted(std::size_t section,
                                             bool around = true) const;

  /// Takes an answer: `{total, rows}`.
  void take(std::size_t section, std::size_t offset,
            const boost::json::object& page);

  /// Forgets all rows: another order or another search.
  void forget();

  // -- branches --

  /// Opens or closes the title, or the row with its children, under the cursor.
  /// @returns whether something changed
  bool toggle();

  /// What to ask for the children of the open row, if there is one.
  std::optional<top_question> children() const;
  void take_children(const boost::json::object& page);

private:
  /// Lines a section takes, its title included.
  std::size_t lines_of(std::size_t section) const;
  void move_to(std::size_t index);
  void keep_inside();

  std::vector<top_section> sections_;
  std::size_t top_ = 0;
  std::size_t cursor_ = 0;
  std::size_t height_ = 1;

  /// The row whose children are shown.
  struct branch {
    std::size_t section = 0;
    std::size_t index = 0; ///< within the section
    std::int64_t id = 0;
    top_question ask;
    boost::json::array rows;
  };

  std::optional<branch> branch_;
};

/// The sections of a view, by its place among `top_tables()`.
std::vector<top_section> sections_of(std::size_t table);

} // namespace greenroom::client
