#include "actors/supervisor.hpp"

#include <algorithm>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "actors/runtime/reason.hpp"
#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class SupervisorTest : public ActorTest {
protected:
  /// What a talker that is in no room gets for joining `room`.
  std::string try_join(const std::string& room) {
    auto x = connect_talker();
    x->emit("join 1 " + room);
    run();
    auto got = x->news();
    x->hang_up();
    run();
    return got.empty() ? "nothing" : got[0];
  }

  /// Why a raw client is refused; `none` if it is not.
  errc try_connect(const std::string& room) {
    auto x = connect(room);
    EXPECT_NE(x->accepted, x->refused != errc::none);
    x->hang_up();
    advance(1s);
    return x->refused;
  }

  /// Hears why the supervisor ends.
  void watch_supervisor() {
    puppet::script s;
    s.started = [this](puppet& me) { me.monitor(env.supervisor); };
    s.down = [this](puppet& me, const caf::down_msg& x) {
      ended_with = reason(x.reason);
      me.quit(errc::none);
    };
    spawn_puppet(1, s);
    run();
  }

  std::optional<errc> ended_with;
};

// -- refusals, as dialects and handshakes hear them ---------------------------------------

TEST_F(SupervisorTest, AnUnknownRoomIsRefused) {
  start();
  EXPECT_EQ(try_join("nowhere"), "no join 1 nowhere room_unknown");
  EXPECT_EQ(try_connect("nowhere"), errc::room_unknown);
  EXPECT_EQ(books().rooms, 1u);
}

TEST_F(SupervisorTest, AProtectedRoomIsClosedToEverybody) {
  env.supervisor_limits.rooms_on_demand = true;
  start({{"private-talk", {}}});
  for (auto* name : {"private-talk", "presence-hall", "$secret"}) {
    EXPECT_EQ(try_join(name), fmt::format("no join 1 {} room_forbidden", name));
    EXPECT_EQ(try_connect(name), errc::room_forbidden);
  }
  EXPECT_EQ(books().rooms, 1u);
}

TEST_F(SupervisorTest, ARoomWithoutRawMembersIsClosedToThemOnly) {
  start({{"lobby", {.raw = raw_access::off}}});
  EXPECT_EQ(try_join("lobby"), "ok join 1 lobby 0");
  EXPECT_EQ(try_connect("lobby"), errc::room_forbidden);
}

TEST_F(SupervisorTest, AFullRoomIsClosedUntilSomebodyLeaves) {
  start({{"lobby", {.members_max = 2}}});
  auto ann = connect();
  auto bob = connect("lobby", {.on = 1});
  EXPECT_EQ(try_join("lobby"), "no join 1 lobby room_full");
  EXPECT_EQ(try_connect("lobby"), errc::room_full);
  bob->hang_up();
  run();
  EXPECT_EQ(try_join("lobby"), "ok join 1 lobby 0");
  EXPECT_EQ(try_connect("lobby"), errc::none);
}

TEST_F(SupervisorTest, AConnectionMayBeInSoManyRooms) {
  env.supervisor_limits.rooms_per_connection_max = 2;
  start({{"a", {}}, {"b", {}}, {"c", {}}});
  auto ann = connect_talker();
  ann->emit("join 1 a\njoin 2 b\njoin 3 c");
  run();
  EXPECT_THAT(ann->news(), Contains("no join 3 c too_many_rooms_joined"));
  EXPECT_EQ(books().memberships, 2u);
  ann->emit("leave 4 a\njoin 5 c");
  run();
  EXPECT_THAT(ann->news(), Contains("ok join 5 c 0"));
}

TEST_F(SupervisorTest, TheProcessHoldsSoManyRooms) {
  env.supervisor_limits.rooms_on_demand = true;
  env.supervisor_limits.rooms_max = 3;
  start({{"named", {}}});
  auto ann = connect("a"), bob = connect("b");
  EXPECT_EQ(try_join("c"), "no join 1 c too_many_rooms");
  EXPECT_EQ(try_connect("c"), errc::too_many_rooms);
  EXPECT_EQ(try_join("a"), "ok join 1 a 0");
  bob->hang_up();
  run();
  EXPECT_EQ(try_connect("c"), errc::none);
}

TEST_F(SupervisorTest, EveryRefusalIsLogged) {
  start();
  auto ann = connect("nowhere");
  run();
  EXPECT_THAT(log.lines("refused"),
              ElementsAre(fmt::format(
                "unit=0 client={} room=nowhere reason=room_unknown", ann->id)));
}

