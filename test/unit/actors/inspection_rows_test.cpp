#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "test/support/inspection_fixture.hpp"

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

/// A broker with a room whose members live on both units.
class RowsTest : public InspectionTest {
protected:
  edge_row edge_of(const socket_ptr& who, std::string_view room = "lobby") {
    inspect_query q;
    q.client = who->id;
    q.room = room;
    auto found = edges(q);
    EXPECT_THAT(found, SizeIs(1));
    return found.empty() ? edge_row{} : found.front();
  }

  connection_row connection_of(const socket_ptr& who) {
    inspect_query q;
    q.client = who->id;
    auto found = connections(q);
    EXPECT_THAT(found, SizeIs(1));
    return found.empty() ? connection_row{} : found.front();
  }

  room_row room_of(std::string_view name) {
    inspect_query q;
    q.room = name;
    auto found = rooms(q);
    EXPECT_THAT(found, SizeIs(1));
    return found.empty() ? room_row{} : found.front();
  }

  void say(const socket_ptr& who, std::string text) {
    who->emit(std::move(text));
    run();
  }
};

// -- members of rooms -------------------------------------------------------------------

TEST_F(RowsTest, AMemberThatTakesNothingLagsByTheAgeOfWhatWaits) {
  start();
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  say(ann, "1");
  bob->stuck = true;
  say(ann, "22");
  say(ann, "333");
  advance(3s);
  say(ann, "4444");
  auto all = edges();
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[0].client, bob->id) << "the slowest comes first";
  auto slow = edge_of(bob);
  EXPECT_EQ(slow.room, "lobby");
  EXPECT_EQ(slow.address, "192.0.2.1");
  EXPECT_EQ(slow.dialect, "relay");
  EXPECT_EQ(slow.unit, 1u);
  EXPECT_EQ(slow.head, 4u);
  EXPECT_EQ(slow.flushed, 1u);
  EXPECT_EQ(slow.messages_queued, 3u);
  EXPECT_EQ(slow.bytes_queued, bob->bytes_waiting());
  EXPECT_GE(slow.lag_ms, 3000);
  EXPECT_EQ(slow.lag_ms, slow.queue_age_ms);
  EXPECT_GE(slow.last_flush_ms, 3000);
  auto quick = edge_of(ann);
  EXPECT_EQ(quick.head, 4u);
  EXPECT_EQ(quick.flushed, 4u);
  EXPECT_EQ(quick.messages_queued, 0u);
  EXPECT_EQ(quick.lag_ms, 0);
  bob->recover();
  advance(env.inspection.sample_every); // else it is the same answer
  EXPECT_EQ(edge_of(bob).flushed, 4u);
}

TEST_F(RowsTest, WhatTheKernelHoldsCountsAsLag) {
  start();
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  ann->kernel_bytes = 500;
  ann->kernel_age = 1500ms;
  auto all = edges();
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[0].client, ann->id);
  EXPECT_EQ(all[0].lag_ms, 1500);
  EXPECT_EQ(all[0].kernel_bytes, 500u);
  EXPECT_EQ(all[0].kernel_age_ms, 1500);
  EXPECT_EQ(connection_of(ann).lag_ms, 1500);
  EXPECT_EQ(room_of("lobby").lag_ms, 1500);
}

