// Every member gets every message once, in the room's order, byte for byte: one big
// room and a hundred small ones at the same time.

#include "test/support/broker_fixture.hpp"
#include "test/support/traffic.hpp"
#include "test/support/ws_client.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t big_room = 1000;
constexpr std::size_t small_rooms = 100;

struct sizes {
  std::uint64_t big_messages = 0;
  std::uint64_t small_messages = 0;
  std::size_t length_min = verifier::header_size;
  std::size_t length_max = 512;
};

class DeliveryTest : public testing::Test {
protected:
  /// @param spread_members from how many members on a room uses all units
  static void run(std::size_t spread_members, const sizes& what) {
    auto options = roomy_options({});
    options.supervisor.rooms_on_demand = true;
    options.supervisor.spread_members = spread_members;
    test_broker broker{options};
    // The first WebSocket of a process brings Asio's reactor, with descriptors of
    // its own.
    ws_client::connect({.port = broker.port(), .path = "/room/first"}).close();
    broker.wait_books([](const books& x) { return x.clients == 0; });
    const auto empty = broker.count();
    auto seed = test_seed();
    {
      traffic clients{{.port = broker.port(), .timeout = 60s}};
      clients.add({.room = "big",
                   .members = big_room,
                   .publishers = 4,
                   .messages = what.big_messages,
                   .what = {.seed = seed,
                            .length_min = what.length_min,
                            .length_max = what.length_max}});
      for (std::size_t i = 0; i < small_rooms; ++i)
        clients.add({.room = fmt::format("small-{}", i),
                     .members = 10,
                     .publishers = 2,
                     .messages = what.small_messages,
                     .what = {.seed = seed + i + 1,
                              .length_min = what.length_min,
                              .length_max = what.length_max}});
      clients.open();
      auto books = broker.books();
      EXPECT_EQ(books.memberships, big_room + small_rooms * 10);
      EXPECT_EQ(books.rooms, small_rooms + 1);
      // The small ones have ten members.
      auto all = broker.actors();
      auto outlets = [&](auto wanted) {
        return std::count_if(all.begin(), all.end(), [&](auto& x) {
          return x.kind == actor_kind::outlet && wanted(x.room);
        });
      };
      EXPECT_EQ(outlets([](auto& x) { return x == "big"; }), 1);
      EXPECT_EQ(outlets([](auto& x) { return x != "big"; }) > 0,
                spread_members < 10);
      auto begin = std::chrono::steady_clock::now();
      clients.begin();
      EXPECT_EQ(clients.finish(90s), "");
      auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - begin);
      auto due = big_room * 4 * what.big_messages
                 + small_rooms * 10 * 2 * what.small_messages;
      EXPECT_EQ(clients.delivered(), due);
      EXPECT_EQ(static_cast<std::uint64_t>(broker.counts().deliveries.get()),
                due);
      EXPECT_EQ(broker.counts().dropped.get(), 0);
      EXPECT_EQ(broker.counts().crashes.get(), 0);
      fmt::print("{} deliveries in {} ms\n", due, took.count());
    }
    broker.wait_census(empty);
  }
};

} // namespace

TEST_F(DeliveryTest, ManySmallMessagesReachABigRoomAndAHundredSmallOnes) {
  run(512, {.big_messages = sanitized ? 10u : 25u,
            .small_messages = sanitized ? 10u : 25u});
}

TEST_F(DeliveryTest, MessagesUpToTheLimitReachABigRoomAndAHundredSmallOnes) {
  run(512, {.big_messages = 1, .small_messages = 3, .length_max = 64 * 1024});
}

TEST_F(DeliveryTest, MessagesOfTheSizeLimitArriveWhole) {
  run(512, {.big_messages = 1,
            .small_messages = 1,
            .length_min = 64 * 1024,
            .length_max = 64 * 1024});
}

TEST_F(DeliveryTest, RoomsSpreadOverTwoUnitsDeliverTheSame) {
  run(4, {.big_messages = sanitized ? 10u : 25u,
          .small_messages = sanitized ? 10u : 25u});
}

TEST_F(DeliveryTest, BigMessagesCrossUnitsWhole) {
  run(4, {.big_messages = 1, .small_messages = 3, .length_max = 64 * 1024});
}

// More at once than is allowed to wait for a member: whoever reads gets it all.
TEST_F(DeliveryTest, ABurstOfBigMessagesEndsNobodyWhoReads) {
  for (std::size_t spread : {512, 4}) {
    SCOPED_TRACE(spread);
    auto options = roomy_options({"lobby"});
    options.supervisor.spread_members = spread;
    test_broker broker{options};
    traffic clients{{.port = broker.port(), .timeout = 60s}};
    clients.add({.room = "lobby",
                 .members = 21,
                 .publishers = 16,
                 .messages = 2,
                 .window = 2,
                 .what = {.seed = test_seed(),
                          .length_min = 64 * 1024,
                          .length_max = 64 * 1024}});
    clients.open();
    clients.begin();
    EXPECT_EQ(clients.finish(60s), "");
    EXPECT_EQ(clients.delivered(), 21u * 16 * 2);
    EXPECT_TRUE(broker.log().lines("limit").empty());
  }
}
