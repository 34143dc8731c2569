#include "actors/room.hpp"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class RoomTest : public ActorTest {
protected:
  /// A talker that is a member of `room`.
  socket_ptr member_at(unit_id on, const std::string& room = "lobby") {
    auto x = connect_talker(on);
    x->emit("join 1 " + room);
    run();
    EXPECT_THAT(x->news(), SizeIs(1));
    return x;
  }
};

// -- order ----------------------------------------------------------------------------

TEST_F(RoomTest, EveryMemberGetsAPublicationAndSoDoesItsSender) {
  start();
  auto ann = connect();
  auto bob = connect();
  ann->emit("hello");
  run();
  EXPECT_THAT(ann->got, ElementsAre("hello"));
  EXPECT_THAT(bob->got, ElementsAre("hello"));
  EXPECT_EQ(counts.publications.get(), 1);
  EXPECT_EQ(counts.deliveries.get(), 2);
}

TEST_F(RoomTest, ADeliveryIsAMessageThatAMemberGets) {
  start();
  auto ann = connect("lobby", {.on = 0, .echo = false});
  auto bob = connect("lobby", {.on = 0});
  auto cid = connect("lobby", {.on = 1, .echo = false});
  ann->emit("1");
  ann->emit("2");
  bob->emit("3");
  cid->emit("4");
  run();
  EXPECT_EQ(counts.publications.get(), 4);
  EXPECT_THAT(ann->got, SizeIs(2));
  EXPECT_THAT(bob->got, SizeIs(4));
  EXPECT_THAT(cid->got, SizeIs(3));
  EXPECT_EQ(counts.deliveries.get(), 9);
}

TEST_F(RoomTest, EveryMemberGetsEverythingInTheSameOrder) {
  unit_count = 3;
  start();
  std::vector<socket_ptr> all;
  for (unit_id i = 0; i < 9; ++i)
    all.push_back(connect("lobby", {.on = static_cast<unit_id>(i % 3)}));
  for (int round = 0; round < 20; ++round) {
    for (auto& x : all)
      x->emit(fmt::format("{}/{}", x->id, round));
    // Not in step: some units fall behind.
    run_one_turn(static_cast<unit_id>(round % 3));
  }
  run();
  ASSERT_THAT(all[0]->got, SizeIs(180));
  for (auto& x : all)
    EXPECT_EQ(x->got, all[0]->got);
}

TEST_F(RoomTest, MessagesOfOneSenderKeepTheirOrder) {
  start();
  auto ann = connect("lobby", {.on = 1});
  auto bob = connect("lobby", {.on = 0});
  std::vector<std::string> sent;
  for (int i = 0; i < 100; ++i) {
    sent.push_back(std::to_string(i));
    ann->emit(sent.back());
    if (i % 7 == 0)
      run_one_turn(1);
  }
  run();
  EXPECT_EQ(bob->got, sent);
}

TEST_F(RoomTest, OffsetsAreContiguousFromOne) {
  start();
  auto ann = member_at(0);
  auto bob = connect();
  for (int i = 1; i <= 5; ++i)
    bob->emit(std::to_string(i));
  run();
  EXPECT_THAT(ann->news(), ElementsAre("lobby 1 1", "lobby 2 2", "lobby 3 3",
                                       "lobby 4 4", "lobby 5 5"));
}

TEST_F(RoomTest, APublicationIsAcknowledgedBehindItself) {
  start();
  auto ann = member_at(home_of("lobby"));
  ann->emit("pub 7 lobby hello");
  run();
  EXPECT_THAT(ann->news(), ElementsAre("lobby 1 hello", "ok pub 7 lobby 1"));
}

TEST_F(RoomTest, RoomsDoNotHearEachOther) {
  start({{"red", {}}, {"blue", {}}});
  auto ann = connect("red");
  auto bob = connect("blue");
  ann->emit("r");
  bob->emit("b");
  run();
  EXPECT_THAT(ann->got, ElementsAre("r"));
  EXPECT_THAT(bob->got, ElementsAre("b"));
}

TEST_F(RoomTest, ANewRoomHasAnEpochOfItsOwn) {
  start({{"red", {}}, {"blue", {}}});
  auto ann = connect_talker();
  ann->emit("join 1 red\njoin 2 blue");
  run();
  ASSERT_THAT(ann->epochs, SizeIs(2));
  EXPECT_THAT(ann->epochs[0], SizeIs(8));
  EXPECT_NE(ann->epochs[0], ann->epochs[1]);
}

// -- turns ----------------------------------------------------------------------------