TEST_F(RowsTest, WhoeverIsShownIsShownAsItIs) {
  start();
  std::vector<socket_ptr> all;
  for (unit_id i = 0; i < 6; ++i)
    all.push_back(connect("lobby", {.on = i % 2}));
  // Too young for everybody to be asked for it.
  for (auto& who : all) {
    who->kernel_bytes = 9;
    who->kernel_age = 300ms;
  }
  all[2]->kernel_age = 400ms;
  all[4]->kernel_age = 1001ms;
  for (auto& x : edges())
    EXPECT_EQ(x.kernel_bytes, 9u);
  inspect_query q;
  q.what = view::edges;
  q.limit = 2;
  auto page = look(q);
  auto& few = std::get<std::vector<edge_row>>(page.rows);
  ASSERT_THAT(few, SizeIs(2));
  EXPECT_EQ(page.total, 6u);
  EXPECT_EQ(few[0].client, all[4]->id);
  EXPECT_EQ(few[0].lag_ms, 1001);
  EXPECT_GE(few[1].lag_ms, 300);
  EXPECT_EQ(few[1].address, "192.0.2.1");
  q.sort = "kernel_age_ms";
  auto asked = connections(q);
  ASSERT_THAT(asked, SizeIs(2));
  EXPECT_EQ(asked[0].client, all[4]->id);
  EXPECT_EQ(asked[1].client, all[2]->id);
  EXPECT_EQ(asked[1].lag_ms, 400);
}

TEST_F(RowsTest, EachRoomOfAConnectionHasItsOwnQueue) {
  start({{"a", {}}, {"b", {}}});
  auto ann = connect("a", {.on = 0});
  auto bob = connect("b", {.on = 0});
  auto cid = connect_talker(1);
  cid->emit("join 1 a\njoin 2 b");
  run();
  cid->stuck = true;
  say(ann, "to a");
  advance(2s);
  say(bob, "to b");
  say(bob, "to b again");
  auto a = edge_of(cid, "a");
  auto b = edge_of(cid, "b");
  EXPECT_EQ(a.messages_queued, 1u);
  EXPECT_EQ(b.messages_queued, 2u);
  EXPECT_GE(a.queue_age_ms, 2000);
  EXPECT_LT(b.queue_age_ms, 2000);
  EXPECT_EQ(a.bytes_queued + b.bytes_queued, cid->bytes_waiting());
  EXPECT_EQ(b.head, 2u);
  EXPECT_EQ(b.flushed, 0u);
}

TEST_F(RowsTest, ALateMemberMissesNothingBehindItsJoin) {
  start();
  auto ann = connect("lobby", {.on = 0});
  say(ann, "1");
  say(ann, "2");
  auto bob = connect("lobby", {.on = 1});
  EXPECT_EQ(edge_of(bob).head, 2u);
  EXPECT_EQ(edge_of(bob).flushed, 2u);
}

class LossTest : public RowsTest,
                 public testing::WithParamInterface<overflow_policy> {
protected:
  /// One member is stuck until it has lost something, twice.
  edge_row lose_twice() {
    env.member.outbound_bytes_max = 30;
    room_options options;
    options.overflow = GetParam();
    start({{"lobby", options}});
    auto ann = connect("lobby", {.on = 0});
    auto bob = connect("lobby", {.on = 1, .echo = false});
    for (int round = 0; round < 2; ++round) {
      bob->stuck = true;
      for (int i = 0; i < 9; ++i)
        say(ann, fmt::format("{:09}", i));
      bob->recover();
      advance(1s);
      say(ann, "fits again");
    }
    auto got = std::count_if(bob->got.begin(), bob->got.end(),
                             [](auto& x) { return !x.empty(); });
    auto edge = edge_of(bob);
    EXPECT_EQ(edge.head, 20u);
    EXPECT_EQ(edge.flushed, 20u);
    EXPECT_EQ(edge.drops + static_cast<std::uint64_t>(got), 20u);
    EXPECT_EQ(connection_of(bob).gaps, edge.drops);
    EXPECT_EQ(room_of("lobby").dropped, edge.drops);
    EXPECT_EQ(at(counts.dropped_by, GetParam()).get(),
              static_cast<std::int64_t>(edge.drops));
    return edge;
  }

  using ActorTest::at;
  static counter& at(policy_counters& xs, overflow_policy by) {
    return greenroom::at(xs, by);
  }
};

TEST_P(LossTest, DropsAndGapsAreCountedPerMember) {
  auto edge = lose_twice();
  EXPECT_GT(edge.drops, 8u);
  EXPECT_EQ(edge.gaps, 2u);
}

