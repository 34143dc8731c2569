#include "actors/reader.hpp"

#include <algorithm>
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

class ReaderTest : public ActorTest {};

// -- the handshake --------------------------------------------------------------------

TEST_F(ReaderTest, TheUpgradeIsAcceptedWhenTheRoomHasTakenTheMemberIn) {
  start();
  auto ann = open(1, raw_upgrade("lobby"));
  run_one_turn(1);
  EXPECT_FALSE(ann->accepted);
  run_one_turn(0); // the supervisor, then the room
  run_one_turn(1); // the outlet, then the reader
  EXPECT_TRUE(ann->accepted);
  EXPECT_EQ(books().memberships, 1u);
}

TEST_F(ReaderTest, ARefusedJoinIsARefusedHandshake) {
  start({{"open", {}}, {"closed", {.raw = raw_access::off}}});
  auto ann = connect("nowhere");
  EXPECT_FALSE(ann->accepted);
  EXPECT_EQ(ann->refused, errc::room_unknown);
  EXPECT_EQ(describe(ann->refused).http, 404);
  auto bob = connect("closed");
  EXPECT_EQ(bob->refused, errc::room_forbidden);
  EXPECT_EQ(describe(bob->refused).http, 403);
  advance(1s);
  EXPECT_TRUE(ann->gone);
  EXPECT_EQ(books().clients, 0u);
}

TEST_F(ReaderTest, AClientThatIsInNoRoomIsAcceptedAtOnce) {
  start();
  auto ann = open(1, talk_upgrade());
  run_one_turn(1);
  EXPECT_TRUE(ann->accepted);
}

TEST_F(ReaderTest, SeveralImpliedJoinsMustAllSucceed) {
  start({{"a", {}}, {"b", {}}});
  for (auto* second : {"b", "nowhere"}) {
    auto request = talk_upgrade();
    for (auto* name : {"a", second}) {
      command c;
      c.what = verb::join;
      c.room = name;
      request.implied.push_back(std::move(c));
    }
    auto ann = open(0, std::move(request));
    run();
    EXPECT_EQ(ann->accepted, second == std::string{"b"});
    EXPECT_EQ(books().memberships, ann->accepted ? 2u : 0u);
    ann->hang_up();
    run();
  }
}

TEST_F(ReaderTest, AClientThatGoesBeforeItsAnswerLeavesNothing) {
  start();
  auto ann = open(1, raw_upgrade("lobby"));
  run_one_turn(1);
  ann->hang_up(errc::peer_gone);
  run();
  EXPECT_FALSE(ann->accepted);
  EXPECT_EQ(books().clients, 0u);
  EXPECT_EQ(books().memberships, 0u);
}

TEST_F(ReaderTest, ASocketThatGoesBeforeItsReaderRanLeavesNothing) {
  start();
  auto ann = open(1, raw_upgrade("lobby"));
  ann->vanish();
  run();
  EXPECT_EQ(books().clients, 0u);
}

TEST_F(ReaderTest, ASocketThatIsClosedBeforeItsReaderRanLeavesNothing) {
  start();
  auto ann = open(0, raw_upgrade("lobby"));
  ann->hang_up(errc::peer_gone);
  ann->vanish();
  run();
  EXPECT_EQ(books().clients, 0u);
}

// -- commands and answers -----------------------------------------------------------------

TEST_F(ReaderTest, CommandsAreAnsweredInTheirOrder) {
  start({{"a", {}}, {"b", {}}});
  auto ann = connect_talker(1);
  ann->emit("hello 1\njoin 2 a\njoin 3 b\npub 4 a x\npub 5 b y\nleave 6 a\n"
            "refuse 7 bad_command\njoin 8 nowhere\nleave 9 b");
  run();
  std::vector<std::string> answers;
  for (auto& x : ann->got)
    if (x.starts_with("ok") || x.starts_with("no"))
      answers.push_back(x);
  EXPECT_THAT(answers,
              ElementsAre("ok hello 1", "ok join 2 a 0", "ok join 3 b 0",
                          "ok pub 4 a 1", "ok pub 5 b 1", "ok leave 6 a 1",
                          "no refuse 7  bad_command",
                          "no join 8 nowhere room_unknown", "ok leave 9 b 1"));
}

