#include "actors/walk.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace greenroom {

namespace {

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Whether `part` stands in `whole`, whatever the case of ASCII letters.
bool contains(std::string_view whole, std::string_view part) noexcept {
  return std::search(whole.begin(), whole.end(), part.begin(), part.end(),
                     [](char a, char b) { return lower(a) == lower(b); })
         != whole.end();
}

bool is_number(std::string_view text, std::uint64_t x) noexcept {
  std::uint64_t n = 0;
  auto [end, error] =
    std::from_chars(text.data(), text.data() + text.size(), n);
  return error == std::errc{} && end == text.data() + text.size() && n == x;
}

template <class Row>
bool sortable(const inspect_query& x) {
  return x.sort.empty() || field_index<Row>(x.sort) >= 0;
}

// What is added up, and what the larger one of is taken.
void add_part(room_row& to, const room_row& x) {
  if (x.actor != 0) { // the room itself, not an outlet
    to.actor = x.actor;
    to.unit = x.unit;
    to.named = x.named;
    to.epoch = x.epoch;
    to.offset = x.offset;
    to.publications = x.publications;
    to.bytes_in = x.bytes_in;
    to.outlets = x.outlets;
    to.restarts = x.restarts;
    to.age_ms = x.age_ms;
  }
  to.members += x.members;
  to.bytes_out += x.bytes_out;
  to.deliveries += x.deliveries;
  to.dropped += x.dropped;
  to.bytes_queued += x.bytes_queued;
  to.queue_max = std::max(to.queue_max, x.queue_max);
  to.lag_ms = std::max(to.lag_ms, x.lag_ms);
  to.cpu_us += x.cpu_us;
}

} // namespace

bool well_formed(const inspect_query& x) {
  if (x.limit > inspect_query::limit_max)
    return false;
  switch (x.what) {
    case view::overview:
      return true;
    case view::actors: {
      if (!sortable<actor_row>(x))
        return false;
      if (x.kind.empty())
        return true;
      for (std::size_t i = 0; i < static_cast<std::size_t>(actor_kind::last_);
           ++i)
        if (x.kind == to_string(static_cast<actor_kind>(i)))
          return true;
      return false;
    }
    case view::rooms:
      return sortable<room_row>(x);
    case view::connections:
      return sortable<connection_row>(x);
    case view::edges:
      return sortable<edge_row>(x);
    case view::closed:
      return sortable<closed_row>(x);
    case view::box:
      return !x.room.empty() || x.client != 0;
  }
  return false;
}

bool same_question(const inspect_query& x, const inspect_query& y) {
  return x.what == y.what && x.room == y.room && x.client == y.client
         && x.actor == y.actor && x.kind == y.kind && x.text == y.text
         && x.sort == y.sort && x.descending == y.descending
         && x.offset == y.offset && x.limit == y.limit;
}

found_rows selection_for(const inspect_query& x) {
  switch (x.what) {
    case view::actors:
      return top_rows<actor_row>{x};
    case view::rooms:
      return top_rows<room_row>{x};
    case view::connections:
      return top_rows<connection_row>{x};
    case view::edges:
      return top_rows<edge_row>{x};
    default:
      return {};
  }
}

// -- filters --------------------------------------------------------------------

bool fits(const inspect_query& what, const actor_row& x) {
  if (what.actor != 0 && what.actor != x.id)
    return false;
  if (what.client != 0 && what.client != x.client)
    return false;
  if (!what.kind.empty() && what.kind != x.kind)
    return false;
  if (!what.room.empty() && what.room != x.room)
    return false;
  return what.text.empty() || contains(x.room, what.text)
         || contains(x.user, what.text) || is_number(what.text, x.id)
         || (x.client != 0 && is_number(what.text, x.client));
}

bool fits(const inspect_query& what, const room_row& x) {
  if (what.actor != 0 && what.actor != x.actor)
    return false;
  if (!what.room.empty() && what.room != x.room)
    return false;
  return what.text.empty() || contains(x.room, what.text);
}

bool fits(const inspect_query& what, const connection_row& x) {
  if (what.client != 0 && what.client != x.client)
    return false;
  if (what.actor != 0 && what.actor != x.reader && what.actor != x.writer)
    return false;
  return what.text.empty() || contains(x.address, what.text)
         || contains(x.user, what.text) || is_number(what.text, x.client);
}

bool fits(const inspect_query& what, const edge_row& x) {
  if (what.client != 0 && what.client != x.client)
    return false;
  if (!what.room.empty() && what.room != x.room)
    return false;
  return what.text.empty() || contains(x.room, what.text)
         || contains(x.address, what.text) || contains(x.user, what.text)
         || is_number(what.text, x.client);
}

bool fits(const inspect_query& what, const closed_row& x) {
  if (what.client != 0 && what.client != x.client)
    return false;
  auto in_room = [&x](auto&& is) {
    return std::any_of(x.seats.begin(), x.seats.end(),
                       [&is](auto& s) { return is(s.room); });
  };
  if (!what.room.empty()
      && !in_room([&](auto& name) { return name == what.room; }))
    return false;
  return what.text.empty() || contains(x.address, what.text)
         || contains(x.user, what.text) || contains(x.reason, what.text)
         || is_number(what.text, x.client)
         || in_room([&](auto& name) { return contains(name, what.text); });
}

// -- units together -------------------------------------------------------------

void merge(unit_findings& to, unit_findings&& from) {
  for (std::size_t i = 0; i < to.rows.size(); ++i)
    std::visit(
      [&](auto& x) {
        using rows = std::remove_cvref_t<decltype(x)>;
        if constexpr (!std::is_same_v<rows, std::monostate>)
          x.merge(std::move(std::get<rows>(from.rows[i])));
      },
      to.rows[i]);
  auto& parts = from.rooms.rows;
  to.rooms.rows.insert(to.rooms.rows.end(),
                       std::make_move_iterator(parts.begin()),
                       std::make_move_iterator(parts.end()));
}

void settle_rooms(const walk_plan& plan, unit_findings& all,
                  std::vector<room_row>& idle) {
  std::unordered_map<std::string_view, room_row> whole;
  for (auto& part : all.rooms.rows) {
    auto& row = whole[part.room];
    row.room = part.room;
    add_part(row, part);
  }
  for (std::size_t i = 0; i < plan.questions.size(); ++i) {
    auto* rows = std::get_if<top_rows<room_row>>(&all.rows[i]);
    if (rows == nullptr)
      continue;
    auto offer = [&](room_row& row) {
      if (fits(plan.questions[i], row))
        rows->offer(row);
    };
    for (auto& [name, row] : whole)
      // An outlet whose room is between two lives is nobody's for now.
      if (row.actor != 0)
        offer(row);
    for (auto& row : idle)
      offer(row);
  }
  all.rooms.rows.clear();
}

void take_page(found_rows& from, inspect_page& to) {
  if (auto* edges = std::get_if<top_rows<edge_row>>(&from)) {
    // Whoever left while a room was looked at may have moved another one from
    // its end to a place that was not looked at yet.
    std::set<std::pair<client_id, std::string>> seen;
    to.rows = edges->page([&seen](const edge_row& x) {
      return !seen.insert({x.client, x.room}).second;
    });
    to.total = edges->total();
    return;
  }
  std::visit(
    [&](auto& x) {
      if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(x)>,
                                    std::monostate>) {
        to.rows = x.page();
        to.total = x.total();
      }
    },
    from);
}

} // namespace greenroom
