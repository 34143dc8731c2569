// A fifth of a room stops reading, under each policy: the others notice nothing,
// memory stays bounded, and what the slow ones missed is counted to the last one.
//
// GREENROOM_OVERFLOW_SECONDS: how long is published without and with them, 5 in CI.
// From 30 on the others' p99 is judged, too: that wants a quiet machine.

#include "test/support/broker_fixture.hpp"
#include "test/support/swarm.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

using clock = std::chrono::steady_clock;

constexpr std::size_t MiB = 1024 * 1024;
constexpr std::size_t all_members = 100;
constexpr std::size_t slow_members = 20;
constexpr std::size_t message_bytes = 2000;
constexpr std::size_t bytes_per_second = 1'000'000;
constexpr std::size_t member_limit = 1 * MiB; // --member-outbound-max

std::chrono::seconds span() {
  auto* text = std::getenv("GREENROOM_OVERFLOW_SECONDS");
  return std::chrono::seconds{text != nullptr ? std::atoi(text) : 5};
}

/// Member 0 publishes. The last ones are those that stop to read.
class OverflowPolicyTest : public testing::TestWithParam<const char*> {
protected:
  OverflowPolicyTest()
    : broker([] {
        auto flags = roomy_flags();
        flags.push_back(fmt::format("--room=lobby,overflow={}", GetParam()));
        // Nothing but the policy is to end anybody.
        flags.emplace_back("--write-timeout=10m");
        flags.emplace_back("--idle-timeout=10m");
        return flags;
      }()),
      members({.port = broker.port(), .timeout = 60s},
              [this](swarm::index who, opcode, std::string_view payload) {
                take(who, payload);
              }),
      got(all_members) {
    members.add("/room/lobby", all_members);
    members.open_all();
  }

  static bool is_slow(swarm::index who) {
    return who >= all_members - slow_members;
  }

  static std::uint64_t now_us() {
    return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(
        clock::now().time_since_epoch())
        .count());
  }

  // Its number, the time, then bytes that follow from the number.
  void publish() {
    auto text = fmt::format("{:016x}{:016x}", sent, now_us());
    text.resize(message_bytes, static_cast<char>('a' + sent % 26));
    members.send(0, opcode::text, text);
    ++sent;
  }

  void take(swarm::index who, std::string_view payload) {
    auto n = std::stoull(std::string{payload.substr(0, 16)}, nullptr, 16);
    auto& mine = got[who];
    auto rest = payload.substr(32);
    const auto due = static_cast<char>('a' + n % 26);
    if (payload.size() != message_bytes || rest.front() != due
        || rest.back() != due)
      wrong.push_back(fmt::format("member {}: message {} is damaged", who, n));
    // Whoever reads gets every message, whoever does not at least none twice and
    // none out of order.
    if (is_slow(who) ? n < mine.next : n != mine.next)
      wrong.push_back(
        fmt::format("member {}: {} instead of {}", who, n, mine.next));
    mine.next = n + 1;
    ++mine.count;
    if (!is_slow(who)) {
      auto at = std::stoull(std::string{payload.substr(16, 16)}, nullptr, 16);
      latencies.push_back(static_cast<std::uint32_t>(now_us() - at));
    }
  }

  /// Publishes at the rate for so long, and waits until all that read have it.
  /// @returns the others' p99 in microseconds
  std::uint32_t run(std::chrono::seconds length) {
    latencies.clear();
    const auto begin = clock::now();
    const auto first = sent;
    for (auto next_sample = begin;;) {
      const auto passed =
        std::chrono::duration<double>{clock::now() - begin}.count();
      const bool over = passed >= static_cast<double>(length.count());
      const auto due =
        first
        + static_cast<std::uint64_t>(
          std::min(passed, static_cast<double>(length.count()))
          * static_cast<double>(bytes_per_second / message_bytes));
      while (sent < due)
        publish();
      members.step(1ms);
      if (clock::now() >= next_sample) {
        most_memory = std::max(most_memory, broker.stat().anonymous);
        next_sample = clock::now() + 100ms;
      }
      if (over)
        break;
    }
    wait_all();
    auto p99 = latencies.begin()
               + static_cast<std::ptrdiff_t>(latencies.size() * 99 / 100);
    std::nth_element(latencies.begin(), p99, latencies.end());
    return *p99;
  }

  void wait_all() {
    members.run_until([this] {
      for (swarm::index i = 0; i < all_members - slow_members; ++i)
        if (got[i].next != sent)
          return false;
      return true;
    });
  }

  /// The `gaps` of the lines about the slow ones' ends. They are the only ones to
  /// have any.
  std::uint64_t gaps_logged(std::size_t lines) {
    std::uint64_t gaps = 0;
    std::size_t from = 0;
    for (std::size_t i = 0; i < lines; ++i) {
      auto line = broker.wait_log("client_down", {}, 10s, from);
      gaps += static_cast<std::uint64_t>(number_in(line.text, "gaps"));
      from = line.next;
    }
    return gaps;
  }

  struct progress {
    std::uint64_t next = 0;
    std::uint64_t count = 0;
  };

  broker_process broker;
  swarm members;
  std::vector<progress> got;
  std::vector<std::uint32_t> latencies;
  std::vector<std::string> wrong;
  std::uint64_t sent = 0;
  std::size_t most_memory = 0;
};

} // namespace

