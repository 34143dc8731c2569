#include "actors/roster.hpp"

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class RosterTest : public ActorTest {
protected:
  void SetUp() override {
    unit_count = 1;
    start({});
  }

  void TearDown() override {
    hall = {};
    for (auto& [id, who] : people) {
      tell(who->reader, caf::exit_msg{{}, caf::exit_reason::kill});
      tell(who->writer, caf::exit_msg{{}, caf::exit_reason::kill});
      who->reader = nullptr;
      who->writer = nullptr;
    }
    run();
    ActorTest::TearDown();
  }

  /// A member whose actors only write down what they are told.
  member_ptr person(client_id id, const protocol& dialect) {
    auto who = std::make_shared<member>();
    who->id = id;
    who->dialect = &dialect;
    who->flow = std::make_shared<flow_counter>();
    who->reader = spawn_puppet(0, {.receive = [this, id](puppet&, auto& in) {
                                 return dispatch(in, [&](evict& x) {
                                   told[id].emplace_back(to_string(x.why));
                                 });
                               }});
    who->writer = spawn_puppet(
      0, {.receive = [this, id](puppet&, auto& in) {
        return dispatch(
          in, [&](deliver& x) { told[id].emplace_back(x.what->bytes()); },
          [&](trim& x) {
            told[id].push_back("keep " + std::to_string(x.keep));
          });
      }});
    people[id] = who;
    return who;
  }

  static wire_ptr words(std::string text) {
    wire_builder b{text.size()};
    b.append(text);
    b.end_frame();
    return b.finish();
  }

  std::vector<std::string> told_to(client_id id) {
    run();
    return std::exchange(told[id], {});
  }

  void send(const broadcast& what,
            overflow_policy policy = overflow_policy::disconnect) {
    roster::progress from_the_first;
    hall.deliver(what, from_the_first, hall.size(),
                 {policy, env.member, counts});
  }

  roster hall;
  std::map<client_id, member_ptr> people;
  std::map<client_id, std::vector<std::string>> told;
};

TEST_F(RosterTest, EachDialectGetsItsOwnBytes) {
  hall.add(person(1, relay), true);
  hall.add(person(2, talk), true);
  hall.add(person(3, relay), true);
  broadcast x;
  x.portions = {{{&relay, nullptr}, words("plain")},
                {{&talk, nullptr}, words("fancy")}};
  x.events = 2;
  send(x);
  EXPECT_THAT(told_to(1), ElementsAre("plain"));
  EXPECT_THAT(told_to(2), ElementsAre("fancy"));
  EXPECT_THAT(told_to(3), ElementsAre("plain"));
  EXPECT_EQ(counts.deliveries.get(), 6);
  EXPECT_EQ(people[1]->flow->queued(), 5u);
}

TEST_F(RosterTest, WhatADialectCannotTellIsNotDelivered) {
  hall.add(person(1, relay), true);
  hall.add(person(2, talk), false);
  broadcast x;
  x.portions = {{{&relay, nullptr}, words("all three"), 0},
                {{&talk, nullptr}, words("two"), 1}};
  x.cuts.emplace(2, words("one"));
  x.cut_events.emplace(2, 1);
  x.events = 3;
  send(x);
  EXPECT_EQ(counts.deliveries.get(), 3 + 1);
}

TEST_F(RosterTest, ADialectWithoutAWordForItGetsNothing) {
  hall.add(person(1, relay), true);
  broadcast x;
  x.portions = {{{&relay, nullptr}, {}}};
  send(x);
  EXPECT_THAT(told_to(1), IsEmpty());
  EXPECT_EQ(people[1]->flow->queued(), 0u);
}

TEST_F(RosterTest, ACutReplacesTheBytesOfAMemberWithoutEchoOnly) {
  hall.add(person(1, relay), false);
  hall.add(person(2, relay), false);
  hall.add(person(3, relay), true);
  broadcast x;
  x.portions = {{{&relay, nullptr}, words("all")}};
  x.cuts.emplace(1, words("part"));
  x.cuts.emplace(2, wire_ptr{});
  x.cuts.emplace(3, words("not for it"));
  send(x);
  EXPECT_THAT(told_to(1), ElementsAre("part"));
  EXPECT_THAT(told_to(2), IsEmpty());
  EXPECT_THAT(told_to(3), ElementsAre("all"));
}

TEST_F(RosterTest, WhoIsInAlreadyKeepsItsSeat) {
  EXPECT_TRUE(hall.add(person(1, relay), true));
  EXPECT_FALSE(hall.add(people[1], false));
  EXPECT_EQ(hall.size(), 1u);
  EXPECT_TRUE(hall.find(1)->echo);
}

TEST_F(RosterTest, LeavingTakesOneAndLeavesTheOthers) {
  for (client_id id = 1; id <= 5; ++id)
    hall.add(
      person(id, id % 2 != 0 ? static_cast<const protocol&>(relay) : talk),
      true);
  EXPECT_EQ(hall.remove(1), people[1]);
  EXPECT_EQ(hall.remove(5), people[5]);
  EXPECT_FALSE(hall.remove(5));
  EXPECT_FALSE(hall.remove(99));
  EXPECT_EQ(hall.size(), 3u);
  EXPECT_EQ(hall.find(1), nullptr);
  for (client_id id : {2, 3, 4})
    EXPECT_EQ(hall.find(id)->who, people[id]);
  broadcast x;
  x.portions = {{{&relay, nullptr}, words("x")},
                {{&talk, nullptr}, words("y")}};
  send(x);
  EXPECT_THAT(told_to(1), IsEmpty());
  EXPECT_THAT(told_to(2), ElementsAre("y"));
  EXPECT_THAT(told_to(3), ElementsAre("x"));
  EXPECT_THAT(told_to(4), ElementsAre("y"));
}