TEST_F(ReaderTest, CommandsOfOneMessageAndOfManyAreTheSame) {
  start();
  auto ann = connect_talker(1);
  for (auto* x : {"join 1 lobby", "pub 2 lobby x", "leave 3 lobby"})
    ann->emit(x);
  run();
  EXPECT_THAT(ann->got, testing::UnorderedElementsAre(
                          "ok join 1 lobby 0", "lobby 1 x", "ok pub 2 lobby 1",
                          "ok leave 3 lobby 1"));
}

TEST_F(ReaderTest, PublicationsToOneRoomDoNotWaitForEachOther) {
  start({{"a", {}}, {"b", {}}});
  auto ann = connect_talker(1);
  ann->emit("join 1 a");
  run();
  ann->news();
  ann->emit("pub 2 a x\npub 3 a y\npub 4 a z");
  run_one_turn(1);
  run_one_turn(0);
  EXPECT_EQ(counts.publications.get(), 3);
  run();
  EXPECT_THAT(ann->news(), testing::IsSupersetOf(
                             {"ok pub 2 a 3", "ok pub 3 a 3", "ok pub 4 a 3"}));
}

TEST_F(ReaderTest, PublicationsToSeveralRoomsDoNotWaitForEachOther) {
  start({{"slow", {.write_delay = 10s}}, {"quick", {}}});
  for (unit_id there : {0, 1}) {
    auto ann = connect_talker(there);
    auto bob = connect("quick");
    ann->emit("join 1 slow\njoin 2 quick");
    run();
    ann->news();
    ann->emit("pub 3 slow x\npub 4 quick y\npub 5 nowhere z");
    run();
    EXPECT_THAT(bob->news(), ElementsAre("y"));
    // Answers keep the order of the commands, so these are not due yet.
    for (auto& x : ann->news())
      EXPECT_TRUE(x.starts_with("quick ")) << x;
    advance(11s);
    std::vector<std::string> answers;
    for (auto& x : ann->news())
      if (!x.starts_with("slow "))
        answers.push_back(x.substr(0, 8));
    EXPECT_THAT(answers, ElementsAre("ok pub 3", "ok pub 4", "no pub 5"));
    ann->hang_up();
    bob->hang_up();
    run();
  }
}

TEST_F(ReaderTest, PublishingToTwoRoomsInTurnCostsOneTurnOfEach) {
  start({{"a", {.write_delay = 200ms}}, {"b", {.write_delay = 200ms}}});
  auto ann = connect_talker(1);
  ann->emit("join 1 a\njoin 2 b");
  run();
  ann->news();
  for (int i = 0; i < 40; ++i)
    ann->emit(fmt::format("pub {} {} x", 10 + i, i % 2 == 0 ? "a" : "b"));
  advance(300ms);
  int next = 10;
  for (auto& x : ann->news()) {
    if (!x.starts_with("ok"))
      continue;
    EXPECT_TRUE(x.starts_with(fmt::format("ok pub {} ", next++))) << x;
  }
  EXPECT_EQ(next, 50);
}

TEST_F(ReaderTest, WhatWaitsForPublicationsHastensThem) {
  start({{"a", {.write_delay = 10s}}, {"b", {.write_delay = 10s}}, {"c", {}}});
  auto ann = connect_talker(1);
  ann->emit("join 1 a\njoin 2 b");
  run();
  ann->news();
  // No time passes.
  ann->emit("pub 3 a x\npub 4 b y\njoin 5 c\npub 6 a z\nleave 7 b");
  run();
  std::vector<std::string> answers;
  for (auto& x : ann->news())
    if (x.starts_with("ok"))
      answers.push_back(x);
  EXPECT_THAT(answers,
              ElementsAre("ok pub 3 a 1", "ok pub 4 b 1", "ok join 5 c 0",
                          "ok pub 6 a 2", "ok leave 7 b 1"));
}

TEST_F(ReaderTest, AnswersThatAreKnownTogetherAreGivenTogether) {
  start();
  auto ann = connect_talker(1);
  ann->emit("join 1 lobby quiet");
  run();
  ann->news();
  auto before = ann->blocks;
  ann->emit("pub 2 lobby x\nrefuse 3 bad_request\npub 4 lobby y\npub 5 no z");
  run();
  EXPECT_THAT(ann->news(),
              ElementsAre("ok pub 2 lobby 2", "no refuse 3  bad_request",
                          "ok pub 4 lobby 2", "no pub 5 no room_forbidden"));
  EXPECT_EQ(ann->blocks - before, 1u);
}