TEST_F(RoomTest, WhatComesInOneTurnIsSentAsOneBlock) {
  start();
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  for (int i = 0; i < 5; ++i)
    ann->emit(std::to_string(i));
  run();
  EXPECT_EQ(ann->blocks, 1u);
  EXPECT_EQ(bob->blocks, 1u);
  EXPECT_THAT(bob->got, SizeIs(5));
}

TEST_F(RoomTest, ATurnIsEncodedOnceForAllOfADialect) {
  start();
  std::vector<socket_ptr> all;
  for (int i = 0; i < 10; ++i)
    all.push_back(connect());
  auto before = wire::live_bytes();
  for (auto& x : all)
    x->stuck = true;
  all[0]->emit(std::string(999, 'x'));
  run();
  EXPECT_EQ(all[5]->bytes_waiting(), 1000u);
  // One block, whatever the builder reserved for it.
  EXPECT_LE(wire::live_bytes() - before, 2000);
}

TEST_F(RoomTest, ATurnEndsEarlyWhenItHoldsEnoughBytes) {
  env.room.turn_bytes_max = 100;
  start();
  auto ann = connect();
  for (int i = 0; i < 6; ++i)
    ann->emit(std::string(50, 'x'));
  run();
  EXPECT_THAT(ann->got, SizeIs(6));
  EXPECT_EQ(ann->blocks, 3u);
}

TEST_F(RoomTest, ATurnEndsEarlyWhenItHoldsEnoughEvents) {
  env.room.turn_events_max = 4;
  start();
  auto ann = connect();
  for (int i = 0; i < 10; ++i)
    ann->emit("x");
  run();
  EXPECT_THAT(ann->got, SizeIs(10));
  EXPECT_EQ(ann->blocks, 3u);
}

TEST_F(RoomTest, AWriteDelayGathersWhatComesMeanwhile) {
  start({{"lobby", {.write_delay = 100ms}}});
  auto ann = connect();
  ann->emit("a");
  advance(50ms);
  ann->emit("b");
  advance(40ms);
  EXPECT_THAT(ann->got, IsEmpty());
  advance(60ms);
  EXPECT_THAT(ann->got, ElementsAre("a", "b"));
  EXPECT_EQ(ann->blocks, 1u);
  ann->emit("c");
  advance(90ms);
  EXPECT_THAT(ann->got, SizeIs(2));
  advance(50ms);
  EXPECT_THAT(ann->got, SizeIs(3));
}

TEST_F(RoomTest, AFullTurnDoesNotWaitForTheWriteDelay) {
  env.room.turn_events_max = 2;
  start({{"lobby", {.write_delay = 100ms}}});
  auto ann = connect();
  for (auto* w : {"a", "b", "c"})
    ann->emit(w);
  run();
  EXPECT_THAT(ann->got, ElementsAre("a", "b"));
  advance(150ms);
  EXPECT_THAT(ann->got, ElementsAre("a", "b", "c"));
}

// -- echo -----------------------------------------------------------------------------

TEST_F(RoomTest, AMemberWithoutEchoGetsEverythingButItsOwn) {
  start();
  for (unit_id there : {0, 1}) {
    auto ann = connect("lobby", {.on = there, .echo = false});
    auto bob = connect("lobby", {.on = 0});
    ann->emit("mine");
    bob->emit("yours");
    ann->emit("mine too");
    run();
    EXPECT_THAT(ann->got, ElementsAre("yours"));
    EXPECT_THAT(bob->got,
                testing::UnorderedElementsAre("mine", "yours", "mine too"));
  }
}

TEST_F(RoomTest, AMemberWithoutEchoIsNotBotheredByATurnOfItsOwn) {
  start();
  auto ann = connect("lobby", {.echo = false});
  ann->emit("mine");
  run();
  EXPECT_EQ(ann->blocks, 0u);
  EXPECT_EQ(ann->flow->queued(), 0u);
}

TEST_F(RoomTest, ARoomMayForbidEchoToRawMembersOnly) {
  start({{"lobby", {.echo = false}}});
  auto ann = connect();
  auto bob = member_at(0);
  ann->emit("a");
  run();
  bob->emit("pub 0 lobby b");
  run();
  EXPECT_THAT(ann->got, ElementsAre("b"));
  EXPECT_THAT(bob->news(), ElementsAre("lobby 1 a", "lobby 2 b"));
}

// -- coming and going -------------------------------------------------------------------

