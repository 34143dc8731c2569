// Signals to the real program: it ends in good order, at once, or not at all.

#include "test/support/broker_fixture.hpp"
#include "test/support/http_client.hpp"
#include "test/support/traffic.hpp"
#include "test/support/ws_client.hpp"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> flags(std::vector<std::string> more = {}) {
  auto result = roomy_flags();
  result.emplace_back("--rooms-on-demand");
  result.insert(result.end(), more.begin(), more.end());
  return result;
}

/// A thousand members in rooms of many sizes, all of them talking.
class crowd {
public:
  explicit crowd(std::uint16_t port) : rooms({.port = port, .timeout = 60s}) {
    auto seed = test_seed();
    rooms.add(
      {.room = "big", .members = 500, .publishers = 4, .what = {.seed = seed}});
    for (std::uint64_t i = 0; i < 50; ++i)
      rooms.add({.room = fmt::format("small-{}", i),
                 .members = 10,
                 .publishers = 2,
                 .what = {.seed = seed + i + 1,
                          .length_max = i % 5 == 0 ? 32u * 1024 : 256u}});
    rooms.open();
    rooms.begin();
    rooms.wait_progress(20);
  }

  /// Waits until the server has ended everybody. Torn frames are faults, or have
  /// no close frame behind them.
  void expect_goodbyes(std::uint16_t code) {
    rooms.clients().run_until(
      [](swarm& all) { return all.count(client_state::closed) == all.size(); });
    rooms.clients().call([code](swarm& all) {
      EXPECT_EQ(all.count_code(code), all.size()) << all.describe();
      EXPECT_TRUE(all.faults().empty()) << all.describe();
    });
  }

  traffic rooms;
};

} // namespace

class DrainTest : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Signals, DrainTest, testing::Values(SIGTERM, SIGINT),
                         [](const auto& x) {
                           return x.param == SIGTERM ? "Term" : "Int";
                         });

TEST_P(DrainTest, AThousandMembersUnderLoadSeeWholeFramesAnd1001) {
  broker_process broker{flags()};
  crowd members{broker.port()};
  auto begin = std::chrono::steady_clock::now();
  broker.child().signal(GetParam());
  members.expect_goodbyes(1001);
  EXPECT_EQ(broker.child().wait_exit(), exit_status{0});
  auto took = since(begin);
  fmt::print("ended after {} ms\n", took.count());
  EXPECT_LT(took, 10s);
  // The log tells of each end, also of the last.
  std::size_t ends = 0;
  for (const auto& line : broker.child().lines(output::out)) {
    if (line.find(R"("message":"client_down")") != std::string::npos
        && line.find(R"("reason":"shutdown")") != std::string::npos)
      ++ends;
  }
  EXPECT_EQ(ends, 1000u);
  broker.wait_log("draining");
  broker.wait_log("stopped");
}

TEST(DrainSignalsTest, NewConnectionsAreRefusedWhileItDrains) {
  broker_process broker{flags({"--goodbye-timeout=3s"})};
  auto stubborn = ws_client::connect(
    {.port = broker.port(), .path = "/room/a", .answer_close = false});
  broker.child().signal(SIGTERM);
  EXPECT_EQ(stubborn.expect_close().code, 1001);
  EXPECT_TRUE(broker.child().running());
  EXPECT_THROW(ws_client::connect({.port = broker.port(), .path = "/room/a"}),
               std::system_error);
  // It gets no answer to its goodbye, and ends for all that.
  EXPECT_EQ(broker.child().wait_exit(), exit_status{0});
}