TEST_F(ReaderTest, ACrashedRoomDoesNotChangeTheOrderOfAnswers) {
  start({{"a", {.write_delay = 10s}}, {"b", {}}});
  auto ann = connect_talker(1);
  ann->emit("join 1 a\njoin 2 b");
  run();
  ann->news();
  ann->emit("pub 3 a x\npub 4 b y\npub 5 a z");
  run();
  crash("a");
  std::vector<std::string> answers;
  for (auto& x : ann->news())
    if (!x.starts_with("b "))
      answers.push_back(x);
  EXPECT_THAT(answers, ElementsAre("no pub 3 a fault", "ok pub 4 b 1",
                                   "no pub 5 a fault"));
}

TEST_F(ReaderTest, WithoutAnIdNothingIsAnswered) {
  start();
  auto ann = connect_talker();
  ann->emit("join 0 lobby\npub 0 lobby x\nleave 0 lobby");
  run();
  EXPECT_THAT(ann->got, ElementsAre("lobby 1 x"));
  EXPECT_EQ(books().memberships, 0u);
}

TEST_F(ReaderTest, JoiningTwiceIsRefused) {
  start();
  auto ann = connect_talker();
  ann->emit("join 1 lobby\njoin 2 lobby");
  run();
  EXPECT_THAT(ann->got, ElementsAre("ok join 1 lobby 0",
                                    "no join 2 lobby already_joined"));
  EXPECT_EQ(books().memberships, 1u);
  EXPECT_EQ(greenroom::at(counts.commands_refused, errc::already_joined).get(),
            1);
}

TEST_F(ReaderTest, LeavingARoomOneIsNotInIsFine) {
  start();
  auto ann = connect_talker();
  ann->emit("leave 1 lobby\nleave 2 nowhere");
  run();
  EXPECT_THAT(ann->got,
              ElementsAre("ok leave 1 lobby 0", "ok leave 2 nowhere 0"));
}

TEST_F(ReaderTest, PublishingWhereOneIsNotInIsRefused) {
  start();
  auto ann = connect_talker();
  ann->emit("pub 1 lobby x");
  run();
  EXPECT_THAT(ann->got, ElementsAre("no pub 1 lobby room_forbidden"));
  EXPECT_EQ(counts.publications.get(), 0);
}

TEST_F(ReaderTest, AMemberMayComeBack) {
  start();
  auto ann = connect_talker(1);
  ann->emit("join 1 lobby\nleave 2 lobby\njoin 3 lobby\npub 4 lobby x");
  run();
  EXPECT_THAT(ann->got,
              testing::UnorderedElementsAre(
                "ok join 1 lobby 0", "ok leave 2 lobby 0", "ok join 3 lobby 0",
                "lobby 1 x", "ok pub 4 lobby 1"));
}

// -- pace -------------------------------------------------------------------------------

TEST_F(ReaderTest, MessagesAreTakenAsTheyAreHandled) {
  start();
  auto ann = connect("lobby", {.on = 1});
  for (int i = 0; i < 100; ++i)
    ann->emit("x");
  run();
  EXPECT_EQ(ann->unread(), 0u);
  EXPECT_EQ(ann->not_taken(), 0u);
  EXPECT_THAT(ann->got, SizeIs(100));
}

TEST_F(ReaderTest, AClientCannotRunAheadOfItsRoom) {
  env.reader.posts_max = 4;
  start();
  auto ann = connect("lobby", {.on = 1});
  ann->window = 2;
  for (int i = 0; i < 20; ++i)
    ann->emit(std::to_string(i));
  // The room's unit stands still.
  for (int i = 0; i < 10; ++i)
    run_one_turn(1);
  EXPECT_EQ(ann->not_taken(), 2u);
  EXPECT_EQ(ann->unread(), 15u);
  // Half of what is under way has to be handled first.
  run_one_turn(0);
  run_one_turn(1);
  run_one_turn(1);
  EXPECT_LT(ann->unread(), 15u);
  run();
  EXPECT_EQ(ann->unread(), 0u);
  EXPECT_THAT(ann->got, SizeIs(20));
}

