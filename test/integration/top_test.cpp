// `greenroom top` on a pseudo-terminal before a real broker. Its parts, and what a
// broker does not do at will, have test/unit/app/top_test.cpp.

#include "test/support/broker_fixture.hpp"
#include "test/support/terminal.hpp"
#include "test/support/ws_client.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace greenroom::test;
using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

constexpr std::string_view token = "only-for-this-test-0123456789";
constexpr std::size_t head_lines = 5; ///< of the screen above its first row

/// Rooms by these names, nobody in them, and an inspection listener.
class TopBrokerTest : public testing::Test {
protected:
  TopBrokerTest()
    : broker({"--room=lobby", "--room=news", "--rooms-on-demand=on",
              "--inspect-port=0", fmt::format("--inspect-act-token={}", token),
              "--member-outbound-max=64MiB", "--messages-per-second=0",
              "--bytes-per-second=0"}) {}

  std::string address() {
    auto line = broker.wait_log("inspecting");
    return fmt::format("127.0.0.1:{}", number_in(line.text, "port"));
  }

  terminal top(std::string_view view) {
    return terminal{
      {GREENROOM_BINARY, "top", address(), "--view", std::string{view}},
      {"LC_ALL=C.UTF-8", fmt::format("GREENROOM_INSPECT_ACT_TOKEN={}", token)}};
  }

  ws_client join(std::string_view room, ws_options options = {}) {
    options.port = broker.port();
    options.path = fmt::format("/room/{}", room);
    options.timeout = 30s;
    return ws_client::connect(options);
  }

  broker_process broker;
};

/// The row whose first word is this; empty if there is none.
std::string row_of(const screen& x, std::string_view name) {
  for (std::size_t i = head_lines; i < 23; ++i) {
    auto row = x.row(i);
    auto begin = row.find_first_not_of(' ');
    if (begin != std::string::npos
        && row.substr(begin).starts_with(fmt::format("{} ", name)))
      return row;
  }
  return {};
}

} // namespace

TEST_F(TopBrokerTest, RoomsFillAndTheTreeShowsWhoIsThere) {
  auto aut = top("rooms");
  aut.wait_text("lobby");
  std::vector<ws_client> members;
  for (int i = 0; i < 12; ++i)
    members.push_back(join("lobby"));
  aut.wait([](const screen& x) {
    return row_of(x, "lobby").find("    12 ") != std::string::npos;
  });
  aut.type("1");
  aut.wait_text("- connections 12");
  aut.wait_text("reader #");
  EXPECT_THAT(aut.shown().row(head_lines), testing::StartsWith("supervisor "));
  EXPECT_TRUE(aut.shown().shows("    room lobby"));
  EXPECT_TRUE(aut.shown().shows("    room news"));
  // The first reader: its writer stands under it.
  aut.type("jjjjj\r");
  aut.wait_text("      writer #");
  aut.type("4");
  aut.wait_text("1-12/12");
  members.clear();
  aut.wait_text("nothing here");
  aut.type("5");
  aut.wait_text("peer_gone");
  aut.type("q");
  EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
  EXPECT_THAT(aut.shown().strange(), IsEmpty());
}

TEST_F(TopBrokerTest, ASlowMemberIsFirstAndCanBeEnded) {
  auto sender = join("lobby?echo=0");
  auto up = broker.wait_log("client_up");
  auto slow = join("lobby", {.receive_buffer = 4096});
  auto slow_up = broker.wait_log("client_up", {}, 10s, up.next);
  auto client = number_in(slow_up.text, "client");
  auto others = join("lobby");
  for (int i = 0; i < 64; ++i) {
    sender.send_text(std::string(64 * 1024, 'x'));
    EXPECT_EQ(others.receive().payload.size(), 64u * 1024);
  }
  auto aut = top("lag");
  aut.wait([&](const screen& x) { // first, and late by seconds
    auto row = x.row(head_lines);
    auto name = fmt::format(" {} lobby ", client);
    auto at = row.find(name);
    if (at == std::string::npos)
      return false;
    auto lag = row.substr(row.find_first_not_of(' ', at + name.size()));
    lag.erase(lag.find(' '));
    return lag.ends_with("s") && !lag.ends_with("ms");
  });
  aut.type("x");
  aut.wait_text(fmt::format("End connection #{}? y: yes", client));
  aut.type("y");
  aut.wait_text("Clean: nothing was left behind.");
  EXPECT_TRUE(aut.shown().shows("memberships      1"));
  EXPECT_TRUE(aut.shown().shows("descriptors      1"));
  aut.type(" 5");
  aut.wait_text("kicked");
  EXPECT_THAT(row_of(aut.shown(), fmt::format("{}", client)),
              HasSubstr("kicked"));
  aut.type("q");
  EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
  EXPECT_THAT(aut.shown().strange(), IsEmpty());
}

TEST_F(TopBrokerTest, NamesOfRoomsMoveNothing) {
  // What a name may be is decided by the broker; what it lets through is shown tame.
  auto odd = join("%E2%80%AEevil%20%E9%83%A8%E5%B1%8B"); // U+202E, wide letters
  auto aut = top("rooms");
  aut.wait_text("evil 部屋");
  EXPECT_TRUE(aut.shown().shows("?evil"));
  aut.type("q");
  EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
  EXPECT_THAT(aut.shown().strange(), IsEmpty());
}
