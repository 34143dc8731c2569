#include "test/support/tcp.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace greenroom::test {

namespace {

constexpr std::size_t read_chunk = 65'536;

[[noreturn]] void fail(int code, const std::string& what) {
  throw std::system_error(code, std::system_category(), what);
}

struct socket_address {
  sockaddr_storage storage = {};
  socklen_t size = 0;

  const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&storage);
  }
};

socket_address parse_address(const std::string& host, std::uint16_t port) {
  socket_address result;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&result.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&result.storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    result.size = sizeof(sockaddr_in);
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    result.size = sizeof(sockaddr_in6);
  } else {
    throw std::invalid_argument("not a numeric address: " + host);
  }
  return result;
}

/// @returns the events that came, 0 after the deadline
short wait_for(int fd, short events, const deadline& until) {
  pollfd entry{fd, events, 0};
  for (;;) {
    auto count = ::poll(&entry, 1, until.remaining());
    if (count > 0)
      return entry.revents;
    if (count == 0 && until.passed())
      return 0;
    if (count < 0 && errno != EINTR)
      fail(errno, "poll");
  }
}

} // namespace

// -- deadline and unique_fd ---------------------------------------------------

int deadline::remaining() const {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(
    at_ - std::chrono::steady_clock::now());
  return static_cast<int>(
    std::clamp<std::int64_t>(left.count(), 0, 86'400'000));
}

void unique_fd::reset() {
  if (fd_ >= 0)
    ::close(std::exchange(fd_, -1));
}

// -- connecting ---------------------------------------------------------------

unique_fd start_connect(const tcp_options& options) {
  auto peer = parse_address(options.host, options.port);
  auto type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  unique_fd result{::socket(peer.storage.ss_family, type, 0)};
  if (!result)
    fail(errno, "socket");
  auto fd = result.get();
  int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  if (auto size = options.receive_buffer; size > 0)
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
  if (!options.local_address.empty()) {
    // Without this option the port is chosen at the bind and must be unique
    // for the address; with it, 28000 ports are there for every destination.
    ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    auto self = parse_address(options.local_address, 0);
    if (::bind(fd, self.get(), self.size) != 0)
      fail(errno, "bind to " + options.local_address);
  }
  if (::connect(fd, peer.get(), peer.size) != 0 && errno != EINPROGRESS)
    fail(errno, "connect to " + options.host);
  return result;
}

int connect_error(int fd) {
  int code = 0;
  socklen_t size = sizeof(code);
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0)
    return errno;
  return code;
}

void close_with_reset(unique_fd& fd) {
  linger how{1, 0};
  if (fd)
    ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &how, sizeof(how));
  fd.reset();
}

tcp_stream tcp_stream::connect(const tcp_options& options,
                               const deadline& until) {
  auto fd = start_connect(options);
  auto where = options.host + ':' + std::to_string(options.port);
  if (wait_for(fd.get(), POLLOUT, until) == 0)
    throw timeout_error("no connection to " + where + " in time");
  if (auto code = connect_error(fd.get()); code != 0)
    fail(code, "connect to " + where);
  return tcp_stream{std::move(fd)};
}

tcp_stream::tcp_stream(unique_fd fd) : fd_(std::move(fd)) {
  auto flags = ::fcntl(fd_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK) < 0)
    fail(errno, "fcntl");
}

// -- reading ------------------------------------------------------------------

void tcp_stream::compact() {
  if (read_ == in_.size()) {
    in_.clear();
    read_ = 0;
  } else if (read_ > in_.size() / 2) {
    in_.erase(0, read_);
    read_ = 0;
  }
}

bool tcp_stream::read_now() {
  if (end_)
    return false;
  compact();
  std::array<char, read_chunk> chunk;
  auto count = ::recv(fd_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (count > 0) {
    in_.append(chunk.data(), static_cast<std::size_t>(count));
    bytes_in_ += static_cast<std::uint64_t>(count);
    return true;
  }
  if (count == 0) {
    end_ = stream_end::fin;
    return true;
  }
  if (errno == EAGAIN || errno == EINTR)
    return false;
  // A peer that is gone shows up as either, depending on who noticed first.
  if (errno == ECONNRESET || errno == EPIPE) {
    end_ = stream_end::reset;
    return true;
  }
  fail(errno, "recv");
}

bool tcp_stream::fill(const deadline& until) {
  while (!end_) {
    if (!wait_readable(until))
      throw timeout_error("nothing arrived in time");
    if (read_now())
      break;
  }
  return !end_;
}

bool tcp_stream::wait_readable(const deadline& until) {
  return end_ || wait_for(fd_.get(), POLLIN, until) != 0;
}

// -- writing ------------------------------------------------------------------

std::size_t tcp_stream::send_some(std::string_view bytes) {
  for (;;) {
    auto count = ::send(fd_.get(), bytes.data(), bytes.size(),
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      bytes_out_ += static_cast<std::uint64_t>(count);
      return static_cast<std::size_t>(count);
    }
    if (errno == EAGAIN)
      return 0;
    if (errno != EINTR)
      fail(errno, "send");
  }
}

void tcp_stream::send(std::string_view bytes, const deadline& until,
                      bool draining) {
  while (!bytes.empty()) {
    bytes.remove_prefix(send_some(bytes));
    if (bytes.empty())
      break;
    auto reading = draining && !end_;
    auto events = static_cast<short>(reading ? POLLOUT | POLLIN : POLLOUT);
    auto ready = wait_for(fd_.get(), events, until);
    if (ready == 0)
      throw timeout_error("the peer takes no bytes: "
                          + std::to_string(bytes.size()) + " left to send");
    if (reading && (ready & POLLIN) != 0)
      read_now();
  }
}

bool tcp_stream::wait_writable(const deadline& until) {
  return wait_for(fd_.get(), POLLOUT, until) != 0;
}

void tcp_stream::shutdown_write() {
  if (::shutdown(fd_.get(), SHUT_WR) != 0)
    fail(errno, "shutdown");
}

std::uint16_t tcp_stream::local_port() const {
  sockaddr_storage self = {};
  socklen_t size = sizeof(self);
  if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&self), &size) != 0)
    fail(errno, "getsockname");
  return self.ss_family == AF_INET6
           ? ntohs(reinterpret_cast<sockaddr_in6*>(&self)->sin6_port)
           : ntohs(reinterpret_cast<sockaddr_in*>(&self)->sin_port);
}

reserved_port::reserved_port()
  : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  // Linux lets two sockets have one address while both have SO_REUSEADDR and none
  // of them listens.
  int on = 1;
  sockaddr_in self = {};
  self.sin_family = AF_INET;
  self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(self);
  auto* address = reinterpret_cast<sockaddr*>(&self);
  if (::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on))
        != 0
      || ::bind(socket_.get(), address, size) != 0
      || ::getsockname(socket_.get(), address, &size) != 0)
    throw std::system_error(errno, std::system_category(), "no port");
  number_ = ntohs(self.sin_port);
}

} // namespace greenroom::test