TEST_F(SupervisorTest, StrangersAreIgnored) {
  start();
  tell(env.supervisor, join_room{999, "lobby", {}, {1, 0, 1}});
  tell(env.supervisor, leave_room{999, "lobby", {1, 0, 1}});
  tell(env.supervisor, socket_gone{999});
  tell(env.supervisor, end_client{999, errc::kicked});
  run();
  EXPECT_EQ(books().memberships, 0u);
}

// -- rooms on demand ------------------------------------------------------------------------

class OnDemandTest : public SupervisorTest {
protected:
  void SetUp() override { env.supervisor_limits.rooms_on_demand = true; }
};

TEST_F(OnDemandTest, ARoomIsBornWithItsFirstMemberAndEndsWithItsLast) {
  start({});
  EXPECT_EQ(books().rooms, 0u);
  auto ann = connect("new"), bob = connect("new", {.on = 1});
  EXPECT_EQ(books().rooms, 1u);
  ann->emit("hello");
  run();
  EXPECT_THAT(bob->got, ElementsAre("hello"));
  ann->hang_up();
  run();
  EXPECT_EQ(books().rooms, 1u);
  bob->hang_up();
  run();
  EXPECT_EQ(books().rooms, 0u);
  EXPECT_EQ(live(actor_kind::room), 0u);
  EXPECT_EQ(live(actor_kind::outlet), 0u);
}

TEST_F(OnDemandTest, ARoomThatIsBornAgainStartsAnew) {
  start({});
  auto ann = connect_talker(1);
  ann->emit("join 1 new\npub 2 new x\nleave 3 new\njoin 4 new");
  run();
  EXPECT_THAT(ann->got, Contains("ok join 4 new 0"));
  EXPECT_NE(ann->epochs.front(), ann->epochs.back());
}

TEST_F(OnDemandTest, AnEmptyRoomLingers) {
  env.supervisor_limits.linger = 5s;
  start({});
  auto ann = connect_talker(1);
  ann->emit("join 1 new\npub 2 new x\nleave 3 new");
  run();
  advance(4s);
  EXPECT_EQ(books().rooms, 1u);
  ann->emit("join 4 new");
  run();
  EXPECT_THAT(ann->got, Contains("ok join 4 new 1"));
  EXPECT_EQ(ann->epochs.front(), ann->epochs.back());
  // It counts from the last time it became empty.
  advance(4s);
  ann->emit("leave 5 new");
  run();
  advance(4s);
  EXPECT_EQ(books().rooms, 1u);
  advance(2s);
  EXPECT_EQ(books().rooms, 0u);
  EXPECT_EQ(live(actor_kind::room), 0u);
}

TEST_F(OnDemandTest, EachRoomLingersForItself) {
  env.supervisor_limits.linger = 5s;
  start({});
  auto ann = connect_talker();
  for (auto* name : {"a", "b", "c"}) {
    ann->emit(fmt::format("join 1 {}\nleave 2 {}", name, name));
    run();
    advance(1s);
  }
  ann->emit("join 3 b\nleave 4 b");
  run();
  std::vector<std::size_t> left;
  for (int i = 0; i < 8; ++i) {
    left.push_back(books().rooms);
    advance(1s);
  }
  EXPECT_THAT(left, ElementsAre(3, 3, 3, 2, 2, 1, 0, 0));
}

TEST_F(OnDemandTest, WhoLingersGivesWay) {
  env.supervisor_limits.linger = 1h;
  env.supervisor_limits.rooms_max = 2;
  start({});
  auto ann = connect_talker();
  ann->emit("join 1 a\nleave 2 a\njoin 3 b\nleave 4 b\njoin 5 a");
  run();
  EXPECT_EQ(books().rooms, 2u);
  EXPECT_EQ(try_join("c"), "ok join 1 c 0"); // in the place of b
  EXPECT_EQ(books().rooms, 2u);
  auto bob = connect("c");
  EXPECT_EQ(try_join("d"), "no join 1 d too_many_rooms");
}

TEST_F(OnDemandTest, WhoLingersMayCrash) {
  env.supervisor_limits.linger = 5s;
  env.supervisor_limits.restarts_max = 2;
  start({});
  auto ann = connect_talker();
  auto linger = [&](std::string name) {
    ann->emit(fmt::format("join 1 {}\nleave 2 {}", name, name));
    run();
  };
  linger("a");
  crash("a");
  EXPECT_EQ(books().rooms, 1u);
  advance(6s);
  EXPECT_EQ(books().rooms, 0u);
  // Crashed too often: it stays, as a name nobody may use.
  linger("b");
  crash("b");
  crash("b");
  advance(6s);
  EXPECT_EQ(books().quarantined, 1u);
}

