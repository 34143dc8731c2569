#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "actors/alarm.hpp"
#include "actors/closed_memory.hpp"
#include "actors/engine.hpp"
#include "actors/messages.hpp"
#include "actors/runtime/actor.hpp"
#include "actors/walk.hpp"

namespace greenroom {

/// Answers those who look inside, and tells the log: turns what units report into
/// lines, and walks over all actors when somebody asks or a snapshot line is due.
/// A walk is one message to each probe. However many ask, one walk runs at a time,
/// and in the long run one in each sampling period.
class inspector final : public actor {
public:
  inspector(caf::actor_config& cfg, unit& home, const engine& env,
            std::vector<caf::actor> probes,
            std::shared_ptr<closed_memory> closed);

  std::uint64_t parent() const override;

protected:
  void started() override;
  bool receive(caf::mailbox_element& in) override;
  void stopped(errc why) override;

private:
  /// Tells the inspector something when its time has come.
  using question = std::shared_ptr<inquiry<inspect_query, inspect_page>>;

  /// A question that was answered, for those who ask the same within the period.
  struct answered {
    inspect_query what;
    inspect_page page;
    steady_time asked_at; ///< by somebody, the last time
  };

  void remember(const lifecycle_event& x);
  void write(const lifecycle_event& x) const;
  void retire_softly();

  void take(question x);
  bool answer_at_once(question& x);
  void ask_for_box(const question& x) const;
  void start_walk();
  void walk_is_due();
  void add(walked& x);
  void add(idle_rooms& x);
  void finish_walk();
  void abandon_walk();
  inspect_page answer_to(std::size_t which);
  overview sum_up() const;

  void beat();
  void ask_for_books();
  void write_snapshot();
  void note_latency();

  const engine& env_;
  std::vector<caf::actor> probes_;

  std::shared_ptr<closed_memory> closed_;

  // -- questions --
  std::vector<question> waiting_;         // not in a walk yet
  std::shared_ptr<const walk_plan> plan_; // of the walk under way; null: none
  std::vector<question> asked_;           // what it will answer
  std::unique_ptr<unit_findings> found_;
  unit_sample sum_; // of the units that have answered
  std::vector<unit_row> units_;
  std::vector<room_row> idle_rooms_;
  std::size_t answers_due_ = 0; // of units, and of the supervisor
  std::uint64_t walks_ = 0;
  steady_time walk_began_{};
  steady_time paid_until_{}; // walks use up time in advance: see `start_walk`
  std::vector<answered> answers_; // of the last walk
  steady_time answered_at_{};
  alarm<walk_due> due_;

  // -- the snapshot line --
  bool snapshot_wanted_ = false; // by the next walk
  bool snapshot_walks_ = false;  // by the one under way
  std::unique_ptr<unit_sample> sample_;
  std::unique_ptr<books> books_;
  alarm<tick> pulse_;

  // -- latency of the last moments: the histogram as it was one and two periods ago --
  histogram_counts latency_before_;
  histogram_counts latency_long_before_;
  alarm<latency_due> clock_;

  bool retiring_ = false;
};

} // namespace greenroom
