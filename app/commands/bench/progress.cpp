#include "app/commands/bench/progress.hpp"

#include <cstdio>

#include <fmt/format.h>

namespace greenroom::client {

namespace {

constexpr std::uint64_t every = 500'000'000;

} // namespace

void progress_line::show(std::uint64_t now, std::string_view words) {
  next_ = now + every;
  shown_ = true;
  // Erases what the line before it had more.
  fmt::print(stderr, "\r{:.79}\x1b[K", words);
  std::fflush(stderr);
}

void progress_line::clear() {
  if (shown_)
    fmt::print(stderr, "\r\x1b[K");
  shown_ = false;
}

} // namespace greenroom::client
