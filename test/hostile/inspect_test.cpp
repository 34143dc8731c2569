// Bad clients of the inspection listener: they harm neither the broker nor those who
// behave.

#include "test/hostile/siege.hpp"
#include "test/support/line_reader.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

namespace {

class InspectSiegeTest : public SiegeTest {
protected:
  static broker_options watched() {
    auto result = besieged();
    result.inspect.on = true;
    result.inspect.port = 0;
    result.inspect.connections_max = 200;
    result.inspect.streams_max = 100;
    result.inspect.stream_bytes_max = 64 * 1024;
    result.session.handshake_timeout = 2s;
    result.session.write_progress_timeout = 1s;
    result.supervisor.rooms_max = 200'000;
    return result;
  }

  explicit InspectSiegeTest(const broker_options& options = watched())
    : SiegeTest(options) {}

  std::uint16_t door() const { return broker.inspect_port(); }

  http_response look(std::string_view target) {
    return http_get(door(), target);
  }

  http_options narrow() const {
    return {.port = door(), .receive_buffer = 2048};
  }

  /// Everybody who was inside has gone.
  void expect_quiet() {
    wait_until(
      [&] {
        return look("/metrics")
                 .body.find("\ngreenroom_inspect_connections_open 1\n")
               != std::string::npos;
      },
      20s, [&] { return look("/metrics").body; });
  }
};

} // namespace

