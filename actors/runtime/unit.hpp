#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/execution_unit.hpp>
#include <caf/make_actor.hpp>

#include "actors/event_loop.hpp"
#include "actors/metrics.hpp"
#include "actors/runtime/actor.hpp"
#include "actors/runtime/lifecycle.hpp"

namespace greenroom {

struct unit_options {
  /// Actors resumed between two polls of the sockets: accepts and pings stay
  /// alive in a flood of mail. More batches better, fewer answers sooner.
  std::size_t resumes_per_turn = 2048;
  /// Messages one actor handles before others get their turn.
  std::size_t messages_per_resume = 512;
  /// Lifecycle events kept for the inspector; more are counted and lost.
  std::size_t lifecycle_max = 8192;
  /// Virtual time for tests; null: the steady clock.
  const steady_time* clock = nullptr;
};

/// One thread with one event loop that runs two things in turn: the sockets that
/// are ready, and the actors that have mail. A turn polls, runs the actors, then
/// flushes every socket that got something once. See README.md.
class unit final : public caf::execution_unit {
public:
  unit(caf::actor_system& sys, unit_id id, event_loop& loop, metrics& counts,
       unit_options options = {});

  ~unit() override;

  unit(const unit&) = delete;
  unit& operator=(const unit&) = delete;

  unit_id id() const noexcept { return id_; }

  event_loop& loop() const noexcept { return loop_; }

  timer_wheel& timers() const noexcept { return loop_.timers(); }

  metrics& counts() const noexcept { return counts_; }

  /// The clock of the turn. Its thread only.
  steady_time now() const noexcept { return loop_.timers().now(); }

  /// The same in milliseconds, the lower half: for notes.
  std::uint32_t now_ms() const noexcept { return now_ms_; }

  /// One turn, without sleeping. @returns whether there is more to do at once
  bool turn();

  /// Turns and sleeps until `stop`. The calling thread becomes the unit's.
  void run();

  /// Ends `run` once no actor lives. Those that live `grace` later are ended with
  /// `shutdown`, whatever they were about. Any thread.
  void stop(std::chrono::milliseconds grace) noexcept;

  /// Puts an actor with mail into the ready queue. Any thread.
  void schedule(actor& x) noexcept;

  void exec_later(caf::resumable* x) override;

  /// Whether the calling thread is this unit's.
  bool is_current() const noexcept;

  /// Makes the calling thread the unit's: for tests that step units by hand.
  void enter() noexcept;

  // -- inspection, its thread only ------------------------------------------------

  void report(lifecycle_event what);

  /// As `report`, for a black box: more than `boxes_per_second` are counted as lost,
  /// since a whole room may end at once.
  void report_box(lifecycle_event what);

  static constexpr std::uint32_t boxes_per_second = 20;

  /// Who gets the reported events in batches, one per turn.
  void report_to(std::function<void(lifecycle_batch)> receiver) {
    reporter_ = std::move(receiver);
  }

  std::size_t live_actors() const noexcept { return live_count_; }

  /// Visits every live actor of this unit.
  template <class F>
  void each_actor(F&& visit) const {
    for (auto* x = live_; x != nullptr; x = x->next_live_)
      visit(*x);
  }

  std::uint64_t turns() const noexcept { return turns_; }

  /// What rooms have sent in the last moments, each counted as one member of it
  /// gets it: no member has got more. Its thread only.
  class recent_bytes {
  public:
    static constexpr std::chrono::milliseconds window{20};

    void add(steady_time now, std::uint64_t turn,
             std::uint64_t bytes) noexcept {
      roll(now);
      bytes_ += bytes;
      turn_bytes_ = in_turn(turn) + bytes;
      turn_ = turn;
    }

    std::uint64_t in_turn(std::uint64_t turn) const noexcept {
      return turn_ == turn ? turn_bytes_ : 0;
    }

    std::uint64_t at(steady_time now) noexcept {
      roll(now);
      return bytes_;
    }

  private:
    void roll(steady_time now) noexcept {
      if (now - began_ < window)
        return;
      began_ = now;
      bytes_ = 0;
    }

