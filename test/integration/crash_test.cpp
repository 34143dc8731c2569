// Exceptions in the actors of the real broker, under traffic: who is
// hurt, who is not, and that nothing of the dead is left.

#include "test/support/broker_fixture.hpp"
#include "test/support/traffic.hpp"
#include "test/support/ws_client.hpp"
#include "test/support/ws_wire.hpp"

#include <algorithm>
#include <chrono>
#include <future>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "actors/engine.hpp"
#include "actors/runtime/actor.hpp"

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t other_rooms = 10;
constexpr std::size_t other_members = 5;

/// Ten rooms of five whose traffic must not suffer, beside a lobby to crash in.
class CrashTest : public testing::Test {
protected:
  static broker_options options() {
    auto result = roomy_options();
    result.supervisor.rooms_on_demand = true;
    // Every room has an outlet, so the lobby's crash takes one with it.
    result.supervisor.spread_members = 3;
    return result;
  }

  /// Opens the traffic of the other rooms and lets it run.
  void start_others() {
    auto seed = test_seed();
    for (std::size_t i = 0; i < other_rooms; ++i)
      others.add({.room = fmt::format("other-{}", i),
                  .members = other_members,
                  .publishers = 2,
                  .what = {.seed = seed + i}});
    others.open();
    others.begin();
    others.wait_progress(10);
  }

  /// Their traffic went on until now, and nothing of it is missing.
  void expect_others_well() {
    EXPECT_NO_THROW(others.wait_progress(20));
    EXPECT_EQ(others.finish(), "");
  }

  ws_client lobby_client() {
    return ws_client::connect({.port = broker.port(), .path = "/room/lobby"});
  }

  /// Crashes the room, and waits until another actor has its place.
  void crash_room(const std::string& name) {
    auto former = broker.room_actor(name);
    ASSERT_TRUE(former);
    tell(former, sabotage{});
    wait_until(
      [&] {
        auto now = broker.room_actor(name);
        return now && now != former;
      },
      5s, [&] { return "no new actor for room " + name; });
  }

  test_broker broker{options()};
  traffic others{{.port = broker.port()}};
};

/// Publishes until everybody has got something of it: messages that a crashed room
/// had not handled are lost. @returns how long that took
std::chrono::milliseconds go_on(ws_client& from, std::vector<ws_client*> all,
                                const std::string& text) {
  auto begin = std::chrono::steady_clock::now();
  deadline until{10s};
  while (!all.empty() && !until.passed()) {
    from.send_text(text);
    std::erase_if(all, [&](ws_client* who) {
      while (auto got = who->try_receive(1ms)) {
        if (got->payload == text)
          return true;
      }
      return false;
    });
  }
  EXPECT_TRUE(all.empty()) << all.size() << " members hear nothing any more";
  return std::chrono::duration_cast<std::chrono::milliseconds>(
    std::chrono::steady_clock::now() - begin);
}

} // namespace

// -- reader and writer --------------------------------------------------------------

TEST_F(CrashTest, ACrashedReaderEndsItsClientOnly) {
  start_others();
  const auto before = broker.count();
  for (int i = 0; i < 20; ++i) {
    auto room = static_cast<std::size_t>(i) % other_rooms;
    auto victim = others.join(room, true);
    auto who = broker.client(broker.newest_client());
    ASSERT_TRUE(who);
    others.wait_progress(5);
    others.expect_end(victim);
    tell(who->reader, sabotage{});
    EXPECT_EQ(others.wait_end(victim), 1011);
  }
  EXPECT_EQ(broker.counts().crashes.get(), 20);
  expect_others_well();
  broker.wait_census(before);
  EXPECT_EQ(broker.log().lines("actor_crashed").size(), 20u);
  broker.log().wait_line("client_down", "chain=reader fault > writer fault");
}

TEST_F(CrashTest, ACrashedWriterEndsItsClientOnly) {
  start_others();
  const auto before = broker.count();
  for (int i = 0; i < 20; ++i) {
    auto room = static_cast<std::size_t>(i) % other_rooms;
    auto victim = others.join(room, true);
    auto who = broker.client(broker.newest_client());
    ASSERT_TRUE(who);
    others.wait_progress(5);
    others.expect_end(victim);
    tell(who->writer, sabotage{});
    EXPECT_EQ(others.wait_end(victim), 1011);
  }
  EXPECT_EQ(broker.counts().crashes.get(), 20);
  expect_others_well();
  broker.wait_census(before);
  EXPECT_EQ(broker.log().lines("actor_crashed").size(), 20u);
  broker.log().wait_line("client_down", "chain=writer fault > reader fault");
}