TEST_P(OverflowPolicyTest, TheOthersLoseNothingAndEveryGapIsCounted) {
  const std::string policy = GetParam();
  const auto before = run(span());
  const auto memory_before = most_memory;
  for (auto i = all_members - slow_members; i < all_members; ++i)
    members.stop_reading(i);
  most_memory = 0;
  const auto stalled_at = sent;
  const auto during = run(span());
  const auto growth = most_memory - std::min(most_memory, memory_before);
  fmt::print("{}: p99 of the others {} us, {} us with {} of {} stalled; memory "
             "{} KiB more at most\n",
             policy, before, during, slow_members, all_members, growth / 1024);
  EXPECT_EQ(wrong, std::vector<std::string>{});
  if (!sanitized) { // which keeps freed memory for a while
    EXPECT_LT(growth, slow_members * member_limit / 2) << "blocks are shared";
  }
  if (span() >= 30s) {
    EXPECT_LT(during, before * 3 / 2);
  }

  const auto last = sent;
  for (auto i = all_members - slow_members; i < all_members; ++i)
    members.resume_reading(i);
  if (policy == "disconnect") {
    members.run_until([&] { return members.count_code(1013) == slow_members; });
    for (std::size_t i = 0, from = 0; i < slow_members; ++i)
      from = broker
               .wait_log(
                 "client_down",
                 [](std::string_view line) {
                   return line.find(R"("reason":"slow_consumer")")
                          != std::string_view::npos;
                 },
                 10s, from)
               .next;
    // Up to where it was cut off, nobody had missed anything.
    for (auto i = all_members - slow_members; i < all_members; ++i)
      EXPECT_EQ(got[i].count, got[i].next) << i;
  } else {
    // The latest comes by itself. Not where the newest was dropped: there they get
    // what is published once there is room again.
    auto published_at = clock::now();
    members.run_until([&] {
      if (policy == "drop-newest" && clock::now() - published_at > 100ms) {
        publish();
        published_at = clock::now();
      }
      return std::all_of(got.begin(), got.end(),
                         [this](auto& x) { return x.next == sent; });
    });
    std::uint64_t missed = 0;
    for (auto i = all_members - slow_members; i < all_members; ++i) {
      EXPECT_LT(got[i].count, sent) << "it cannot have got all";
      missed += sent - got[i].count;
      members.close(i);
    }
    members.run_until(
      [this] { return members.count(client_state::closed) == slow_members; });
    EXPECT_EQ(gaps_logged(slow_members), missed);
  }
  EXPECT_GT(last, stalled_at);
  wait_all();
  EXPECT_EQ(wrong, std::vector<std::string>{});
  EXPECT_EQ(members.faults(), std::vector<std::string>{});
}

INSTANTIATE_TEST_SUITE_P(Room, OverflowPolicyTest,
                         testing::Values("disconnect", "drop-newest",
                                         "drop-oldest", "conflate"),
                         [](auto& x) {
                           std::string name = x.param;
                           std::erase(name, '-');
                           return name;
                         });
