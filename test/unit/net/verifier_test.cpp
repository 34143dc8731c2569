// The verifier of the tests: what is right passes, and each fault is found.

#include "test/support/verifier.hpp"

#include <array>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

using namespace greenroom::test;

namespace {

/// A verifier with one room, and ways to deliver wrongly.
class VerifierTest : public testing::Test {
protected:
  VerifierTest() {
    room = checks.add_room();
    ann = checks.add_publisher(room);
    bob = checks.add_publisher(room);
  }

  void deliver(std::size_t member, const verifier::outgoing& what) {
    checks.received(member, what.op, what.payload);
  }

  void expect_fault(std::string_view part) {
    auto report = checks.report();
    EXPECT_NE(report.find(part), std::string::npos) << report;
    EXPECT_TRUE(checks.finished());
  }

  verifier checks{{.seed = 7}};
  std::size_t room = 0;
  std::size_t ann = 0;
  std::size_t bob = 0;
};

} // namespace

TEST_F(VerifierTest, RightDeliveriesAreNoFault) {
  auto one = checks.add_member(room);
  auto two = checks.add_member(room);
  for (int i = 0; i < 100; ++i) {
    auto a = checks.next(ann);
    auto b = checks.next(bob);
    for (auto who : {one, two}) {
      EXPECT_FALSE(checks.finished());
      deliver(who, b);
      deliver(who, a);
    }
  }
  EXPECT_TRUE(checks.finished());
  EXPECT_EQ(checks.report(), "");
  EXPECT_EQ(checks.published(), 200u);
  EXPECT_EQ(checks.delivered(), 400u);
}

TEST_F(VerifierTest, MessagesFollowFromTheSeed) {
  verifier again{{.seed = 7}};
  verifier other{{.seed = 8}};
  for (auto* checker : {&again, &other})
    checker->add_publisher(checker->add_room());
  std::set<std::size_t> lengths;
  std::set<opcode> kinds;
  bool differs = false;
  for (int i = 0; i < 50; ++i) {
    auto what = checks.next(ann);
    auto same = again.next(0);
    EXPECT_EQ(what.payload, same.payload);
    EXPECT_EQ(what.op, same.op);
    differs |= what.payload != other.next(0).payload;
    lengths.insert(what.payload.size());
    kinds.insert(what.op);
    EXPECT_TRUE(what.op == opcode::binary || is_utf8(what.payload));
  }
  EXPECT_TRUE(differs);
  EXPECT_GT(lengths.size(), 10u);
  EXPECT_EQ(kinds.size(), 2u);
  EXPECT_GE(*lengths.begin(), 16u);
  EXPECT_LE(*lengths.rbegin(), 256u);
}

TEST_F(VerifierTest, ALostMessageIsFound) {
  auto one = checks.add_member(room);
  checks.next(ann);
  deliver(one, checks.next(ann));
  expect_fault("message 1 of publisher 0 with others before it missing");
}

TEST_F(VerifierTest, ALostLastMessageIsFound) {
  checks.add_member(room);
  checks.next(ann);
  EXPECT_FALSE(checks.finished());
  EXPECT_NE(checks.report().find("lacks 1 messages"), std::string::npos);
}

TEST_F(VerifierTest, ARepeatedMessageIsFound) {
  auto one = checks.add_member(room);
  auto what = checks.next(ann);
  deliver(one, what);
  deliver(one, what);
  expect_fault("a second time");
}

TEST_F(VerifierTest, AnotherOrderIsFound) {
  auto one = checks.add_member(room);
  auto two = checks.add_member(room);
  auto a = checks.next(ann);
  auto b = checks.next(bob);
  deliver(one, a);
  deliver(one, b);
  deliver(two, b);
  expect_fault("member 1 of room 0 got message 0 of publisher 1 in another "
               "order");
}

TEST_F(VerifierTest, EveryChangedByteIsFound) {
  auto what = checks.next(ann);
  for (std::size_t i = 0; i < what.payload.size(); ++i) {
    verifier fresh{{.seed = 7}};
    fresh.add_publisher(fresh.add_room());
    auto one = fresh.add_member(0);
    auto wrong = fresh.next(0);
    ASSERT_EQ(wrong.payload, what.payload);
    wrong.payload[i] = static_cast<char>(wrong.payload[i] ^ 1);
    fresh.received(one, wrong.op, wrong.payload);
    EXPECT_NE(fresh.report(), "") << "byte " << i;
  }
}

