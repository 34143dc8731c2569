#include "actors/rate.hpp"

#include <gtest/gtest.h>

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;

const steady_time start{1h};

TEST(RateTest, ABurstIsTakenAtOnceAndNoMore) {
  rate_limit x;
  for (int i = 0; i < 20; ++i)
    EXPECT_TRUE(x.take(start, 1, 10, 2)) << i;
  EXPECT_FALSE(x.take(start, 1, 10, 2));
}

TEST(RateTest, TimeBringsBackWhatWasTaken) {
  rate_limit x;
  EXPECT_TRUE(x.take(start, 20, 10, 2));
  EXPECT_FALSE(x.take(start + 99ms, 1, 10, 2));
  EXPECT_TRUE(x.take(start + 100ms, 1, 10, 2));
  EXPECT_FALSE(x.take(start + 100ms, 1, 10, 2));
}

TEST(RateTest, ASteadyPaceAtTheLimitGoesOnForEver) {
  rate_limit x;
  auto now = start;
  for (int i = 0; i < 10'000; ++i, now += 100ms)
    ASSERT_TRUE(x.take(now, 1, 10, 1)) << i;
}

TEST(RateTest, ARestIsNoCreditBeyondTheBurst) {
  rate_limit x;
  EXPECT_TRUE(x.take(start, 20, 10, 2));
  EXPECT_TRUE(x.take(start + 1h, 20, 10, 2));
  EXPECT_FALSE(x.take(start + 1h, 1, 10, 2));
}

TEST(RateTest, ARefusalCostsNothing) {
  rate_limit x;
  EXPECT_FALSE(x.take(start, 21, 10, 2));
  EXPECT_TRUE(x.take(start, 20, 10, 2));
}

TEST(RateTest, NoLimitAllowsAnything) {
  rate_limit x;
  for (int i = 0; i < 100; ++i)
    EXPECT_TRUE(x.take(start, 1'000'000'000, 0, 0));
}

TEST(RateTest, BigNumbersDoNotOverflow) {
  rate_limit x;
  // 16 MiB at 1 GiB/s.
  EXPECT_TRUE(x.take(start, 16u << 20, 1u << 30, 2));
  rate_limit slow;
  EXPECT_FALSE(slow.take(start, 16u << 20, 1, 2));
  EXPECT_TRUE(slow.take(start, 1, 1, 2));
}

} // namespace

} // namespace greenroom::test
