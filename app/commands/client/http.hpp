#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/commands/client/socket.hpp"

namespace greenroom::client {

/// How an exchange ended.
struct http_answer {
  int status = 0; ///< 0: there was no answer, and `words` says why
  std::string body;
  std::string words; ///< one printable line
};

/// An answer as far as it has arrived (RFC 9112).
struct http_reading {
  enum class state : std::uint8_t { need_more, done, broken };

  state what = state::need_more;
  http_answer answer;
  bool keeps = false; ///< the connection may be used again
};

/// More is no answer of ours.
inline constexpr std::size_t http_head_bytes_max = 16 * 1024;
inline constexpr std::size_t http_body_bytes_max = 16 * 1024 * 1024;

/// @param bytes all that came so far
/// @param ended nothing follows
http_reading read_http_answer(std::string_view bytes, bool ended);

/// A connection over which one request after the other goes to a server. It never
/// blocks: somebody polls `fd` for `events` and calls `step`.
class http_line {
public:
  using clock = std::chrono::steady_clock;

  /// @param endpoints of the server, tried in their order
  explicit http_line(std::vector<endpoint> endpoints)
    : endpoints_(std::move(endpoints)) {}

  /// @param request head and body
  /// @param due until when the whole answer has to be there
  /// @pre not busy
  void start(std::string request, clock::time_point due);

  /// Forgets the request and its answer.
  void abandon();

  bool busy() const noexcept { return busy_; }

  /// -1: not connected.
  int fd() const noexcept { return socket_.get(); }

  short events() const noexcept;
  clock::time_point due() const noexcept { return due_; }

  /// After a poll, or at `due`. @returns the answer, or why there is none, once
  std::optional<http_answer> step();

private:
  void connect_next();
  std::optional<http_answer> failed(std::string_view why);
  std::optional<http_answer> take();

  std::vector<endpoint> endpoints_;
  std::size_t next_ = 0;
  unique_fd socket_;
  bool connecting_ = false;
  bool busy_ = false;
  bool fresh_ = false; ///< no answer came over this connection yet
  int error_ = 0;      ///< of the last attempt to connect
  std::string request_;
  byte_queue out_;
  std::string in_;
  clock::time_point due_;
};

} // namespace greenroom::client
