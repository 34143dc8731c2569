#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "actors/inspection.hpp"

namespace greenroom::net {

/// Where the events of a trace wait for a stream. Bounded: what finds no room is
/// lost, and told at its place. Any thread.
class trace_inbox final : public trace_sink {
public:
  /// @param bytes_max of events that wait
  /// @param more called when something waits where nothing did
  trace_inbox(std::size_t bytes_max, std::function<void()> more)
    : bytes_max_(bytes_max), more_(std::move(more)) {}

  void traced(std::vector<box_row> what, std::uint64_t lost) override;

  void ended(errc why) override;

  /// Appends what waits as lines. @returns why there will be no more, if so
  std::optional<errc> take(std::string& to);

  /// Nobody takes any more.
  void close();

private:
  /// Events, and what was lost behind them.
  struct stretch {
    std::vector<box_row> rows;
    std::uint64_t lost = 0;
  };

  void lose(std::uint64_t n);

  const std::size_t bytes_max_;
  std::function<void()> more_; // not guarded: called without the lock
  std::mutex mutex_;           // guards what follows
  std::vector<stretch> waiting_;
  std::size_t bytes_ = 0;
  std::optional<errc> why_;
  bool closed_ = false;
};

} // namespace greenroom::net