TEST_F(ReaderTest, AClientCannotRunAheadOfItsRoomInBytesEither) {
  env.reader.posts_bytes_max = 1000;
  start();
  auto ann = connect("lobby", {.on = 1});
  ann->window = 2;
  for (int i = 0; i < 20; ++i)
    ann->emit(std::string(400, 'x'));
  for (int i = 0; i < 10; ++i)
    run_one_turn(1);
  EXPECT_EQ(ann->unread(), 16u); // three under way, one waits for the socket
  run();
  EXPECT_EQ(ann->unread(), 0u);
  EXPECT_THAT(ann->got, SizeIs(20));
}

// On whatever unit they are: an outlet has no more before it than a room.
TEST_F(ReaderTest, WhatAnOutletHasNotSentCountsAsWell) {
  env.reader.posts_max = 4;
  start({{"lobby", {}}});
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  run();
  ann->window = 2;
  for (int i = 0; i < 20; ++i)
    ann->emit(std::to_string(i));
  for (int i = 0; i < 20; ++i)
    run_one_turn(0); // bob's unit stands still
  EXPECT_GE(ann->unread(), 12u);
  run();
  EXPECT_EQ(ann->unread(), 0u);
  EXPECT_THAT(bob->got, SizeIs(20));
}

TEST_F(ReaderTest, NoLimitOfPublicationsUnderWayMeansNone) {
  env.reader.posts_max = 0;
  env.reader.posts_bytes_max = 0;
  start();
  auto ann = connect("lobby", {.on = 1});
  ann->window = 2;
  for (int i = 0; i < 20; ++i)
    ann->emit("x");
  for (int i = 0; i < 20; ++i)
    run_one_turn(1);
  EXPECT_EQ(ann->unread(), 0u);
}

TEST_F(ReaderTest, WhatACrashedRoomDidNotHandleIsGivenBackToTheReader) {
  env.reader.posts_max = 4;
  start();
  auto ann = connect("lobby", {.on = 1});
  ann->window = 2;
  auto room = room_actor("lobby");
  for (int i = 0; i < 6; ++i)
    ann->emit("x");
  for (int i = 0; i < 10; ++i)
    run_one_turn(1);
  // Only a kill gets ahead of the mail that waits already.
  tell(room, sabotage{});
  run();
  EXPECT_EQ(ann->unread(), 0u);
  EXPECT_EQ(ann->not_taken(), 0u);
  ann->emit("after");
  run();
  EXPECT_EQ(ann->got.back(), "after");
}

TEST_F(ReaderTest, PublicationsWithoutAnAnswerAreBounded) {
  env.reader.posts_max = 4;
  start({{"lobby", {.write_delay = 10s}}});
  auto ann = connect_talker(1);
  ann->emit("join 1 lobby");
  run();
  ann->news();
  std::string all;
  for (int i = 2; i < 12; ++i)
    all += fmt::format("pub {} lobby x\n", i);
  ann->emit(all);
  run_one_turn(1);
  run_one_turn(0);
  EXPECT_EQ(counts.publications.get(), 4);
  run(); // hastened, since others wait behind them
  EXPECT_GE(counts.publications.get(), 8);
  advance(10s);
  EXPECT_EQ(counts.publications.get(), 10);
}

TEST_F(ReaderTest, ACommandThatWaitsKeepsTheSocketFromBeingRead) {
  start();
  auto ann = connect_talker(1);
  ann->window = 1;
  ann->emit("join 1 lobby\npub 2 lobby x");
  ann->emit("pub 3 lobby y");
  run_one_turn(1);
  run_one_turn(1);
  EXPECT_EQ(ann->not_taken(), 1u);
  EXPECT_EQ(ann->unread(), 1u);
  run();
  EXPECT_EQ(ann->unread(), 0u);
}

TEST_F(ReaderTest, TooManyMessagesASecondEndTheConnection) {
  env.reader.messages_per_second = 10;
  env.reader.burst_seconds = 2;
  start();
  auto ann = connect("lobby", {.on = 1});
  for (int i = 0; i < 20; ++i)
    ann->emit("x");
  run();
  EXPECT_EQ(ann->last_words, "");
  ann->emit("one too many");
  run();
  EXPECT_EQ(ann->last_words, "rate_limited");
  EXPECT_EQ(ann->last_code, 1008);
  EXPECT_EQ(counts.publications.get(), 20);
}

