// Order: one order per room, each sender's own order within it, and
// members that come and go amid traffic.

#include "test/support/broker_fixture.hpp"
#include "test/support/traffic.hpp"
#include "test/support/ws_client.hpp"

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

/// With rooms on one unit, and with rooms that have an outlet on a second.
class OrderTest : public testing::TestWithParam<bool> {
protected:
  static broker_options options() {
    auto result = roomy_options({"lobby", "quiet"});
    result.rooms.push_back({"lazy", {.write_delay = 10s}});
    if (GetParam())
      result.supervisor.spread_members = 1;
    return result;
  }

  ws_client client(const std::string& target = "lobby") const {
    return ws_client::connect(
      {.port = broker.port(), .path = "/room/" + target});
  }

  test_broker broker{options()};
};

std::string name_of(const testing::TestParamInfo<bool>& x) {
  return x.param ? "TwoUnits" : "OneUnit";
}

/// A masked frame as a client sends it.
std::string frame(opcode op, std::string_view payload) {
  std::string result;
  append_frame(result, {.op = op}, payload);
  return result;
}

} // namespace

INSTANTIATE_TEST_SUITE_P(Units, OrderTest, testing::Bool(), name_of);

// -- joins -------------------------------------------------------------------------

TEST_P(OrderTest, WhatIsSentAfterAJoinIsTheFirstMessageOfTheJoiner) {
  auto ann = client();
  for (int i = 0; i < 100; ++i) {
    ann.send_text("before"); // nobody who joins now may see it
    ASSERT_EQ(ann.receive_text(), "before");
    auto bob = client();
    auto text = fmt::format("for {}", i);
    ann.send_text(text);
    ASSERT_EQ(bob.receive_text(), text);
    ASSERT_EQ(ann.receive_text(), text);
    bob.close();
  }
}

TEST_P(OrderTest, AJoinSendsWhatWaitsAndTheJoinerDoesNotGetIt) {
  auto ann = client("lazy"); // a turn takes ten seconds here
  ann.set_timeout(5s);
  for (int i = 1; i <= 10; ++i) {
    ann.send_text("before");
    wait_until([&] { return broker.counts().publications.get() == 2 * i - 1; },
               5s, [] { return "it is not in the room"; });
    auto bob = client("lazy");
    EXPECT_EQ(ann.receive_text(), "before");
    ann.send_text("after");
    wait_until([&] { return broker.counts().publications.get() == 2 * i; }, 5s,
               [] { return "it is not in the room"; });
    auto eve = client("lazy");
    EXPECT_EQ(bob.receive_text(), "after");
    EXPECT_EQ(ann.receive_text(), "after");
    EXPECT_TRUE(eve.messages_until_pong().empty());
    bob.close();
    eve.close();
  }
}

TEST_P(OrderTest, ALeaveSendsWhatWaits) {
  auto ann = client("lazy");
  auto bob = client("lazy");
  ann.set_timeout(5s);
  ann.send_text("before");
  wait_until([&] { return broker.counts().publications.get() == 1; }, 5s,
             [] { return "it is not in the room"; });
  bob.close();
  EXPECT_EQ(ann.receive_text(), "before");
}

TEST_P(OrderTest, AJoinerAmidTrafficSeesASuffixWithoutAHole) {
  traffic clients{{.port = broker.port()}};
  auto lobby = clients.add({.room = "lobby",
                            .members = 4,
                            .publishers = 3,
                            .what = {.seed = test_seed()}});
  clients.open();
  clients.begin();
  for (int i = 0; i < 40; ++i) {
    clients.join(lobby, i % 8 == 0);
    clients.wait_progress(20);
  }
  EXPECT_EQ(clients.finish(), "");
}

TEST_P(OrderTest, AJoinersOwnFirstMessageIsBehindItsJoin) {
  traffic clients{{.port = broker.port()}};
  clients.add(
    {.room = "lobby", .publishers = 2, .what = {.seed = test_seed()}});
  clients.open();
  clients.begin();
  for (int i = 0; i < 50; ++i) {
    auto text = fmt::format("hello {}", i);
    // Not one of the traffic's: its members of the room would complain.
    auto bob =
      ws_client::connect({.port = broker.port(),
                          .path = "/room/quiet",
                          .behind_handshake = frame(opcode::text, text)});
    ASSERT_EQ(bob.receive_text(), text);
    bob.close();
  }
  EXPECT_EQ(clients.finish(), "");
}