TEST_F(RoomTest, AJoinerGetsNothingUpToItsPositionAndEverythingBehindIt) {
  start();
  for (unit_id there : {0, 1}) {
    auto ann = member_at(0);
    auto bob = connect_talker(there);
    ann->emit("pub 0 lobby before");
    bob->emit("join 1 lobby");
    ann->emit("pub 0 lobby between");
    run();
    ann->emit("pub 0 lobby behind");
    run();
    auto news = bob->news();
    ASSERT_FALSE(news.empty());
    unsigned position = 0;
    ASSERT_EQ(sscanf(news[0].c_str(), "ok join 1 lobby %u", &position), 1)
      << news[0];
    auto all = ann->news();
    std::vector<std::string> expected;
    for (auto& x : all) {
      unsigned offset = 0;
      if (sscanf(x.c_str(), "lobby %u", &offset) == 1 && offset > position)
        expected.push_back(x);
    }
    EXPECT_EQ(std::vector<std::string>(news.begin() + 1, news.end()), expected);
    EXPECT_THAT(expected, testing::Not(IsEmpty()));
    for (auto& x : {ann, bob})
      x->hang_up();
    run();
  }
}

TEST_F(RoomTest, WhatWasPostedBeforeALeaveIsStillDelivered) {
  start();
  for (unit_id there : {0, 1}) {
    auto ann = member_at(there);
    auto bob = member_at(0);
    ann->emit("pub 2 lobby last\nleave 3 lobby");
    run();
    auto news = ann->news();
    EXPECT_THAT(news, SizeIs(3));
    EXPECT_THAT(news.back(), testing::StartsWith("ok leave 3 lobby"));
    bob->emit("pub 0 lobby gone");
    run();
    EXPECT_THAT(ann->news(), IsEmpty());
    EXPECT_THAT(bob->news(), SizeIs(2));
    bob->hang_up();
    run();
  }
}

TEST_F(RoomTest, AnswersToMembersElsewhereAreNotOvertakenByPublications) {
  start();
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect_talker(1);
  // Joins and leaves in the middle of traffic, with the other unit behind.
  for (unsigned i = 1; i <= 20; ++i) {
    bob->emit(fmt::format("join {} lobby\nleave {} lobby", 2 * i, 2 * i + 1));
    ann->emit("x");
    run_one_turn(1);
    ann->emit("y");
    run_one_turn(0);
    ann->emit("z");
    run_one_turn(0);
    run_one_turn(1);
    run_one_turn(1);
    run_one_turn(0);
  }
  run();
  bool in = false;
  unsigned position = 0, answers = 0;
  for (auto& line : bob->got) {
    unsigned id = 0, at = 0;
    if (sscanf(line.c_str(), "ok join %u lobby %u", &id, &at) == 2) {
      EXPECT_FALSE(in);
      in = true;
      position = at;
      ++answers;
    } else if (line.starts_with("ok leave")) {
      EXPECT_TRUE(in);
      in = false;
      ++answers;
    } else if (sscanf(line.c_str(), "lobby %u", &at) == 1) {
      EXPECT_TRUE(in) << line;
      EXPECT_EQ(at, ++position);
    }
  }
  EXPECT_EQ(answers, 40u);
}

TEST_F(RoomTest, AnOutletLivesAsLongAsItHasMembers) {
  start();
  EXPECT_EQ(live(actor_kind::outlet), 0u);
  auto ann = connect("lobby", {.on = 1});
  auto bob = connect("lobby", {.on = 1});
  auto cid = connect("lobby", {.on = 0});
  EXPECT_EQ(live(actor_kind::outlet), 1u);
  ann->hang_up();
  run();
  EXPECT_EQ(live(actor_kind::outlet), 1u);
  bob->hang_up();
  run();
  EXPECT_EQ(live(actor_kind::outlet), 0u);
  auto dan = connect("lobby", {.on = 1});
  cid->emit("again");
  run();
  EXPECT_THAT(dan->got, ElementsAre("again"));
}

TEST_F(RoomTest, APublisherThatIsGoneIsStillHeard) {
  start();
  auto ann = connect("lobby", {.on = 1});
  auto bob = connect("lobby", {.on = 0});
  ann->emit("last words");
  ann->hang_up();
  run();
  EXPECT_THAT(bob->got, ElementsAre("last words"));
}

TEST_F(RoomTest, LeavingTwiceDoesNoHarm) {
  start();
  auto ann = connect();
  tell(room_actor("lobby"), leave{ann->id, {}});
  tell(room_actor("lobby"), leave{ann->id, {}});
  tell(room_actor("lobby"), leave{12345, {1, 0, 1}});
  run();
  auto bob = connect();
  bob->emit("x");
  run();
  EXPECT_THAT(ann->got, IsEmpty());
  EXPECT_THAT(bob->got, ElementsAre("x"));
}

