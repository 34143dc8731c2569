#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "actors/alarm.hpp"
#include "actors/closed_memory.hpp"
#include "actors/directory.hpp"
#include "actors/engine.hpp"
#include "actors/messages.hpp"
#include "actors/runtime/actor.hpp"

namespace greenroom {

struct reap_target;

/// Births, directions, deaths: holds every room and every pair, hears of each end
/// through monitors, and cleans up behind it. Joins and deaths of a client both
/// pass through here, so a room cannot see the leave before the join. Never waits:
/// it delegates.
class supervisor final : public actor {
public:
  supervisor(caf::actor_config& cfg, unit& home, engine& env,
             std::vector<named_room> rooms, room_options on_demand);

protected:
  void started() override;
  bool receive(caf::mailbox_element& in) override;
  void monitor_down(const caf::down_msg& x) override;
  void link_down(const caf::exit_msg& x) override;
  void stopped(errc why) override;
  void lost(caf::mailbox_element& in) override;

private:
  /// A room's actor and its outlets. It has ended when all of them have: what it
  /// had sent is with the writers then, and nothing of a successor overtakes it.
  struct troupe {
    std::string room;
    std::size_t outlets = 0;
    std::size_t outlets_all = 0; ///< so far
    bool room_down = false;
    errc why = errc::none;
  };

  /// An order to end something that is not answered yet.
  struct reaping {
    caf::actor reaper;
    client_id client = 0;   ///< whom it is about, or
    std::uint64_t room = 0; ///< which, by its actor
  };

  /// What a room weighs beside its connections when a new one is placed: rooms that
  /// are announced together must not all land on the same unit.
  static constexpr std::size_t room_weight = 4;

  void admit(client_up& x);
  void seat(join_room& x);
  void unseat(const leave_room& x);
  void answer_place(place& x);
  void refuse(const join_room& x, const client_entry& who, errc why);

  // -- supervisor_rooms.cpp: their lives
  void open(room_entry& x);
  void member_left(room_entry& x);
  void linger_if_empty(room_entry& x);
  void close_lingering();
  void close(room_entry& x, errc why);
  void start_room(room_entry& x);
  void add_outlet(const outlet_up& x);
  bool troupe_member_down(std::uint64_t who, errc why);
  void room_crashed(room_entry& x);
  std::size_t replace(room_entry& x);
  void note_crash(std::deque<steady_time>& times) const;
  void tell_of_move(const std::string& name, const caf::actor& where);

  // -- supervisor_ends.cpp: what is ended on demand
  void order(order_ptr& x);
  void end_actor(order_ptr& x);
  void end_connection(order_ptr& x, client_entry* who, std::string_view target);
  void end_room(order_ptr& x, room_entry* which, std::string_view target);
  void turn_down(order_ptr& x, errc why);
  bool start_reaper(order_ptr& x, reap_target what);
  caf::actor reaper_of_client(client_id who) const;
  caf::actor reaper_of_room(std::uint64_t which) const;
  void ask_room(const confirm_seat& x);
  void room_closed_on_demand(room_entry& x, std::size_t actors);
  void room_restarted_on_demand(room_entry& x, std::size_t actors);
  bool reaper_down(std::uint64_t id);

  void follow(follow_asked& x);

  // -- supervisor_audit.cpp: books against rooms
  void compare_books();
  void look_for_dead(client_entry& who);
  void hear_missing(const seats_missing& x);
  void hear_claims(const roster_claims& x);

  void client_ended(client_entry& who, actor_kind which, errc why);
  void leave_all(client_entry& who);
  std::shared_ptr<closed_row> last_words(const client_entry& who) const;
  void bury(client_entry& who);

  room_entry* find_or_announce(const std::string& name, errc& why);
  void inspection_crashed(std::uint64_t id);
  void start_inspector();

  unit_id least_loaded() const noexcept;
  books count() const;
  std::vector<room_row> rooms_without_actor() const;
  void beat();
  void drain();
  void cut_drain();
  void finish_drain();

  engine& env_;
  std::vector<named_room> named_;
  room_options on_demand_;
  /// Outlives the inspectors that fill and read it, on this unit as well.
  std::shared_ptr<closed_memory> closed_;
  directory who_;
  std::unordered_map<std::uint64_t, troupe> troupes_; // by the room's actor
  std::unordered_map<std::uint64_t, std::uint64_t> room_of_outlet_;
  std::vector<std::size_t> load_;   // connections per unit
  std::vector<reaping> reapers_;    // at most `ends_max`
  std::vector<caf::actor> tracers_; // at most `traces_max`
  std::vector<caf::actor> probes_;
  caf::actor inspector_;
  std::deque<steady_time> inspector_crashes_; // and of probes
  std::deque<steady_time> crashes_;           // of rooms, all of them
  alarm<tick> pulse_;
  alarm<books_due> audit_pulse_;
  alarm<linger_over> linger_;
  std::vector<client_id> to_audit_; // whom this round has not looked at yet
  bool draining_ = false;
  bool cut_off_ = false;
  bool rooms_told_ = false;
  std::vector<client_id> to_tell_; // clients a drain has not told yet
};

} // namespace greenroom