TEST_F(ReaderTest, WhatComesBesideMessagesIsChargedAsWell) {
  env.reader.bytes_per_second = 1000;
  env.reader.burst_seconds = 2;
  start();
  auto ann = connect("lobby", {.on = 1});
  auto reader = member_of(ann)->reader;
  tell(reader, received_beside{2000});
  run();
  EXPECT_EQ(ann->last_words, "");
  tell(reader, received_beside{1});
  run();
  EXPECT_EQ(ann->last_words, "rate_limited");
}

TEST_F(ReaderTest, TheLogSaysWhichLimitAConnectionHasHit) {
  env.reader.messages_per_second = 1;
  env.reader.burst_seconds = 1;
  start();
  auto ann = connect();
  ann->emit("x");
  ann->emit("one too many");
  run();
  auto lines = log.records();
  auto limit = std::find_if(lines.begin(), lines.end(),
                            [](auto& x) { return x.message == "limit"; });
  ASSERT_NE(limit, lines.end());
  EXPECT_EQ(limit->loudness, level::warn);
  EXPECT_EQ(field(*limit, "reason"), "rate_limited");
  EXPECT_EQ(field(*limit, "client"), "1");
}

TEST_F(ReaderTest, EachCommandOfAMessageCounts) {
  env.reader.messages_per_second = 1;
  env.reader.burst_seconds = 3;
  start();
  auto ann = connect_talker();
  ann->emit("hello 1\nhello 2\nhello 3");
  run();
  EXPECT_EQ(ann->last_words, "");
  EXPECT_THAT(ann->got, SizeIs(3));
  auto bob = connect_talker();
  bob->emit("hello 1\nhello 2\nhello 3\nhello 4");
  run();
  EXPECT_EQ(bob->last_words, "rate_limited");
  EXPECT_THAT(bob->got, IsEmpty());
}

TEST_F(ReaderTest, ACompressedMessageIsChargedForTheLargerOfItsSizes) {
  env.reader.bytes_per_second = 100;
  env.reader.burst_seconds = 1;
  start();
  auto ann = connect();
  ann->emit(inbound{"small", true, 90});
  run();
  EXPECT_EQ(ann->last_words, "");
  ann->emit(inbound{std::string(11, 'x'), true, 5});
  run();
  EXPECT_EQ(ann->last_words, "rate_limited");
}

TEST_F(ReaderTest, TooManyBytesASecondEndTheConnection) {
  env.reader.bytes_per_second = 100;
  env.reader.burst_seconds = 1;
  start();
  auto ann = connect();
  ann->emit(std::string(100, 'x'));
  run();
  EXPECT_EQ(ann->last_words, "");
  advance(500ms);
  ann->emit(std::string(50, 'x'));
  run();
  EXPECT_EQ(ann->last_words, "");
  ann->emit("x");
  run();
  EXPECT_EQ(ann->last_words, "rate_limited");
}

// -- rights -----------------------------------------------------------------------------

TEST_F(ReaderTest, ARawMemberOfAReadOnlyRoomMayListenButNotSpeak) {
  start({{"news", {.raw = raw_access::read_only}}});
  for (unit_id there : {0, 1}) {
    auto ann = connect("news", {.on = there});
    auto bob = connect_talker(0);
    bob->emit("join 1 news\npub 2 news extra");
    run();
    EXPECT_THAT(ann->got, ElementsAre("extra"));
    ann->emit("me too");
    run();
    EXPECT_EQ(ann->last_words, "read_only");
    EXPECT_EQ(ann->last_code, 1008);
    EXPECT_THAT(bob->got, testing::Not(testing::Contains("news 2 me too")));
    bob->hang_up();
    run();
  }
}

