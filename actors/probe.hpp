#pragma once

#include <cstdint>
#include <memory>

#include "actors/engine.hpp"
#include "actors/messages.hpp"
#include "actors/reader.hpp"
#include "actors/roster.hpp"
#include "actors/runtime/actor.hpp"
#include "actors/walk.hpp"

namespace greenroom {

/// The inspector's eye on one unit: walks its actors on its own thread, a chunk in
/// each turn, and hands over what happened there. One walk at a time; a new one
/// ends the old one.
class probe final : public actor {
public:
  /// @param env outlives this
  probe(caf::actor_config& cfg, unit& home, const engine& env);

  std::uint64_t parent() const override;

protected:
  bool receive(caf::mailbox_element& in) override;
  void stopped(errc why) override;

private:
  void begin(take_walk& x);
  void go_on();
  void finish();
  bool look_at(const actor& x);
  void count(const actor& x, const actor_stats& s);
  void show(const actor& x, const actor_stats& s);
  void show(const reader& x, const actor_stats& s);
  bool show_seats(const roster& members, std::uint64_t room,
                  std::string_view name);
  void show(const roster::seat& x, const roster& all, std::uint64_t room);
  void show_room(const actor& x, const actor_stats& s, const roster& members);
  bool asks_for(std::string_view room) const;

  template <class Row, class F>
  void offer(Row& row, bool later, F&& rest);

  const engine& env_;
  std::shared_ptr<const walk_plan> plan_; // null: no walk
  caf::actor whom_;
  std::shared_ptr<unit_findings> found_;
  actor_stats busiest_;
  actor_stats lagging_;
  bool wants_actors_ = false;
  bool wants_connections_ = false;
  bool wants_rooms_ = false;
  bool wants_edges_ = false;
  // Of these rows all is asked for, also of those that no page shows.
  bool whole_actors_ = false;
  bool whole_connections_ = false;
  bool whole_edges_ = false;
  std::size_t budget_ = 0; // actors and members that may still be looked at
  // Where in a room the walk is: from the last seat to the first, since whoever
  // leaves is replaced by the last one.
  std::uint64_t seats_of_ = 0; // the room's or outlet's actor
  std::size_t group_ = 0;
  std::size_t seats_left_ = 0;
  // One of each is filled again and again: their strings keep their memory.
  actor_row actor_row_;
  connection_row connection_row_;
  edge_row edge_row_;
  room_row room_row_;
};

} // namespace greenroom