// -- dialects ---------------------------------------------------------------------------

TEST_F(RoomTest, DialectsMeetInOneRoom) {
  start();
  auto ann = connect("lobby", {.on = 1});
  auto bob = member_at(1);
  auto cid = member_at(0);
  ann->emit("plain");
  run();
  EXPECT_THAT(ann->news(), ElementsAre("plain"));
  EXPECT_THAT(bob->news(), ElementsAre("lobby 1 plain"));
  EXPECT_THAT(cid->news(), ElementsAre("lobby 1 plain"));
  bob->hang_up();
  cid->hang_up();
  run();
  ann->emit("alone");
  run();
  EXPECT_THAT(ann->news(), ElementsAre("alone"));
}

TEST_F(RoomTest, ADialectThatThrowsCostsTheRoomItsLifeAndNobodyElse) {
  struct broken final : protocol {
    std::string_view name() const noexcept override { return "broken"; }
    void decode(inbound, dialogue&, std::vector<command>&) const override {}
    wire_ptr encode(const turn&, client_id) const override {
      throw std::runtime_error("no word for it");
    }
    wire_ptr encode(const answer&) const override { return {}; }
  };
  static const broken dialect;
  start();
  auto ann = connect();
  auto request = raw_upgrade("lobby");
  request.dialect = &dialect;
  auto bob = open(1, std::move(request));
  run();
  EXPECT_TRUE(bob->accepted);
  ann->emit("poison");
  run();
  EXPECT_EQ(counts.rooms_restarted.get(), 1);
  EXPECT_EQ(counts.posts_lost.get(), 1);
  EXPECT_FALSE(ann->gone);
  EXPECT_FALSE(bob->gone);
  bob->hang_up();
  run();
  ann->emit("healthy");
  run();
  EXPECT_THAT(ann->got, ElementsAre("healthy"));
}

// -- huge rooms ---------------------------------------------------------------------------

class HugeRoomTest : public RoomTest {
protected:
  void SetUp() override {
    env.room.members_per_slice = 3;
    start({{"huge", {}}, {"elsewhere", {}}, {"small", {}}});
    for (int i = 0; i < 10; ++i)
      members.push_back(connect("huge", {.on = 0}));
    run();
  }

  /// How many members of the huge room have `n` messages.
  std::ptrdiff_t have(std::size_t n) const {
    return std::count_if(members.begin(), members.end(),
                         [n](auto& x) { return x->got.size() == n; });
  }

  std::vector<socket_ptr> members;
};

TEST_F(HugeRoomTest, OthersAreServedBetweenItsSlices) {
  auto ann = connect("small", {.on = 0});
  run();
  members[0]->emit("to all");
  ann->emit("to few");
  for (int turns = 0; ann->got.empty() && turns < 20; ++turns)
    run_one_turn(0);
  EXPECT_THAT(ann->got, testing::ElementsAre("to few"));
  EXPECT_LT(have(1), 10);
  run();
  EXPECT_EQ(have(1), 10);
}

TEST_F(HugeRoomTest, AJoinerSeesNothingOfTheTurnUnderWay) {
  members[0]->emit("before");
  for (int turns = 0; have(1) == 0 && turns < 20; ++turns)
    run_one_turn(0);
  ASSERT_LT(have(1), 10);
  auto bob = connect_talker(0);
  bob->emit("join 1 huge");
  run();
  members[1]->emit("after");
  run();
  EXPECT_EQ(have(2), 10);
  EXPECT_THAT(bob->got,
              testing::ElementsAre("ok join 1 huge 1", "huge 2 after"));
}

TEST_F(HugeRoomTest, ALeaverIsToldBehindTheTurnUnderWay) {
  auto bob = connect_talker(0);
  bob->emit("join 1 huge");
  run();
  members[0]->emit("last");
  bob->emit("leave 2 huge");
  run();
  members[1]->emit("too late");
  run();
  EXPECT_EQ(have(2), 10);
  EXPECT_THAT(bob->got, testing::ElementsAre("ok join 1 huge 0", "huge 1 last",
                                             "ok leave 2 huge 1"));
}

TEST_F(HugeRoomTest, APublicationIsAcknowledgedBehindItsLastSlice) {
  auto bob = connect_talker(0);
  bob->emit("join 1 huge");
  run();
  bob->got.clear();
  bob->emit("pub 2 huge text");
  for (int turns = 0; bob->got.empty() && turns < 20; ++turns)
    run_one_turn(0);
  EXPECT_EQ(have(1), 10);
  run();
  EXPECT_THAT(bob->got, testing::ElementsAre("huge 1 text", "ok pub 2 huge 1"));
}

