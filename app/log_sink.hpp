#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "actors/log.hpp"
#include "actors/metrics.hpp"
#include "app/config.hpp"

namespace greenroom {

using wall_time = std::chrono::system_clock::time_point;

/// One JSON object and a line feed: `level`, `time` (RFC 3339, UTC, milliseconds),
/// `message`, then the fields in their order. Always valid JSON and UTF-8: bytes
/// that are not become U+FFFD, texts over 1 KiB are cut.
std::string json_line(const log_record& what, wall_time when);

/// The same for people: time, level, message, `key=value`. What could move a
/// terminal's cursor is escaped.
/// @param colour marks warnings and errors by ANSI escapes
std::string text_line(const log_record& what, wall_time when, bool colour);

/// The log on a file descriptor, written by one thread of its own. A reader that
/// is slow or stuck blocks that thread only: lines wait up to a limit, those that
/// find no room are counted and told of by a line `log_lost` as soon as there is
/// room again. The same where a write fails (the disk is full): it is tried again
/// twice a second. Where nobody reads any more (EPIPE) everything is lost in silence.
class log_sink final : public log_port {
public:
  /// @param fd stays open and is not closed; the process must ignore SIGPIPE
  /// @param counts gets `log_lost`; null: nobody does
  explicit log_sink(const log_options& options, int fd = 1,
                    metrics* counts = nullptr);

  /// Closes with a deadline of 1 s.
  ~log_sink() override;

  log_sink(const log_sink&) = delete;
  log_sink& operator=(const log_sink&) = delete;

  void write(log_record line) noexcept override;

  bool wants(level x) const noexcept override;

  /// Waits until what was written has reached the descriptor, but not longer than
  /// the deadline: an exit must not hang on a pipe that nobody reads. Later lines
  /// are lost.
  /// @returns whether everything has
  bool close(std::chrono::milliseconds deadline);

private:
  struct state;

  level loudness_;
  metrics* counts_;
  // The thread may outlive this, stuck in a write.
  std::shared_ptr<state> state_;
};

} // namespace greenroom
