#pragma once

#include <functional>
#include <thread>

namespace greenroom {

/// Blocks SIGTERM, SIGINT and SIGHUP for this thread and those it starts, so that
/// they wait for a `signal_watch`, and ignores SIGPIPE: a client or a reader of
/// the log that goes away is an error code, not a death. Call it before there is
/// another thread.
void block_signals();

/// Takes the blocked signals on a thread of its own.
class signal_watch {
public:
  /// @param told gets every signal from now on and those that waited; runs on
  /// the thread of this
  /// @throws std::system_error
  explicit signal_watch(std::function<void(int number)> told);

  /// SIGTERM and SIGINT do again what they do by default.
  ~signal_watch();

  signal_watch(const signal_watch&) = delete;
  signal_watch& operator=(const signal_watch&) = delete;

private:
  int signals_;
  int stop_;
  std::thread thread_;
};

} // namespace greenroom
