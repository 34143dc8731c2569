#pragma once

#include <chrono>
#include <cstdint>

namespace greenroom {

/// What the process uses, as the kernel says (proc(5)); 0 where it says nothing.
struct process_facts {
  std::chrono::nanoseconds cpu{0};
  std::uint64_t memory_bytes = 0; ///< resident
  std::uint64_t descriptors = 0;
};

/// Some microseconds; where the kernel does not count descriptors (before Linux
/// 6.2) one more for each of them.
process_facts look_at_process() noexcept;

/// CPU time of the calling thread; costs a system call.
std::chrono::nanoseconds thread_time() noexcept;

} // namespace greenroom