INSTANTIATE_TEST_SUITE_P(Policies, LossTest,
                         testing::Values(overflow_policy::drop_newest,
                                         overflow_policy::drop_oldest,
                                         overflow_policy::conflate));

TEST_F(RowsTest, MembersThatStayAreSeenWhileOthersLeaveABigRoom) {
  unit_count = 1;
  env.inspection.chunk = 7;
  std::mt19937_64 dice{random_seed()};
  start();
  std::vector<socket_ptr> stay;
  std::vector<socket_ptr> others;
  for (int i = 0; i < 60; ++i) {
    stay.push_back(connect());
    others.push_back(connect());
  }
  inspect_query q;
  q.what = view::edges;
  q.limit = 1000;
  auto page = ask(q);
  for (int turn = 0; !*page; ++turn) {
    ASSERT_LT(turn, 1000);
    auto& one = others[dice() % others.size()];
    if (!one->gone)
      one->hang_up();
    run_one_turn(0);
  }
  std::vector<client_id> seen;
  for (auto& x : std::get<std::vector<edge_row>>((**page).rows))
    seen.push_back(x.client);
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
  EXPECT_EQ((**page).total, seen.size());
  for (auto& x : stay)
    EXPECT_TRUE(std::binary_search(seen.begin(), seen.end(), x->id)) << x->id;
}

// -- rooms ------------------------------------------------------------------------------

TEST_F(RowsTest, ARoomIsOneRowHoweverManyUnitsItsMembersLiveOn) {
  start({{"lobby", {}}, {"quiet", {}}});
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  auto cid = connect("lobby", {.on = 1});
  bob->stuck = true;
  say(ann, "0123456789");
  advance(1s);
  auto all = rooms();
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[0].room, "lobby") << "by members";
  auto x = room_of("lobby");
  EXPECT_EQ(x.actor, room_actor("lobby")->id());
  EXPECT_EQ(x.unit, home_of("lobby"));
  EXPECT_TRUE(x.named);
  EXPECT_FALSE(x.quarantined);
  EXPECT_EQ(x.members, 3u);
  EXPECT_EQ(x.outlets, 1u);
  EXPECT_FALSE(x.epoch.empty());
  EXPECT_EQ(x.offset, 1u);
  EXPECT_EQ(x.publications, 1u);
  EXPECT_EQ(x.bytes_in, 10u);
  EXPECT_EQ(x.bytes_out, 3 * bob->bytes_waiting());
  EXPECT_EQ(x.deliveries, 3u);
  EXPECT_EQ(x.bytes_queued, bob->bytes_waiting());
  EXPECT_EQ(x.queue_max, bob->bytes_waiting());
  EXPECT_GE(x.lag_ms, 1000);
  EXPECT_GE(x.age_ms, 1000);
  EXPECT_EQ(x.restarts, 0u);
  crash("lobby");
  advance(1s);
  EXPECT_EQ(room_of("lobby").restarts, 1u);
  EXPECT_EQ(room_of("lobby").members, 3u);
}

TEST_F(RowsTest, RoomsWithoutAnActorAreShown) {
  env.supervisor_limits.rooms_on_demand = true;
  env.supervisor_limits.restarts_max = 1;
  start({{"lobby", {}}});
  place("announced");
  auto x = room_of("announced");
  EXPECT_EQ(x.actor, 0u);
  EXPECT_FALSE(x.named);
  EXPECT_FALSE(x.quarantined);
  crash("lobby");
  x = room_of("lobby");
  EXPECT_EQ(x.actor, 0u);
  EXPECT_TRUE(x.named);
  EXPECT_TRUE(x.quarantined);
  EXPECT_EQ(glance().quarantined, 1u);
}