TEST_F(VerifierTest, AChangedKindOrLengthIsFound) {
  auto one = checks.add_member(room);
  auto two = checks.add_member(room);
  auto three = checks.add_member(room);
  auto what = checks.next(ann);
  auto other = what.op == opcode::text ? opcode::binary : opcode::text;
  checks.received(one, other, what.payload);
  checks.received(two, what.op, what.payload + "x");
  checks.received(three, what.op, what.payload.substr(0, 3));
  EXPECT_NE(checks.report().find("3 faults"), std::string::npos);
}

TEST_F(VerifierTest, AWrongRoomIsFound) {
  auto elsewhere = checks.add_member(checks.add_room());
  deliver(elsewhere, checks.next(ann));
  expect_fault("from another room");
}

TEST_F(VerifierTest, AnEchoThatWasNotWantedIsFound) {
  checks.add_member(room);
  auto one = checks.add_member(room, ann);
  deliver(one, checks.next(ann));
  expect_fault("although it is its own");
}

TEST_F(VerifierTest, MembersWithoutEchoKeepTheOrderOfTheRoom) {
  auto whole = checks.add_member(room);
  auto cut = checks.add_member(room, ann);
  auto cid = checks.add_publisher(room);
  auto a = checks.next(ann);
  auto b = checks.next(bob);
  auto c = checks.next(cid);
  EXPECT_EQ(checks.missing(), 5u);
  for (const auto& what : {b, a, c})
    deliver(whole, what);
  deliver(cut, c);
  deliver(cut, b);
  EXPECT_TRUE(checks.finished());
  expect_fault("member 1 of room 0 got messages in another order");
}

TEST_F(VerifierTest, ALateMemberMustGetWhatComesAfterIt) {
  auto whole = checks.add_member(room);
  auto first = checks.next(ann);
  auto under_way = checks.next(ann);
  auto late = checks.add_member(room);
  auto after = checks.next(ann);
  EXPECT_EQ(checks.missing(), 4u);
  for (const auto& what : {first, under_way, after})
    deliver(whole, what);
  deliver(late, under_way);
  EXPECT_FALSE(checks.finished());
  deliver(late, after);
  EXPECT_TRUE(checks.finished());
  EXPECT_EQ(checks.report(), "");
}

TEST_F(VerifierTest, ALateMemberThatMissesTheFirstIsFound) {
  checks.next(ann);
  auto late = checks.add_member(room);
  checks.next(ann);
  deliver(late, checks.next(ann));
  expect_fault("with others before it missing");
}

TEST_F(VerifierTest, ARemovedMemberLacksNothing) {
  auto one = checks.add_member(room);
  auto two = checks.add_member(room, bob);
  auto a = checks.next(ann);
  auto b = checks.next(bob);
  EXPECT_EQ(checks.missing(), 3u);
  deliver(two, a);
  checks.remove_member(one);
  EXPECT_TRUE(checks.finished());
  deliver(one, a); // was on its way
  deliver(one, b);
  EXPECT_EQ(checks.missing(), 0u);
  EXPECT_EQ(checks.report(), "");
}

TEST_F(VerifierTest, APublisherThatWasCutOffLosesItsTailForAll) {
  auto one = checks.add_member(room);
  auto two = checks.add_member(room);
  auto a = checks.next(ann);
  checks.next(ann);
  auto late = checks.add_member(room);
  checks.next(ann);
  auto b = checks.next(bob);
  for (auto who : {one, two})
    deliver(who, a);
  for (auto who : {one, two, late})
    deliver(who, b);
  EXPECT_FALSE(checks.finished());
  checks.lose_tail(ann);
  EXPECT_TRUE(checks.finished());
  EXPECT_EQ(checks.report(), "");
}

TEST_F(VerifierTest, ATailThatSomeGotIsFound) {
  auto one = checks.add_member(room);
  checks.add_member(room);
  deliver(one, checks.next(ann));
  checks.lose_tail(ann);
  EXPECT_NE(checks.report().find("member 1 of room 0 lacks 1"),
            std::string::npos);
}

TEST_F(VerifierTest, TheDigestIsThatOfTheOrder) {
  auto digest_of = [](bool swapped) {
    verifier fresh{{.seed = 7}};
    auto home = fresh.add_room();
    auto x = fresh.add_publisher(home);
    auto y = fresh.add_publisher(home);
    auto one = fresh.add_member(home);
    std::array<verifier::outgoing, 2> two{fresh.next(x), fresh.next(y)};
    if (swapped)
      std::swap(two[0], two[1]);
    for (const auto& what : two)
      fresh.received(one, what.op, what.payload);
    EXPECT_EQ(fresh.report(), "");
    return fresh.digest(home);
  };
  EXPECT_EQ(digest_of(false), digest_of(false));
  EXPECT_NE(digest_of(false), digest_of(true));
}
