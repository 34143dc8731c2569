#pragma once

#include <string>
#include <vector>

#include "actors/audit.hpp"
#include "actors/engine.hpp"
#include "actors/fan_out.hpp"
#include "actors/messages.hpp"
#include "actors/roster.hpp"
#include "actors/runtime/actor.hpp"

namespace greenroom {

/// A room's members on one unit that is not the room's home: gets one message per
/// turn and fans out on its own thread. Answers to joins and leaves travel the
/// same way, so nothing overtakes them. Linked to its room.
class outlet final : public actor {
public:
  outlet(caf::actor_config& cfg, unit& home, const engine& env,
         caf::actor owner, std::string name, overflow_policy overflow);

  std::string_view room_name() const noexcept override { return name_; }

  std::uint64_t parent() const override;

  const roster& here() const noexcept { return here_.members(); }

protected:
  void started() override;
  bool receive(caf::mailbox_element& in) override;
  void stopped(errc why) override;
  bool linked_by(caf::attachable& x) const override;
  void lost(caf::mailbox_element& in) override;
  void proceed() override;

private:
  void send_on();

  const engine& env_;
  caf::actor room_;
  std::string name_;
  fan_out here_;
  auditor auditor_;
  std::vector<acknowledgement> due_; // for publications of the turn under way
};

} // namespace greenroom
