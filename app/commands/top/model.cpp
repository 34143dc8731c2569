#include "app/commands/top/model.hpp"

#include <algorithm>
#include <array>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "app/commands/client/url.hpp"
#include "app/commands/top/panel.hpp"
#include "app/commands/top/views.hpp"

namespace greenroom::client {

namespace {

using then = top_model::then;

/// Longer ones find no room: that is how long names may be.
constexpr std::size_t search_bytes_max = 255;

constexpr std::array<std::int64_t, 7> speeds{250,  500,    1000,  2000,
                                             5000, 10'000, 60'000};

const boost::json::object* first_row(const boost::json::object& page) {
  auto* rows = page.if_contains("rows");
  if (rows == nullptr || !rows->is_array() || rows->get_array().empty())
    return nullptr;
  return rows->get_array().front().if_object();
}

} // namespace

// -- figures ------------------------------------------------------------------------

void top_figures::take(const boost::json::object& row, std::int64_t at) {
  if (at <= at_)
    return; // the same sample once more
  // Counters of another process start anew.
  auto same = number_of(now_, "started_at") == number_of(row, "started_at");
  before_ = same ? now_ : boost::json::object{};
  span_ = same ? static_cast<double>(at - at_) / 1000 : 0;
  now_ = row;
  at_ = at;
}

std::int64_t top_figures::operator[](std::string_view field) const {
  return number_of(now_, field);
}

std::string_view top_figures::text(std::string_view field) const {
  return text_of(now_, field);
}

double top_figures::rate(std::string_view field) const {
  if (span_ <= 0)
    return 0;
  auto grown = number_of(now_, field) - number_of(before_, field);
  return static_cast<double>(std::max<std::int64_t>(grown, 0)) / span_;
}

// -- what to ask --------------------------------------------------------------------

top_model::top_model(bool ascii, bool may_act)
  : ascii_(ascii), may_act_(may_act), list_(sections_of(table_)),
    sort_(top_tables()[table_].sort) {}

std::string top_model::target_of(const top_question& ask, bool searched) const {
  auto target = fmt::format("/inspect/{}?sort={}&order={}{}", ask.path, sort_,
                            descending_ ? "desc" : "asc", ask.filter);
  if (searched && !searched_.empty())
    target += "&q=" + encode_segment(searched_);
  return target;
}

std::vector<top_request> top_model::requests(bool around) const {
  using what = top_request::what;
  std::vector<top_request> result;
  result.push_back({what::overview, 0, 0, "/inspect/overview"});
  for (std::size_t i = 0; i < list_.sections().size(); ++i) {
    const auto& x = list_.sections()[i];
    auto [offset, count] = list_.wanted(i, around);
    result.push_back(
      {what::section, i, offset,
       fmt::format("{}&offset={}&limit={}", target_of(x.ask, x.searched),
                   offset, std::min<std::size_t>(count, 1000))});
  }
  if (auto ask = list_.children())
    result.push_back({what::children, 0, 0, target_of(*ask, false)});
  return result;
}

void top_model::take(const top_request& asked, std::uint64_t view,
                     const boost::json::object& page) {
  if (asked.is == top_request::what::overview) {
    if (auto* row = first_row(page))
      figures_.take(*row, number_of(page, "sampled_at"));
    return;
  }
  if (view != generation_)
    return;
  if (asked.is == top_request::what::section)
    list_.take(asked.section, asked.offset, page);
  else
    list_.take_children(page);
}

void top_model::ask_anew() {
  ++generation_;
  list_.forget();
}

bool top_model::choose(std::string_view view) {
  auto tables = top_tables();
  for (std::size_t i = 0; i < tables.size(); ++i)
    if (tables[i].name == view) {
      show_table(i);
      return true;
    }
  return false;
}

bool top_model::sort_by(std::string_view field,
                        std::optional<bool> descending) {
  auto columns = top_tables()[table_].columns;
  if (!field.empty()
      && std::none_of(columns.begin(), columns.end(), [&](const auto& x) {
           return x.field == field && field != "name";
         }))
    return false;
  if (!field.empty()) {
    sort_ = field;
    descending_ = true;
  }
  descending_ = descending.value_or(descending_);
  ask_anew();
  return true;
}

void top_model::search(std::string text) {
  searched_ = std::move(text);
  ask_anew();
}

// -- acting ---------------------------------------------------------------------------

void top_model::took_receipt(const boost::json::object& receipt) {
  panel_ = receipt_of(receipt, "Receipt: " + act_.words, ascii_);
  panel_top_ = 0;
  mode_ = mode::panel;
  said_.clear();
}

void top_model::act_failed(std::string words) {
  said_ = std::move(words);
}

then top_model::ask_to_end(bool restart) {
  auto line = list_.at(list_.cursor());
  if (line.row == nullptr)
    return then::draw;
  if (!may_act_) {
    said_ = "Ending needs a token: see greenroom top --help.";
    return then::draw;
  }
  const auto& row = *line.row;
  auto path = top_tables()[table_].path;
  auto room = text_of(row, "room");
  boost::json::object order;
  auto by_room = [&] {
    order["room"] = boost::json::string{room.data(), room.size()};
    return fmt::format("{} room {}", restart ? "Restart" : "End",
                       tame(room, ascii_));
  };
  std::string words;
  if (restart) {
    if (room.empty()) {
      said_ = "Only rooms can be restarted.";
      return then::draw;
    }
    words = by_room();
  } else if (path == "rooms") {
    words = by_room();
  } else if (path == "actors") {
    auto kind = text_of(row, "kind");
    if (kind != "reader" && kind != "writer" && kind != "room"
        && kind != "outlet") {
      said_ = fmt::format("Nobody ends the {}.", tame(kind, ascii_));
      return then::draw;
    }
    order["actor"] = number_of(row, "id");
    words = fmt::format("End {} (actor {})", name_of_actor(row, ascii_),
                        number_of(row, "id"));
  } else if (path == "closed") {
    said_ = "It has ended already.";
    return then::draw;
  } else {
    order["client"] = number_of(row, "client");
    words = fmt::format("End connection #{}", number_of(row, "client"));
  }
  act_ = {restart ? "restart" : "kill",
          std::string{boost::json::serialize(order)}, words};
  mode_ = mode::confirm;
  return then::draw;
}

// -- keys -----------------------------------------------------------------------------

then top_model::press(const top_key& key) {
  switch (mode_) {
    case mode::search:
      return press_search(key);
    case mode::panel:
      return press_panel(key);
    case mode::confirm:
      mode_ = mode::list;
      if (key.is == top_key::what::text
          && (key.text == "y" || key.text == "Y")) {
        said_ = act_.words + ": waiting for the receipt";
        return then::act;
      }
      said_ = "Nothing was ended.";
      return then::draw;
    case mode::list:
      break;
  }
  return press_list(key);
}

then top_model::press_list(const top_key& key) {
  using what = top_key::what;
  said_.clear();
  auto page =
    static_cast<std::ptrdiff_t>(std::max<std::size_t>(list_.height(), 2) - 1);
  switch (key.is) {
    case what::up:
      list_.move(-1);
      return moved();
    case what::down:
      list_.move(1);
      return moved();
    case what::page_up:
      list_.move(-page);
      return moved();
    case what::page_down:
      list_.move(page);
      return moved();
    case what::home:
      list_.to_begin();
      return moved();
    case what::end:
      list_.to_end();
      return moved();
    case what::left:
      return next_sort(-1);
    case what::right:
      return next_sort(1);
    case what::tab:
      return show_table((table_ + 1) % top_tables().size());
    case what::back_tab:
      return show_table((table_ + top_tables().size() - 1)
                        % top_tables().size());
    case what::enter:
      if (list_.toggle())
        return then::ask;
      return show_details();
    case what::escape:
      if (searched_.empty())
        return then::draw;
      search({});
      return then::ask;
    case what::text:
      return press_text(key.text);
    case what::backspace:
    case what::unknown:
      break;
  }
  return then::draw;
}

then top_model::press_text(std::string_view text) {
  if (text.size() != 1)
    return then::draw;
  auto faster = [this](int by) {
    auto at = std::lower_bound(speeds.begin(), speeds.end(), every_ms_);
    auto i = at - speeds.begin() + by;
    every_ms_ = speeds[static_cast<std::size_t>(
      std::clamp<std::ptrdiff_t>(i, 0, speeds.size() - 1))];
    said_ = fmt::format("Asks every {}.", short_of(top_kind::ms, every_ms_));
    return then::refresh;
  };
  switch (auto c = text.front()) {
    case 'q':
      return then::quit;
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
      return show_table(static_cast<std::size_t>(c - '1'));
    case 'j':
      list_.move(1);
      return moved();
    case 'k':
      list_.move(-1);
      return moved();
    case 'g':
      list_.to_begin();
      return moved();
    case 'G':
      list_.to_end();
      return moved();
    case '<':
      return next_sort(-1);
    case '>':
      return next_sort(1);
    case 'r':
      descending_ = !descending_;
      ask_anew();
      return then::ask;
    case '/':
      mode_ = mode::search;
      typed_ = searched_;
      return then::draw;
    case 'i':
      return show_details();
    case 'x':
      return ask_to_end(false);
    case 'R':
      return ask_to_end(true);
    case ' ':
      paused_ = !paused_;
      return then::refresh;
    case '+':
      return faster(-1);
    case '-':
      return faster(1);
    case '?':
    case 'h':
      panel_ = top_help();
      panel_top_ = 0;
      mode_ = mode::panel;
      return then::draw;
    default:
      return then::draw;
  }
}

then top_model::press_search(const top_key& key) {
  switch (key.is) {
    case top_key::what::enter:
      mode_ = mode::list;
      search(typed_);
      return then::ask;
    case top_key::what::escape:
      mode_ = mode::list;
      return then::draw;
    case top_key::what::backspace:
      while (!typed_.empty() && (typed_.back() & 0xc0) == 0x80)
        typed_.pop_back();
      if (!typed_.empty())
        typed_.pop_back();
      return then::draw;
    case top_key::what::text:
      if (typed_.size() + key.text.size() <= search_bytes_max)
        typed_ += key.text;
      return then::draw;
    default:
      return then::draw;
  }
}

then top_model::press_panel(const top_key& key) {
  using what = top_key::what;
  switch (key.is) {
    case what::down:
      panel_top_ = std::min(panel_top_ + 1, panel_.size() - 1);
      return then::draw;
    case what::up:
      panel_top_ -= panel_top_ > 0 ? 1 : 0;
      return then::draw;
    default:
      mode_ = mode::list;
      return key.is == what::text && key.text == "q" ? then::draw : then::ask;
  }
}

then top_model::moved() const {
  return list_.complete() ? then::draw : then::ask;
}

then top_model::show_table(std::size_t table) {
  table_ = table;
  const auto& to = top_tables()[table];
  sort_ = to.sort;
  descending_ = to.descending;
  auto height = list_.height();
  list_ = top_list{sections_of(table)};
  list_.set_height(height);
  ++generation_;
  return then::ask;
}

then top_model::next_sort(int by) {
  auto columns = top_tables()[table_].columns;
  auto n = columns.size();
  std::size_t at = 0;
  for (std::size_t i = 0; i < n; ++i)
    if (columns[i].field == sort_)
      at = i;
  do {
    at = (at + n + static_cast<std::size_t>(by + static_cast<int>(n))) % n;
  } while (columns[at].field == "name"); // the tree's: no field of its own
  sort_ = columns[at].field;
  descending_ = columns[at].kind != top_kind::text;
  ask_anew();
  return then::ask;
}

then top_model::show_details() {
  auto line = list_.at(list_.cursor());
  if (line.row == nullptr)
    return then::draw;
  auto path = top_tables()[table_].path;
  auto heading =
    path == "rooms"    ? "Room " + tame(text_of(*line.row, "room"), ascii_)
    : path == "actors" ? name_of_actor(*line.row, ascii_)
    : path == "lag"
      ? fmt::format("Connection #{} in room {}", number_of(*line.row, "client"),
                    tame(text_of(*line.row, "room"), ascii_))
      : fmt::format("Connection #{}", number_of(*line.row, "client"));
  panel_ = details_of(*line.row, heading, ascii_);
  panel_top_ = 0;
  mode_ = mode::panel;
  return then::draw;
}

} // namespace greenroom::client
