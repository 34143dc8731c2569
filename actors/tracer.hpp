#pragma once

#include <memory>

#include "actors/alarm.hpp"
#include "actors/engine.hpp"
#include "actors/inspection.hpp"
#include "actors/messages.hpp"
#include "actors/recorder.hpp"
#include "actors/runtime/actor.hpp"

namespace greenroom {

/// Follows one room or connection for somebody outside, for a bounded time: taps its
/// recorder and hands over what came, some times a second. Stays with a room that is
/// restarted; ends with its connection, its time or its listener.
class tracer final : public actor {
public:
  /// @param target null: the room is not there now
  tracer(caf::actor_config& cfg, unit& home, const engine& env,
         trace_order what, std::weak_ptr<trace_sink> to, caf::actor target);

  client_id serves() const noexcept override { return what_.client; }

  std::string_view room_name() const noexcept override { return what_.room; }

  std::uint64_t parent() const override;

protected:
  void started() override;
  bool receive(caf::mailbox_element& in) override;
  void monitor_down(const caf::down_msg& x) override;
  void stopped(errc why) override;

private:
  void look_at(caf::actor target);
  void hand_over();

  const engine& env_;
  trace_order what_;
  std::weak_ptr<trace_sink> to_;
  caf::actor target_;
  std::shared_ptr<trace_tap> tap_;
  steady_time until_{};
  alarm<tick> pulse_;
};

} // namespace greenroom
