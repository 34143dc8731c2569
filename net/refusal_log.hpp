#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "actors/errc.hpp"
#include "actors/log.hpp"
#include "net/address.hpp"

namespace greenroom::net {

/// Says why requests were refused, but of each reason at most one line a second:
/// a storm of clients must not become a storm of lines. Any thread.
class refusal_log {
public:
  explicit refusal_log(log_port& to) : to_(to) {}

  /// @param path without the query, which may hold tokens
  void write(errc why, std::string_view detail, const ip_address& client,
             std::string_view path) noexcept;

private:
  struct row {
    std::atomic<std::int64_t> last_second{-1};
    std::atomic<std::int64_t> unsaid{0};
  };

  log_port& to_;
  std::array<row, static_cast<std::size_t>(errc::last_)> rows_;
};

} // namespace greenroom::net
