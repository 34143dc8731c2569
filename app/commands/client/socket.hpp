#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/result.hpp"
#include "app/commands/client/url.hpp"
#include "net/fd.hpp"

namespace greenroom::client {

using net::unique_fd;

/// An address to connect to.
struct endpoint {
  sockaddr_storage address{};
  socklen_t size = 0;

  /// `127.0.0.1:8000`, `[::1]:8000`
  std::string text() const;
};

/// The addresses of a URL's host, which may be a name. Waits for the resolver of
/// the system, whose deadlines are in resolv.conf. `localhost` is not asked for: it is
/// this machine (RFC 6761 section 6.3), also where there is no file of hosts.
/// @returns at least one, or a fault whose detail is for the user
result<std::vector<endpoint>> resolve(const url& to);

/// Begins to connect a non-blocking socket with TCP_NODELAY.
/// @param from address to connect from, without a port; null: any
/// @returns an empty descriptor with `errno` set if the kernel refuses at once
unique_fd start_connect(const endpoint& to, const endpoint* from = nullptr);

/// How a connect ended that `poll` reports on: 0 or an error number.
int connect_error(int fd);

/// Which of the errors of two addresses to tell: that this machine cannot use one says
/// nothing of the server. 0: none yet.
int more_telling(int before, int error) noexcept;

/// Bytes on their way to a descriptor.
class byte_queue {
public:
  /// What a producer appends to.
  std::string& in() noexcept { return bytes_; }

  std::string_view waiting() const noexcept {
    return std::string_view{bytes_}.substr(taken_);
  }

  bool empty() const noexcept { return taken_ == bytes_.size(); }

  void consume(std::size_t n);
  void clear() noexcept;

private:
  std::string bytes_;
  std::size_t taken_ = 0;
};

/// Sends what a socket takes at once.
/// @returns 0, or the error number that ended the connection
int send_some(int fd, byte_queue& from);

} // namespace greenroom::client
