// Connections with many rooms each, in the Centrifuge dialect: how they end.

#include "test/support/broker_fixture.hpp"
#include "test/support/swarm.hpp"
#include "test/support/ws_client.hpp"
#include "test/support/ws_wire.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;

namespace {

constexpr auto path = "/connection/websocket";

broker_options options_of_test() {
  auto options = roomy_options();
  options.supervisor.rooms_on_demand = true;
  options.supervisor.spread_members = 8; // outlets take part
  return options;
}

/// A greeting and subscriptions in one message.
std::string joins(std::size_t first, std::size_t count, std::size_t pool) {
  std::string text = R"({"id":1,"connect":{}})";
  for (std::size_t i = 0; i < count; ++i)
    text += fmt::format("\n{{\"id\":{},\"subscribe\":{{\"channel\":\"r{}\"}}}}",
                        i + 2, (first + i) % pool);
  return text;
}

/// What the first connections of a broker bring with them stays.
void warm_up(test_broker& broker) {
  auto first = ws_client::connect({.port = broker.port(), .path = path});
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

} // namespace

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
    crowd.add(path, clients);
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
    one.add(path);
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