TEST_F(ReaderTest, WhoeverMayOnlyListenIsToldSoInItsDialect) {
  start({{"news", {.publish = false}}, {"lobby", {}}});
  int spoken = 0;
  for (unit_id there : {0, 1}) {
    auto bob = connect_talker(there);
    bob->emit("join 1 news\njoin 2 lobby\npub 3 news x\npub 4 lobby y");
    auto ann = connect("news", {.on = there});
    run();
    auto heard = bob->news();
    EXPECT_THAT(heard, testing::IsSupersetOf(
                         {std::string{"no pub 3 news read_only"},
                          fmt::format("ok pub 4 lobby {}", ++spoken)}));
    ann->emit("me too");
    run();
    EXPECT_EQ(ann->last_words, "read_only");
    EXPECT_EQ(ann->last_code, 1008);
    EXPECT_THAT(ann->got, IsEmpty());
    EXPECT_THAT(bob->news(), IsEmpty());
    bob->hang_up();
    run();
  }
  EXPECT_EQ(counts.publications.get(), 2);
}

// -- ends --------------------------------------------------------------------------------

TEST_F(ReaderTest, APeerThatHangsUpIsGoneAtOnce) {
  start();
  for (auto why : {errc::peer_closed, errc::peer_gone}) {
    auto ann = connect("lobby", {.on = 1});
    ann->hang_up(why);
    run();
    EXPECT_TRUE(ann->gone);
    EXPECT_EQ(books().clients, 0u);
  }
}

TEST_F(ReaderTest, ABrokenRuleIsAnsweredWithItsCloseCode) {
  start();
  auto ann = connect("lobby", {.on = 1});
  ann->hang_up(errc::protocol_error, 0);
  run();
  EXPECT_EQ(ann->last_code, 1002);
  EXPECT_EQ(ann->last_words, "protocol_error");
  EXPECT_TRUE(ann->gone);
}

TEST_F(ReaderTest, ASocketThatVanishesTakesItsActorsAlong) {
  start();
  auto ann = connect("lobby", {.on = 1});
  ann->vanish();
  run();
  EXPECT_EQ(books().clients, 0u);
  EXPECT_EQ(live(actor_kind::reader) + live(actor_kind::writer), 0u);
}

TEST_F(ReaderTest, AnEndWithoutAReasonEndsThePairAsWell) {
  start();
  auto ann = connect("lobby", {.on = 1});
  ann->hang_up(errc::none);
  run();
  auto bob = connect("lobby", {.on = 0});
  tell(env.supervisor, end_client{bob->id, errc::none});
  run();
  advance(6s);
  EXPECT_EQ(books().clients, 0u);
  EXPECT_EQ(live(actor_kind::writer), 0u);
}

TEST_F(ReaderTest, AnOperatorMayEndAClient) {
  start();
  auto ann = connect("lobby", {.on = 1});
  auto bob = connect();
  tell(env.supervisor, end_client{ann->id, errc::kicked});
  run();
  EXPECT_EQ(ann->last_words, "kicked");
  EXPECT_EQ(bob->last_words, "");
}

TEST_F(ReaderTest, ADialectMayEndTheConnection) {
  start();
  auto ann = connect_talker(1);
  ann->emit("hello 1\nend bad_command\nhello 2");
  run();
  EXPECT_THAT(ann->got, ElementsAre("ok hello 1"));
  EXPECT_EQ(ann->last_words, "bad_command");
}

TEST_F(ReaderTest, WhatCameBeforeTheEndIsStillCarriedOut) {
  start();
  auto ann = connect_talker(1);
  auto bob = connect();
  ann->emit("join 1 lobby\npub 2 lobby x\nend bad_command");
  run();
  EXPECT_THAT(bob->got, ElementsAre("x"));
  EXPECT_THAT(ann->got,
              testing::IsSupersetOf({"ok join 1 lobby 0", "ok pub 2 lobby 1"}));
  EXPECT_EQ(ann->last_words, "bad_command");
}

TEST_F(ReaderTest, WhoIsEndedHearsWhatBecameOfItsPublications) {
  env.reader.messages_per_second = 1;
  env.reader.burst_seconds = 5;
  start({{"lobby", {.write_delay = 10s}}});
  auto ann = connect_talker(1);
  ann->emit("join 1 lobby\npub 2 lobby x");
  run();
  ann->emit("pub 3 lobby y\npub 4 lobby z\nhello 5\nhello 6\nhello 7");
  run();
  EXPECT_THAT(ann->got, ElementsAre("ok join 1 lobby 0", "lobby 1 x",
                                    "ok pub 2 lobby 1"));
  EXPECT_EQ(ann->last_words, "rate_limited");
}

// -- greetings and pings of dialects ------------------------------------------------------