TEST_F(OnDemandTest, ADrainWaitsForNoneThatLingers) {
  env.supervisor_limits.linger = 1h;
  start({});
  auto ann = connect_talker();
  ann->emit("join 1 a\nleave 2 a\njoin 3 b");
  run();
  tell(env.supervisor, stop_all{});
  run();
  advance(1s);
  EXPECT_EQ(live(actor_kind::room), 0u);
}

TEST_F(OnDemandTest, ANamedRoomStaysWhenItIsEmpty) {
  start({{"named", {}}});
  connect("named")->hang_up();
  run();
  EXPECT_EQ(books().rooms, 1u);
}

TEST_F(OnDemandTest, ItHasTheOptionsOfRoomsOnDemand) {
  on_demand.members_max = 1;
  start({});
  auto ann = connect("new");
  EXPECT_EQ(try_connect("new"), errc::room_full);
}

// -- placement --------------------------------------------------------------------------------

TEST_F(SupervisorTest, NamedRoomsAreSpreadOverTheUnits) {
  start({{"a", {}}, {"b", {}}, {"c", {}}, {"d", {}}});
  std::multiset<unit_id> homes;
  for (auto* name : {"a", "b", "c", "d"})
    homes.insert(home_of(name));
  EXPECT_THAT(homes, ElementsAre(0, 0, 1, 1));
}

TEST_F(SupervisorTest, AConnectionIsPlacedAtTheHomeOfItsRoom) {
  start({{"a", {}}, {"b", {}}});
  for (auto* name : {"a", "b"})
    for (int i = 0; i < 3; ++i) {
      auto x = connect(name);
      EXPECT_EQ(member_of(x)->unit, home_of(name));
    }
  EXPECT_EQ(live(actor_kind::outlet), 0u);
}

TEST_F(SupervisorTest, ABigRoomSpreadsItsNewcomers) {
  env.supervisor_limits.spread_members = 4;
  start();
  std::vector<socket_ptr> all;
  for (int i = 0; i < 12; ++i)
    all.push_back(connect());
  std::size_t elsewhere = 0;
  for (auto& x : all)
    elsewhere += member_of(x)->unit != home_of("lobby") ? 1 : 0;
  EXPECT_GE(elsewhere, 4u);
  all[0]->emit("hello");
  run();
  for (auto& x : all)
    EXPECT_THAT(x->got, SizeIs(1));
}

TEST_F(SupervisorTest, AConnectionForAnUnknownRoomIsPlacedSomewhere) {
  start();
  EXPECT_LT(place("nowhere"), unit_count);
  EXPECT_LT(place(""), unit_count);
  EXPECT_LT(place("private-x"), unit_count);
  EXPECT_EQ(books().rooms, 1u);
}

TEST_F(OnDemandTest, ConnectionsForANewRoomMeetOnOneUnit) {
  start({});
  // The handshakes of all come before the first of them has joined.
  for (int i = 0; i < 10; ++i) {
    auto name = fmt::format("room{}", i);
    auto home = place(name);
    EXPECT_EQ(place(name), home);
    EXPECT_EQ(place(name), home);
    auto ann = connect(name, {.on = home});
    EXPECT_EQ(home_of(name), home);
  }
}

TEST_F(OnDemandTest, NewRoomsAreSpreadOverTheUnits) {
  start({});
  std::multiset<unit_id> homes;
  for (int i = 0; i < 10; ++i)
    homes.insert(place(fmt::format("room{}", i)));
  EXPECT_EQ(homes.count(0), 5u);
}

TEST_F(OnDemandTest, AnAnnouncedRoomThatNobodyJoinsIsForgotten) {
  env.supervisor_limits.rooms_max = 2;
  start({});
  place("a");
  place("b");
  EXPECT_EQ(try_join("c"), "no join 1 c too_many_rooms");
  advance(env.supervisor_limits.placement_timeout + 2s);
  EXPECT_EQ(try_join("c"), "ok join 1 c 0");
}

TEST_F(OnDemandTest, ARoomThatIsUsedIsNotForgotten) {
  start({});
  auto ann = connect("a");
  advance(1min);
  EXPECT_EQ(books().rooms, 1u);
  ann->emit("x");
  run();
  EXPECT_THAT(ann->got, SizeIs(1));
}

// -- deaths of clients ------------------------------------------------------------------------

TEST_F(SupervisorTest, AClientThatDiesLeavesAllItsRoomsAtOnce) {
  start({{"a", {}}, {"b", {}}, {"c", {}}});
  auto ann = connect_talker(1);
  ann->emit("join 1 a\njoin 2 b\njoin 3 c");
  run();
  EXPECT_EQ(books().memberships, 3u);
  ann->vanish();
  run();
  EXPECT_EQ(books().memberships, 0u);
  EXPECT_EQ(books().clients, 0u);
  EXPECT_EQ(live(actor_kind::outlet), 0u);
}