TEST_F(CrashTest, AReaderThatCrashesBeforeTheAnswerToItsHandshakeIsCleanedUp) {
  // The first connection of a unit opens descriptors that stay.
  const auto cold = broker.count();
  lobby_client();
  wait_until(
    [&] {
      auto x = broker.count();
      return x.actors == cold.actors && x.connections == 0 && x.sessions == 0;
    },
    10s, [&] { return to_string(broker.count()); });
  const auto before = broker.count();
  for (int i = 0; i < 20; ++i) {
    // Whatever comes first: the 101 and a goodbye, or a refusal.
    auto next = broker.newest_client() + 1;
    auto result = std::async(std::launch::async, [&] {
      return ws_client::try_connect(
        {.port = broker.port(), .path = "/room/lobby"});
    });
    member_ptr who;
    wait_until([&] { return (who = broker.client(next)) != nullptr; }, 5s,
               [] { return "no client"; });
    tell(who->reader, sabotage{});
    who = nullptr;
    auto outcome = result.get();
    if (auto* client = std::get_if<ws_client>(&outcome))
      EXPECT_EQ(client->expect_close().code, 1011);
    else
      EXPECT_EQ(std::get<http_response>(outcome).status, 500);
  }
  broker.wait_census(before);
}

// -- room ---------------------------------------------------------------------------

TEST_F(CrashTest, MembersOfACrashedRoomKeepTheirSocketAndGoOn) {
  start_others();
  std::vector<ws_client> members;
  for (int i = 0; i < 10; ++i)
    members.push_back(lobby_client());
  std::vector<ws_client*> all;
  for (auto& x : members)
    all.push_back(&x);
  const auto before = broker.count();
  for (int round = 0; round < 3; ++round) {
    // Traffic before and behind the crash.
    auto former = broker.room_actor("lobby");
    for (int i = 0; i < 200; ++i) {
      members.front().send_text(fmt::format("{} {:05}", round, i));
      if (i == 100)
        tell(former, sabotage{});
    }
    auto took = go_on(members.front(), all, fmt::format("round {}", round));
    fmt::print("members went on after {} ms\n", took.count());
    EXPECT_LT(took, 1s);
    EXPECT_NE(broker.room_actor("lobby"), former);
    // A second actor of the pair may speak now too.
    go_on(members.back(), all, fmt::format("answer {}", round));
  }
  EXPECT_EQ(broker.counts().rooms_restarted.get(), 3);
  EXPECT_EQ(broker.counts().crashes.get(), 3);
  // Nobody was lost, and nobody is in it twice.
  EXPECT_EQ(broker.books().memberships, 10 + other_rooms * other_members);
  members.front().send_text("once");
  members.front().send_text("end");
  for (auto* who : all) {
    std::size_t seen = 0;
    for (auto text = who->receive_text(); text != "end";
         text = who->receive_text())
      seen += text == "once" ? 1 : 0;
    EXPECT_EQ(seen, 1u);
  }
  expect_others_well();
  broker.wait_census(before);
  EXPECT_EQ(broker.log().lines("room_restarted").size(), 3u);
}

TEST_F(CrashTest, WhatMembersSeeAcrossACrashIsInOrderAndWithoutRepetition) {
  constexpr int rounds = 4;
  constexpr int burst = 1000;
  auto ann = lobby_client();
  auto bob = lobby_client();
  auto eve = lobby_client(); // on another unit than one of the two
  int number = 0;
  for (int round = 0; round < rounds; ++round) {
    std::string bytes;
    for (int i = 0; i < burst; ++i)
      append_frame(bytes, {}, fmt::format("{:05}", number++));
    auto room = broker.room_actor("lobby");
    ann.send_raw(bytes);
    tell(room, sabotage{});
    go_on(ann, {&ann, &eve}, fmt::format("{:05}", number++));
  }
  auto seen = bob.messages_until_pong();
  ASSERT_FALSE(seen.empty());
  std::set<std::string> different;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    ASSERT_TRUE(i == 0 || seen[i - 1].payload <= seen[i].payload) << i;
    different.insert(seen[i].payload);
  }
  // The last of each round was sent until it came; of the others, each was
  // delivered once or is counted as lost.
  EXPECT_EQ(broker.counts().rooms_restarted.get(), rounds);
  auto lost = broker.counts().posts_lost.get();
  fmt::print("{} of {} arrived, {} are counted as lost\n", different.size(),
             number, lost);
  EXPECT_LE(different.size(), static_cast<std::size_t>(number));
  EXPECT_GE(static_cast<std::int64_t>(different.size()) + lost, number);
}

