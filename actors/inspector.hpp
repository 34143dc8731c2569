#pragma once

#include <vector>

#include "actors/engine.hpp"
#include "actors/messages.hpp"
#include "actors/runtime/actor.hpp"
#include "actors/sample.hpp"
#include "actors/timer_wheel.hpp"

namespace greenroom {

/// Remembers nothing yet, tells everything: turns what units report into log lines
/// and writes a snapshot of all actors in regular intervals.
class inspector final : public actor {
public:
  inspector(caf::actor_config& cfg, unit& home, const engine& env,
            std::vector<caf::actor> probes);

protected:
  void started() override;
  bool receive(caf::mailbox_element& in) override;
  void stopped(errc why) override;

private:
  class pulse final : public timer {
  public:
    explicit pulse(inspector& owner) : owner_(owner) {}

  protected:
    void fired() override { tell(owner_.self(), tick{}); }

  private:
    inspector& owner_;
  };

  void write(const lifecycle_event& x);
  void beat();
  void snapshot();

  const engine& env_;
  std::vector<caf::actor> probes_;
  std::vector<unit_sample> samples_; // of the snapshot under way
  books books_;
  bool books_known_ = false;
  pulse pulse_;
  bool retiring_ = false;
};

/// The inspector's eye on one unit: walks its actors on its own thread, and hands
/// over what happened there.
class probe final : public actor {
public:
  probe(caf::actor_config& cfg, unit& home);

protected:
  bool receive(caf::mailbox_element& in) override;

private:
  unit_sample look() const;
};

} // namespace greenroom
