// The Centrifuge dialect in a whole broker: how connections with many rooms end, and
// what members see of rooms that crash.

#include "test/support/broker_fixture.hpp"
#include "test/support/centrifuge_client.hpp"
#include "test/support/swarm.hpp"
#include "test/support/ws_client.hpp"
#include "test/support/ws_wire.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "actors/engine.hpp"
#include "actors/runtime/actor.hpp"

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

broker_options options_of_test() {
  auto options = roomy_options();
  options.supervisor.rooms_on_demand = true;
  options.supervisor.spread_members = 8; // outlets take part
  return options;
}

/// A greeting and subscriptions in one message.
std::string joins(std::size_t first, std::size_t count, std::size_t pool) {
  std::string text{centrifuge_greeting};
  for (std::size_t i = 0; i < count; ++i)
    text += '\n'
            + centrifuge_subscribe(static_cast<std::uint32_t>(i + 2),
                                   fmt::format("r{}", (first + i) % pool));
  return text;
}

/// What the first connections of a broker bring with them stays.
void warm_up(test_broker& broker) {
  auto first =
    ws_client::connect({.port = broker.port(), .path = centrifuge_path});
  first.send_text(joins(0, 1, 1));
  first.receive_text();
  first.drop();
  broker.wait_books([](auto& x) { return x.clients == 0 && x.rooms == 1; });
}

/// Counts the lines that came, and those that are errors.
struct line_counter {
  std::size_t lines = 0;
  std::vector<std::string> errors;

  void operator()(std::string_view text) {
    lines +=
      1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    if (text.find("\"error\"") != std::string_view::npos)
      errors.emplace_back(text);
  }
};

// -- rooms that crash ---------------------------------------------------------------

std::optional<int> number_behind(std::string_view line,
                                 const std::string& head) {
  int n = 0;
  if (!line.starts_with(head))
    return {};
  line.remove_prefix(head.size());
  if (std::from_chars(line.data(), line.data() + line.size(), n).ec
      != std::errc{})
    return {};
  return n;
}

/// The number that was published to a room, if the line is its push.
std::optional<int> heard_in(std::string_view line, std::string_view room) {
  return number_behind(
    line, fmt::format(R"({{"push":{{"channel":"{}","pub":{{"data":)", room));
}

constexpr std::string_view lost_reply =
  R"("error":{"code":100,"message":"internal server error","temporary":true}})";

/// Members of a lobby and of another room, of which the lobby crashes.
class CentrifugeCrashTest : public testing::Test {
protected:
  CentrifugeCrashTest() {
    for (int i = 0; i < 6; ++i) { // on both units
      auto& x = members.emplace_back(broker.port());
      x.join(2, "lobby");
      x.join(3, "other");
    }
  }

  /// Crashes the lobby, and waits until another actor has its place.
  void crash_lobby() {
    auto former = broker.room_actor("lobby");
    ASSERT_TRUE(former);
    tell(former, sabotage{});
    wait_until(
      [&] {
        auto now = broker.room_actor("lobby");
        return now && now != former;
      },
      5s, [] { return "no new actor for the lobby"; });
  }

  static broker_options options() {
    auto result = options_of_test();
    result.supervisor.spread_members = 3;
    return result;
  }

  test_broker broker{options()};
  std::deque<centrifuge_client> members;
};

} // namespace