TEST_F(SupervisorTest, ACrashOfAReaderEndsItsClientOnly) {
  start();
  auto ann = connect("lobby", {.on = 1});
  auto bob = connect("lobby", {.on = 1});
  tell(member_of(ann)->reader, sabotage{});
  run();
  EXPECT_EQ(ann->last_words, "fault");
  EXPECT_EQ(ann->last_code, 1011);
  EXPECT_TRUE(ann->gone);
  auto now = books();
  EXPECT_EQ(now.clients, 1u);
  EXPECT_EQ(now.memberships, 1u);
  bob->emit("still here");
  run();
  EXPECT_THAT(bob->got, ElementsAre("still here"));
}

TEST_F(SupervisorTest, ACrashOfAWriterEndsItsClientOnly) {
  start();
  auto ann = connect("lobby", {.on = 1});
  auto bob = connect("lobby", {.on = 1});
  tell(member_of(ann)->writer, sabotage{});
  run();
  EXPECT_EQ(ann->last_words, "fault");
  EXPECT_TRUE(ann->gone);
  EXPECT_EQ(books().clients, 1u);
  auto lines = log.lines("client_down");
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_THAT(lines[0], HasSubstr("first=writer"));
  EXPECT_THAT(lines[0], HasSubstr("chain=writer fault > reader fault"));
  EXPECT_THAT(bob->last_words, "");
}

TEST_F(SupervisorTest, AClientIsKnownUntilItsSocketIsGone) {
  start();
  auto ann = connect("lobby", {.on = 1});
  ann->stuck = true;
  tell(env.supervisor, end_client{ann->id, errc::kicked});
  run();
  auto now = books();
  EXPECT_EQ(now.clients, 1u);
  EXPECT_EQ(now.readers, 0u);
  EXPECT_EQ(now.writers, 0u);
  EXPECT_EQ(now.sockets, 1u);
  EXPECT_EQ(now.memberships, 0u);
  advance(6s);
  EXPECT_EQ(books().clients, 0u);
}

// -- crashes of rooms ---------------------------------------------------------------------------

class RoomCrashTest : public SupervisorTest {
protected:
  void SetUp() override { start({{"lobby", {}}, {"other", {}}}); }
};

TEST_F(RoomCrashTest, ItsMembersStayAndItsEpochChanges) {
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  auto cid = connect_talker(1);
  cid->emit("join 1 lobby");
  run();
  ann->emit("before");
  run();
  crash("lobby");
  ann->emit("after");
  bob->emit("me too");
  run();
  EXPECT_THAT(ann->got, Contains("after"));
  EXPECT_THAT(bob->got, Contains("after"));
  EXPECT_THAT(cid->got,
              testing::IsSupersetOf({"ok join 1 lobby 0", "lobby 1 before"}));
  ASSERT_THAT(cid->got, SizeIs(4));
  EXPECT_EQ(cid->epochs[0], cid->epochs[1]);
  EXPECT_NE(cid->epochs[1], cid->epochs[2]);
  EXPECT_EQ(cid->epochs[2], cid->epochs[3]);
  EXPECT_EQ(counts.rooms_restarted.get(), 1);
  EXPECT_EQ(books().memberships, 3u);
}

TEST_F(RoomCrashTest, ACrashOfAnOutletIsOneOfItsRoom) {
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  at(1).enter();
  at(1).each_actor([](const actor& x) {
    if (x.kind() == actor_kind::outlet)
      tell(caf::actor_cast<caf::actor>(x.address()), sabotage{});
  });
  run();
  EXPECT_EQ(counts.rooms_restarted.get(), 1);
  ann->emit("after");
  run();
  EXPECT_THAT(ann->got, ElementsAre("after"));
  EXPECT_THAT(bob->got, ElementsAre("after"));
}

TEST_F(RoomCrashTest, WhoLeftDoesNotComeBack) {
  auto ann = connect_talker(1);
  ann->emit("join 1 lobby\nleave 2 lobby");
  auto bob = connect("lobby", {.on = 1});
  bob->hang_up();
  run();
  crash("lobby");
  auto cid = connect();
  cid->emit("x");
  run();
  EXPECT_THAT(ann->got, SizeIs(2));
  EXPECT_EQ(books().memberships, 1u);
}

TEST_F(RoomCrashTest, EchoAndReadOnlyOutliveIt) {
  auto ann = connect("lobby", {.on = 1, .echo = false});
  crash("lobby");
  ann->emit("mine");
  run();
  EXPECT_THAT(ann->got, IsEmpty());
}

