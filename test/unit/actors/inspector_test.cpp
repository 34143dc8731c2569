#include "actors/inspector.hpp"

#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

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

class InspectorTest : public ActorTest {
protected:
  /// The fields of the only line called `message`.
  log_record only(std::string_view message) {
    std::vector<log_record> found;
    for (auto& r : log.records())
      if (r.message == message)
        found.push_back(std::move(r));
    EXPECT_THAT(found, SizeIs(1)) << message;
    return found.empty() ? log_record{level::info, "nothing"} : found.front();
  }
};

// -- what happens -------------------------------------------------------------------------

TEST_F(InspectorTest, ABirthIsLogged) {
  start();
  auto ann = connect("lobby", {.on = 1});
  auto line = only("client_up");
  EXPECT_EQ(field(line, "client"), std::to_string(ann->id));
  EXPECT_EQ(field(line, "dialect"), "relay");
  EXPECT_EQ(field(line, "address"), "192.0.2.1");
  EXPECT_EQ(line.loudness, level::info);
}

TEST_F(InspectorTest, JoinsAndLeavesAreLoggedWithHowManyThereAre) {
  start();
  auto ann = connect("lobby", {.on = 1});
  auto bob = connect();
  EXPECT_THAT(
    log.lines("joined"),
    ElementsAre(fmt::format("unit=0 client={} room=lobby members=1", ann->id),
                fmt::format("unit=0 client={} room=lobby members=2", bob->id)));
  ann->hang_up();
  run();
  EXPECT_THAT(
    log.lines("left"),
    ElementsAre(fmt::format("unit=0 client={} room=lobby members=1", ann->id)));
}

TEST_F(InspectorTest, ADeathIsLoggedWithWhoEndedFirstAndWhy) {
  start({{"a", {}}, {"b", {}}});
  auto ann = connect_talker(1);
  ann->emit("join 1 a\njoin 2 b");
  run();
  ann->hang_up(errc::peer_gone);
  run();
  auto line = only("client_down");
  EXPECT_EQ(field(line, "reason"), "peer_gone");
  EXPECT_EQ(field(line, "first"), "reader");
  EXPECT_EQ(field(line, "chain"), "reader peer_gone > writer peer_gone");
  EXPECT_EQ(field(line, "rooms"), "2");
}

TEST_F(InspectorTest, PeersThatLeaveAreQuietAndLimitsAreLoud) {
  env.reader.messages_per_second = 1;
  start();
  auto ann = connect();
  for (int i = 0; i < 10; ++i)
    ann->emit("x");
  run();
  advance(1s);
  EXPECT_EQ(only("client_down").loudness, level::warn);
}

TEST_F(InspectorTest, WhichLimitEndedAConnectionIsSaidBeforeItsGoodbye) {
  env.member.outbound_bytes_max = 10;
  start();
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  bob->stuck = true;
  for (int i = 0; i < 3; ++i) {
    ann->emit("12345");
    run();
  }
  auto line = only("limit");
  EXPECT_EQ(field(line, "client"), std::to_string(bob->id));
  EXPECT_EQ(field(line, "reason"), "slow_consumer");
  EXPECT_EQ(line.loudness, level::warn);
  EXPECT_FALSE(bob->gone);
}

TEST_F(InspectorTest, ACrashIsAnError) {
  start();
  auto ann = connect();
  tell(member_of(ann)->reader, sabotage{});
  run();
  auto line = only("actor_crashed");
  EXPECT_EQ(line.loudness, level::error);
  EXPECT_EQ(field(line, "kind"), "reader");
  EXPECT_EQ(field(line, "client"), std::to_string(ann->id));
  EXPECT_EQ(field(line, "what"), "sabotage");
}

TEST_F(InspectorTest, ARoomsLifeIsLogged) {
  env.supervisor_limits.rooms_on_demand = true;
  start({});
  auto ann = connect("new");
  EXPECT_THAT(log.lines("room_opened"), SizeIs(1));
  crash("new");
  EXPECT_EQ(field(only("room_restarted"), "members"), "1");
  EXPECT_EQ(only("room_restarted").loudness, level::warn);
  ann->hang_up();
  run();
  EXPECT_EQ(field(only("room_closed"), "room"), "new");
}

TEST_F(InspectorTest, WhatHappensOnOtherUnitsIsLoggedToo) {
  start();
  auto ann = connect("lobby", {.on = 1});
  tell(member_of(ann)->writer, sabotage{});
  run();
  EXPECT_EQ(field(only("actor_crashed"), "unit"), "1");
}

TEST_F(InspectorTest, NoLineHoldsWhatWasSaid) {
  env.inspection.every = 1s;
  env.member.outbound_bytes_max = 100;
  start();
  auto ann = connect();
  auto bob = connect("lobby", {.on = 1});
  bob->stuck = true;
  for (int i = 0; i < 5; ++i) {
    ann->emit("my secret is forty-two, don't tell");
    run();
  }
  crash("lobby");
  tell(room_actor("lobby"), sabotage{});
  ann->emit("my secret is forty-two, don't tell");
  advance(5s);
  EXPECT_THAT(log.records(), Not(IsEmpty()));
  for (auto& r : log.records())
    for (auto& [key, value] : r.fields)
      EXPECT_THAT(field(r, key), Not(HasSubstr("secret"))) << r.message;
}