    steady_time began_{};
    std::uint64_t bytes_ = 0;
    std::uint64_t turn_ = 0;
    std::uint64_t turn_bytes_ = 0;
  };

  recent_bytes& sent_lately() noexcept { return sent_lately_; }

  /// Messages that its actors have handled, those that have ended included.
  std::uint64_t handled() const noexcept { return handled_; }

  /// Begins a walk over the live actors that may take many turns. There is one
  /// walk at a time: a new one ends the old one.
  void begin_walk() noexcept { cursor_ = live_; }

  /// Where the walk is; null at its end. When that actor ends, the walk is at the
  /// one behind it. Actors that are born meanwhile are not met.
  const actor* walk_at() const noexcept { return cursor_; }

  void walk_on() noexcept {
    if (cursor_ == nullptr)
      return;
    cursor_ = cursor_->next_live_;
    // Actors lie all over the memory: the one behind comes while this one is looked
    // at, which saves a sixth of a walk.
    if (cursor_ != nullptr && cursor_->next_live_ != nullptr) {
      auto* next = reinterpret_cast<const char*>(cursor_->next_live_);
      for (std::size_t at = 0; at < sizeof(actor) + 64; at += 64)
        __builtin_prefetch(next + at);
    }
  }

  /// Runs `f` in the next turn, behind the sockets: for work that is cut into
  /// pieces between which everything else goes on.
  void next_turn(std::function<void()> f) {
    next_turn_.push_back(std::move(f));
  }

  /// CPU time that inspection has cost here.
  std::chrono::nanoseconds sampling_cost() const noexcept {
    return sampling_cost_;
  }

  void charge_sampling(std::chrono::nanoseconds x) noexcept {
    sampling_cost_ += x;
  }

  /// Written by this unit's actors.
  thread_histograms& histograms() noexcept { return histograms_; }

private:
  friend class actor;

  void cut_off();
  void adopt(actor& x) noexcept;
  void disown(actor& x) noexcept;
  std::size_t run_ready(std::size_t budget);
  void take_remote() noexcept;
  void push_ready(actor* x) noexcept;
  void ready_paused() noexcept;

  unit_id id_;
  event_loop& loop_;
  metrics& counts_;
  unit_options options_;
  // Actors with mail: an intrusive queue of this thread, and a stack for others.
  actor* ready_head_ = nullptr;
  actor* ready_tail_ = nullptr;
  std::vector<actor*> paused_; // ready in the next turn
  recent_bytes sent_lately_;
  std::vector<actor*> resting_; // the same, but it may be long until then
  std::atomic<actor*> remote_{nullptr};
  actor* live_ = nullptr;
  std::size_t live_count_ = 0;
  std::uint64_t turns_ = 0;
  std::uint64_t handled_ = 0;
  std::int64_t resume_started_ = 0;
  std::uint32_t now_ms_ = 0;
  const actor* cursor_ = nullptr;
  std::vector<std::function<void()>> next_turn_;
  std::chrono::nanoseconds sampling_cost_{0};
  thread_histograms& histograms_;
  std::chrono::seconds box_second_{0};
  std::uint32_t boxes_ = 0;
  lifecycle_batch reported_;
  std::uint64_t reports_lost_ = 0;
  std::function<void(lifecycle_batch)> reporter_;
  std::atomic<std::int64_t> grace_{0}; // milliseconds
  std::atomic<bool> stopping_{false};
};

template <class T, class... Ts>
caf::actor spawn_on(unit& home, Ts&&... xs) {
  auto& sys = home.system();
  caf::actor_config cfg{&home};
  auto ptr = caf::make_actor<T, caf::strong_actor_ptr>(
    sys.next_actor_id(), sys.node(), &sys, cfg, home, std::forward<Ts>(xs)...);
  auto* raw = static_cast<T*>(caf::actor_cast<caf::abstract_actor*>(ptr));
  raw->register_at_system();
  home.schedule(*raw); // its first resume calls `started`
  return caf::actor_cast<caf::actor>(std::move(ptr));
}

} // namespace greenroom
