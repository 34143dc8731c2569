#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "actors/model.hpp"

namespace greenroom {

/// A token bucket (the generic cell rate algorithm): allows `per_second`, and
/// `burst_seconds` worth of it at once. 16 bytes, one thread.
class rate_limit {
public:
  /// @returns whether `n` more are allowed now; takes them if so
  /// @param per_second 0: anything is
  bool take(steady_time now, std::uint64_t n, std::uint64_t per_second,
            std::uint64_t burst_seconds) noexcept {
    using namespace std::chrono;
    if (per_second == 0)
      return true;
    auto cost =
      nanoseconds{static_cast<std::int64_t>(n * 1'000'000'000ULL / per_second)};
    auto full = std::max(full_at_, now);
    if (full + cost > now + seconds{burst_seconds})
      return false;
    full_at_ = full + cost;
    return true;
  }

private:
  steady_time full_at_{};
};

} // namespace greenroom