TEST(DrainSignalsTest, AClientThatNeverReadsDoesNotHoldUpTheEnd) {
  broker_process broker{flags({"--goodbye-timeout=1s"})};
  auto stuck = ws_client::connect(
    {.port = broker.port(), .path = "/room/a", .receive_buffer = 4096});
  auto ann =
    ws_client::connect({.port = broker.port(), .path = "/room/a?echo=0"});
  stuck.stop_reading();
  for (int i = 0; i < 20; ++i)
    ann.send_binary(std::string(30'000, 'x'));
  ann.messages_until_pong();
  auto begin = std::chrono::steady_clock::now();
  broker.child().signal(SIGTERM);
  EXPECT_EQ(ann.expect_close().code, 1001);
  EXPECT_EQ(broker.child().wait_exit(), exit_status{0});
  EXPECT_LT(since(begin), 10s);
}

TEST(DrainSignalsTest, ASecondSignalEndsItAtOnce) {
  broker_process broker{flags({"--goodbye-timeout=8s"})};
  auto stubborn = ws_client::connect(
    {.port = broker.port(), .path = "/room/a", .answer_close = false});
  broker.child().signal(SIGTERM);
  EXPECT_EQ(stubborn.expect_close().code, 1001);
  auto begin = std::chrono::steady_clock::now();
  broker.child().signal(SIGTERM);
  EXPECT_EQ(broker.child().wait_exit(), exit_status{128 + SIGTERM});
  EXPECT_LT(since(begin), 2s);
}

TEST(DrainSignalsTest, HangupAndBrokenPipesDoNotEndIt) {
  broker_process broker{flags()};
  auto ann = ws_client::connect({.port = broker.port(), .path = "/room/a"});
  broker.child().signal(SIGHUP);
  broker.child().signal(SIGPIPE);
  broker.wait_log("signal", [](std::string_view line) {
    return line.find("SIGHUP") != std::string_view::npos;
  });
  ann.send_text("still there");
  EXPECT_EQ(ann.receive_text(), "still there");
  broker.child().signal(SIGTERM);
  EXPECT_EQ(ann.expect_close().code, 1001);
  ann.drop();
  EXPECT_EQ(broker.child().wait_exit(), exit_status{0});
}

namespace {

/// A broker whose log nobody reads, while three hundred clients come and go.
/// @returns how many lines of the log were lost
std::int64_t lines_lost(std::vector<std::string> limits) {
  reserved_port port;
  reserved_port inside;
  limits.push_back(fmt::format("--port={}", port.number()));
  limits.push_back(fmt::format("--inspect-port={}", inside.number()));
  limits.emplace_back("--log-level=trace");
  process broker{
    broker_command(flags(std::move(limits)), {.out = capture::unread})};
  wait_until(
    [&] {
      try {
        return http_get(port.number(), "/health").status == 200;
      } catch (const std::system_error&) {
        return false;
      }
    },
    10s, [] { return "it does not listen"; });
  auto ann = ws_client::connect({.port = port.number(), .path = "/room/a"});
  for (int i = 0; i < 300; ++i) {
    auto bob = ws_client::connect({.port = port.number(), .path = "/room/a"});
    auto text = fmt::format("hello {}", i);
    bob.send_text(text);
    EXPECT_EQ(ann.receive_text(), text);
    if (i % 3 == 0)
      bob.reset();
    else if (i % 3 == 1)
      bob.drop();
    else
      bob.close();
  }
  auto metrics = http_get(inside.number(), "/metrics").body;
  std::smatch found;
  EXPECT_TRUE(std::regex_search(
    metrics, found, std::regex{R"(\ngreenroom_log_lost_total (\d+)\n)"}));
  auto begin = std::chrono::steady_clock::now();
  broker.signal(SIGTERM);
  EXPECT_EQ(ann.expect_close().code, 1001);
  ann.drop(); // the broker waits for that, up to a deadline
  EXPECT_EQ(broker.wait_exit(), exit_status{0});
  EXPECT_LT(since(begin), 3s);
  return found.empty() ? -1 : std::stoll(found[1]);
}

} // namespace

// Each client makes four lines, and a pipe holds 64 KiB.
TEST(DrainSignalsTest, ALogThatNobodyReadsBlocksNothing) {
  EXPECT_GT(lines_lost({"--log-lines-max=100"}), 0);
  EXPECT_GT(lines_lost({"--log-bytes-max=64KiB"}), 0);
  EXPECT_EQ(lines_lost({"--log-lines-max=100000", "--log-bytes-max=64MiB"}), 0);
}

TEST(DrainSignalsTest, ALogWhoseReaderIsGoneBlocksNothing) {
  reserved_port port;
  process broker{broker_command(
    flags({fmt::format("--port={}", port.number()), "--log-level=trace"}),
    {.out = capture::unread})};
  broker.close_unread(output::out);
  std::optional<ws_client> ann;
  wait_until(
    [&] {
      try {
        ann = ws_client::connect({.port = port.number(), .path = "/room/a"});
        return true;
      } catch (const std::system_error&) {
        return false;
      }
    },
    10s, [] { return "it does not listen"; });
  for (int i = 0; i < 50; ++i)
    ws_client::connect({.port = port.number(), .path = "/room/b"}).close();
  ann->send_text("hello");
  EXPECT_EQ(ann->receive_text(), "hello");
  broker.signal(SIGTERM);
  EXPECT_EQ(ann->expect_close().code, 1001);
  ann->drop();
  EXPECT_EQ(broker.wait_exit(), exit_status{0});
}