TEST_F(InspectorTest, QuietLinesAreNotEvenBuilt) {
  log.threshold = level::warn;
  start();
  auto ann = connect();
  crash("lobby");
  for (auto& r : log.records())
    EXPECT_GE(r.loudness, level::warn) << r.message;
  EXPECT_THAT(log.lines("room_restarted"), SizeIs(1));
}

// -- snapshots ------------------------------------------------------------------------------

class SnapshotTest : public InspectorTest {
protected:
  void SetUp() override { env.inspection.every = 10s; }

  log_record last_snapshot() {
    log_record result{level::info, "nothing"};
    for (auto& r : log.records())
      if (r.message == "snapshot")
        result = std::move(r);
    return result;
  }
};

TEST_F(SnapshotTest, ItComesInRegularIntervals) {
  start();
  advance(9s);
  EXPECT_THAT(log.lines("snapshot"), IsEmpty());
  advance(2s);
  EXPECT_THAT(log.lines("snapshot"), SizeIs(1));
  advance(20s);
  EXPECT_THAT(log.lines("snapshot"), SizeIs(3));
}

TEST_F(SnapshotTest, NoneIsTakenIfNoneIsWanted) {
  env.inspection.every = 0ms;
  start();
  advance(5min);
  EXPECT_THAT(log.lines("snapshot"), IsEmpty());
}

TEST_F(SnapshotTest, ItCountsWhoIsThere) {
  start({{"a", {}}, {"b", {}}});
  auto ann = connect("a", {.on = 0});
  auto bob = connect("a", {.on = 1});
  auto cid = connect_talker(1);
  cid->emit("join 1 a\njoin 2 b");
  run();
  cid->stuck = true;
  ann->emit("0123456789");
  run();
  advance(11s);
  auto line = last_snapshot();
  auto is = [&](std::string_view key, const std::string& value) {
    EXPECT_EQ(field(line, key), value) << key;
  };
  is("connections", "3");
  is("sockets", "3");
  is("rooms", "2");
  is("memberships", "4");
  is("quarantined", "0");
  is("bytes_queued", std::to_string(cid->flow->queued()));
  is("actors_supervisor", "1");
  is("actors_inspector", "1");
  is("actors_probe", "2");
  is("actors_room", "2");
  is("actors_outlet", fmt::format("{}", live(actor_kind::outlet)));
  is("actors_reader", "3");
  is("actors_writer", "3");
  is("publications", "1");
  is("deliveries", "3");
  is("crashes", "0");
  EXPECT_GT(cid->flow->queued(), 0u);
  EXPECT_GE(std::stoi(field(line, "bytes_live")), 10);
  EXPECT_GT(std::stoi(field(line, "messages_handled")), 10);
  EXPECT_GT(std::stoi(field(line, "turns")), 10);
  EXPECT_GE(std::stoi(field(line, "mailbox_depth_max")), 1);
  EXPECT_NE(field(line, "busiest_kind"), "");
  EXPECT_NE(field(line, "lagging_kind"), "");
}

TEST_F(SnapshotTest, WorkOfActorsThatEndedIsNotForgotten) {
  start();
  auto ann = connect("lobby", {.on = 1});
  for (int i = 0; i < 20; ++i) {
    ann->emit("x");
    run();
  }
  advance(11s);
  auto handled = [this] {
    return std::stoi(field(last_snapshot(), "messages_handled"));
  };
  const auto before = handled();
  EXPECT_GE(before, 60); // its reader, its room and its writer
  ann->hang_up();
  advance(11s);
  EXPECT_GE(handled(), before);
}

TEST_F(SnapshotTest, NoFieldComesTwice) {
  start();
  auto ann = connect();
  advance(11s);
  for (auto& r : log.records()) {
    std::set<std::string> keys;
    for (auto& [key, value] : r.fields)
      EXPECT_TRUE(keys.insert(key).second) << r.message << ' ' << key;
  }
}

TEST_F(SnapshotTest, ItNamesWhoLags) {
  how.messages_per_resume = 1;
  how.resumes_per_turn = 20;
  start();
  auto room = room_actor("lobby");
  auto home = home_of("lobby");
  advance(10s - 1ms);
  // More than a turn's worth of mail waits for one room.
  at(home).enter();
  for (int i = 0; i < 500; ++i)
    tell(room, post{{}, 0, {}, 0, {}});
  sleep(50ms);
  for (int i = 0; i < 10; ++i)
    for (unit_id u : {0, 1})
      run_one_turn(u);
  auto line = last_snapshot();
  ASSERT_EQ(line.message, "snapshot");
  EXPECT_EQ(field(line, "lagging_kind"), "room");
  EXPECT_EQ(field(line, "lagging_room"), "lobby");
  EXPECT_GT(std::stoi(field(line, "lagging_mailbox")), 100);
  EXPECT_GT(std::stoi(field(line, "mailbox_depth")), 100);
}

TEST_F(SnapshotTest, ItIsTakenWhileTheBrokerDrains) {
  start();
  auto ann = connect();
  ann->immortal = true;
  ann->stuck = true;
  tell(env.supervisor, stop_all{});
  advance(11s);
  EXPECT_EQ(field(last_snapshot(), "connections"), "1");
  EXPECT_EQ(field(last_snapshot(), "actors_reader"), "0");
}

} // namespace

} // namespace greenroom::test
