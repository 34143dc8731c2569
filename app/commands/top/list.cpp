#include "app/commands/top/list.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "app/commands/client/url.hpp"
#include "app/commands/top/views.hpp"

namespace greenroom::client {

namespace {

/// Children of one row that are shown; a room has an outlet per unit at most.
constexpr std::size_t children_max = 256;

/// Rows of one answer.
constexpr std::size_t rows_max = 1000;

std::size_t reachable(const top_section& x) {
  return std::min(x.total, top_section::reach);
}

} // namespace

std::vector<top_section> sections_of(std::size_t table) {
  if (table != top_tree)
    return {{.ask = {std::string{top_tables()[table].path}, ""}}};
  auto actors = [](std::string_view kind) {
    return top_question{"actors", fmt::format("&kind={}", kind)};
  };
  return {
    {.ask = actors("supervisor"), .searched = false},
    {.ask = actors("room"), .title = "rooms", .level = 1},
    {.ask = actors("reader"), .title = "connections", .level = 1},
    {.ask = actors("inspector"), .level = 1, .searched = false},
    {.ask = actors("reaper"), .level = 1, .searched = false},
    {.ask = actors("probe"),
     .title = "probes",
     .level = 1,
     .open = false,
     .searched = false},
  };
}

// -- lines --------------------------------------------------------------------------

std::size_t top_list::lines_of(std::size_t section) const {
  const auto& x = sections_[section];
  std::size_t lines = x.title.empty() ? 0 : 1;
  if (x.open) {
    lines += reachable(x);
    if (branch_ && branch_->section == section && branch_->index < reachable(x))
      lines += branch_->rows.size();
  }
  return lines;
}

std::size_t top_list::size() const {
  std::size_t lines = 0;
  for (std::size_t i = 0; i < sections_.size(); ++i)
    lines += lines_of(i);
  return lines;
}

top_line top_list::at(std::size_t index) const {
  for (std::size_t i = 0; i < sections_.size(); ++i) {
    auto lines = lines_of(i);
    if (index >= lines) {
      index -= lines;
      continue;
    }
    const auto& x = sections_[i];
    if (!x.title.empty() && index-- == 0)
      return {top_line::what::title, i, x.level, nullptr};
    if (branch_ && branch_->section == i && index > branch_->index) {
      auto child = index - branch_->index - 1;
      if (child < branch_->rows.size())
        return {top_line::what::child, i, x.level + 2,
                branch_->rows[child].if_object()};
      index -= branch_->rows.size();
    }
    auto level = x.title.empty() ? x.level : x.level + 1;
    if (index < x.offset || index - x.offset >= x.rows.size())
      return {top_line::what::unknown, i, level, nullptr};
    return {top_line::what::row, i, level,
            x.rows[index - x.offset].if_object()};
  }
  return {};
}

// -- the window -----------------------------------------------------------------------

void top_list::set_height(std::size_t lines) {
  height_ = std::max<std::size_t>(lines, 1);
  keep_inside();
}

void top_list::keep_inside() {
  auto lines = size();
  cursor_ = std::min(cursor_, lines == 0 ? 0 : lines - 1);
  if (cursor_ < top_)
    top_ = cursor_;
  if (cursor_ >= top_ + height_)
    top_ = cursor_ + 1 - height_;
  top_ = std::min(top_, lines > height_ ? lines - height_ : 0);
}

void top_list::move_to(std::size_t index) {
  cursor_ = index;
  keep_inside();
}

void top_list::move(std::ptrdiff_t by) {
  auto far = static_cast<std::ptrdiff_t>(cursor_) + by;
  move_to(static_cast<std::size_t>(std::max<std::ptrdiff_t>(far, 0)));
}

// -- rows -------------------------------------------------------------------------------

std::pair<std::size_t, std::size_t> top_list::wanted(std::size_t section,
                                                     bool around) const {
  const auto& x = sections_[section];
  std::size_t begin = 0;
  for (std::size_t i = 0; i < section; ++i)
    begin += lines_of(i);
  begin += x.title.empty() ? 0 : 1;
  auto bottom = top_ + height_;
  if (!x.open || begin >= bottom)
    return {0, 1}; // how many there are
  // Children in the window make this a few rows more than are shown.
  auto first = top_ > begin ? top_ - begin : 0;
  if (branch_ && branch_->section == section && first > branch_->index)
    first -= std::min(first - branch_->index, branch_->rows.size());
  first = std::min(first, reachable(x) == 0 ? 0 : reachable(x) - 1);
  auto before = around ? std::min(first, height_) : 0;
  auto behind = around ? height_ : 0;
  first -= before;
  auto count = std::min(before + bottom - std::max(begin, top_) + behind,
                        top_section::reach - first);
  return {first, std::min(count, rows_max)};
}

bool top_list::complete() const {
  for (auto i = top_; i < std::min(top_ + height_, size()); ++i)
    if (at(i).is == top_line::what::unknown)
      return false;
  return true;
}

void top_list::take(std::size_t section, std::size_t offset,
                    const boost::json::object& page) {
  auto& x = sections_[section];
  x.total = static_cast<std::size_t>(
    std::max<std::int64_t>(number_of(page, "total"), 0));
  x.offset = offset;
  x.rows.clear();
  if (auto* rows = page.if_contains("rows");
      rows != nullptr && rows->is_array())
    x.rows = rows->get_array();
  // An open row may stand elsewhere now; if it is out of sight it stays.
  if (branch_ && branch_->section == section)
    for (std::size_t i = 0; i < x.rows.size(); ++i)
      if (auto* row = x.rows[i].if_object();
          row != nullptr && number_of(*row, "id") == branch_->id)
        branch_->index = offset + i;
  keep_inside();
}

void top_list::forget() {
  branch_.reset();
  for (auto& x : sections_) {
    x.rows.clear();
    x.offset = 0;
  }
  top_ = 0;
  cursor_ = 0;
}

// -- branches -------------------------------------------------------------------------

bool top_list::toggle() {
  auto line = at(cursor_);
  auto& x = sections_[line.section];
  if (line.is == top_line::what::title) {
    x.open = !x.open;
    keep_inside();
    return true;
  }
  if (line.is != top_line::what::row || line.row == nullptr)
    return false;
  auto kind = text_of(*line.row, "kind");
  if (kind != "room" && kind != "reader")
    return false;
  auto id = number_of(*line.row, "id");
  if (branch_ && branch_->id == id) {
    branch_.reset();
    keep_inside();
    return true;
  }
  branch opened;
  opened.section = line.section;
  opened.id = id;
  for (std::size_t i = 0; i < x.rows.size(); ++i)
    if (x.rows[i].if_object() == line.row)
      opened.index = x.offset + i;
  opened.ask = {"actors",
                kind == "room"
                  ? fmt::format("&kind=outlet&limit={}&room={}", children_max,
                                encode_segment(text_of(*line.row, "room")))
                  : fmt::format("&kind=writer&limit={}&client={}", children_max,
                                number_of(*line.row, "client"))};
  branch_ = std::move(opened);
  keep_inside();
  return true;
}

std::optional<top_question> top_list::children() const {
  if (!branch_)
    return std::nullopt;
  return branch_->ask;
}

void top_list::take_children(const boost::json::object& page) {
  if (!branch_)
    return;
  branch_->rows.clear();
  if (auto* rows = page.if_contains("rows");
      rows != nullptr && rows->is_array())
    branch_->rows = rows->get_array();
  keep_inside();
}

} // namespace greenroom::client
