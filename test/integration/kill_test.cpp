// Ends on demand in the real broker, at random and under traffic: every receipt is
// clean, who is not hit loses nothing, and nothing of the dead is left.
//
// CI ends 1000 of them; GREENROOM_KILLS=10000 says how many.

#include "test/support/broker_fixture.hpp"
#include "test/support/traffic.hpp"
#include "test/support/ws_client.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <future>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "actors/engine.hpp"
#include "actors/inspection.hpp"
#include "actors/messages.hpp"
#include "actors/runtime/actor.hpp"

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t other_rooms = 8;
constexpr std::size_t other_members = 5;
constexpr std::size_t victims_at_once = 8;

std::size_t kills_wanted() {
  if (const auto* given = std::getenv("GREENROOM_KILLS"))
    return std::strtoull(given, nullptr, 10);
  return sanitized ? 200 : 1000;
}

class KillTest : public testing::Test {
protected:
  static broker_options options() {
    auto result = roomy_options({});
    result.supervisor.rooms_on_demand = true;
    result.supervisor.linger = 50ms;
    // Every room has an outlet.
    result.supervisor.spread_members = 3;
    // A single end that counted as a crash would close its room for good.
    result.supervisor.restarts_max = 1;
    return result;
  }

  void start_others(std::uint64_t seed) {
    for (std::size_t i = 0; i < other_rooms; ++i)
      others.add({.room = fmt::format("other-{}", i),
                  .members = other_members,
                  .publishers = 2,
                  .what = {.seed = seed + i}});
    others.open();
    others.begin();
    others.wait_progress(10);
  }

  std::future<receipt> order(end_order what) {
    auto told = std::make_shared<std::promise<receipt>>();
    auto result = told->get_future();
    what.by = "test";
    tell(broker.env().supervisor,
         end_asked{std::make_shared<inquiry<end_order, receipt>>(
           std::move(what),
           [told](receipt x) { told->set_value(std::move(x)); })});
    return result;
  }

  std::future<receipt> order_room(const std::string& name, end_target how) {
    end_order x;
    x.what = how;
    x.room = name;
    return order(std::move(x));
  }

  static receipt get(std::future<receipt>& x) {
    if (x.wait_for(20s) != std::future_status::ready)
      throw timeout_error("no receipt");
    return x.get();
  }

  static void expect_clean(const receipt& r) {
    EXPECT_TRUE(r.clean) << fmt::format(
      "{} of client {}, room '{}': {}, left: {}", r.target, r.client, r.room,
      to_string(r.why), fmt::join(r.left, ", "));
  }

  ws_client visit(const std::string& room) {
    return ws_client::connect({.port = broker.port(), .path = "/room/" + room});
  }

  test_broker broker{options()};
  traffic others{{.port = broker.port()}};
};

} // namespace

TEST_F(KillTest, ThousandsOfRandomKillsUnderTrafficLeaveNothing) {
  auto seed = test_seed();
  std::mt19937_64 random{seed};
  auto roll = [&random](std::size_t sides) { return random() % sides; };
  start_others(seed);
  const auto before = broker.count();
  const auto wanted = kills_wanted();
  std::array<std::size_t, 5> by_kind{};
  std::int64_t slowest = 0;
  std::size_t kills = 0;
  while (kills < wanted) {
    std::vector<traffic::member_id> victims;
    std::vector<member_ptr> people;
    for (std::size_t i = 0; i < victims_at_once; ++i) {
      victims.push_back(others.join(roll(other_rooms), roll(4) == 0));
      people.push_back(broker.client(broker.newest_client()));
      ASSERT_TRUE(people.back());
    }
    auto room = fmt::format("target-{}", roll(20));
    auto ann = visit(room);
    auto bob = visit(room);
    auto close = roll(2) == 0;
    std::vector<std::future<receipt>> receipts;
    for (std::size_t i = 0; i < victims.size(); ++i) {
      others.expect_end(victims[i]);
      end_order x;
      auto kind = roll(3);
      ++by_kind[kind];
      x.what = kind == 2 ? end_target::connection : end_target::actor;
      x.client = people[i]->id;
      x.actor = kind == 0 ? people[i]->reader->id() : people[i]->writer->id();
      receipts.push_back(order(std::move(x)));
    }
    ++by_kind[close ? 3 : 4];
    auto of_room =
      order_room(room, close ? end_target::room : end_target::restart);
    people.clear();
    for (auto& x : receipts) {
      auto r = get(x);
      expect_clean(r);
      EXPECT_EQ(r.memberships, 1u);
      EXPECT_EQ(r.actors, 2u);
      EXPECT_EQ(r.descriptors, 1u);
      slowest = std::max(slowest, r.took_ms);
    }
    auto r = get(of_room);
    expect_clean(r);
    EXPECT_GE(r.actors, 1u);
    if (close) {
      EXPECT_EQ(r.memberships, 2u);
      EXPECT_EQ(ann.expect_close().code, 1011);
      EXPECT_EQ(bob.expect_close().code, 1011);
    } else {
      EXPECT_EQ(r.moved, 2u);
      ann.send_text("on");
      EXPECT_EQ(bob.receive_text(), "on");
    }
    for (auto& x : victims)
      EXPECT_EQ(others.wait_end(x), 1008);
    kills += victims.size() + 1;
    if (HasFailure())
      break;
  }
  fmt::print("{} readers, {} writers, {} connections, {} rooms ended, {} "
             "restarted; the slowest receipt of a client took {} ms\n",
             by_kind[0], by_kind[1], by_kind[2], by_kind[3], by_kind[4],
             slowest);
  EXPECT_EQ(broker.counts().crashes.get(), 0);
  EXPECT_EQ(broker.counts().rooms_restarted.get(), 0);
  EXPECT_EQ(broker.counts().receipts_unclean.get(), 0);
  EXPECT_GE(broker.counts().receipts.get(), static_cast<std::int64_t>(kills));
  EXPECT_EQ(sum(broker.counts().audit_faults), 0);
  EXPECT_NO_THROW(others.wait_progress(20));
  EXPECT_EQ(others.finish(), "");
  broker.wait_census(before);
}

TEST_F(KillTest, AClientThatDoesNotReadIsCutOffAndTheReceiptSaysSo) {
  auto talker = visit("slow?echo=0");
  const auto before = broker.count();
  {
    auto slow = ws_client::connect(
      {.port = broker.port(), .path = "/room/slow", .receive_buffer = 4096});
    slow.stop_reading();
    auto id = broker.newest_client();
    auto who = broker.client(id);
    wait_until(
      [&] {
        if (who->flow->queued() < 100'000)
          talker.send_text(std::string(20'000, 'x'));
        return who->flow->queued() >= 100'000;
      },
      20s, [] { return "nothing waits for it"; });
    end_order x;
    x.client = id;
    auto told = order(std::move(x));
    auto r = get(told);
    expect_clean(r);
    EXPECT_GT(r.bytes, 50'000u);
    EXPECT_GT(r.frames, 2u);
    EXPECT_GE(r.timers, 1u);
    EXPECT_GE(r.took_ms, 4000);
  }
  broker.wait_census(before);
}