TEST_F(InspectSiegeTest, StreamsThatNobodyReadsAreCut) {
  std::vector<line_reader> stuck;
  for (int i = 0; i < 50; ++i)
    stuck.emplace_back(narrow(), "/inspect/trace?room=lobby&seconds=3600");
  for (int i = 0; i < 40; ++i)
    stuck.emplace_back(narrow(),
                       "/inspect/actors?every=1000&limit=1000&seconds=3600");
  // As many actors as fill a page of each of them, and as much traffic.
  std::vector<ws_client> crowd;
  for (int i = 0; i < 300; ++i)
    crowd.push_back(
      ws_client::connect({.port = broker.port(), .path = "/room/crowd"}));
  auto until = deadline{60s};
  auto cut = [&] {
    return std::count_if(stuck.begin(), stuck.end(), [](line_reader& x) {
      pollfd at{x.client().stream().fd(), POLLRDHUP, 0};
      return ::poll(&at, 1, 0) > 0
             && (at.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    });
  };
  while (cut() < 90) {
    ASSERT_FALSE(until.passed()) << cut() << " of 90 were cut";
    for (int i = 0; i < 20; ++i)
      expect_service();
  }
  EXPECT_EQ(look("/inspect/overview").status, 200);
  stuck.clear();
  crowd.clear();
  expect_quiet();
}

TEST_F(InspectSiegeTest, AnswersThatNobodyReadsHoldBackTheirOwnConnectionOnly) {
  std::vector<http_client> stuck;
  for (int i = 0; i < 50; ++i) {
    auto& x = stuck.emplace_back(narrow());
    for (int n = 0; n < 200; ++n) {
      const std::string request =
        "GET /metrics HTTP/1.1\r\nHost: [::1]\r\n\r\n";
      if (x.stream().send_some(request) != request.size())
        break;
    }
  }
  for (int i = 0; i < 50; ++i)
    expect_service();
  EXPECT_EQ(look("/inspect/overview").status, 200);
  stuck.clear();
  expect_quiet();
}

TEST_F(InspectSiegeTest, HeadsAndBodiesThatTrickleInAreRefusedInTime) {
  std::vector<http_client> slow;
  for (int i = 0; i < 60; ++i)
    slow.emplace_back(http_options{.port = door()})
      .send(i % 2 == 0 ? "GET /inspect/ov"
                       : "POST /inspect/kill HTTP/1.1\r\nHost: [::1]\r\n"
                         "Content-Length: 4096\r\n\r\n{");
  auto until = deadline{20s};
  std::vector<bool> ended(slow.size());
  while (std::count(ended.begin(), ended.end(), true) < 60) {
    ASSERT_FALSE(until.passed());
    for (std::size_t i = 0; i < slow.size(); ++i) {
      if (ended[i])
        continue;
      if (slow[i].stream().wait_readable(deadline{1ms})) {
        EXPECT_EQ(slow[i].receive().status, 408);
        ended[i] = true;
      } else {
        slow[i].send("x");
      }
    }
    expect_service();
  }
  slow.clear();
  expect_quiet();
}

TEST_F(InspectSiegeTest, HugeQuestionsAreRefused) {
  auto target = [](std::string_view name, std::size_t size) {
    return fmt::format("/inspect/rooms?{}={}", name, std::string(size, 'a'));
  };
  EXPECT_EQ(look(target("q", 7000)).status, 200);
  EXPECT_EQ(look(target("q", 9000)).status, 431);
  EXPECT_EQ(look(target("sort", 7000)).status, 400);
  EXPECT_EQ(look(target("limit", 7000)).status, 400);
  std::string many = "/inspect/rooms?";
  while (many.size() < 7000)
    many += "a&";
  EXPECT_EQ(look(many).status, 400);
  std::string nested;
  for (int i = 0; i < 2000; ++i)
    nested += "%25";
  EXPECT_EQ(look("/inspect/rooms?q=" + nested).status, 200);
}

TEST_F(InspectSiegeTest, GarbageIsRefused) {
  std::mt19937_64 random{test_seed()};
  const std::string good =
    "GET /inspect/rooms?limit=10&sort=members HTTP/1.1\r\nHost: [::1]\r\n"
    "Authorization: Bearer x\r\nContent-Length: 0\r\n\r\n";
  for (int i = 0; i < 500; ++i) {
    auto stream = tcp_stream::connect({.port = door()}, deadline{10s});
    auto bytes = i % 4 == 0 ? random_bytes(random, random() % 300) : good;
    if (i % 4 != 0)
      for (int n = 0; n < 3; ++n)
        bytes[random() % bytes.size()] = static_cast<char>(random());
    throw_at(stream, bytes);
    stream.reset();
  }
  expect_quiet();
  EXPECT_EQ(look("/inspect/rooms").status, 200);
}

TEST_F(InspectSiegeTest, AHundredThousandRoomsAreOneSeries) {
  constexpr int rooms = sanitized ? 5'000 : 100'000;
  constexpr int each = 125; // of a connection
  auto lines = [](const std::string& text) {
    return std::count(text.begin(), text.end(), '\n');
  };
  auto calm = look("/metrics");
  ASSERT_EQ(calm.status, 200);
  std::vector<ws_client> clients;
  for (int first = 0; first < rooms; first += each) {
    auto& x = clients.emplace_back(ws_client::connect(
      {.port = broker.port(), .path = "/connection/websocket"}));
    std::string text = R"({"id":1,"connect":{}})";
    for (int i = 0; i < each; ++i)
      text += fmt::format("\n{{\"id\":{},\"subscribe\":{{\"channel\":"
                          "\"explosion-{}\"}}}}",
                          i + 2, first + i);
    x.send_text(text);
  }
  broker.wait_books(
    [](auto& x) { return x.rooms >= static_cast<std::size_t>(rooms) + 1; },
    120s);
  // A room is in the books before it has taken its member.
  auto members =
    fmt::format("\ngreenroom_room_members{{room=\"/others\"}} {}\n", rooms);
  auto until = deadline{60s};
  auto text = look("/metrics");
  while (text.body.find(members) == std::string::npos && !until.passed())
    text = look("/metrics");
  ASSERT_EQ(text.status, 200);
  EXPECT_THAT(text.body, HasSubstr(members));
  EXPECT_EQ(lines(text.body), lines(calm.body));
  EXPECT_LT(text.body.size(), calm.body.size() + 1000);
  EXPECT_THAT(text.body, Not(HasSubstr("explosion")));
  // Those who look page by page.
  auto page = look("/inspect/rooms?limit=1000&q=explosion");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.body, HasSubstr(fmt::format("\"total\":{},", rooms)));
  EXPECT_LT(page.body.size(), 1'000'000u);
  expect_service();
  clients.clear();
  broker.wait_books([](auto& x) { return x.rooms == 1; }, 120s);
}
