#include "net/send_marks.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <random>

#include <gtest/gtest.h>

namespace greenroom::net {

namespace {

/// Marks beside a list of every byte's time, which is what they stand for.
class SendMarksTest : public testing::Test {
protected:
  void send(std::uint32_t bytes) {
    for (std::uint32_t i = 0; i < bytes; ++i)
      truth.push_back(now);
    total += bytes;
    if (marks.wide()) {
      ++asked;
      marks.acknowledged(acked);
    }
    while (!marks.sent(total, now)) {
      ++asked;
      marks.acknowledged(acked);
      marks.make_room();
    }
  }

  void acknowledge(std::uint32_t bytes) {
    for (std::uint32_t i = 0; i < bytes && !truth.empty(); ++i, ++acked)
      truth.pop_front();
  }

  /// How much older than it is the first unacknowledged byte seems.
  std::uint32_t error() {
    marks.acknowledged(acked);
    EXPECT_EQ(marks.empty(), truth.empty());
    return truth.empty() ? 0 : truth.front() - marks.oldest();
  }

  send_marks marks;
  std::deque<std::uint32_t> truth;
  std::uint32_t now = 0xFFFFFF00; // both wrap around
  std::uint32_t total = 0xFFFFFF00;
  std::uint32_t acked = 0xFFFFFF00;
  std::uint32_t asked = 0;
};

TEST_F(SendMarksTest, APeerIsInDoubtOnceItMayBeLateAndAsLongAsItIs) {
  EXPECT_FALSE(marks.doubtful(now, now));
  auto asked_at = now;
  send(100);
  now += send_marks::late - 1;
  send(100);
  EXPECT_FALSE(marks.doubtful(now, asked_at));
  ++now;
  EXPECT_TRUE(marks.doubtful(now, asked_at));
  asked_at = now;
  acknowledge(100);
  EXPECT_EQ(error(), 0u);
  EXPECT_FALSE(marks.doubtful(now, asked_at)) << "what is left is young";
  now += send_marks::late / 4;
  asked_at = now; // nothing came
  ++now;
  EXPECT_TRUE(marks.doubtful(now, asked_at)) << "it gets late";
  acknowledge(100);
  EXPECT_EQ(error(), 0u);
  EXPECT_FALSE(marks.doubtful(now, asked_at));
}

TEST_F(SendMarksTest, TheFirstUnacknowledgedByteIsAsOldAsItIs) {
  send(100);
  now += 5000;
  EXPECT_EQ(now - marks.oldest(), 5000u);
  send(50);
  EXPECT_EQ(error(), 0u);
  acknowledge(100);
  EXPECT_EQ(error(), 0u);
  EXPECT_EQ(marks.oldest(), now);
  acknowledge(50);
  EXPECT_EQ(error(), 0u);
  EXPECT_TRUE(marks.empty());
}

TEST_F(SendMarksTest, APeerThatKeepsUpCostsNoMemoryAndFewQuestions) {
  for (int i = 0; i < 10'000; ++i) {
    send(10);
    acknowledge(10);
    now += 10;
  }
  // 100 000 ticks are 1562 spacings, eight marks each.
  EXPECT_LE(asked, 200u);
  EXPECT_LT(error(), send_marks::first_spacing);
}

// 64 KiB in the kernel, 1 KB/s taken out: the age is a minute and stays right.
TEST_F(SendMarksTest, APeerThatTakesOneKilobyteASecondForMinutesIsSeenAsItIs) {
  constexpr std::uint32_t second = 954; // ticks
  std::uint32_t queued = 0;
  for (int s = 0; s < 600; ++s) {
    for (int part = 0; part < 10; ++part) {
      auto room = 65'536 - queued;
      auto n = std::min<std::uint32_t>(room, 200);
      if (n != 0) {
        send(n);
        queued += n;
      }
      auto taken = std::min<std::uint32_t>(queued, 100);
      acknowledge(taken);
      queued -= taken;
      now += second / 10;
      EXPECT_LE(error(), second) << "after " << s << " s";
    }
  }
  EXPECT_GT(now - marks.oldest(), 60 * second);
}

TEST_F(SendMarksTest, RandomTrafficIsRightToASpacingOrA64thOfItsSpan) {
  std::mt19937 dice{7};
  std::uint32_t longest = 0; // span since all was acknowledged
  for (int i = 0; i < 20'000; ++i) {
    now += dice() % 200;
    if (dice() % 2 == 0)
      send(1 + dice() % 50);
    if (dice() % 50 == 0)
      acknowledge(dice() % 1500);
    if (truth.empty()) {
      longest = 0;
      continue;
    }
    longest = std::max(longest, now - truth.front());
    ASSERT_LE(error(), send_marks::first_spacing + longest / 32) << i;
  }
}

} // namespace

} // namespace greenroom::net
