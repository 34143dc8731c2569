#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "actors/inspection.hpp"

namespace greenroom {

/// Why was I disconnected? The last closed connections, the newest first, as many
/// as there is room for. A row takes about half a KiB; long names of rooms may
/// make it three. One thread.
class closed_memory {
public:
  explicit closed_memory(std::size_t max) : max_(max) {}

  /// Remembers a connection; the oldest one makes room.
  void add(closed_row row);

  /// How far a connection had come in a room. May come before its row, which is
  /// made when the last of the connection is gone.
  void add_seat(client_id who, const std::string& room, std::uint64_t offset);

  /// No row of this connection will come.
  void forget(client_id who) { early_.erase(who); }

  std::size_t size() const noexcept { return rows_.size(); }

  /// Null if it is not remembered.
  const closed_row* find(client_id who) const;

  /// @param age 0 is the newest
  const closed_row& at(std::size_t age) const {
    return rows_[rows_.size() - 1 - age];
  }

  /// The page a question asks for.
  void answer(const inspect_query& what, inspect_page& page) const;

private:
  static void note(closed_row& row, const closed_seat& seat);

  std::size_t max_;
  std::uint64_t first_ = 0; // number of the oldest row
  std::deque<closed_row> rows_;
  std::unordered_map<client_id, std::uint64_t> numbers_;
  std::unordered_map<client_id, std::vector<closed_seat>> early_;
};

} // namespace greenroom
