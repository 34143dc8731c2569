#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "app/commands/top/keys.hpp"
#include "app/commands/top/list.hpp"

namespace greenroom::client {

/// The overview, and how fast its counters grow.
class top_figures {
public:
  /// Takes one more sample of it.
  void take(const boost::json::object& row, std::int64_t at);

  bool known() const { return !now_.empty(); }

  std::int64_t operator[](std::string_view field) const;
  std::string_view text(std::string_view field) const;

  /// Growth a second between the last two samples.
  double rate(std::string_view field) const;

private:
  boost::json::object now_;
  boost::json::object before_;
  std::int64_t at_ = 0;
  double span_ = 0; ///< s
};

/// Something to ask for, and what it is for.
struct top_request {
  enum class what : std::uint8_t { overview, section, children };

  what is = what::overview;
  std::size_t section = 0;
  std::size_t offset = 0;
  std::string target; ///< path and query below the address of the broker
};

/// Something to end, once somebody has said yes.
struct top_act {
  std::string path; ///< `kill` or `restart`
  std::string body;
  std::string words; ///< `End connection #17`
};

/// What the user sees and does: no terminal and no socket in it.
class top_model {
public:
  /// @param ascii the terminal shows nothing else
  /// @param may_act whether there is a token to act with
  top_model(bool ascii, bool may_act);

  // -- what to ask, and the answers --

  /// All that the screen shows; the overview comes first.
  /// @param around rows near it as well
  std::vector<top_request> requests(bool around = true) const;

  /// Takes a page that was asked for in this view; an older one is dropped.
  /// @param view of `generation` when it was asked for
  void take(const top_request& asked, std::uint64_t view,
            const boost::json::object& page);

  /// Grows whenever other rows are to be shown.
  std::uint64_t generation() const { return generation_; }

  /// Whether every row on the screen is known.
  bool complete() const { return list_.complete(); }

  void trouble(std::string words) { trouble_ = std::move(words); }

  void took_receipt(const boost::json::object& receipt);
  void act_failed(std::string words);

  // -- the user --

  /// What is to be done about a key.
  enum class then : std::uint8_t {
    draw,    ///< it may look different
    ask,     ///< other rows are needed
    act,     ///< `act()` is to be done
    refresh, ///< `every_ms` has changed
    quit,
  };

  then press(const top_key& key);

  const top_act& act() const { return act_; }

  std::int64_t every_ms() const { return every_ms_; }

  void set_every_ms(std::int64_t span) { every_ms_ = span; }

  bool paused() const { return paused_; }

  /// @returns whether there is such a view
  bool choose(std::string_view view);
  /// @returns whether the view has such a column
  bool sort_by(std::string_view field, std::optional<bool> descending);

  void search(std::string text);

  // -- what the screen shows --

  enum class mode : std::uint8_t { list, search, confirm, panel };

  mode showing() const { return mode_; }

  std::size_t table() const { return table_; }

  const top_list& list() const { return list_; }

  void set_height(std::size_t lines) { list_.set_height(lines); }

  const top_figures& figures() const { return figures_; }

  std::string_view sort() const { return sort_; }

  bool descending() const { return descending_; }

  const std::string& searched() const { return searched_; }

  /// The prompt's text while a search is typed.
  const std::string& typed() const { return typed_; }

  /// One line for the user, or nothing.
  const std::string& said() const { return said_; }

  const std::string& troubled() const { return trouble_; }

  /// Lines that cover the list: details, a receipt, help.
  const std::vector<std::string>& panel() const { return panel_; }

  std::size_t panel_top() const { return panel_top_; }

  bool ascii() const { return ascii_; }

private:
  then press_list(const top_key& key);
  then press_text(std::string_view text);
  then press_search(const top_key& key);
  then press_panel(const top_key& key);
  then moved() const;
  then show_table(std::size_t table);
  then next_sort(int by);
  then show_details();
  then ask_to_end(bool restart);
  std::string target_of(const top_question& ask, bool searched) const;
  void ask_anew();

  bool ascii_;
  bool may_act_;
  std::size_t table_ = 1; ///< rooms
  top_list list_;
  top_figures figures_;
  std::string sort_;
  bool descending_ = true;
  std::string searched_;
  std::string typed_;
  std::string said_;
  std::string trouble_;
  std::vector<std::string> panel_;
  std::size_t panel_top_ = 0;
  top_act act_;
  mode mode_ = mode::list;
  bool paused_ = false;
  std::int64_t every_ms_ = 1000;
  std::uint64_t generation_ = 1;
};

} // namespace greenroom::client
