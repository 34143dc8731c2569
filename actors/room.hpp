#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "actors/alarm.hpp"
#include "actors/audit.hpp"
#include "actors/engine.hpp"
#include "actors/fan_out.hpp"
#include "actors/messages.hpp"
#include "actors/roster.hpp"
#include "actors/runtime/actor.hpp"

namespace greenroom {

/// What was before a room's actor began.
struct room_past {
  bool named = false;         ///< by the command line
  std::uint64_t restarts = 0; ///< since the room was opened
};

/// One room: knows its members and its stream (epoch, offset), and broadcasts.
/// What is posted in one turn is encoded once per dialect, compressed once where
/// members agreed to that, and sent to each member as one message that points at the
/// bytes. The membership of a batch is constant:
/// every join and leave ends the turn first.
class room final : public actor {
public:
  room(caf::actor_config& cfg, unit& home, const engine& env, std::string name,
       room_options options, room_past past = {});

  std::string_view room_name() const noexcept override { return name_; }

  std::uint64_t parent() const override;

  // -- for those who look inside --

  std::size_t members() const noexcept {
    return here_.members().size() + elsewhere_.size();
  }

  const roster& here() const noexcept { return here_.members(); }

  std::size_t outlets() const noexcept { return outlets_.size(); }

  const std::string& epoch() const noexcept { return epoch_; }

  std::uint64_t offset() const noexcept { return offset_; }

  std::uint64_t publications() const noexcept { return publications_; }

  std::uint64_t bytes_in() const noexcept { return bytes_in_; }

  const room_past& past() const noexcept { return past_; }

protected:
  bool receive(caf::mailbox_element& in) override;
  void stopped(errc why) override;
  void took(std::chrono::nanoseconds run) override;
  void lost(caf::mailbox_element& in) override;
  void proceed() override;
  bool linked_by(caf::attachable& x) const override;

private:
  struct remote_seat {
    unit_id unit;
    bool echo;
    variant gets;
  };

  void add(join& x);
  void drop(const leave& x);
  void look_for(const ask_seat& x);
  void note(const box_note& x);
  void open_box();
  void find_missing(check_seats& x);
  void drop_strangers(check_strangers& x);
  void take(post& x);
  bool end_turn();
  std::shared_ptr<broadcast> encode_turn();
  bool send_on();
  void acknowledge();
  void encode_latest(broadcast& out) const;
  void mark(const wire_ptr& block, std::size_t events) const;
  caf::actor& outlet_on(unit_id where);
  bool sees_itself(client_id who) const;
  const protocol* dialect_of(client_id who) const;
  void use_variant(const variant& which, int by);
  wire_ptr answer_to(client_id who, const protocol& dialect, verb what,
                     const ticket& by) const;

  const engine& env_;
  std::string name_;
  room_options options_;
  room_past past_;
  std::string epoch_;
  std::uint64_t offset_ = 0;
  fan_out here_;
  auditor auditor_;
  std::unique_ptr<recorder> box_; // from the first publication on
  std::unordered_map<client_id, remote_seat> elsewhere_;
  std::unordered_map<unit_id, std::pair<caf::actor, std::size_t>> outlets_;
  /// With the number of their members; those of a dialect stand together.
  std::vector<std::pair<variant, std::size_t>> variants_;
  std::vector<event> turn_;           // posted since the last end of a turn
  std::vector<acknowledgement> due_;  // for publications of this turn
  std::vector<inflow_token> credits_; // of its publishers
  std::size_t turn_bytes_ = 0;
  steady_time turn_began_{}; // when its first publication came in
  std::uint64_t publications_ = 0;
  std::uint64_t bytes_in_ = 0;
  bool flush_asked_ = false;
  std::shared_ptr<remains> estate_; // of an end on demand
  alarm<flush> delay_;
};

} // namespace greenroom