// Of two units, the answer takes the way of the publication.
TEST_F(HugeRoomTest, AnAnswerOvertakesNothingOnTheWayToAnotherUnit) {
  auto bob = connect_talker(1);
  bob->emit("join 1 huge");
  run();
  bob->got.clear();
  members[0]->emit("one");
  members[1]->emit("two");
  bob->emit("pub 2 huge three");
  run();
  ASSERT_THAT(bob->got, SizeIs(4));
  EXPECT_EQ(bob->got.back(), "ok pub 2 huge 3");
}

TEST_F(HugeRoomTest, ARoomThatEndsSendsAllItHas) {
  members[0]->emit("last words");
  for (int turns = 0; have(1) == 0 && turns < 20; ++turns)
    run_one_turn(0);
  ASSERT_LT(have(1), 10);
  tell(env.supervisor, stop_all{});
  run();
  EXPECT_EQ(have(1), 10);
}

TEST_F(HugeRoomTest, ACrashAmidATurnLeavesItsMembersWithANewRoom) {
  members[0]->emit("half");
  for (int turns = 0; have(1) == 0 && turns < 20; ++turns)
    run_one_turn(0);
  ASSERT_LT(have(1), 10);
  tell(room_actor("huge"), sabotage{});
  run();
  members[1]->emit("whole");
  run();
  EXPECT_EQ(have(1) + have(2), 10);
  EXPECT_EQ(books().memberships, 10u);
}

// -- slow members -------------------------------------------------------------------------

class SlowMemberTest : public RoomTest {
protected:
  void SetUp() override { env.member.outbound_bytes_max = 1000; }

  void begin(overflow_policy policy) {
    start({{"lobby", {.overflow = policy}}});
  }

  /// 100 bytes on the wire.
  static std::string line(int n) {
    auto text = std::to_string(n) + ' ';
    return text + std::string(99 - text.size(), '.');
  }

  static std::vector<int> numbers(const fake_socket& x) {
    std::vector<int> result;
    for (auto& text : x.got)
      result.push_back(std::stoi(text));
    return result;
  }

  void publish(const socket_ptr& who, int from, int to) {
    for (int i = from; i <= to; ++i) {
      who->emit(line(i));
      run();
    }
  }
};

TEST_F(SlowMemberTest, ASlowMemberIsCutOffAndTheOthersGoOn) {
  begin(overflow_policy::disconnect);
  for (unit_id there : {0, 1}) {
    auto ann = connect("lobby", {.on = 0});
    auto bob = connect("lobby", {.on = there});
    bob->stuck = true;
    publish(ann, 1, 10);
    EXPECT_EQ(bob->last_words, "");
    EXPECT_EQ(bob->flow->queued(), 1000u);
    publish(ann, 11, 12);
    EXPECT_EQ(bob->last_words, "slow_consumer");
    EXPECT_EQ(bob->last_code, 1013);
    EXPECT_EQ(bob->flow->queued(), 0u);
    EXPECT_THAT(ann->got, SizeIs(12));
    EXPECT_EQ(books().memberships, 1u);
    EXPECT_FALSE(bob->gone); // a goodbye takes its time
    advance(6s);
    EXPECT_TRUE(bob->gone);
    EXPECT_EQ(books().clients, 1u);
    ann->hang_up();
    run();
  }
}

TEST_F(SlowMemberTest, AMemberThatKeepsUpIsNeverCutOff) {
  begin(overflow_policy::disconnect);
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  publish(ann, 1, 100);
  EXPECT_THAT(bob->got, SizeIs(100));
  EXPECT_EQ(bob->last_words, "");
}

TEST_F(SlowMemberTest, DropNewestKeepsWhatWaitsAndLosesWhatComes) {
  begin(overflow_policy::drop_newest);
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  bob->stuck = true;
  publish(ann, 1, 15);
  EXPECT_EQ(bob->flow->queued(), 1000u);
  EXPECT_EQ(counts.dropped.get(), 5);
  EXPECT_EQ(member_of(bob)->gaps.load(), 5u);
  bob->recover();
  run();
  publish(ann, 16, 16);
  EXPECT_THAT(numbers(*bob),
              testing::ElementsAreArray({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16}));
}

