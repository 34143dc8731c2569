#include "actors/closed_memory.hpp"

#include <algorithm>
#include <utility>

#include "actors/walk.hpp"

namespace greenroom {

void closed_memory::note(closed_row& row, const closed_seat& seat) {
  auto i = std::find_if(row.seats.begin(), row.seats.end(),
                        [&](auto& x) { return x.room == seat.room; });
  if (i != row.seats.end())
    i->offset = seat.offset;
  else if (row.seats.size() < closed_row::seats_max)
    row.seats.push_back(seat);
}

void closed_memory::add(closed_row row) {
  auto who = row.client;
  if (auto i = early_.find(who); i != early_.end()) {
    for (auto& seat : i->second)
      note(row, seat);
    early_.erase(i);
  }
  if (max_ == 0)
    return;
  if (rows_.size() >= max_) {
    numbers_.erase(rows_.front().client);
    rows_.pop_front();
    ++first_;
  }
  numbers_[who] = first_ + rows_.size();
  rows_.push_back(std::move(row));
}

void closed_memory::add_seat(client_id who, const std::string& room,
                             std::uint64_t offset) {
  if (auto i = numbers_.find(who); i != numbers_.end()) {
    note(rows_[i->second - first_], {room, offset});
    return;
  }
  auto i = early_.find(who);
  if (i == early_.end()) {
    // Rows that never come must not pile up what came before them.
    if (early_.size() >= max_)
      early_.clear();
    i = early_.emplace(who, std::vector<closed_seat>{}).first;
  }
  if (i->second.size() < closed_row::seats_max)
    i->second.push_back({room, offset});
}

const closed_row* closed_memory::find(client_id who) const {
  auto i = numbers_.find(who);
  return i == numbers_.end() ? nullptr : &rows_[i->second - first_];
}

void closed_memory::answer(const inspect_query& what,
                           inspect_page& page) const {
  // The usual question needs no look at all of them.
  if ((what.sort.empty() || what.sort == "closed_at") && what.descending
      && what.room.empty() && what.client == 0 && what.text.empty()) {
    std::vector<closed_row> rows;
    for (auto i = what.offset; i < rows_.size() && rows.size() < what.limit
                               && i < inspect_query::depth_max;
         ++i)
      rows.push_back(at(i));
    page.total = rows_.size();
    page.rows = std::move(rows);
    return;
  }
  top_rows<closed_row> found{what};
  auto offer = [&](const closed_row& x) {
    if (fits(what, x))
      found.offer(x);
  };
  if (what.client != 0) {
    if (auto* x = find(what.client))
      offer(*x);
  } else {
    for (std::size_t i = 0; i < rows_.size(); ++i)
      offer(at(i));
  }
  page.rows = found.page();
  page.total = found.total();
}

} // namespace greenroom
