#pragma once

#include <cstdint>
#include <memory>

#include "actors/engine.hpp"
#include "actors/messages.hpp"
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
  void look_at(const actor& x);
  void count(const actor& x, const actor_stats& s);
  void show(const actor& x, const actor_stats& s);

  const engine& env_;
  std::shared_ptr<const walk_plan> plan_; // null: no walk
  caf::actor whom_;
  std::shared_ptr<unit_findings> found_;
  actor_stats busiest_;
  actor_stats lagging_;
  bool wants_actors_ = false;
  bool sorts_by_ties_ = false;
  // One of each is filled again and again: their strings keep their memory.
  actor_row actor_row_;
};

} // namespace greenroom