TEST_F(CentrifugeCrashTest, EachPublicationIsAnsweredAndGrantedOnesAreHeard) {
  constexpr int count = 400;
  constexpr std::uint32_t first_id = 10;
  auto& ann = members.front();
  auto former = broker.room_actor("lobby");
  for (int i = 0; i < count; ++i) {
    auto id = first_id + 2 * static_cast<std::uint32_t>(i);
    ann.ask(centrifuge_publish(id, "lobby", fmt::format("{}", i)) + '\n'
            + centrifuge_publish(id + 1, "other", fmt::format("{}", i)));
    if (i == count / 4)
      tell(former, sabotage{});
  }
  // Answers come in the order of the commands, whichever room they are from.
  std::map<std::size_t, std::vector<int>> heard; // by member, in the lobby
  std::vector<int> others;
  std::vector<int> granted;
  int lost = 0;
  for (auto id = first_id; id < first_id + 2 * count;) {
    auto line = ann.next();
    if (auto n = heard_in(line, "lobby")) {
      heard[0].push_back(*n);
    } else if (auto m = heard_in(line, "other")) {
      others.push_back(*m);
    } else {
      auto head = fmt::format(R"({{"id":{},)", id);
      ASSERT_TRUE(line.starts_with(head)) << line;
      auto rest = line.substr(head.size());
      auto of_lobby = (id - first_id) % 2 == 0;
      if (rest == R"("publish":{}})") {
        if (of_lobby)
          granted.push_back(static_cast<int>(id - first_id) / 2);
      } else {
        ASSERT_TRUE(of_lobby) << line;
        ASSERT_EQ(rest, lost_reply);
        ++lost;
      }
      ++id;
    }
  }
  fmt::print("{} granted, {} lost\n", granted.size(), lost);
  EXPECT_EQ(broker.counts().rooms_restarted.get(), 1);
  EXPECT_EQ(granted.size() + static_cast<std::size_t>(lost), count);
  // A last one, which everybody hears: what was granted came before it.
  ann.ask(centrifuge_publish(1000, "lobby", fmt::format("{}", count)) + '\n'
          + centrifuge_publish(1001, "other", fmt::format("{}", count)));
  for (std::size_t i = 0; i < members.size(); ++i) {
    auto own = i == 0 ? others : std::vector<int>{};
    auto done = [&] {
      return !heard[i].empty() && heard[i].back() == count && !own.empty()
             && own.back() == count;
    };
    while (!done()) {
      auto line = members[i].next();
      ASSERT_EQ(line.find("unsubscribe"), std::string::npos) << line;
      if (auto n = heard_in(line, "lobby"))
        heard[i].push_back(*n);
      else if (auto m = heard_in(line, "other"))
        own.push_back(*m);
    }
    EXPECT_TRUE(std::is_sorted(heard[i].begin(), heard[i].end()));
    const std::set<int> different(heard[i].begin(), heard[i].end());
    EXPECT_EQ(different.size(), heard[i].size()) << "something came twice";
    for (auto n : granted)
      EXPECT_TRUE(different.contains(n)) << n << " is missing for " << i;
    // The other room has not noticed.
    EXPECT_EQ(own.size(), count + 1u);
    EXPECT_TRUE(std::is_sorted(own.begin(), own.end()));
  }
  EXPECT_EQ(broker.books().memberships, 2 * members.size());
}

TEST_F(CentrifugeCrashTest, WhoseReaderOrWriterCrashesIsToldToComeBack) {
  for (int i = 0; i < 2; ++i) {
    auto& victim = members.emplace_back(broker.port());
    victim.join(2, "lobby");
    auto who = broker.client(broker.newest_client());
    ASSERT_TRUE(who);
    tell(i == 0 ? who->reader : who->writer, sabotage{});
    auto words = victim.end();
    EXPECT_EQ(words.code, 3004); // §7.2
    EXPECT_EQ(words.reason, "internal server error");
  }
  auto& ann = members.front();
  ann.ask(centrifuge_publish(10, "lobby", "1"));
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_EQ(heard_in(members[i].next(), "lobby"), 1);
}

TEST_F(CentrifugeCrashTest, ARoomInQuarantineIsToldAndNotTriedAgain) {
  for (int i = 0; i < 4; ++i)
    ASSERT_NO_FATAL_FAILURE(crash_lobby());
  tell(broker.room_actor("lobby"), sabotage{});
  for (auto& x : members)
    EXPECT_EQ(x.next(),
              R"({"push":{"channel":"lobby","unsubscribe":)"
              R"({"code":2000,"reason":"server unsubscribe"}}})"); // §7.3
  broker.wait_books([](auto& x) { return x.quarantined == 1; });
  EXPECT_EQ(broker.books().memberships, members.size());
  auto& ann = members.front();
  // Not temporary (§7.1): a client would ask again for ever.
  ann.ask(centrifuge_subscribe(10, "lobby"));
  EXPECT_EQ(ann.next(),
            R"({"id":10,"error":{"code":108,"message":"not available"}})");
  ann.ask(centrifuge_publish(11, "lobby", "1"));
  EXPECT_EQ(ann.next(),
            R"({"id":11,"error":{"code":103,"message":"permission denied"}})");
  ann.ask(R"({"id":12,"unsubscribe":{"channel":"lobby"}})");
  EXPECT_EQ(ann.next(), R"({"id":12,"unsubscribe":{}})");
  // The other room goes on.
  ann.ask(centrifuge_publish(13, "other", "7"));
  for (auto& x : members)
    EXPECT_EQ(heard_in(x.next(), "other"), 7);
  EXPECT_EQ(ann.next(), R"({"id":13,"publish":{}})");
}