TEST_F(CrashTest, JoinsAndLeavesAmidCrashesLeaveNothingBehind) {
  start_others();
  auto witness = lobby_client();
  const auto before = broker.count();
  for (int i = 0; i < 4; ++i) {
    auto former = broker.room_actor("lobby");
    auto ann = lobby_client();
    auto bob = lobby_client();
    ann.send_close();
    tell(former, sabotage{});
    bob.reset();
    auto eve = lobby_client();
    go_on(eve, {&eve, &witness}, fmt::format("round {}", i));
    eve.close();
    ann.expect_close();
  }
  EXPECT_EQ(broker.counts().rooms_restarted.get(), 4);
  expect_others_well();
  broker.wait_census(before);
}

TEST_F(CrashTest, ARoomThatCrashesAgainAndAgainIsQuarantined) {
  start_others();
  const auto before = broker.count();
  std::vector<ws_client> members;
  for (int i = 0; i < 6; ++i)
    members.push_back(lobby_client());
  for (int i = 0; i < 4; ++i)
    ASSERT_NO_FATAL_FAILURE(crash_room("lobby"));
  tell(broker.room_actor("lobby"), sabotage{});
  for (auto& who : members) {
    auto words = who.expect_close();
    EXPECT_EQ(words.code, 1011);
    EXPECT_EQ(words.reason, "room_closed");
  }
  auto books = broker.wait_books(
    [&](const greenroom::books& x) { return x.quarantined == 1; });
  EXPECT_EQ(books.rooms, other_rooms);
  EXPECT_FALSE(broker.room_actor("lobby"));
  auto refusal =
    ws_client::expect_refusal({.port = broker.port(), .path = "/room/lobby"});
  EXPECT_EQ(refusal.status, 503);
  // Other rooms live, new ones too.
  auto ann = ws_client::connect({.port = broker.port(), .path = "/room/new"});
  ann.send_text("hello");
  EXPECT_EQ(ann.receive_text(), "hello");
  ann.close();
  ann.drop();
  members.clear();
  expect_others_well();
  auto after = before;
  after.books.rooms -= 1;
  after.books.quarantined = 1;
  after.actors -= 1;
  broker.wait_census(after);
  EXPECT_EQ(broker.counts().rooms_quarantined.get(), 1);
  broker.log().wait_line("room_quarantined", "room=lobby");
}

TEST_F(CrashTest, CrashesOfManyRoomsEndTheBroker) {
  std::vector<ws_client> members;
  for (int i = 0; i < 60; ++i) {
    auto name = fmt::format("room-{}", i);
    members.push_back(
      ws_client::connect({.port = broker.port(), .path = "/room/" + name}));
    if (i < 49)
      crash_room(name);
  }
  EXPECT_EQ(broker.counts().rooms_restarted.get(), 49);
  for (int i = 49; i < 60; ++i) {
    // The supervisor may be gone already.
    try {
      tell(broker.room_actor(fmt::format("room-{}", i)), sabotage{});
    } catch (const std::exception&) {
      break;
    }
  }
  EXPECT_EQ(broker.wait_end(), 70);
}

TEST_F(CrashTest, ACrashedOutletIsReplacedWithItsRoom) {
  start_others();
  std::vector<ws_client> members;
  std::vector<ws_client*> all;
  // They are placed by load, so it may take some until one is elsewhere.
  std::vector<found_actor> alive;
  auto outlet = alive.end();
  while (members.size() < 10
         || (outlet == alive.end() && members.size() < 60)) {
    members.push_back(lobby_client());
    alive = broker.actors();
    outlet = std::find_if(alive.begin(), alive.end(), [](const auto& x) {
      return x.kind == actor_kind::outlet && x.room == "lobby";
    });
  }
  for (auto& x : members)
    all.push_back(&x);
  const auto before = broker.count();
  ASSERT_NE(outlet, alive.end());
  tell(outlet->handle, sabotage{});
  EXPECT_LT(go_on(members.front(), all, "again"), 1s);
  EXPECT_LT(go_on(members.back(), all, "and back"), 1s);
  EXPECT_EQ(broker.counts().rooms_restarted.get(), 1);
  expect_others_well();
  broker.wait_census(before);
}

