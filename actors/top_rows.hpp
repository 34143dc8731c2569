#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "actors/inspection.hpp"

namespace greenroom {

/// What rows are ordered by: a number or a text, then whom they are about.
struct row_key {
  std::int64_t number = 0;
  std::string_view text;
  std::uint64_t id = 0;
};

/// The place of a field among those of `Row`; -1 if it has none of that name that
/// can be sorted by.
template <class Row>
int field_index(std::string_view name) {
  int found = -1;
  int at = 0;
  Row{}.each_field([&](std::string_view field, const auto& value) {
    using value_type = std::remove_cvref_t<decltype(value)>;
    if (
      field == name
      && (std::is_arithmetic_v<
            value_type> || std::is_convertible_v<value_type, std::string_view>))
      found = at;
    ++at;
  });
  return found;
}

/// By what a view is sorted that nobody asked to sort otherwise.
constexpr std::string_view own_order(const actor_row*) {
  return "id";
}
constexpr std::string_view own_order(const room_row*) {
  return "members";
}
constexpr std::string_view own_order(const connection_row*) {
  return "lag_ms";
}
constexpr std::string_view own_order(const edge_row*) {
  return "lag_ms";
}
constexpr std::string_view own_order(const closed_row*) {
  return "closed_at";
}

namespace detail {

inline std::uint64_t id_of(const actor_row& x) {
  return x.id;
}
inline std::uint64_t id_of(const room_row&) {
  return 0;
}
inline std::uint64_t id_of(const connection_row& x) {
  return x.client;
}
inline std::uint64_t id_of(const edge_row& x) {
  return x.client;
}
inline std::uint64_t id_of(const closed_row& x) {
  return x.client;
}

template <class Row>
std::string_view name_of(const Row&) {
  return {};
}
inline std::string_view name_of(const room_row& x) {
  return x.room;
}
inline std::string_view name_of(const edge_row& x) {
  return x.room;
}

} // namespace detail

/// The first rows of an order, as many as a page and those in front of it need:
/// a bounded heap whose top is the row that has to go first.
template <class Row>
class top_rows {
public:
  /// @pre `what.sort` names a field or nothing
  explicit top_rows(const inspect_query& what)
    : descending_(what.descending), offset_(what.offset), limit_(what.limit),
      keep_(std::min(what.offset + what.limit, inspect_query::depth_max)),
      field_(field_index<Row>(what.sort.empty()
                                ? own_order(static_cast<const Row*>(nullptr))
                                : std::string_view{what.sort})),
      by_text_(is_text(field_)) {}

  std::size_t total() const noexcept { return total_; }

  std::size_t size() const noexcept { return heap_.size(); }

  /// Counts a row and keeps a copy of it if it is among the first.
  /// @param complete called with the row before it is copied: fills in what is
  /// dear. Where that changes its place, it is judged by both
  template <class R, class F>
  void offer(R& row, F&& complete) {
    ++total_;
    if (!is_due(row))
      return;
    complete(row);
    if (heap_.size() < keep_) {
      rows_.push_back(row);
      heap_.push_back({key_of(rows_.back()), &rows_.back()});
      std::push_heap(heap_.begin(), heap_.end(), order());
    } else if (is_due(row)) {
      std::pop_heap(heap_.begin(), heap_.end(), order());
      auto& last = heap_.back();
      *last.row = row;
      last.key = key_of(*last.row);
      std::push_heap(heap_.begin(), heap_.end(), order());
    }
  }

  void offer(const Row& row) {
    offer(row, [](const Row&) {});
  }

  /// Adds what another one, made for the same question, has kept and counted.
  void merge(top_rows&& other) {
    total_ += other.total_ - other.heap_.size();
    for (auto& x : other.heap_)
      offer(*x.row);
    other = top_rows{inspect_query{}};
  }

  /// The rows of the page, in order. Call once.
  /// @param repeated whether a row is there already: it is left out
  template <class Repeated>
  std::vector<Row> page(Repeated&& repeated) {
    std::sort_heap(heap_.begin(), heap_.end(), order());
    std::vector<Row> result;
    std::size_t at = 0;
    for (auto& x : heap_) {
      if (repeated(*x.row)) {
        --total_;
        continue;
      }
      if (at++ < offset_)
        continue;
      if (result.size() == limit_)
        break;
      result.push_back(*x.row);
    }
    return result;
  }

  std::vector<Row> page() {
    return page([](const Row&) { return false; });
  }

private:
  struct entry {
    row_key key;
    Row* row;
  };

  // Whether `a` stands in front of `b`.
  struct in_order {
    bool descending;

    bool operator()(const entry& a, const entry& b) const {
      if (a.key.number != b.key.number)
        return (a.key.number < b.key.number) != descending;
      // Equals stand as they are met, in the order a unit walks: so a heap that is
      // full stays as it is.
      if (!text_first && a.key.id != b.key.id)
        return (a.key.id < b.key.id) != descending;
      if (auto c = a.key.text.compare(b.key.text); c != 0)
        return (c < 0) != (descending && text_first);
      return a.key.id != b.key.id && (a.key.id < b.key.id) != descending;
    }

    bool text_first;
  };

  in_order order() const { return {descending_, by_text_}; }

  bool is_due(const Row& x) const {
    return heap_.size() < keep_
           || (keep_ != 0 && order()({key_of(x), nullptr}, heap_.front()));
  }

  static bool is_text(int field) {
    bool result = false;
    int at = 0;
    Row{}.each_field([&](std::string_view, const auto& value) {
      using value_type = std::remove_cvref_t<decltype(value)>;
      if (at++ == field)
        result = !std::is_arithmetic_v<value_type>;
    });
    return result;
  }

  row_key key_of(const Row& x) const {
    row_key key{0, {}, detail::id_of(x)};
    int at = 0;
    x.each_field([&](std::string_view, const auto& value) {
      using value_type = std::remove_cvref_t<decltype(value)>;
      if (at++ != field_)
        return;
      if constexpr (std::is_arithmetic_v<value_type>) {
        key.number = static_cast<std::int64_t>(value);
      } else if constexpr (std::is_convertible_v<value_type,
                                                 std::string_view>) {
        key.text = value;
      }
    });
    if (!by_text_)
      key.text = detail::name_of(x);
    return key;
  }

  bool descending_;
  std::size_t offset_;
  std::size_t limit_;
  std::size_t keep_;
  int field_;
  bool by_text_;
  std::size_t total_ = 0;
  std::deque<Row> rows_; // never moved: keys point into them
  std::vector<entry> heap_;
};

} // namespace greenroom
