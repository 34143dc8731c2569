#include "app/commands/bench/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace greenroom::client {

histogram::histogram() : buckets_(size, 0) {}

void histogram::merge(const histogram& other) {
  for (std::size_t i = 0; i < size; ++i)
    buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

std::uint64_t histogram::top_of(std::size_t index) noexcept {
  if (index < exact)
    return index;
  auto octave = (index - exact) / per_octave; // above the exact part
  auto step = (index - exact) % per_octave;
  auto bottom = static_cast<std::uint64_t>(per_octave + step) << (octave + 1);
  return bottom + ((std::uint64_t{1} << (octave + 1)) - 1);
}

std::uint64_t histogram::percentile(double percent) const noexcept {
  if (count_ == 0)
    return 0;
  // Nearest rank. The slack takes back what the division adds to whole ranks.
  auto exact_rank = percent / 100 * static_cast<double>(count_);
  auto rank = static_cast<std::uint64_t>(std::ceil(exact_rank * (1 - 1e-12)));
  rank = std::clamp<std::uint64_t>(rank, 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < size; ++i) {
    seen += buckets_[i];
    if (seen >= rank)
      return std::min(top_of(i), max_);
  }
  return max_;
}

} // namespace greenroom::client