TEST_F(RoomCrashTest, WhatItHadNotHandledIsLostAndCounted) {
  auto home = home_of("lobby");
  auto room = room_actor("lobby");
  auto ann = connect("lobby", {.on = home});
  tell(room, sabotage{});
  for (int i = 0; i < 3; ++i)
    ann->emit("lost");
  run();
  EXPECT_EQ(counts.posts_lost.get(), 3);
  EXPECT_EQ(counts.publications.get(), 0);
  ann->emit("after");
  run();
  EXPECT_THAT(ann->got, ElementsAre("after"));
}

TEST_F(RoomCrashTest, WhatIsSentToItBeforeItsEndIsKnownIsCountedToo) {
  auto ann = connect("lobby", {.on = 1});
  auto home = home_of("lobby");
  ASSERT_EQ(home, 0);
  tell(room_actor("lobby"), sabotage{});
  ann->emit("lost");
  // Unit 1 sends to the room before it hears that it is dead.
  run_one_turn(1);
  run();
  EXPECT_EQ(counts.posts_lost.get() + counts.publications.get(), 1);
}

TEST_F(RoomCrashTest, AReaderWithPublicationsUnderWayGoesOn) {
  auto ann = connect_talker(1);
  ann->emit("join 1 lobby\njoin 2 other");
  run();
  tell(room_actor("lobby"), sabotage{});
  ann->emit("pub 3 lobby x\npub 4 other y");
  run_one_turn(1);
  run();
  EXPECT_THAT(ann->got, Contains("ok pub 4 other 1"));
}

TEST_F(RoomCrashTest, FiveCrashesInTenSecondsQuarantineIt) {
  auto ann = connect("lobby", {.on = 1});
  auto bob = connect_talker(1);
  bob->emit("join 1 lobby\njoin 2 other");
  run();
  for (int i = 0; i < 4; ++i) {
    crash("lobby");
    advance(2s);
  }
  EXPECT_EQ(ann->last_words, "");
  EXPECT_EQ(counts.rooms_restarted.get(), 4);
  crash("lobby");
  EXPECT_EQ(counts.rooms_quarantined.get(), 1);
  EXPECT_EQ(ann->last_words, "room_closed");
  EXPECT_EQ(ann->last_code, 1011);
  EXPECT_EQ(bob->last_words, "");
  EXPECT_THAT(bob->got, Contains("lost lobby room_closed"));
  bob->emit("pub 3 lobby x\npub 4 other y\njoin 5 lobby");
  run();
  EXPECT_THAT(bob->got, testing::IsSupersetOf(
                          {"no pub 3 lobby room_forbidden", "ok pub 4 other 1",
                           "no join 5 lobby room_quarantined"}));
  EXPECT_EQ(try_connect("lobby"), errc::room_quarantined);
  auto now = books();
  EXPECT_EQ(now.rooms, 1u);
  EXPECT_EQ(now.quarantined, 1u);
  EXPECT_EQ(now.memberships, 1u);
  EXPECT_THAT(log.lines("room_quarantined"), SizeIs(1));
}

TEST_F(RoomCrashTest, CrashesSpreadOverTimeDoNotQuarantineIt) {
  auto ann = connect();
  for (int i = 0; i < 20; ++i) {
    crash("lobby");
    advance(2600ms);
  }
  EXPECT_EQ(counts.rooms_quarantined.get(), 0);
  EXPECT_EQ(ann->last_words, "");
}

TEST_F(RoomCrashTest, ARoomOnDemandCanBeQuarantinedToo) {
  // Nobody may come back to it under the same name.
  tell(env.supervisor, tick{});
  for (int i = 0; i < 5; ++i)
    crash("other");
  EXPECT_EQ(try_join("other"), "no join 1 other room_quarantined");
}

TEST_F(SupervisorTest, ItsOwnCrashEndsTheProcess) {
  start();
  watch_supervisor();
  auto ann = connect();
  tell(env.supervisor, sabotage{});
  run();
  EXPECT_EQ(ended_with, errc::fault);
  EXPECT_THAT(log.lines("actor_crashed"), SizeIs(1));
  abandon();
}

TEST_F(SupervisorTest, FiftyCrashesInAWindowEndTheProcess) {
  std::vector<named_room> rooms;
  for (int i = 0; i < 25; ++i)
    rooms.push_back({fmt::format("r{}", i), {}});
  start(rooms);
  watch_supervisor();
  for (int i = 0; i < 49; ++i)
    crash(fmt::format("r{}", i % 25));
  EXPECT_FALSE(ended_with);
  advance(11s);
  for (int i = 0; i < 49; ++i)
    crash(fmt::format("r{}", i % 25));
  EXPECT_FALSE(ended_with);
  crash("r24");
  EXPECT_EQ(ended_with, errc::fault);
  abandon();
}

// -- commands under way while a room crashes ---------------------------------------------------

