// Limits of what clients are sent, of time and of the system: both sides of each.

#include "test/conformance/flags.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "actors/messages.hpp"
#include "actors/runtime/actor.hpp"

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

constexpr std::size_t KiB = 1024;

std::string numbered(int n, std::size_t bytes) {
  auto result = fmt::format("{:08}", n);
  result.resize(bytes, 'x');
  return result;
}

int number_of(const ws_message& message) {
  return std::stoi(message.payload.substr(0, 8));
}

/// Flags with which clients lag after few bytes.
std::vector<std::string> narrow(std::vector<std::string> more) {
  std::vector<std::string> result{
    "--message-max=16KiB",  "--turn-bytes-max=16KiB",
    "--send-buffer=8KiB",   "--messages-per-second=0",
    "--bytes-per-second=0", "--goodbye-timeout=300ms",
  };
  result.insert(result.end(), more.begin(), more.end());
  return result;
}

} // namespace

// -- what waits for a member --------------------------------------------------------

TEST(OutboundLimitTest, AMemberThatTakesNothingForSoLongIsEnded) {
  flagged_broker broker{narrow({"--write-timeout=300ms"})};
  auto slow = broker.stuck_client();
  auto ann = broker.client();
  auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 12; ++i)
    ann.send_binary(numbered(i, 16 * KiB));
  for (int i = 0; i < 12; ++i)
    EXPECT_EQ(number_of(ann.receive()), i);
  broker.log().wait_line("client_down", "reason=write_stalled");
  EXPECT_GE(since(begin), 280ms);
  ann.send_text("still here");
  EXPECT_EQ(ann.receive_text(), "still here");
}

TEST(OutboundLimitTest, AMemberThatTakesALittleAtATimeStays) {
  flagged_broker broker{narrow({"--write-timeout=500ms"})};
  auto slow = broker.stuck_client();
  auto ann = broker.client("/room/lobby?echo=0");
  for (int i = 0; i < 12; ++i)
    ann.send_binary(numbered(i, 16 * KiB));
  ann.messages_until_pong();
  slow.resume_reading();
  // A message every 100 ms: more than the whole timeout in all.
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(number_of(slow.receive()), i);
    EXPECT_FALSE(ann.try_receive(100ms));
  }
  ann.send_text("still here");
  EXPECT_EQ(slow.receive_text(), "still here");
  EXPECT_TRUE(broker.log().lines("limit").empty());
}

TEST(OutboundLimitTest, TheWholeProcessHasALimitAndWhoLagsPays) {
  flagged_broker broker{
    narrow({"--rooms-on-demand", "--member-outbound-max=256KiB",
            "--process-outbound-max=320KiB", "--lagging-min=64KiB"})};
  std::vector<ws_client> slow;
  auto ann = broker.client("/room/a");
  auto publish_to = [&](const std::string& room) {
    slow.push_back(broker.stuck_client("/room/" + room));
    auto sender = broker.client("/room/" + room);
    for (int i = 0; i < 14; ++i) {
      sender.send_binary(numbered(i, 16 * KiB));
      EXPECT_EQ(number_of(sender.receive()), i);
      if (room == "a") {
        EXPECT_EQ(number_of(ann.receive()), i);
      }
    }
  };
  publish_to("a"); // 224 KiB: less than one member and the process may have
  EXPECT_TRUE(broker.log().lines("limit").empty());
  for (auto room : {"b", "c", "d"})
    publish_to(room);
  broker.log().wait_line("client_down", "reason=overloaded");
  EXPECT_LE(wire::live_bytes(), 320 * 1024);
  for (auto& line : broker.log().lines("limit"))
    EXPECT_THAT(line, testing::HasSubstr("reason=overloaded"));
  ann.send_text("those who read are well");
  EXPECT_EQ(ann.receive_text(), "those who read are well");
}

TEST(OutboundLimitTest, WhoLagsByLessThanThatStaysInAFullProcess) {
  flagged_broker broker{
    narrow({"--rooms-on-demand", "--member-outbound-max=128KiB",
            "--process-outbound-max=128KiB", "--lagging-min=64KiB",
            "--write-timeout=60s"})};
  // Each has 64 KiB to take, of which the kernel has a part already.
  std::vector<ws_client> slow;
  std::vector<ws_client> senders;
  for (auto room : {"a", "b", "c", "d", "e"}) {
    slow.push_back(broker.stuck_client("/room/"s + room));
    auto& sender = senders.emplace_back(broker.client("/room/"s + room));
    for (int i = 0; i < 4; ++i) {
      sender.send_binary(numbered(i, 16 * KiB));
      EXPECT_EQ(number_of(sender.receive()), i);
    }
  }
  EXPECT_GT(wire::live_bytes(), 128 * 1024);
  EXPECT_TRUE(broker.log().lines("limit").empty());
  // One of them lags by more in the end.
  int last = 4;
  for (; last < 8 && broker.log().lines("limit").empty(); ++last) {
    senders[0].send_binary(numbered(last, 16 * KiB));
    EXPECT_EQ(number_of(senders[0].receive()), last);
  }
  broker.log().wait_line("limit", "reason=overloaded");
  EXPECT_GT(last, 5);
  for (std::size_t r = 1; r < slow.size(); ++r) {
    senders[r].send_binary(numbered(4, 8));
    EXPECT_EQ(number_of(senders[r].receive()), 4);
    slow[r].resume_reading();
    for (int i = 0; i < 5; ++i)
      EXPECT_EQ(number_of(slow[r].receive()), i);
  }
  EXPECT_EQ(broker.log().lines("limit").size(), 1u);
}

