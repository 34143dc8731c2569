#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "actors/engine.hpp"
#include "actors/messages.hpp"
#include "actors/metrics.hpp"
#include "actors/roster.hpp"
#include "actors/timer_wheel.hpp"

namespace greenroom {

/// Counts a fault and has it logged, with both sides.
void report_fault(const engine& env, unit& home, audit_fault what,
                  client_id client, std::string_view room,
                  std::uint64_t expected, std::uint64_t found,
                  std::string_view repair);

/// Looks after the members of one roster, for a room or an outlet: three times in
/// `audit_options::every` at each, some at a time. What could be on its way is a
/// fault only when all three find it; questions to writers travel behind what they
/// ask about. A writer is on the same unit, whose actors run in turn: one that has
/// mail has run between two looks. Also tells the supervisor whom the roster knows.
/// One thread.
class auditor final : public timer {
public:
  auditor(const engine& env, unit& home, caf::actor_addr owner)
    : env_(env), home_(home), owner_(std::move(owner)) {}

  /// Call when somebody has joined.
  void begin(std::string_view room);

  /// At `audit_due`: looks at the next members.
  /// @param actor the room's
  /// @returns members to drop: one of their actors has ended long ago
  std::vector<client_id> look(const roster& members, const std::string& room,
                              std::uint64_t actor);

  /// A writer's answer.
  void note(const flush_state& x, const roster& members,
            const std::string& room);

protected:
  void fired() override;

private:
  /// What one look found, for the next one to confirm.
  struct suspicion {
    std::uint64_t look = 0; ///< the last one that had it
    std::uint8_t dead = 0;  ///< looks in a row
    std::uint8_t doomed = 0;
    bool asked = false;        ///< its writer has not answered yet
    bool overdue = false;      ///< and has handled the question
    bool waits = false;        ///< it has answered, and bytes wait
    std::uint64_t handled = 0; ///< messages of the writer, at the last look
    std::uint64_t due = 0;     ///< the same once it has handled the question
    std::uint64_t sent = 0;
  };

  void question(member& who, suspicion& x, const std::string& room);
  void examine(const roster::group& group, const roster::seat& seat,
               const roster& members, const std::string& room,
               std::vector<client_id>& gone);
  suspicion& suspect(client_id who);
  void end_look(bool anybody);

  const engine& env_;
  unit& home_;
  caf::actor_addr owner_;
  bool looking_ = false;
  std::uint64_t look_ = 0;
  std::size_t group_ = 0;
  std::size_t at_ = 0;
  std::unordered_map<client_id, suspicion> suspects_;
};

} // namespace greenroom