/// Each command is answered once, whoever runs when.
class PendingTest : public SupervisorTest {
protected:
  /// The turns in which a crash meets a command: digits are units; `x` is where
  /// the room is told to crash, `c` where the client sends.
  void play(const std::string& turns, const std::string& command,
            unit_id client_on) {
    SCOPED_TRACE(turns + ' ' + command + " on " + std::to_string(client_on));
    auto ann = connect_talker(client_on);
    ann->emit("join 1 lobby");
    run();
    if (command.starts_with("join")) {
      ann->emit("leave 2 lobby");
      run();
    }
    auto room = room_actor("lobby");
    ann->news();
    for (char t : turns) {
      if (t == 'x')
        tell(room, sabotage{});
      else if (t == 'c')
        ann->emit(command);
      else
        run_one_turn(static_cast<unit_id>(t - '0'));
    }
    run();
    std::vector<std::string> answers;
    for (auto& x : ann->news())
      if (x.starts_with("ok") || x.starts_with("no") || x.starts_with("lost"))
        answers.push_back(x);
    EXPECT_THAT(answers, SizeIs(1));
    if (command.starts_with("pub"))
      EXPECT_THAT(answers, testing::Each(testing::AnyOf(
                             testing::StartsWith("ok pub 7 lobby"),
                             testing::StrEq("no pub 7 lobby fault"))));
    else
      EXPECT_THAT(answers, testing::Each(testing::StartsWith("ok")));
    // The dialogue goes on, and both sides agree on the membership.
    auto in = !command.starts_with("leave");
    EXPECT_EQ(books().memberships, in ? 1u : 0u);
    auto bob = connect("lobby", {.on = 0});
    bob->emit("hello");
    run();
    EXPECT_EQ(ann->news().size(), in ? 1u : 0u);
    ann->emit(in ? "pub 8 lobby me\nleave 9 lobby" : "join 9 lobby");
    run();
    auto news = ann->news();
    EXPECT_THAT(news, SizeIs(in ? 3 : 1));
    EXPECT_THAT(bob->got, SizeIs(in ? 2 : 1));
    EXPECT_THAT(news, testing::Contains(testing::StartsWith("ok")));
    for (auto& s : {ann, bob})
      s->hang_up();
    run();
    advance(20s); // crashes are forgiven
  }
};

TEST_F(PendingTest, EveryCommandIsAnsweredOnceWhileItsRoomCrashes) {
  // Small steps: one actor a turn.
  how.resumes_per_turn = 1;
  how.messages_per_resume = 1;
  unit_count = 3;
  // "lobby" is at home on unit 1, the supervisor on unit 0.
  start({{"other", {}}, {"lobby", {}}});
  ASSERT_EQ(home_of("lobby"), 1);
  std::mt19937_64 random{random_seed()};
  for (int round = 0; round < 1500; ++round) {
    std::string turns;
    for (int i = 0; i < 40; ++i)
      turns += static_cast<char>('0' + random() % 3);
    turns.insert(random() % 30, "x");
    turns.insert(random() % 30, "c");
    auto* command = round % 3 == 0   ? "join 7 lobby"
                    : round % 3 == 1 ? "leave 7 lobby"
                                     : "pub 7 lobby x";
    play(turns, command, static_cast<unit_id>(random() % 3));
    if (HasFailure())
      return;
  }
}

TEST_F(PendingTest, ALeaveFromARoomThatEndsAndCrashesIsAnswered) {
  env.supervisor_limits.rooms_on_demand = true;
  start({});
  auto ann = connect_talker(1);
  ann->emit("join 1 new");
  run();
  auto room = room_actor("new");
  ann->emit("leave 2 new");
  run_one_turn(1);
  tell(room, sabotage{}); // before the leave gets there
  run();
  ann->emit("join 3 new");
  run();
  EXPECT_THAT(ann->got, ElementsAre("ok join 1 new 0",
                                    testing::StartsWith("ok leave 2 new"),
                                    "ok join 3 new 0"));
}

TEST_F(PendingTest, ALeaveFromARoomThatIsQuarantinedIsAnswered) {
  start();
  for (int i = 0; i < 4; ++i)
    crash("lobby");
  auto ann = connect_talker(1);
  ann->emit("join 1 lobby");
  run();
  auto room = room_actor("lobby");
  ann->emit("leave 2 lobby\nhello 3");
  run_one_turn(1);
  tell(room, sabotage{});
  run();
  EXPECT_THAT(ann->got, ElementsAre("ok join 1 lobby 0",
                                    testing::StartsWith("ok leave 2 lobby"),
                                    "ok hello 3"));
}