TEST_F(SlowMemberTest, DropOldestKeepsWhatComesAndLosesWhatWaits) {
  begin(overflow_policy::drop_oldest);
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  bob->stuck = true;
  publish(ann, 1, 15);
  EXPECT_EQ(bob->flow->queued(), 1000u);
  EXPECT_EQ(counts.dropped.get(), 5);
  EXPECT_EQ(member_of(bob)->gaps.load(), 5u);
  bob->recover();
  run();
  publish(ann, 16, 16);
  EXPECT_THAT(numbers(*bob), testing::ElementsAreArray(
                               {6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}));
}

// Seventeen blocks of a room used to be under way to everybody before one byte of
// them was offered to a socket.
TEST_F(SlowMemberTest, ABurstEndsNobodyWhoReads) {
  env.room.turn_bytes_max = 100;
  begin(overflow_policy::disconnect);
  std::vector<socket_ptr> members;
  for (int i = 0; i < 6; ++i)
    members.push_back(connect("lobby", {.on = static_cast<unit_id>(i % 2)}));
  for (int n = 0; n < 8; ++n)
    for (auto& x : members)
      x->emit(line(n)); // 4800 bytes for each, whose limit is 1000
  run();
  for (auto& x : members) {
    EXPECT_EQ(x->last_words, "");
    EXPECT_THAT(x->got, SizeIs(48));
  }
}

TEST_F(SlowMemberTest, AnswersAreBoundedAsWell) {
  start({});
  auto ann = connect_talker(0);
  auto bob = connect_talker(0);
  bob->stuck = true;
  int asked = 0;
  for (; asked < 1000 && bob->last_words.empty(); ++asked) {
    bob->emit("join 1 nowhere");
    run();
  }
  EXPECT_EQ(bob->last_words, "slow_consumer");
  EXPECT_GT(asked, 50); // twice the limit of what rooms may send
  EXPECT_EQ(bob->flow->queued(), 0u);
  ann->emit("join 1 nowhere");
  run();
  EXPECT_THAT(ann->got, SizeIs(1));
}

TEST_F(SlowMemberTest, AFullProcessEndsWhoLagsWithAnswers) {
  env.member.lagging_bytes = 200;
  start({});
  auto bob = connect_talker(0);
  bob->stuck = true;
  for (int i = 0; i < 10; ++i) {
    bob->emit("join 1 nowhere");
    run();
  }
  EXPECT_EQ(bob->last_words, "");
  env.member.process_bytes_max = 100;
  bob->emit("join 1 nowhere");
  run();
  EXPECT_EQ(bob->last_words, "overloaded");
}

TEST_F(SlowMemberTest, AnswersAreNeverDropped) {
  start({{"lobby", {.overflow = overflow_policy::drop_oldest}}, {"hall", {}}});
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect_talker(0);
  bob->emit("join 1 lobby");
  run();
  bob->got.clear();
  bob->stuck = true;
  publish(ann, 1, 3);
  bob->emit("join 2 hall");
  run();
  publish(ann, 4, 30);
  EXPECT_GT(member_of(bob)->gaps.load(), 0u);
  bob->recover();
  run();
  EXPECT_THAT(bob->got, testing::Contains("ok join 2 hall 0"));
  EXPECT_EQ(bob->flow->queued(), 0u);
}

TEST_F(SlowMemberTest, ConflateKeepsTheLatestOfEachPublisher) {
  begin(overflow_policy::conflate);
  auto ann = connect("lobby", {.on = 0});
  auto cid = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  bob->stuck = true;
  publish(ann, 1, 10);
  publish(cid, 100, 102);
  publish(ann, 11, 15);
  EXPECT_EQ(bob->flow->queued(), 1000u);
  EXPECT_EQ(counts.dropped.get(), 6); // 100, 101 and 11 to 14
  EXPECT_EQ(member_of(bob)->gaps.load(), 6u);
  bob->recover();
  run();
  EXPECT_THAT(bob->got, SizeIs(10));
  advance(100ms);
  EXPECT_THAT(numbers(*bob), testing::ElementsAreArray(
                               {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 102, 15}));
  publish(ann, 16, 16);
  EXPECT_EQ(numbers(*bob).back(), 16);
  EXPECT_EQ(static_cast<std::size_t>(counts.deliveries.get()),
            ann->got.size() + bob->got.size() + cid->got.size());
}

TEST_F(SlowMemberTest, AMemberWithoutEchoMissesNothingOfItsOwn) {
  begin(overflow_policy::conflate);
  auto ann = connect("lobby", {.on = 0, .echo = false});
  auto bob = connect("lobby", {.on = 0});
  ann->stuck = true;
  publish(bob, 1, 11);
  publish(ann, 100, 105);
  EXPECT_EQ(counts.dropped.get(), 0);
}