// -- leaves ------------------------------------------------------------------------

TEST_P(OrderTest, LeavesAmidTrafficCostTheOthersNothing) {
  auto seed = test_seed();
  traffic clients{{.port = broker.port()}};
  auto lobby = clients.add(
    {.room = "lobby", .members = 6, .publishers = 3, .what = {.seed = seed}});
  clients.open();
  clients.begin();
  std::mt19937_64 random{seed};
  std::vector<traffic::member_id> guests;
  for (int i = 0; i < 60; ++i) {
    if (guests.size() < 8 || random() % 2 == 0) {
      guests.push_back(clients.join(lobby));
    } else {
      auto who = guests.begin() + static_cast<int>(random() % guests.size());
      clients.leave(*who);
      guests.erase(who);
    }
    clients.wait_progress(random() % 10);
  }
  EXPECT_EQ(clients.finish(), "");
  broker.wait_books([&](const books& x) {
    return x.memberships == 6 + guests.size() && x.clients == x.memberships;
  });
}

// -- echo --------------------------------------------------------------------------

TEST_P(OrderTest, ASenderWithoutEchoGetsAllButItsOwn) {
  traffic clients{{.port = broker.port()}};
  clients.add({.room = "lobby",
               .members = 4,
               .publishers = 2,
               .silent_publishers = 3,
               .messages = 200,
               .what = {.seed = test_seed()}});
  clients.open();
  clients.begin();
  EXPECT_EQ(clients.finish(), "");
  EXPECT_EQ(clients.delivered(), 200u * (5u * 7u - 3u));
}

TEST_P(OrderTest, ASenderKeepsItsOrderThroughABurst) {
  auto ann = client();
  auto bob = client();
  auto silent = client("lobby?echo=0");
  std::string burst;
  for (int i = 0; i < 1000; ++i)
    burst += frame(i % 3 == 0 ? opcode::binary : opcode::text,
                   fmt::format("number {}", i));
  silent.send_raw(burst);
  for (int i = 0; i < 1000; ++i) {
    auto due = ws_message{i % 3 == 0 ? opcode::binary : opcode::text,
                          fmt::format("number {}", i)};
    ASSERT_EQ(ann.receive(), due);
    ASSERT_EQ(bob.receive(), due);
  }
  EXPECT_TRUE(silent.messages_until_pong().empty());
}

// -- bytes right behind the handshake -------------------------------------------------

TEST_P(OrderTest, BytesRightBehindTheHandshakeAreTheFirstMessages) {
  auto ann = client();
  std::string behind = frame(opcode::text, "one") + frame(opcode::binary, "two")
                       + frame(opcode::text, "");
  auto bob = ws_client::connect(
    {.port = broker.port(), .path = "/room/lobby", .behind_handshake = behind});
  for (auto* who : {&ann, &bob}) {
    EXPECT_EQ(who->receive(), (ws_message{opcode::text, "one"}));
    EXPECT_EQ(who->receive(), (ws_message{opcode::binary, "two"}));
    EXPECT_EQ(who->receive(), (ws_message{opcode::text, ""}));
  }
}

TEST_P(OrderTest, AMessageMayBeginInTheHandshakesSegmentAndEndLater) {
  auto ann = client();
  const std::string long_one(60'000, 'x');
  auto whole = frame(opcode::text, long_one);
  for (std::size_t cut : {std::size_t{1}, std::size_t{5}, std::size_t{8},
                          std::size_t{1000}, whole.size() - 1}) {
    auto bob = ws_client::connect({.port = broker.port(),
                                   .path = "/room/lobby",
                                   .behind_handshake = whole.substr(0, cut)});
    bob.send_raw(std::string_view{whole}.substr(cut));
    bob.send_text("short");
    for (auto* who : {&ann, &bob}) {
      EXPECT_EQ(who->receive_text(), long_one);
      EXPECT_EQ(who->receive_text(), "short");
    }
    bob.close();
  }
}
