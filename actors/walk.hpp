#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "actors/inspection.hpp"
#include "actors/sample.hpp"
#include "actors/top_rows.hpp"

namespace greenroom {

/// One walk over all actors: what it is to find.
struct walk_plan {
  std::uint64_t number = 0;
  std::vector<inspect_query> questions;

  bool wants(view x) const noexcept {
    for (auto& q : questions)
      if (q.what == x)
        return true;
    return false;
  }
};

/// Room rows of one walk that must not be judged alone: rooms with members on
/// several units. Added up by name before they are ordered.
struct room_parts {
  std::vector<room_row> rows;
};

/// The rows one question has found so far. `monostate`: what it asks for is not
/// found by walking.
using found_rows =
  std::variant<std::monostate, top_rows<actor_row>, top_rows<room_row>,
               top_rows<connection_row>, top_rows<edge_row>>;

/// What one unit has found.
struct unit_findings {
  unit_sample sample;
  unit_row unit;
  std::vector<found_rows> rows; ///< as many as questions
  room_parts rooms;             ///< for all questions about rooms
};

/// Whether a question can be answered at all: its field exists, its page lies
/// within the bounds, and it says what its view needs.
bool well_formed(const inspect_query& x);

/// Whether two questions have the same answer.
bool same_question(const inspect_query& x, const inspect_query& y);

/// An empty selection for a question.
found_rows selection_for(const inspect_query& x);

/// Whether a row is what a question asks for.
bool fits(const inspect_query& what, const actor_row& x);
bool fits(const inspect_query& what, const room_row& x);
bool fits(const inspect_query& what, const connection_row& x);
bool fits(const inspect_query& what, const edge_row& x);
bool fits(const inspect_query& what, const closed_row& x);

/// Adds to `to` what another unit has found for the same plan.
void merge(unit_findings& to, unit_findings&& from);

/// Adds up the parts of rooms and has the questions of `plan` look at them.
/// @param idle rooms that no actor runs
void settle_rooms(const walk_plan& plan, unit_findings& all,
                  std::vector<room_row>& idle);

/// The page of one selection. Call once.
void take_page(found_rows& from, inspect_page& to);

} // namespace greenroom