TEST_F(SlowMemberTest, InATurnOfManyItMissesNothingOfItsOwnEither) {
  begin(overflow_policy::conflate);
  auto ann = connect("lobby", {.on = 0, .echo = false});
  auto bob = connect("lobby", {.on = 0});
  ann->stuck = true;
  publish(bob, 1, 11);
  EXPECT_EQ(counts.dropped.get(), 0);
  for (int i = 0; i < 5; ++i)
    ann->emit(line(100 + i));
  bob->emit(line(12));
  bob->emit(line(13));
  run();
  EXPECT_EQ(counts.dropped.get(), 2); // 11 and 12
  EXPECT_EQ(member_of(ann)->gaps.load(), 2u);
  ann->recover();
  run();
  advance(100ms);
  EXPECT_THAT(numbers(*ann),
              testing::ElementsAreArray({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13}));
}

TEST_F(SlowMemberTest, WhatIsHeldBackIsBoundedByNumberAndBytes) {
  begin(overflow_policy::conflate);
  std::vector<socket_ptr> talkers;
  for (int i = 0; i < 20; ++i)
    talkers.push_back(connect("lobby", {.on = 0}));
  auto bob = connect("lobby", {.on = 1});
  bob->stuck = true;
  publish(talkers[0], 1, 10);
  // Just as many as fit; one more pushes out the oldest.
  env.member.held_events_max = 5;
  for (int i = 1; i <= 5; ++i)
    publish(talkers[static_cast<std::size_t>(i)], i * 100, i * 100);
  EXPECT_EQ(counts.dropped.get(), 0);
  publish(talkers[6], 600, 600);
  EXPECT_EQ(counts.dropped.get(), 1);
  // The same in bytes: ten of 100 are the limit.
  env.member.held_events_max = 1000;
  for (int i = 7; i <= 11; ++i)
    publish(talkers[static_cast<std::size_t>(i)], i * 100, i * 100);
  EXPECT_EQ(counts.dropped.get(), 1);
  publish(talkers[12], 1200, 1200);
  EXPECT_EQ(counts.dropped.get(), 2);
  EXPECT_EQ(member_of(bob)->gaps.load(), 2u);
  bob->recover();
  run();
  advance(100ms);
  EXPECT_THAT(numbers(*bob),
              testing::ElementsAreArray({1,   2,   3,   4,    5,    6,   7,
                                         8,   9,   10,  300,  400,  500, 600,
                                         700, 800, 900, 1000, 1100, 1200}));
}

TEST_F(SlowMemberTest, AFullProcessEndsWhoLagsWhateverThePolicyOfTheRoom) {
  for (auto policy :
       {overflow_policy::disconnect, overflow_policy::drop_newest,
        overflow_policy::drop_oldest, overflow_policy::conflate}) {
    SCOPED_TRACE(static_cast<int>(policy));
    if (!env.units.empty())
      tell(env.supervisor, end_client{0, errc::none});
    else
      start({{"0", {.overflow = overflow_policy::disconnect}},
             {"1", {.overflow = overflow_policy::drop_newest}},
             {"2", {.overflow = overflow_policy::drop_oldest}},
             {"3", {.overflow = overflow_policy::conflate}}});
    env.member.lagging_bytes = 200;
    env.member.process_bytes_max = 1 << 30;
    auto room = std::to_string(static_cast<int>(policy));
    auto ann = connect(room);
    auto bob = connect(room);
    bob->stuck = true;
    publish(ann, 1, policy == overflow_policy::disconnect ? 5 : 20);
    EXPECT_EQ(bob->last_words, "");
    env.member.process_bytes_max = 100;
    publish(ann, 21, 22);
    EXPECT_EQ(bob->last_words, "overloaded");
    EXPECT_EQ(ann->last_words, "");
    EXPECT_EQ(bob->flow->queued(), 0u);
    for (auto& x : {ann, bob}) {
      x->stuck = false;
      x->hang_up();
    }
    advance(6s);
  }
}

// -- compression ----------------------------------------------------------------------

class CompressionTest : public RoomTest {
protected:
  socket_ptr enter(unit_id on, const compression* agreed, bool echo = true,
                   const std::string& room = "lobby") {
    auto request = raw_upgrade(room, echo);
    request.compressed = agreed;
    auto x = open(on, std::move(request));
    run();
    return x;
  }

  room_options packed{.compressed = true};
  mark_compression marks;
};

