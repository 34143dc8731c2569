#include "app/descriptors.hpp"

#include <algorithm>
#include <limits>

#include <sys/resource.h>

namespace greenroom {

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur != limit.rlim_max) {
    auto raised = limit;
    raised.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
      limit = raised;
  }
  return std::min<rlim_t>(limit.rlim_cur,
                          std::numeric_limits<std::size_t>::max());
}

std::size_t connections_within(std::size_t descriptors, std::size_t threads,
                               std::size_t inside) {
  // Standard streams, signals, the listeners; a poll, a timer, a wake-up and a
  // ring per thread; and some for sockets that get 503 as they are too many.
  auto own = 32 + 8 * threads + inside;
  return descriptors > own ? descriptors - own : 1;
}

} // namespace greenroom