TEST_F(PendingTest, PublicationsToARoomThatCrashesAreAnsweredAsLost) {
  start();
  auto ann = connect_talker(1);
  ann->emit("join 1 lobby");
  run();
  auto room = room_actor("lobby");
  tell(room, sabotage{});
  ann->emit("pub 2 lobby x\npub 3 lobby y\nhello 4");
  run_one_turn(1);
  run();
  EXPECT_THAT(ann->got, ElementsAre("ok join 1 lobby 0", "no pub 2 lobby fault",
                                    "no pub 3 lobby fault", "ok hello 4"));
  EXPECT_EQ(counts.posts_lost.get(), 2);
}

TEST_F(PendingTest, AJoinToARoomThatIsQuarantinedIsRefused) {
  start();
  for (int i = 0; i < 4; ++i)
    crash("lobby");
  auto room = room_actor("lobby");
  auto ann = connect_talker(1);
  auto bob = open(1, raw_upgrade("lobby"));
  ann->emit("join 1 lobby\nhello 2");
  run_one_turn(1);
  tell(room, sabotage{});
  run();
  EXPECT_THAT(ann->got, SizeIs(2));
  EXPECT_THAT(ann->got[0], testing::StartsWith("no join 1 lobby"));
  EXPECT_EQ(ann->got[1], "ok hello 2");
  EXPECT_FALSE(bob->accepted);
  EXPECT_NE(bob->refused, errc::none);
  EXPECT_EQ(books().memberships, 0u);
}

// -- the inspector ------------------------------------------------------------------------------

class InspectorCrashTest : public SupervisorTest {
protected:
  void crash_inspector() { crash_all(0, actor_kind::inspector); }

  void crash_probe(unit_id where) { crash_all(where, actor_kind::probe); }

private:
  void crash_all(unit_id where, actor_kind kind) {
    at(where).enter();
    at(where).each_actor([kind](const actor& x) {
      if (x.kind() == kind)
        tell(caf::actor_cast<caf::actor>(x.address()), sabotage{});
    });
    run();
  }
};

TEST_F(InspectorCrashTest, ItIsRestarted) {
  start();
  crash_inspector();
  EXPECT_EQ(live(actor_kind::inspector), 1u);
  auto ann = connect("lobby", {.on = 1});
  EXPECT_THAT(log.lines("client_up"), SizeIs(1));
}

TEST_F(InspectorCrashTest, ACrashedProbeIsReplacedAndItsUnitSpeaksAgain) {
  start();
  auto probes = live(actor_kind::probe);
  crash_probe(1);
  EXPECT_EQ(live(actor_kind::probe), probes);
  auto ann = connect_talker(1);
  tell(member_of(ann)->reader, sabotage{}); // told by its own unit
  run();
  EXPECT_THAT(log.lines("actor_crashed"), SizeIs(2));
  advance(100ms); // the former inspector listens a little longer
  EXPECT_EQ(live(actor_kind::inspector), 1u);
}

TEST_F(InspectorCrashTest, WithoutItTheBrokerGoesOn) {
  start();
  for (int i = 0; i < 10; ++i)
    crash_inspector();
  EXPECT_EQ(live(actor_kind::inspector), 0u);
  auto ann = connect();
  ann->emit("x");
  run();
  EXPECT_THAT(ann->got, ElementsAre("x"));
}

// -- drain ----------------------------------------------------------------------------------------

class DrainTest : public SupervisorTest {
protected:
  void drain() {
    tell(env.supervisor, stop_all{});
    run();
  }
};

TEST_F(DrainTest, EverybodyIsToldAndEverythingEnds) {
  start();
  watch_supervisor();
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect_talker(1);
  bob->emit("join 1 lobby");
  run();
  drain();
  EXPECT_FALSE(desk->ready());
  advance(1s);
  for (auto& x : {ann, bob}) {
    EXPECT_EQ(x->last_words, "shutdown");
    EXPECT_EQ(x->last_code, 1001);
    EXPECT_TRUE(x->gone);
  }
  EXPECT_EQ(ended_with, errc::none);
  EXPECT_EQ(live_actors(), 0u);
}

TEST_F(DrainTest, AnEmptyBrokerEndsAtOnce) {
  start();
  watch_supervisor();
  drain();
  EXPECT_EQ(ended_with, errc::none);
  advance(1s); // the inspector waits for last reports
  EXPECT_EQ(live_actors(), 0u);
}