class StrictDialectTest : public ReaderTest {
protected:
  void SetUp() override {
    start();
    auto request = talk_upgrade();
    request.dialect = &strict;
    ann = open(1, std::move(request));
    run();
  }

  std::size_t pings() const {
    return static_cast<std::size_t>(
      std::count(ann->got.begin(), ann->got.end(), "ping"));
  }

  talk_dialect strict{true};
  socket_ptr ann;
};

TEST_F(StrictDialectTest, WhoDoesNotGreetInTimeIsStale) {
  advance(env.reader.greeting_timeout - 100ms);
  EXPECT_EQ(ann->last_words, "");
  advance(200ms);
  EXPECT_EQ(ann->last_words, "stale");
}

TEST_F(StrictDialectTest, WhoHasGreetedIsPingedAndHasToAnswer) {
  ann->emit("hello 1");
  advance(env.reader.ping_every + 100ms);
  EXPECT_EQ(pings(), 1u);
  ann->emit("pong");
  advance(env.reader.ping_every);
  EXPECT_EQ(pings(), 2u);
  EXPECT_EQ(ann->last_words, "");
  advance(env.reader.pong_timeout + 100ms);
  EXPECT_EQ(ann->last_words, "no_pong");
}

TEST_F(StrictDialectTest, NoPongIsMissedWhileTheSocketIsNotRead) {
  env.reader.posts_max = 2;
  ann->window = 1;
  ann->emit("hello 1\njoin 2 lobby");
  advance(env.reader.ping_every);
  ASSERT_EQ(pings(), 1u);
  // The room's unit stands still, and with it whoever publishes there.
  ann->emit("pub 3 lobby x\npub 4 lobby y\npub 5 lobby z");
  ann->emit("pong");
  for (int i = 0; i < 3; ++i) {
    run_one_turn(1);
    sleep(env.reader.pong_timeout + 100ms);
    run_one_turn(1);
  }
  EXPECT_EQ(ann->unread(), 1u);
  EXPECT_EQ(ann->last_words, "");
  run();
  EXPECT_EQ(ann->unread(), 0u);
  // Later it is judged like any other.
  advance(env.reader.ping_every + 4 * timer_wheel::tick);
  EXPECT_EQ(pings(), 2u);
  EXPECT_EQ(ann->last_words, "");
  advance(env.reader.pong_timeout + 100ms);
  EXPECT_EQ(ann->last_words, "no_pong");
}

TEST_F(StrictDialectTest, TheFirstPingComesBetweenHalfAnIntervalAndOne) {
  std::vector<socket_ptr> crowd;
  for (int i = 0; i < 40; ++i) {
    auto request = talk_upgrade();
    request.dialect = &strict;
    crowd.push_back(open(1, std::move(request)));
    crowd.back()->emit("hello 1");
  }
  run();
  auto pinged = [&crowd] {
    return std::count_if(crowd.begin(), crowd.end(), [](auto& x) {
      return std::count(x->got.begin(), x->got.end(), "ping") > 0;
    });
  };
  const auto begin = now();
  const auto every = env.reader.ping_every;
  advance(every / 2 - timer_wheel::tick);
  EXPECT_EQ(pinged(), 0);
  // They are spread over the other half.
  for (int eighth = 1; eighth <= 8; ++eighth) {
    advance(begin + every / 2 + eighth * every / 16 - now());
    EXPECT_LE(pinged(), 5 * eighth + 3) << eighth;
    EXPECT_GE(pinged(), 5 * eighth - 5) << eighth;
  }
  advance(2 * timer_wheel::tick);
  EXPECT_EQ(pinged(), 40);
}

TEST_F(StrictDialectTest, PingsComeAtASteadyPace) {
  ann->emit("hello 1");
  advance(env.reader.ping_every);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(pings(), static_cast<std::size_t>(i + 1));
    ann->emit("pong");
    // Each of two timers may be a tick late.
    advance(env.reader.ping_every + 2 * timer_wheel::tick);
  }
  EXPECT_EQ(ann->last_words, "");
}

TEST_F(StrictDialectTest, APongNobodyAskedForDoesNoHarm) {
  ann->emit("hello 1\npong\npong");
  advance(env.reader.ping_every);
  EXPECT_EQ(pings(), 1u);
  EXPECT_EQ(ann->last_words, "");
}

} // namespace

} // namespace greenroom::test