TEST(OutboundLimitTest, ARoomSaysWhatBecomesOfWhoDoesNotKeepUp) {
  for (std::string policy :
       {"disconnect", "drop-newest", "drop-oldest", "conflate"}) {
    SCOPED_TRACE(policy);
    flagged_broker broker{
      narrow({"--member-outbound-max=64KiB", "--room-overflow=" + policy,
              "--write-timeout=60s"})};
    auto slow = broker.stuck_client();
    auto ann = broker.client();
    constexpr int count = 60;
    for (int i = 0; i < count; ++i) {
      ann.send_binary(numbered(i, 8 * KiB));
      ASSERT_EQ(number_of(ann.receive()), i);
    }
    if (policy == "disconnect") {
      broker.log().wait_line("limit", "reason=slow_consumer");
      slow.resume_reading();
      try {
        EXPECT_EQ(slow.expect_close().code, 1013);
      } catch (const std::runtime_error&) { // it was too late for the goodbye
        EXPECT_EQ(slow.stream().end(), stream_end::reset);
      }
      continue;
    }
    EXPECT_GT(broker.counts().dropped.get(), 0);
    slow.resume_reading();
    std::vector<int> got;
    for (auto& x : slow.messages_until_pong())
      got.push_back(number_of(x));
    ASSERT_FALSE(got.empty());
    // What was kept for it comes when it has read enough.
    while (policy != "drop-newest" && got.back() != count - 1)
      got.push_back(number_of(slow.receive()));
    EXPECT_LT(got.size(), static_cast<std::size_t>(count));
    EXPECT_EQ(got.front(), 0) << "what was with the kernel already";
    EXPECT_TRUE(std::is_sorted(got.begin(), got.end()));
    if (policy == "drop-newest") {
      EXPECT_EQ(got.back(), static_cast<int>(got.size()) - 1) << "no hole";
    }
    ann.send_text("now");
    EXPECT_EQ(slow.receive_text(), "now");
  }
}

TEST(OutboundLimitTest, ARoomSendsWhatItHasWhenItIsEnough) {
  flagged_broker broker{{"--room-write-delay=800ms", "--turn-messages-max=4",
                         "--turn-bytes-max=16KiB", "--message-max=8KiB"}};
  auto ann = broker.client();
  auto bob = broker.client("/room/lobby?echo=0");
  auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 4; ++i)
    bob.send_text(numbered(i, 8));
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(number_of(ann.receive()), i);
  for (int i = 0; i < 2; ++i)
    bob.send_text(numbered(i, 8 * KiB));
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(number_of(ann.receive()), i);
  EXPECT_LT(since(begin), 700ms);
  begin = std::chrono::steady_clock::now();
  bob.send_text("later");
  bob.messages_until_pong();
  EXPECT_TRUE(ann.messages_until_pong().empty());
  EXPECT_EQ(ann.receive_text(), "later");
  EXPECT_GE(since(begin), 700ms);
}

// -- the system ---------------------------------------------------------------------

TEST(SystemLimitTest, WithoutDescriptorsItWaitsAndComesBack) {
  broker_process broker{{"--threads=2", "--room=lobby",
                         "--connections-max=1000", "--accept-backoff=50ms"},
                        {.files_max = 64}};
  auto ann = ws_client::connect({.port = broker.port(), .path = "/room/lobby"});
  std::vector<tcp_stream> crowd;
  for (int i = 0; i < 100; ++i)
    crowd.push_back(tcp_stream::connect({.port = broker.port()}, deadline{5s}));
  broker.wait_log("accept_paused");
  // Nobody comes in, those who are in are served, and it costs next to nothing.
  http_client waiting{{.port = broker.port()}};
  waiting.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
  auto before = broker.stat().cpu();
  EXPECT_FALSE(waiting.stream().wait_readable(deadline{1s}));
  EXPECT_LT(broker.stat().cpu() - before, 200ms);
  ann.send_text("in");
  EXPECT_EQ(ann.receive_text(), "in");
  crowd.clear();
  EXPECT_EQ(waiting.receive().status, 200);
  auto bob = ws_client::connect({.port = broker.port(), .path = "/room/lobby"});
  bob.send_text("in as well");
  EXPECT_EQ(ann.receive_text(), "in as well");
  ann.drop();
  bob.drop();
  EXPECT_EQ(broker.finish(), exit_status{0});
}

