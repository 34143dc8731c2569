#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <gtest/gtest.h>

#include "actors/desk.hpp"
#include "actors/engine.hpp"
#include "actors/messages.hpp"
#include "actors/runtime/actor.hpp"
#include "actors/runtime/unit.hpp"
#include "test/support/fakes.hpp"
#include "test/support/seed.hpp"

namespace greenroom::test {

/// CAF with one worker thread and no module but its core.
struct quiet_config : caf::actor_system_config {
  quiet_config();
};

/// An actor with a lambda for a brain: what a test puts in the place of another.
class puppet final : public actor {
public:
  /// What it does when it gets a message, ends or hears of an end.
  struct script {
    std::function<void(puppet&)> started = nullptr;
    std::function<bool(puppet&, caf::mailbox_element&)> receive = nullptr;
    std::function<void(puppet&, const caf::down_msg&)> down = nullptr;
    std::function<void(errc)> stopped = nullptr;
    std::function<void(caf::mailbox_element&)> lost = nullptr;
  };

  puppet(caf::actor_config& cfg, unit& home, script what);

  using actor::monitor;
  using actor::quit;
  using actor::self;

protected:
  void started() override;
  bool receive(caf::mailbox_element& in) override;
  void monitor_down(const caf::down_msg& x) override;
  void stopped(errc why) override;
  void lost(caf::mailbox_element& in) override;

private:
  script script_;
};

/// The real actors of a broker on units that the test steps by hand: its own
/// thread, its own clock, sockets that are not there. When a test is over,
/// everybody hangs up and the broker drains; whatever is left behind fails it.
class ActorTest : public testing::Test {
protected:
  ActorTest();
  ~ActorTest() override;

  void TearDown() override;

  // -- before the start -----------------------------------------------------------

  std::size_t unit_count = 2;
  unit_options how;
  room_options on_demand;
  /// Limits: `env.reader` and so on. Rooms have no patience, so that a member that
  /// does not read meets its room's policy at once; those on demand do not linger.
  engine env;

  /// The broker comes up.
  void start(std::vector<named_room> rooms = {{"lobby", {}}});

  // -- time -----------------------------------------------------------------------

  /// Turns all units until nobody has work.
  void run();

  /// One turn of one unit. @returns whether it has more to do
  bool run_one_turn(unit_id which);

  /// Lets time pass, with everything that happens in it.
  void advance(std::chrono::steady_clock::duration span);

  /// Lets time pass at a jump: timers fire late, in the next turn.
  void sleep(std::chrono::steady_clock::duration span) { clock_ += span; }

  steady_time now() const noexcept { return clock_; }

  // -- clients --------------------------------------------------------------------

  struct how_to_connect {
    /// Where it lives; else where the broker places it.
    std::optional<unit_id> on = std::nullopt;
    bool echo = true;
  };

  /// A raw client whose handshake names a room; its upgrade was answered when
  /// this returns.
  socket_ptr connect(std::string room, how_to_connect x);
  socket_ptr connect(std::string room = "lobby") {
    return connect(std::move(room), how_to_connect{});
  }

  /// A client of many rooms and with answers, in none yet.
  socket_ptr connect_talker(std::optional<unit_id> on = std::nullopt);

  /// A connection whose handshake has been read. Nobody has run yet.
  socket_ptr open(unit_id on, upgrade request);

  upgrade raw_upgrade(std::string room, bool echo = true) const;
  upgrade talk_upgrade() const;

  /// Where the broker wants a connection for `room`.
  unit_id place(std::string room);

  // -- looking inside -------------------------------------------------------------

  /// The supervisor's books.
  greenroom::books books();

  /// The actor of a room; null if there is none.
  caf::actor room_actor(std::string room);

  member_ptr member_of(const socket_ptr& who);

  /// The unit a room lives on.
  unit_id home_of(std::string room);

  /// Throws in a handler of a room, and lets everybody deal with it.
  void crash(std::string room);

  std::size_t live_actors() const;

  /// Actors of a kind, on all units.
  std::size_t live(actor_kind kind) const;

  bool supervisor_lives() const;

  /// Every actor of the broker that is left ends, whatever it does: for tests in
  /// which the supervisor does not.
  void abandon();

  unit& at(unit_id id) { return *units_[id]; }

  fake_loop& loop(unit_id id) { return *loops_[id]; }

  caf::actor spawn_puppet(unit_id on, puppet::script what);

  relay_dialect relay;
  talk_dialect talk;
  fake_log log;
  metrics counts;
  std::optional<greenroom::desk> desk;

private:
  steady_time clock_{std::chrono::hours{1}};
  std::int64_t live_before_;
  std::vector<std::unique_ptr<fake_loop>> loops_;
  quiet_config config_;
  std::unique_ptr<caf::actor_system> system_;
  std::vector<std::unique_ptr<unit>> units_;
  std::vector<socket_ptr> sockets_;
};

} // namespace greenroom::test
