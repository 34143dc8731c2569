#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace greenroom::client {

/// What /proc tells of processes and their children at one moment, summed up.
struct process_sample {
  double cpu = 0; ///< seconds so far
  double user = 0;
  double system = 0;
  std::uint64_t rss = 0; ///< bytes
  std::uint64_t pss = 0; ///< bytes; 0 if the kernel does not tell us
  std::uint64_t fds = 0;
  std::uint64_t threads = 0;
  std::uint64_t switches = 0; ///< of context, by choice or not
};

/// @returns nothing if one of the processes is not there or not ours to look at
std::optional<process_sample> sample_processes(const std::vector<pid_t>& roots);

/// CPU seconds of this process so far.
double own_cpu();

} // namespace greenroom::client