TEST(SystemLimitTest, OnlyCrashesWithinTheWindowAreCounted) {
  for (std::string window : {"200ms", "1h"}) {
    SCOPED_TRACE(window);
    flagged_broker broker{{"--room-crashes-max=2", "--crash-window=" + window}};
    auto ann = broker.client();
    auto crash = [&](std::int64_t times) {
      tell(broker.room_actor("lobby"), sabotage{});
      wait_until(
        [&] {
          return broker.counts().rooms_restarted.get()
                   + broker.counts().rooms_quarantined.get()
                 == times;
        },
        10s, [] { return "neither restarted nor quarantined"; });
    };
    crash(1);
    EXPECT_FALSE(ann.try_receive(400ms));
    ann.send_text("on");
    EXPECT_EQ(ann.receive_text(), "on");
    crash(2);
    if (window == "1h") {
      EXPECT_EQ(broker.counts().rooms_quarantined.get(), 1);
      EXPECT_EQ(ann.expect_close().code, 1011);
      EXPECT_EQ(broker.refusal("/room/lobby").status, 503);
    } else {
      EXPECT_FALSE(ann.try_receive(400ms));
      ann.send_text("and on");
      EXPECT_EQ(ann.receive_text(), "and on");
      EXPECT_EQ(broker.counts().rooms_quarantined.get(), 0);
    }
  }
}

TEST(SystemLimitTest, GoodbyesAreSaidInSlices) {
  auto time_to_end = [](const std::string& slice) {
    broker_process broker{{"--room=lobby", slice}};
    std::vector<ws_client> clients;
    for (int i = 0; i < 20; ++i)
      clients.push_back(
        ws_client::connect({.port = broker.port(), .path = "/room/lobby"}));
    auto begin = std::chrono::steady_clock::now();
    broker.child().signal(SIGTERM);
    for (auto& c : clients)
      EXPECT_EQ(c.expect_close().code, 1001);
    auto took = since(begin);
    clients.clear();
    EXPECT_EQ(broker.child().wait_exit(), exit_status{0});
    return took;
  };
  EXPECT_GE(time_to_end("--drain-slice=1"), 300ms);
  EXPECT_LT(time_to_end("--drain-slice=500"), 2s);
}

TEST(SystemLimitTest, ADrainThatTakesTooLongIsCutOff) {
  // The slices alone would take 5 s.
  constexpr int crowd = 250;
  broker_process broker{{"--room=lobby", "--drain-slice=1",
                         "--drain-timeout=3s", "--goodbye-timeout=100ms",
                         "--connections-per-address=1000"}};
  std::vector<ws_client> clients;
  for (int i = 0; i < crowd; ++i)
    clients.push_back(ws_client::connect(
      {.port = broker.port(), .path = "/room/lobby", .answer_close = false}));
  auto begin = std::chrono::steady_clock::now();
  broker.child().signal(SIGTERM);
  auto cut = broker.wait_log("drain_cut_off");
  EXPECT_EQ(broker.child().wait_exit(), exit_status{0});
  auto took = since(begin);
  EXPECT_GE(took, 2380ms); // 0.6 s of it are for cutting off
  EXPECT_LT(took, 3s);
  auto left = number_in(cut.text, "connections");
  EXPECT_GT(left, 0);
  EXPECT_LT(left, crowd);
  // Everybody is told, and each end.
  for (auto& c : clients)
    EXPECT_EQ(c.expect_close().code, 1001);
  int ends = 0;
  for (const auto& line : broker.child().lines(output::out))
    ends +=
      line.find(R"("message":"client_down")") != std::string::npos ? 1 : 0;
  EXPECT_EQ(ends, crowd);
}

TEST(SystemLimitTest, ADrainThatIsDoneInTimeIsNotCutOff) {
  broker_process broker{{"--room=lobby", "--drain-timeout=10s"}};
  auto ann = ws_client::connect({.port = broker.port(), .path = "/room/lobby"});
  auto begin = std::chrono::steady_clock::now();
  broker.child().signal(SIGTERM);
  EXPECT_EQ(ann.expect_close().code, 1001);
  ann.drop();
  EXPECT_EQ(broker.child().wait_exit(), exit_status{0});
  EXPECT_LT(since(begin), 5s);
  for (const auto& line : broker.child().lines(output::out))
    EXPECT_EQ(line.find("drain_cut_off"), std::string::npos) << line;
}
