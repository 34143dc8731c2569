#pragma once

#include <chrono>
#include <cstddef>

#include <sys/types.h>

namespace greenroom::test {

/// What /proc tells of one process at one moment.
struct proc_stat {
  /// Resident bytes.
  std::size_t rss = 0;
  /// Resident bytes, shared pages counted by their share.
  std::size_t pss = 0;
  /// Of them, those that are no file: heap and stacks. Other processes that run the
  /// same program come and go without changing it.
  std::size_t anonymous = 0;
  std::size_t fds = 0;
  std::size_t threads = 0;
  /// CPU time so far, in ticks of 10 ms.
  std::chrono::milliseconds user{0};
  std::chrono::milliseconds system{0};

  std::chrono::milliseconds cpu() const { return user + system; }
};

/// @throws std::runtime_error if there is no such process
proc_stat read_proc_stat(pid_t pid);

/// The most bytes that were ever resident at once.
/// @throws std::runtime_error if there is no such process
std::size_t peak_rss(pid_t pid);

/// Open descriptors only, which is cheap; but for rings of io_uring.
std::size_t count_fds(pid_t pid);

} // namespace greenroom::test
