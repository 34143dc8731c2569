// Thousands of connections that come, join and end in every way there is: nothing
// of them is left.

#include "test/support/broker_fixture.hpp"
#include "test/support/tcp.hpp"
#include "test/support/ws_client.hpp"
#include "test/support/ws_wire.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <exception>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

constexpr int cycles = sanitized ? 400 : 1000;
constexpr std::size_t clients = 4;
constexpr std::uint64_t rooms = 20;

/// One client after the other, each with an ending of its own.
class churner {
public:
  churner(std::uint16_t port, std::uint64_t seed)
    : port_(port), random_(seed) {}

  void run() {
    for (int i = 0; i < cycles; ++i)
      cycle();
  }

  /// How often each ending was chosen.
  std::array<int, 8> endings = {};

private:
  void cycle() {
    auto path = fmt::format("/room/churn-{}", random_() % rooms);
    auto ending = random_() % endings.size();
    ++endings[ending];
    if (ending == 0)
      return abort_handshake(path);
    ws_options options{.port = port_, .path = path};
    if (ending == 1) {
      // Right behind the request, before anybody can have answered.
      auto stream = tcp_stream::connect({.port = port_}, deadline{10s});
      stream.send(request(path), deadline{10s}, false);
      stream.reset();
      return;
    }
    auto client = ws_client::connect(options);
    for (auto n = random_() % 4; n > 0; --n)
      client.send_text(std::string(random_() % 2000, 'x'));
    switch (ending) {
      case 2:
        client.close();
        break;
      case 3:
        client.send_close(); // and gone, without waiting for the answer
        client.drop();
        break;
      case 4:
        client.drop();
        break;
      case 5:
        client.shutdown_write();
        while (client.stream().fill(deadline{10s}))
          client.stream().consume(client.stream().unread().size());
        break;
      case 6:
        client.send_raw("\x81\xfe\x01"); // within a frame
        client.reset();
        break;
      default:
        client.reset();
    }
  }

  void abort_handshake(const std::string& path) {
    auto stream = tcp_stream::connect({.port = port_}, deadline{10s});
    auto text = request(path);
    stream.send(std::string_view{text}.substr(0, random_() % text.size()),
                deadline{10s}, false);
    if (random_() % 2 == 0)
      stream.reset();
    else
      stream.close();
  }

  std::string request(const std::string& path) const {
    return make_handshake({.port = port_, .path = path});
  }

  std::uint16_t port_;
  std::mt19937_64 random_;
};

} // namespace

TEST(ChurnTest, NothingIsLeftOfThousandsThatCameAndWent) {
  auto seed = test_seed();
  auto options = roomy_options();
  options.supervisor.rooms_on_demand = true;
  options.supervisor.spread_members = 2;
  test_broker broker{options};
  auto witness =
    ws_client::connect({.port = broker.port(), .path = "/room/lobby"});
  witness.send_text("hello");
  ASSERT_EQ(witness.receive_text(), "hello");
  const auto before = broker.count();

  std::vector<churner> all;
  for (std::size_t i = 0; i < clients; ++i)
    all.emplace_back(broker.port(), seed + i);
  auto begin = std::chrono::steady_clock::now();
  std::vector<std::future<void>> running;
  for (auto& one : all)
    running.push_back(std::async(std::launch::async, [&one] { one.run(); }));
  for (auto& one : running)
    EXPECT_NO_THROW(one.get());
  auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
    std::chrono::steady_clock::now() - begin);

  auto settled = broker.wait_census(before);
  fmt::print("{} connections in {} ms, nothing left {} ms later\n",
             cycles * static_cast<int>(clients), took.count(), settled.count());
  EXPECT_EQ(broker.counts().crashes.get(), 0);
  witness.send_text("still here");
  EXPECT_EQ(witness.receive_text(), "still here");
}

TEST(ChurnTest, NobodyRemembersADeadMember) {
  auto options = roomy_options();
  options.supervisor.spread_members = 2;
  test_broker broker{options};
  auto connect = [&broker] {
    return ws_client::connect({.port = broker.port(), .path = "/room/lobby"});
  };
  auto ann = connect();
  auto bob = connect(); // on another unit, so the room keeps its outlet
  const auto before = broker.count();
  std::vector<std::weak_ptr<member>> members;
  for (int i = 0; i < 60; ++i) {
    auto guest = connect();
    members.emplace_back(broker.client(broker.newest_client()));
    ASSERT_FALSE(members.back().expired());
    ann.send_text("hello");
    EXPECT_EQ(guest.receive_text(), "hello");
    if (i % 3 == 0)
      guest.close();
    else if (i % 3 == 1)
      guest.reset();
  }
  broker.wait_census(before);
  // Handles that were on their way from one thread to another go last.
  wait_until(
    [&members] {
      return std::all_of(members.begin(), members.end(),
                         [](auto& x) { return x.expired(); });
    },
    5s, [] { return "somebody holds a dead member"; });
}
