#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace greenroom::test {

/// What a wait throws when its time is over.
struct timeout_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// How long ago that was.
inline std::chrono::milliseconds since(
  std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
    std::chrono::steady_clock::now() - begin);
}

/// A point in time by which something has to have happened.
class deadline {
public:
  explicit deadline(std::chrono::milliseconds span)
    : at_(std::chrono::steady_clock::now() + span) {}

  /// What is left in milliseconds, rounded up and never negative: fits `poll`.
  int remaining() const;

  bool passed() const { return std::chrono::steady_clock::now() >= at_; }

  std::chrono::steady_clock::time_point at() const { return at_; }

private:
  std::chrono::steady_clock::time_point at_;
};

/// Owns one descriptor.
class unique_fd {
public:
  unique_fd() = default;

  explicit unique_fd(int fd) : fd_(fd) {}

  unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

  unique_fd& operator=(unique_fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }

  ~unique_fd() { reset(); }

  void reset();

  int get() const { return fd_; }

  explicit operator bool() const { return fd_ >= 0; }

private:
  int fd_ = -1;
};

/// Where to connect to, and how.
struct tcp_options {
  /// A numeric address, v4 or v6.
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  /// The address to connect from, such as 127.0.0.2; empty: any.
  std::string local_address = {};
  /// SO_RCVBUF in bytes, set before the connect so that the window obeys it; 0
  /// leaves the kernel's own choice.
  int receive_buffer = 0;
};

/// Begins to connect, without waiting.
/// @returns a non-blocking socket; writability or an error tells the end.
/// @throws std::system_error if the kernel refuses at once.
unique_fd start_connect(const tcp_options& options);

/// The error a non-blocking connect ended with, 0 if it worked.
int connect_error(int fd);

/// Makes the next close of `fd` a reset (RST) instead of a FIN.
void close_with_reset(unique_fd& fd);

/// How the peer ended its direction.
enum class stream_end { fin, reset };

/// A TCP connection with a read buffer and a deadline on every wait.
class tcp_stream {
public:
  /// @throws timeout_error or std::system_error
  static tcp_stream connect(const tcp_options& options, const deadline& until);

  /// Adopts a connected socket and makes it non-blocking.
  explicit tcp_stream(unique_fd fd);

  /// What has arrived and was not consumed.
  std::string_view unread() const {
    return std::string_view{in_}.substr(read_);
  }

  void consume(std::size_t count) { read_ += count; }

  /// Waits for at least one more byte.
  /// @returns false at the end of the stream, see `end()`.
  /// @throws timeout_error
  bool fill(const deadline& until);

  /// Sends everything. If `draining`, it keeps taking in what arrives while it
  /// waits, so that two peers that both send cannot wait for each other.
  /// @throws timeout_error, or std::system_error if the peer is gone
  void send(std::string_view bytes, const deadline& until, bool draining);

  /// Sends what the kernel takes at once. @returns how many bytes that were
  std::size_t send_some(std::string_view bytes);

  /// @returns whether the kernel takes bytes again before `until`
  bool wait_writable(const deadline& until);

  /// @returns whether a byte or the end is there to be read before `until`
  bool wait_readable(const deadline& until);

  void shutdown_write();

  /// Closes with RST.
  void reset() { close_with_reset(fd_); }

  void close() { fd_.reset(); }

  std::optional<stream_end> end() const { return end_; }

  int fd() const { return fd_.get(); }

  /// Our own port, which a server may show in its logs.
  std::uint16_t local_port() const;

  std::uint64_t bytes_in() const { return bytes_in_; }

  std::uint64_t bytes_out() const { return bytes_out_; }

private:
  void compact();

  /// Reads once without waiting. @returns whether anything changed
  bool read_now();

  unique_fd fd_;
  std::string in_;
  std::size_t read_ = 0;
  std::optional<stream_end> end_;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
};

/// A port of 127.0.0.1 that nobody else gets while this lives, although it is free
/// for a listener with SO_REUSEADDR.
class reserved_port {
public:
  reserved_port();

  std::uint16_t number() const { return number_; }

private:
  unique_fd socket_;
  std::uint16_t number_ = 0;
};

} // namespace greenroom::test
