#include "app/commands/bench/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

using greenroom::client::histogram;

namespace {

/// Nearest rank, from the values themselves.
std::uint64_t truth(const std::vector<std::uint64_t>& sorted, double percent) {
  auto rank = static_cast<std::size_t>(
    std::ceil(percent / 100 * static_cast<double>(sorted.size()) - 1e-9));
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

} // namespace

TEST(HistogramTest, AnEmptyOneSaysZero) {
  histogram x;
  EXPECT_EQ(x.count(), 0u);
  EXPECT_EQ(x.percentile(50), 0u);
  EXPECT_EQ(x.max(), 0u);
  EXPECT_EQ(x.mean(), 0);
}

TEST(HistogramTest, SmallValuesAreExact) {
  histogram x;
  for (std::uint64_t i = 0; i < 256; ++i)
    x.add(i);
  for (int percent : {0, 25, 50, 75, 100})
    EXPECT_EQ(x.percentile(percent),
              static_cast<std::uint64_t>(std::max(percent * 256 / 100, 1) - 1));
}

TEST(HistogramTest, OneValueIsItsEveryPercentile) {
  for (std::uint64_t value :
       {0ULL, 1ULL, 255ULL, 256ULL, 257ULL, 123'456'789ULL, ~0ULL}) {
    histogram x;
    x.add(value);
    // Never over the maximum, which is exact.
    for (double percent : {0.0, 50.0, 99.9, 100.0})
      EXPECT_EQ(x.percentile(percent), value);
  }
}

TEST(HistogramTest, EveryPowerOfTwoKeepsTheErrorBound) {
  for (unsigned power = 0; power < 64; ++power) {
    for (std::uint64_t offset : {-1, 0, 1}) {
      auto value = (std::uint64_t{1} << power) + offset;
      histogram x;
      x.add(value);
      x.add(~std::uint64_t{0}); // so that the maximum does not help
      auto read = x.percentile(50);
      EXPECT_GE(read, value);
      EXPECT_LE(static_cast<double>(read - value),
                static_cast<double>(value) / 128)
        << value;
    }
  }
}

TEST(HistogramTest, PercentilesAreNeverBelowAndAtMostOneInAHundredAbove) {
  std::mt19937_64 random{7};
  std::lognormal_distribution<double> spread{12, 2};
  std::vector<std::uint64_t> values;
  histogram x;
  double sum = 0;
  for (int i = 0; i < 100'000; ++i) {
    auto value = static_cast<std::uint64_t>(spread(random));
    values.push_back(value);
    sum += static_cast<double>(value);
    x.add(value);
  }
  std::sort(values.begin(), values.end());
  for (double percent : {1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    auto expected = truth(values, percent);
    EXPECT_GE(x.percentile(percent), expected) << percent;
    EXPECT_LE(static_cast<double>(x.percentile(percent) - expected),
              static_cast<double>(expected) / 128)
      << percent;
  }
  EXPECT_EQ(x.max(), values.back());
  EXPECT_DOUBLE_EQ(x.mean(), sum / 100'000);
}

TEST(HistogramTest, TheMedianOfTwoIsTheLowerOne) {
  histogram x;
  x.add(10);
  x.add(20);
  EXPECT_EQ(x.percentile(50), 10u);
  EXPECT_EQ(x.percentile(50.1), 20u);
}

TEST(HistogramTest, MergingIsAddingAll) {
  histogram both;
  histogram a;
  histogram b;
  for (std::uint64_t i = 1; i < 2000; i += 3) {
    a.add(i * i);
    both.add(i * i);
    b.add(i * 1000);
    both.add(i * 1000);
  }
  a.merge(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.max(), both.max());
  EXPECT_DOUBLE_EQ(a.mean(), both.mean());
  for (double percent = 0; percent <= 100; percent += 0.5)
    EXPECT_EQ(a.percentile(percent), both.percentile(percent));
}