TEST_F(CompressionTest, ATurnIsCompressedOnceForAllWhoAgreed) {
  unit_count = 3;
  start({{"lobby", packed}});
  std::vector<socket_ptr> squeezed;
  std::vector<socket_ptr> plain;
  for (unit_id unit = 0; unit < 3; ++unit)
    for (int i = 0; i < 2; ++i) {
      squeezed.push_back(enter(unit, &marks));
      plain.push_back(enter(unit, nullptr));
    }
  plain.front()->emit("a");
  plain.front()->emit("b");
  run();
  plain.front()->emit("c");
  run();
  EXPECT_EQ(marks.calls, 2);
  for (auto& x : squeezed)
    EXPECT_THAT(x->got, ElementsAre("~a", "~b", "~c"));
  for (auto& x : plain)
    EXPECT_THAT(x->got, ElementsAre("a", "b", "c"));
  EXPECT_EQ(counts.deliveries.get(), 12 * 3);
}

TEST_F(CompressionTest, EachCompressionHasAVariantOfItsOwn) {
  start({{"lobby", packed}});
  mark_compression other;
  auto ann = enter(0, &marks);
  auto bob = enter(1, &other);
  ann->emit("a");
  run();
  EXPECT_EQ(marks.calls, 1);
  EXPECT_EQ(other.calls, 1);
  EXPECT_THAT(bob->got, ElementsAre("~a"));
}

TEST_F(CompressionTest, WhereNobodyAgreedNothingIsCompressed) {
  start({{"lobby", packed}});
  auto ann = enter(0, nullptr);
  auto bob = enter(1, &marks);
  ann->emit("a");
  run();
  EXPECT_EQ(marks.calls, 1);
  bob->hang_up();
  run();
  ann->emit("b");
  run();
  EXPECT_EQ(marks.calls, 1);
  EXPECT_THAT(ann->got, ElementsAre("a", "b"));
}

TEST_F(CompressionTest, ARoomThatDoesNotCompressSendsPlainFramesToAll) {
  start();
  auto ann = enter(0, &marks);
  auto bob = enter(1, &marks);
  ann->emit("a");
  run();
  EXPECT_EQ(marks.calls, 0);
  EXPECT_THAT(ann->got, ElementsAre("a"));
  EXPECT_THAT(bob->got, ElementsAre("a"));
}

TEST_F(CompressionTest, WhatGoesToOneMemberAloneIsPlain) {
  start({{"lobby", packed}});
  auto ann = enter(0, &marks, false);
  auto bob = enter(0, &marks);
  ann->emit("a");
  bob->emit("b");
  run();
  EXPECT_THAT(ann->got, ElementsAre("b"));
  EXPECT_THAT(bob->got, ElementsAre("~a", "~b"));
  auto request = talk_upgrade();
  request.compressed = &marks;
  auto cid = open(home_of("lobby"), std::move(request));
  cid->emit("join 1 lobby\npub 2 lobby hello");
  run();
  EXPECT_THAT(cid->got, ElementsAre("ok join 1 lobby 2", "~lobby 3 hello",
                                    "ok pub 2 lobby 3"));
}

TEST_F(CompressionTest, MembersThatLagKeepPlainValues) {
  env.member.outbound_bytes_max = 20;
  packed.overflow = overflow_policy::conflate;
  start({{"lobby", packed}});
  auto ann = enter(0, nullptr);
  auto bob = enter(1, &marks);
  bob->stuck = true;
  for (auto text : {"11111111", "22222222", "33333333", "44444444"}) {
    ann->emit(text);
    run();
  }
  bob->recover();
  advance(100ms);
  EXPECT_THAT(bob->got, ElementsAre("~11111111", "~22222222", "44444444"));
}

TEST_F(CompressionTest, TheDeskKnowsWhichRoomsCompress) {
  start();
  EXPECT_FALSE(desk->compresses("lobby"));
  EXPECT_FALSE(desk->compresses(""));
  env.compressed = {{"lobby", false}, {"news", true}};
  EXPECT_FALSE(desk->compresses("lobby"));
  EXPECT_TRUE(desk->compresses("news"));
  EXPECT_FALSE(desk->compresses("other"));
  EXPECT_TRUE(desk->compresses("")); // one of many rooms may
  env.compressed = {{"lobby", false}};
  EXPECT_FALSE(desk->compresses(""));
  env.others_compressed = true;
  EXPECT_FALSE(desk->compresses("lobby"));
  EXPECT_TRUE(desk->compresses("other"));
  EXPECT_TRUE(desk->compresses(""));
}

} // namespace

} // namespace greenroom::test