TEST_F(RowsTest, RoomsAreOrderedByAnyField) {
  start({{"a", {}}, {"b", {}}, {"c", {}}});
  auto ann = connect("a", {.on = 0});
  auto bob = connect("b", {.on = 1});
  auto cid = connect("c", {.on = 0});
  for (int i = 0; i < 3; ++i)
    say(bob, "x");
  say(cid, "a longer one");
  auto names = [&](std::string sort, bool descending) {
    inspect_query q;
    q.sort = std::move(sort);
    q.descending = descending;
    std::vector<std::string> result;
    for (auto& x : rooms(q))
      result.push_back(x.room);
    return result;
  };
  EXPECT_THAT(names("publications", true), ElementsAre("b", "c", "a"));
  EXPECT_THAT(names("bytes_in", true), ElementsAre("c", "b", "a"));
  EXPECT_THAT(names("room", false), ElementsAre("a", "b", "c"));
  EXPECT_THAT(names("room", true), ElementsAre("c", "b", "a"));
}

// -- connections ------------------------------------------------------------------------

TEST_F(RowsTest, AConnectionShowsItsLedger) {
  start({{"a", {}}, {"b", {}}});
  auto cid = connect_talker(1);
  cid->emit("join 1 a\njoin 2 b");
  run();
  cid->emit("pub 3 a hello");
  run();
  advance(2s);
  auto x = connection_of(cid);
  EXPECT_EQ(x.address, "192.0.2.2");
  EXPECT_EQ(x.dialect, "talk");
  EXPECT_EQ(x.unit, 1u);
  EXPECT_EQ(x.reader, member_of(cid)->reader->id());
  EXPECT_EQ(x.writer, member_of(cid)->writer->id());
  EXPECT_EQ(x.rooms, 2u);
  EXPECT_EQ(x.messages_in, 2u);
  EXPECT_GT(x.bytes_out, 0u);
  EXPECT_GT(x.frames_out, 3u);
  EXPECT_EQ(x.bytes_queued, 0u);
  EXPECT_GT(x.queue_max, 0u);
  EXPECT_EQ(x.lag_ms, 0);
  EXPECT_GE(x.last_flush_ms, 2000);
  EXPECT_GE(x.age_ms, 2000);
  inspect_query q;
  q.text = "192.0.2.2";
  EXPECT_THAT(connections(q), SizeIs(1));
  q.text = std::to_string(cid->id);
  EXPECT_THAT(connections(q), SizeIs(1));
}

// -- closed ones ------------------------------------------------------------------------

class ClosedTest : public RowsTest {
protected:
  closed_row closed_of(client_id who) {
    inspect_query q;
    q.client = who;
    auto found = closed(q);
    EXPECT_THAT(found, SizeIs(1));
    return found.empty() ? closed_row{} : found.front();
  }
};

TEST_F(ClosedTest, ASlowConsumerIsRememberedWithItsQueue) {
  env.member.outbound_bytes_max = 20;
  start();
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  auto id = bob->id;
  say(ann, "1");
  bob->stuck = true;
  bob->kernel_bytes = 77;
  bob->kernel_age = 5s;
  say(ann, "2 456789");
  auto waits = bob->bytes_waiting();
  advance(2s);
  for (int i = 0; i < 5; ++i)
    say(ann, "45678901234567890");
  advance(10s);
  auto x = closed_of(id);
  EXPECT_EQ(x.address, "192.0.2.1");
  EXPECT_EQ(x.dialect, "relay");
  EXPECT_EQ(x.code, 1013u);
  EXPECT_EQ(x.peer_code, 0u);
  EXPECT_EQ(x.reason, "slow_consumer");
  EXPECT_EQ(x.first, "reader");
  EXPECT_EQ(x.chain, "reader slow_consumer > writer slow_consumer");
  EXPECT_EQ(x.bytes_queued, waits);
  EXPECT_EQ(x.frames_queued, 1u);
  EXPECT_GE(x.queue_age_ms, 2000);
  EXPECT_EQ(x.kernel_bytes, 77u);
  EXPECT_EQ(x.kernel_age_ms, 5000);
  EXPECT_EQ(x.rooms, 1u);
  ASSERT_THAT(x.seats, SizeIs(1));
  EXPECT_EQ(x.seats[0].room, "lobby");
  EXPECT_EQ(x.seats[0].offset, 2u) << "the last one that was on its way";
  EXPECT_GT(x.closed_at, 0);
}

