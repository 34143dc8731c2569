#pragma once

#include <cstddef>

namespace greenroom {

/// Raises the limit of open files to what the process may have (RLIMIT_NOFILE,
/// soft to hard). @returns the limit
std::size_t raise_descriptor_limit();

/// How many connections fit beside what the broker itself keeps open.
/// @param inside connections that look inside
std::size_t connections_within(std::size_t descriptors, std::size_t threads,
                               std::size_t inside);

} // namespace greenroom