// -- rooms with members of more than one dialect --------------------------------------

TEST(CentrifugeTest, BinaryOfARawClientIsLeftOutAndCounted) {
  test_broker broker{options_of_test()};
  auto raw = ws_client::connect({.port = broker.port(), .path = "/room/lobby"});
  std::deque<centrifuge_client> members;
  for (int i = 0; i < 3; ++i)
    members.emplace_back(broker.port()).join(2, "lobby");
  raw.send_binary(std::string_view{"\0\xff", 2});
  raw.send_text("{not JSON");
  raw.send_text("7");
  for (auto& x : members) {
    // The next thing they hear; text is a string, whatever it looks like.
    for (auto data : {R"("{not JSON")", R"("7")"})
      EXPECT_TRUE(x.next().starts_with(fmt::format(
        R"({{"push":{{"channel":"lobby","pub":{{"data":{},)", data)));
  }
  EXPECT_EQ(broker.counts().untold.get(), 3);
  EXPECT_EQ(raw.receive().op, opcode::binary);
  EXPECT_EQ(raw.receive_text(), "{not JSON");
  members.front().ask(centrifuge_publish(3, "lobby", R"("7")"));
  EXPECT_EQ(raw.receive_text(), "7");
  EXPECT_EQ(raw.receive_text(), R"("7")"); // what was published, quotes and all
}

// -- ends -----------------------------------------------------------------------------

TEST(CentrifugeTest, ManyConnectionsOfManyRoomsEndedByRstLeaveNothing) {
  constexpr std::size_t clients = sanitized ? 200 : 1000;
  constexpr std::size_t rooms_each = 20;
  test_broker broker{options_of_test()};
  warm_up(broker);
  const auto before = broker.count();
  {
    line_counter heard;
    swarm crowd{
      {.port = broker.port()},
      [&](swarm::index, opcode, std::string_view text) { heard(text); }};
    crowd.add(centrifuge_path, clients);
    crowd.open_all();
    for (std::size_t i = 0; i < clients; ++i)
      crowd.send(i, opcode::text, joins(i * 7, rooms_each, 100));
    crowd.run_until([&] { return heard.lines == clients * (rooms_each + 1); });
    EXPECT_EQ(heard.errors, std::vector<std::string>{});
    EXPECT_EQ(broker.books().memberships, clients * rooms_each);
    // While something is under way to all of them.
    crowd.send(0, opcode::text,
               R"({"id":99,"publish":{"channel":"r0","data":1}})");
    crowd.flush();
    for (std::size_t i = 0; i < clients; ++i)
      crowd.reset(i);
    EXPECT_EQ(crowd.faults(), std::vector<std::string>{});
  }
  broker.wait_census(before);
  EXPECT_EQ(broker.books().memberships, 0u);
}

TEST(CentrifugeTest, AConnectionLeavesAllOfItsRoomsAtOnce) {
  test_broker broker{options_of_test()};
  warm_up(broker);
  const auto before = broker.count();
  for (auto polite : {true, false}) {
    line_counter heard;
    swarm one{
      {.port = broker.port()},
      [&](swarm::index, opcode, std::string_view text) { heard(text); }};
    one.add(centrifuge_path);
    one.open_all();
    one.send(0, opcode::text, joins(0, 129, 200));
    one.run_until([&] { return heard.lines == 130; });
    ASSERT_EQ(heard.errors.size(), 1u); // the 129th
    EXPECT_NE(heard.errors.front().find("\"code\":106"), std::string::npos);
    EXPECT_EQ(broker.books().memberships, 128u);
    if (polite)
      one.close(0);
    else
      one.reset(0);
    one.flush();
    // No state in between is ever seen: all of them, or none.
    broker.wait_books([](auto& x) {
      EXPECT_TRUE(x.memberships == 128 || x.memberships == 0) << x.memberships;
      return x.memberships == 0;
    });
  }
  broker.wait_census(before);
}
