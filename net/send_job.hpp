#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <string_view>

namespace greenroom::net {

/// The next bytes of an outbox, ready for one `send` or `sendmsg`.
struct send_job {
  /// More than that gains nothing: the kernel copies them one by one.
  static constexpr std::size_t parts_max = 64;
  /// What one call offers to the kernel, which takes about one send buffer.
  static constexpr std::size_t bytes_max = std::size_t{256} * 1024;
  /// Blocks up to this size are joined by copying, larger ones stay where they
  /// are: copying a few hundred bytes costs less than another part.
  static constexpr std::size_t join_max = std::size_t{2} * 1024;

  /// @param scratch where small blocks are joined, valid until they are sent
  send_job(char* scratch, std::size_t scratch_bytes) noexcept
    : scratch_(scratch), scratch_left_(scratch_bytes) {}

  /// Begins a job anew.
  void restart(char* scratch, std::size_t scratch_bytes) noexcept {
    count = 0;
    bytes = 0;
    scratch_ = scratch;
    scratch_left_ = scratch_bytes;
  }

  void add(std::string_view what) noexcept;
  void add_by_reference(std::string_view what) noexcept;

  bool full() const noexcept {
    return count == parts_max || bytes >= bytes_max;
  }

  std::array<iovec, parts_max> parts; // the first `count` are set
  std::size_t count = 0;
  std::size_t bytes = 0;

private:
  char* scratch_;
  std::size_t scratch_left_;
};

} // namespace greenroom::net
