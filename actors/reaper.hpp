#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/alarm.hpp"
#include "actors/engine.hpp"
#include "actors/inspection.hpp"
#include "actors/messages.hpp"
#include "actors/runtime/actor.hpp"

namespace greenroom {

/// What a reaper is about.
struct reap_target {
  /// `reader`, `writer`, `connection`, `room`, `outlet`, `restart`: a literal.
  std::string_view what;
  std::uint64_t actor = 0; ///< that was named, or the room's
  // -- of a connection
  member_ptr who;
  bool socket_gone = false; ///< before the order
  // -- of a room
  std::string room;
  caf::actor where;
  std::shared_ptr<remains> estate;
};

/// Sees one order to end something through to its receipt. Believes nobody: it
/// watches the actors itself, has every roster say that it does not know the client
/// any more, and hears from the supervisor that the descriptor is closed and the
/// record gone. What is not confirmed at the deadline is named. Ends with its
/// answer.
class reaper final : public actor {
public:
  reaper(caf::actor_config& cfg, unit& home, const engine& env, order_ptr first,
         reap_target what);

  client_id serves() const noexcept override {
    return target_.who ? target_.who->id : 0;
  }

  std::string_view room_name() const noexcept override { return target_.room; }

protected:
  void started() override;
  bool receive(caf::mailbox_element& in) override;
  void monitor_down(const caf::down_msg& x) override;
  void link_down(const caf::exit_msg& x) override;
  void stopped(errc why) override;
  void lost(caf::mailbox_element& in) override;

private:
  void strike();
  void look();
  void ask_again();
  std::vector<std::string> left() const;
  receipt result() const;
  void answer(errc why);

  const engine& env_;
  std::vector<order_ptr> orders_; // the first and those that came meanwhile
  reap_target target_;
  steady_time begin_{};
  alarm<tick> pulse_;
  bool reader_down_ = false;
  bool writer_down_ = false;
  bool buried_ = false;
  bool seats_left_ = false;
  /// By room: whether it was confirmed that it does not know the client.
  std::map<std::string, bool> seats_;
  bool room_down_ = false;
  bool room_over_ = false;
  std::size_t actors_ = 0;
  std::size_t members_ = 0;
  bool moving_ = false; // the successor has not counted its members
  std::size_t moved_ = 0;
  bool supervisor_down_ = false;
  std::uint64_t bytes_before_ = 0;
  std::uint64_t frames_before_ = 0;
};

/// Reports what became of an order, for the log.
void report_action(unit& home, const end_order& what, const receipt& outcome);

} // namespace greenroom