TEST_F(ClosedTest, AClientThatSaysGoodbyeIsRememberedWithItsCode) {
  start();
  auto ann = connect();
  auto id = ann->id;
  advance(3s);
  ann->hang_up(errc::peer_closed, 4001);
  run();
  auto x = closed_of(id);
  EXPECT_EQ(x.reason, "peer_closed");
  EXPECT_EQ(x.peer_code, 4001u);
  EXPECT_EQ(x.code, 4001u);
  EXPECT_GE(x.lived_ms, 3000);
}

TEST_F(ClosedTest, AClientThatVanishesWasToldNothing) {
  start();
  auto ann = connect();
  auto id = ann->id;
  ann->hang_up(errc::peer_gone, 0);
  run();
  auto x = closed_of(id);
  EXPECT_EQ(x.reason, "peer_gone");
  EXPECT_EQ(x.code, 0u);
}

TEST_F(ClosedTest, TheChainSaysWhoCrashedFirst) {
  start();
  auto ann = connect("lobby", {.on = 1});
  auto id = ann->id;
  tell(member_of(ann)->writer, sabotage{});
  advance(10s);
  auto x = closed_of(id);
  EXPECT_EQ(x.first, "writer");
  EXPECT_EQ(x.chain, "writer fault > reader fault");
  EXPECT_EQ(x.code, 1011u);
}

TEST_F(ClosedTest, HandshakesThatWereRefusedArePushedIntoNoMemory) {
  start();
  connect("nowhere");
  EXPECT_THAT(closed(), IsEmpty());
}

TEST_F(ClosedTest, TheNewestComeFirstAndTheOldestAreForgotten) {
  env.inspection.closed_max = 5;
  start();
  std::vector<client_id> ids;
  for (int i = 0; i < 8; ++i) {
    auto x = connect();
    ids.push_back(x->id);
    x->hang_up();
    run();
  }
  auto all = closed();
  ASSERT_THAT(all, SizeIs(5));
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(all[i].client, ids[7 - i]);
    EXPECT_THAT(all[i].seats, SizeIs(1));
  }
  inspect_query q;
  q.client = ids[0];
  EXPECT_THAT(closed(q), IsEmpty());
  q = {};
  q.offset = 3;
  q.limit = 10;
  EXPECT_THAT(closed(q), SizeIs(2));
}

TEST_F(ClosedTest, TheyAreFoundByAddressRoomAndReason) {
  start({{"a", {}}, {"b", {}}});
  auto ann = connect("a");
  auto bob = connect("b");
  auto cid = connect_talker();
  ann->hang_up();
  bob->hang_up(errc::peer_gone, 0);
  cid->hang_up();
  run();
  inspect_query q;
  q.text = "192.0.2.2";
  EXPECT_THAT(closed(q), SizeIs(1));
  q.text = "peer_gone";
  EXPECT_THAT(closed(q), SizeIs(1));
  q = {};
  q.room = "a";
  EXPECT_THAT(closed(q), SizeIs(1));
  q = {};
  q.sort = "client";
  q.descending = false;
  EXPECT_EQ(closed(q).front().client, ann->id);
}

TEST_F(ClosedTest, AnInspectorThatCrashesForgetsNothing) {
  start();
  auto ann = connect();
  ann->hang_up();
  run();
  crash_one(actor_kind::inspector);
  EXPECT_THAT(closed(), SizeIs(1));
}

} // namespace

} // namespace greenroom::test
