#pragma once

#include <cstdint>
#include <string_view>

namespace greenroom::client {

/// One line on standard error that is written over and over again.
class progress_line {
public:
  explicit progress_line(bool wanted) : wanted_(wanted) {}

  progress_line(const progress_line&) = delete;
  progress_line& operator=(const progress_line&) = delete;

  ~progress_line() { clear(); }

  /// Whether it is time for another one: twice a second.
  /// @param now in nanoseconds
  bool due(std::uint64_t now) const { return wanted_ && now >= next_; }

  void show(std::uint64_t now, std::string_view words);

  void clear();

private:
  bool wanted_;
  bool shown_ = false;
  std::uint64_t next_ = 0;
};

} // namespace greenroom::client
