#pragma once

#include <unistd.h>

#include <utility>

namespace greenroom::net {

/// Owns one descriptor. Travels between threads inside what is posted to a loop,
/// so that a loop which ends first leaves none open.
class unique_fd {
public:
  unique_fd() noexcept = default;

  explicit unique_fd(int fd) noexcept : fd_(fd) {}

  unique_fd(unique_fd&& x) noexcept : fd_(x.release()) {}

  unique_fd& operator=(unique_fd&& x) noexcept {
    if (this != &x) {
      reset();
      fd_ = x.release();
    }
    return *this;
  }

  ~unique_fd() { reset(); }

  int get() const noexcept { return fd_; }

  explicit operator bool() const noexcept { return fd_ >= 0; }

  /// Gives the descriptor up without closing it.
  int release() noexcept { return std::exchange(fd_, -1); }

  void reset() noexcept {
    if (fd_ >= 0)
      ::close(std::exchange(fd_, -1));
  }

private:
  int fd_ = -1;
};

} // namespace greenroom::net
