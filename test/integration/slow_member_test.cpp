// A member that never reads costs the others nothing, and the broker no more than
// the member's own limit.

#include "test/support/broker_fixture.hpp"
#include "test/support/swarm.hpp"
#include "test/support/ws_client.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t MiB = 1024 * 1024;
constexpr std::size_t members = 50;
constexpr std::size_t message_bytes = 32 * 1024;
constexpr std::size_t published_bytes = (sanitized ? 10 : 100) * 1000 * 1000;
constexpr std::size_t member_limit = 1 * MiB; // --member-outbound-max
constexpr std::size_t window = 4;

/// Message `n` of the run: its number, then bytes that follow from it.
std::string message(std::uint64_t n) {
  auto result = fmt::format("{:016x}", n);
  result.resize(message_bytes, static_cast<char>('a' + n % 26));
  return result;
}

/// The real program with fifty members that read, one of which publishes at the
/// pace of its own echo.
class SlowMemberTest : public testing::Test {
protected:
  explicit SlowMemberTest(std::string goodbye_timeout = "60s")
    : broker([&] {
        auto flags = roomy_flags();
        flags.emplace_back("--room=lobby");
        flags.emplace_back("--drain-timeout=62s");
        flags.push_back("--goodbye-timeout=" + goodbye_timeout);
        return flags;
      }()),
      readers({.port = broker.port(), .timeout = 60s},
              [this](swarm::index who, opcode, std::string_view payload) {
                take(who, payload);
              }) {
    readers.add("/room/lobby", members);
    readers.open_all();
    next_due.resize(members, 0);
  }

  void take(swarm::index who, std::string_view payload) {
    auto due = next_due[who]++;
    if (due % 26 != now.first || now.second.empty())
      now = {due % 26, message(due)};
    // All but the number repeats.
    auto number = fmt::format("{:016x}", due);
    if (payload.size() != message_bytes || !payload.starts_with(number)
        || payload.substr(16) != std::string_view{now.second}.substr(16))
      wrong.push_back(
        fmt::format("member {} got something else than message {}", who, due));
    if (who == 0)
      publish();
  }

  void publish() {
    if (sent < limit)
      readers.send(0, opcode::binary, message(sent++));
  }

  /// Publishes so much more and waits until all fifty have it.
  /// @returns the most memory the broker had meanwhile
  std::size_t run(std::size_t bytes) {
    limit = sent + bytes / message_bytes;
    for (std::size_t i = 0; i < window; ++i)
      publish();
    std::size_t most = 0;
    auto sample_at = next_due[0];
    readers.run_until([&] {
      if (next_due[0] >= sample_at) {
        most = std::max(most, broker.stat().anonymous);
        sample_at = next_due[0] + 2 * MiB / message_bytes;
      }
      return std::all_of(next_due.begin(), next_due.end(),
                         [this](auto n) { return n == limit; });
    });
    return most;
  }

  ws_client slow_member(int receive_buffer = 4096) const {
    auto result = ws_client::connect({.port = broker.port(),
                                      .path = "/room/lobby",
                                      .receive_buffer = receive_buffer});
    result.stop_reading();
    return result;
  }

  /// Waits for the line about it. @returns where to look for later ones
  std::size_t wait_reason(std::string_view message, std::size_t from = 0) {
    auto has_reason = [](std::string_view line) {
      return line.find(R"("reason":"slow_consumer")") != std::string_view::npos;
    };
    return broker.wait_log(message, has_reason, 10s, from).next;
  }

  broker_process broker;
  swarm readers;
  std::vector<std::uint64_t> next_due;
  std::pair<std::uint64_t, std::string> now;
  std::uint64_t sent = 0;
  std::uint64_t limit = 0;
  std::vector<std::string> wrong;
};

/// With a short time for goodbyes.
class SlowMemberDeadlineTest : public SlowMemberTest {
protected:
  SlowMemberDeadlineTest() : SlowMemberTest("500ms") {}
};

} // namespace

TEST_F(SlowMemberTest, TheOthersLoseNothingAndMemoryStaysWithinTheLimit) {
  // The same without it, twice: what the traffic itself takes at most, which a first
  // run does not always reach.
  auto before = run(published_bytes);
  before = std::max(before, run(published_bytes));
  auto slow = slow_member();
  auto first = sent;
  auto most = run(published_bytes);
  EXPECT_EQ(wrong, std::vector<std::string>{});
  auto growth = most - std::min(most, before);
  fmt::print("published {} MB to {} members; memory {} KiB before, {} KiB at "
             "most: {} KiB more\n",
             published_bytes / 1'000'000, members, before / 1024, most / 1024,
             growth / 1024);
  // A sanitizer keeps freed memory for a while.
  if (!sanitized) {
    EXPECT_LT(growth, 2 * member_limit);
  }
  auto told = wait_reason("limit");
  // What it missed it missed at the end: it gets whole frames, then the reason.
  slow.resume_reading();
  std::uint64_t due = first;
  auto frame = slow.receive_frame();
  for (; frame.header.op != opcode::close; frame = slow.receive_frame()) {
    ASSERT_EQ(frame.header.op, opcode::binary);
    ASSERT_TRUE(frame.payload == message(due)) << "message " << due;
    ++due;
  }
  fmt::print("the slow member got {} messages\n", due - first);
  EXPECT_LT((due - first) * message_bytes, member_limit);
  EXPECT_EQ(parse_close(frame.payload).code, 1013);
  slow.drop();
  wait_reason("client_down", told);
}

TEST_F(SlowMemberTest, TheSlowOneIsToldWhyWhenItReadsAgain) {
  auto slow = slow_member();
  run(8 * MiB);
  auto told = wait_reason("limit");
  slow.resume_reading();
  auto words = slow.expect_close();
  EXPECT_EQ(words.code, 1013);
  EXPECT_EQ(words.reason, "slow_consumer");
  EXPECT_GT(words.skipped, 0u);
  EXPECT_EQ(slow.expect_eof(), stream_end::fin);
  slow.drop();
  wait_reason("client_down", told);
  EXPECT_EQ(wrong, std::vector<std::string>{});
}

TEST_F(SlowMemberDeadlineTest, TheSlowOneIsResetWhenItNeverReadsAgain) {
  auto fds = broker.stat().fds;
  auto slow = slow_member();
  run(8 * MiB);
  auto told = wait_reason("limit");
  wait_reason("client_down", told);
  wait_until([&] { return broker.stat().fds == fds; }, 5s,
             [] { return "its descriptor is still there"; });
  slow.resume_reading();
  // Whole frames first: what the kernel had taken.
  EXPECT_THROW(slow.expect_close(), std::runtime_error);
  EXPECT_EQ(slow.stream().end(), stream_end::reset);
  EXPECT_EQ(wrong, std::vector<std::string>{});
}