// -- inspector ----------------------------------------------------------------------

TEST_F(CrashTest, ACrashedInspectorIsReplacedAndNobodyNotices) {
  start_others();
  const auto before = broker.count();
  for (int i = 0; i < 3; ++i) {
    auto former = broker.find(actor_kind::inspector);
    tell(former.handle, sabotage{});
    wait_until(
      [&] {
        auto all = broker.actors();
        return std::any_of(all.begin(), all.end(), [&](const found_actor& x) {
          return x.kind == actor_kind::inspector && x.id != former.id;
        });
      },
      5s, [] { return "no new inspector"; });
    // It writes again.
    auto ann = lobby_client();
    auto id = fmt::format("client={} ", broker.newest_client());
    broker.log().wait_line("client_up", id);
    ann.close();
    ann.drop(); // the broker waits for that, up to a deadline
    broker.log().wait_line("client_down", id);
  }
  EXPECT_EQ(broker.counts().crashes.get(), 3);
  EXPECT_EQ(broker.log().lines("actor_crashed").size(), 3u);
  expect_others_well();
  broker.wait_census(before);
}

TEST_F(CrashTest, ACrashedProbeIsReplacedAndItsUnitSpeaksAgain) {
  start_others();
  const auto before = broker.count();
  for (auto& x : broker.actors()) {
    if (x.kind != actor_kind::probe)
      continue;
    tell(x.handle, sabotage{});
    wait_until(
      [&] {
        auto now = broker.actors();
        return now.size() == before.actors
               && std::none_of(now.begin(), now.end(),
                               [&](const auto& y) { return y.id == x.id; });
      },
      5s, [] { return "no new probe"; });
  }
  // A reader's crash is told by its own unit. Who stays makes the next room open on
  // the other one.
  std::set<unit_id> units;
  std::vector<ws_client> stays;
  for (int i = 0; units.size() < 2 && i < 50; ++i) {
    auto path = fmt::format("/room/probed-{}", i);
    for (int j = 0; j < 5; ++j)
      stays.push_back(
        ws_client::connect({.port = broker.port(), .path = path}));
    auto who = broker.client(broker.newest_client());
    ASSERT_TRUE(who);
    tell(who->reader, sabotage{});
    broker.log().wait_line("actor_crashed", fmt::format("client={} ", who->id));
    units.insert(who->unit);
  }
  stays.clear();
  EXPECT_EQ(units.size(), 2u);
  expect_others_well();
  broker.wait_census(before);
}

TEST_F(CrashTest, TheBrokerWorksOnWithoutAnInspector) {
  start_others();
  for (std::uint64_t former = 0; broker.counts().crashes.get() < 5;) {
    auto all = broker.actors();
    auto found =
      std::find_if(all.begin(), all.end(), [former](const found_actor& x) {
        return x.kind == actor_kind::inspector && x.id != former;
      });
    if (found == all.end())
      continue;
    former = found->id;
    tell(found->handle, sabotage{});
  }
  wait_until(
    [&] {
      auto all = broker.actors();
      return std::none_of(all.begin(), all.end(), [](const found_actor& x) {
        return x.kind == actor_kind::inspector;
      });
    },
    5s, [] { return "there is still an inspector"; });
  auto ann = lobby_client();
  ann.send_text("hello");
  EXPECT_EQ(ann.receive_text(), "hello");
  expect_others_well();
}

// -- supervisor ---------------------------------------------------------------------

TEST_F(CrashTest, ACrashedSupervisorEndsTheBrokerWithAnError) {
  start_others();
  auto ann = lobby_client();
  tell(broker.env().supervisor, sabotage{});
  EXPECT_EQ(broker.wait_end(), 70);
  EXPECT_EQ(ann.expect_close().code, 1001); // so that it comes again
  broker.log().wait_line("actor_crashed", "kind=supervisor");
  broker.log().wait_line("supervisor_down", "reason=fault");
}
