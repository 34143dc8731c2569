#include "net/refusal_log.hpp"

#include <chrono>
#include <utility>

namespace greenroom::net {

namespace {

// What a client sent, in a log line.
constexpr std::size_t quoted_bytes_max = 200;

} // namespace

void refusal_log::write(errc why, std::string_view detail,
                        const ip_address& client,
                        std::string_view path) noexcept {
  auto& what = describe(why);
  if (!to_.wants(what.loudness))
    return;
  auto& seen = rows_[static_cast<std::size_t>(why)];
  auto second =
    std::chrono::floor<std::chrono::seconds>(std::chrono::steady_clock::now())
      .time_since_epoch()
      .count();
  if (seen.last_second.exchange(second, std::memory_order_relaxed) == second) {
    seen.unsaid.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  auto unsaid = seen.unsaid.exchange(0, std::memory_order_relaxed);
  auto line = log_record{what.loudness, "request_refused"}
                .with("reason", what.name)
                .with("status", what.http)
                .with("address", client.text());
  if (!path.empty())
    line = std::move(line).with("path", path.substr(0, quoted_bytes_max));
  if (!detail.empty())
    line = std::move(line).with("detail", detail.substr(0, quoted_bytes_max));
  if (unsaid != 0)
    line = std::move(line).with("more_before", unsaid);
  to_.write(std::move(line));
}

} // namespace greenroom::net