TEST_F(RosterTest, MembershipStaysRightThroughAnyComingAndGoing) {
  std::mt19937_64 random{random_seed()};
  std::map<client_id, bool> in;
  for (client_id id = 1; id <= 40; ++id)
    person(id, id % 3 == 0 ? static_cast<const protocol&>(talk) : relay);
  for (int i = 0; i < 2000; ++i) {
    client_id id = 1 + random() % 40;
    if (random() % 2 == 0) {
      EXPECT_EQ(hall.add(people[id], true), !in[id]);
      in[id] = true;
    } else {
      EXPECT_EQ(static_cast<bool>(hall.remove(id)), in[id]);
      in[id] = false;
    }
  }
  std::size_t count = 0;
  for (auto& [id, there] : in) {
    count += there ? 1 : 0;
    EXPECT_EQ(hall.find(id) != nullptr, there);
  }
  EXPECT_EQ(hall.size(), count);
}

TEST_F(RosterTest, WhoHasTooMuchUnderWayIsSentencedOnceAndGetsNothingMore) {
  env.member.outbound_bytes_max = 10;
  hall.add(person(1, relay), true);
  hall.add(person(2, relay), true);
  people[1]->flow->add(8);
  broadcast x;
  x.portions = {{{&relay, nullptr}, words("abc")}};
  x.events = 1;
  send(x);
  send(x);
  EXPECT_THAT(told_to(1), ElementsAre("slow_consumer"));
  EXPECT_THAT(told_to(2), ElementsAre("abc", "abc"));
  EXPECT_EQ(people[1]->flow->queued(), 8u);
  EXPECT_EQ(counts.deliveries.get(), 2);
}

TEST_F(RosterTest, ExactlyTheLimitIsAllowed) {
  env.member.outbound_bytes_max = 10;
  hall.add(person(1, relay), true);
  people[1]->flow->add(7);
  broadcast x;
  x.portions = {{{&relay, nullptr}, words("abc")}};
  send(x);
  EXPECT_THAT(told_to(1), ElementsAre("abc"));
}

TEST_F(RosterTest, DropNewestLosesWhatDoesNotFitAndCountsIt) {
  env.member.outbound_bytes_max = 10;
  hall.add(person(1, relay), true);
  people[1]->flow->add(8);
  broadcast x;
  x.portions = {{{&relay, nullptr}, words("abc")}};
  x.events = 1;
  send(x, overflow_policy::drop_newest);
  send(x, overflow_policy::drop_newest);
  EXPECT_THAT(told_to(1), IsEmpty());
  EXPECT_EQ(people[1]->gaps.load(), 2u);
  EXPECT_EQ(counts.dropped.get(), 2);
  EXPECT_EQ(counts.deliveries.get(), 0);
  EXPECT_EQ(people[1]->flow->queued(), 8u);
}

TEST_F(RosterTest, DropOldestMakesRoomFirst) {
  env.member.outbound_bytes_max = 10;
  hall.add(person(1, relay), true);
  people[1]->flow->add(8);
  broadcast x;
  x.portions = {{{&relay, nullptr}, words("abc")}};
  x.events = 1;
  send(x, overflow_policy::drop_oldest);
  EXPECT_THAT(told_to(1), ElementsAre("keep 7", "abc"));
  EXPECT_EQ(people[1]->flow->queued(), 11u);
  EXPECT_EQ(counts.deliveries.get(), 1);
}

TEST_F(RosterTest, AFullProcessEndsWhoLagsAndNobodyElse) {
  env.member.process_bytes_max = 100;
  env.member.lagging_bytes = 10;
  auto ballast = words(std::string(200, 'x'));
  hall.add(person(1, relay), true);
  hall.add(person(2, relay), true);
  people[1]->flow->add(11);
  people[2]->flow->add(10);
  broadcast x;
  x.portions = {{{&relay, nullptr}, words("abc")}};
  send(x);
  EXPECT_THAT(told_to(1), ElementsAre("overloaded"));
  EXPECT_THAT(told_to(2), ElementsAre("abc"));
  EXPECT_EQ(people[1]->flow->queued(), 11u);
}

TEST_F(RosterTest, WhoIsDoomedGetsNothing) {
  hall.add(person(1, relay), true);
  people[1]->doomed = true;
  broadcast x;
  x.portions = {{{&relay, nullptr}, words("abc")}};
  send(x);
  EXPECT_THAT(told_to(1), IsEmpty());
  EXPECT_EQ(people[1]->flow->queued(), 0u);
}

TEST_F(RosterTest, AnAnswerIsDeliveredWhateverIsUnderWay) {
  env.member.outbound_bytes_max = 10;
  auto who = person(1, relay);
  who->flow->add(1000);
  deliver_to(*who, words("answer"), {});
  deliver_to(*who, {}, {});
  EXPECT_THAT(told_to(1), ElementsAre("answer"));
  EXPECT_EQ(who->flow->queued(), 1006u);
}

} // namespace

} // namespace greenroom::test