TEST_F(DrainTest, ClientsAreToldInSlices) {
  env.supervisor_limits.drain_slice = 2;
  start();
  std::vector<socket_ptr> all;
  for (int i = 0; i < 7; ++i)
    all.push_back(connect("lobby", {.on = static_cast<unit_id>(i % 2)}));
  auto told = [&] {
    return std::count_if(all.begin(), all.end(),
                         [](auto& x) { return !x->last_words.empty(); });
  };
  drain();
  EXPECT_EQ(told(), 0);
  std::vector<std::ptrdiff_t> steps;
  for (int i = 0; i < 20; ++i) {
    advance(timer_wheel::tick);
    steps.push_back(told());
  }
  for (std::size_t i = 1; i < steps.size(); ++i)
    EXPECT_LE(steps[i] - steps[i - 1], 2);
  EXPECT_EQ(steps.back(), 7);
}

TEST_F(DrainTest, NobodyIsLetInMeanwhile) {
  start();
  auto ann = connect("lobby", {.on = 1});
  ann->stuck = true;
  drain();
  auto bob = open(0, raw_upgrade("lobby"));
  run();
  EXPECT_EQ(bob->refused, errc::draining);
  auto cid = open(0, talk_upgrade());
  cid->emit("join 1 lobby");
  run();
  EXPECT_NE(cid->last_words + std::string{to_string(cid->refused)}, "none");
  EXPECT_THAT(cid->got, Not(Contains("ok join 1 lobby 0")));
}

TEST_F(DrainTest, WhatARoomStillHoldsBackIsSentFirst) {
  start({{"lobby", {.write_delay = 1s}}});
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  ann->emit("last");
  run();
  drain();
  advance(1s);
  EXPECT_THAT(ann->got, ElementsAre("last"));
  EXPECT_THAT(bob->got, ElementsAre("last"));
}

TEST_F(DrainTest, ASocketThatNeverGoesKeepsTheSupervisorWaiting) {
  start();
  watch_supervisor();
  auto ann = connect("lobby", {.on = 1});
  ann->stuck = true;
  ann->immortal = true;
  drain();
  advance(1min);
  EXPECT_FALSE(ended_with);
  EXPECT_EQ(books().clients, 1u);
  EXPECT_EQ(books().sockets, 1u);
  EXPECT_EQ(books().readers, 0u);
  ann->immortal = false;
  ann->vanish();
  run();
  EXPECT_EQ(ended_with, errc::none);
}

TEST_F(DrainTest, WithoutTimeEverybodyIsToldAtOnceAndNoSocketIsWaitedFor) {
  env.supervisor_limits.drain_slice = 1;
  start();
  watch_supervisor();
  std::vector<socket_ptr> all;
  for (int i = 0; i < 7; ++i)
    all.push_back(connect("lobby", {.on = static_cast<unit_id>(i % 2)}));
  for (auto& x : all)
    x->stuck = x->immortal = true;
  drain();
  advance(2 * timer_wheel::tick);
  EXPECT_FALSE(ended_with);
  EXPECT_GE(books().clients, 7u);
  tell(env.supervisor, cut_off{});
  run();
  EXPECT_EQ(ended_with, errc::none);
  for (auto& x : all)
    EXPECT_EQ(x->last_words, "shutdown");
  advance(1s);
  EXPECT_THAT(log.lines("client_down"), SizeIs(7));
  EXPECT_THAT(log.lines("left"), SizeIs(7));
  EXPECT_EQ(live_actors(), 0u);
  for (auto& x : all) {
    x->immortal = false;
    x->vanish();
  }
  run();
}

TEST_F(DrainTest, NothingIsCutOffWithoutADrain) {
  start();
  watch_supervisor();
  auto ann = connect();
  tell(env.supervisor, cut_off{});
  run();
  EXPECT_EQ(ann->last_words, "");
  EXPECT_FALSE(ended_with);
}

TEST_F(DrainTest, ARoomThatCrashesMeanwhileDoesNotStopIt) {
  start();
  watch_supervisor();
  auto ann = connect("lobby", {.on = 1});
  drain();
  tell(room_actor("lobby"), sabotage{});
  advance(1s);
  EXPECT_EQ(ann->last_words, "shutdown");
  EXPECT_EQ(ended_with, errc::none);
  EXPECT_EQ(live_actors(), 0u);
}

TEST_F(DrainTest, DrainingTwiceIsDrainingOnce) {
  start();
  auto ann = connect();
  drain();
  drain();
  advance(1s);
  EXPECT_TRUE(ann->gone);
  EXPECT_THAT(log.lines("draining"), SizeIs(1));
}

TEST_F(DrainTest, TheLastGoodbyesAreLoggedToo) {
  start();
  std::vector<socket_ptr> all;
  for (unit_id i : {0, 1, 0, 1})
    all.push_back(connect("lobby", {.on = i}));
  drain();
  advance(1s);
  EXPECT_THAT(log.lines("client_down"), SizeIs(4));
  EXPECT_THAT(log.lines("left"), SizeIs(4));
}

} // namespace

} // namespace greenroom::test
