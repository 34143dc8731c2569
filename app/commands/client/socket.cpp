#include "app/commands/client/socket.hpp"

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>

namespace greenroom::client {

std::string endpoint::text() const {
  char host[NI_MAXHOST];
  char service[NI_MAXSERV];
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host,
                  sizeof(host), service, sizeof(service),
                  NI_NUMERICHOST | NI_NUMERICSERV)
      != 0)
    return "?";
  return address.ss_family == AF_INET6 ? fmt::format("[{}]:{}", host, service)
                                       : fmt::format("{}:{}", host, service);
}

namespace {

bool is_localhost(std::string_view host) {
  constexpr std::string_view name = "localhost";
  if (host.ends_with('.'))
    host.remove_suffix(1);
  if (host.size() < name.size())
    return false;
  auto above = host.substr(0, host.size() - name.size());
  return (above.empty() || above.ends_with('.'))
         && strncasecmp(host.data() + above.size(), name.data(), name.size())
              == 0;
}

} // namespace

result<std::vector<endpoint>> resolve(const url& to) {
  // The broker's own default first.
  auto hosts = is_localhost(to.host)
                 ? std::vector<std::string>{"127.0.0.1", "::1"}
                 : std::vector<std::string>{to.host};
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  auto port = fmt::format("{}", to.port);
  std::vector<endpoint> endpoints;
  for (auto& host : hosts) {
    addrinfo* found = nullptr;
    if (auto error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found))
      return fault{errc::not_found,
                   fmt::format("{}: {}", host, gai_strerror(error))};
    std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner{found,
                                                             freeaddrinfo};
    for (auto* x = found; x != nullptr; x = x->ai_next) {
      endpoint one;
      std::memcpy(&one.address, x->ai_addr, x->ai_addrlen);
      one.size = x->ai_addrlen;
      endpoints.push_back(one);
    }
  }
  return endpoints;
}

unique_fd start_connect(const endpoint& to, const endpoint* from) {
  unique_fd fd{::socket(to.address.ss_family,
                        SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd)
    return {};
  int one = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  auto name = [](const endpoint& x) {
    return reinterpret_cast<const sockaddr*>(&x.address);
  };
  if (from != nullptr) {
    // Else every address would have to find a port of its own before the kernel
    // knows where to: fewer connections.
    setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
               sizeof(one));
    if (::bind(fd.get(), name(*from), from->size) != 0)
      return {};
  }
  if (::connect(fd.get(), name(to), to.size) != 0 && errno != EINPROGRESS)
    return {};
  return fd;
}

int connect_error(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
    return errno;
  return error;
}

int more_telling(int before, int error) noexcept {
  const bool ours = error == EADDRNOTAVAIL || error == EAFNOSUPPORT
                    || error == ENETUNREACH || error == EHOSTUNREACH;
  return ours && before != 0 ? before : error;
}

void byte_queue::consume(std::size_t n) {
  taken_ += n;
  // Moving the rest is paid for by as many bytes that left.
  if (taken_ * 2 >= bytes_.size()) {
    bytes_.erase(0, taken_);
    taken_ = 0;
  }
}

void byte_queue::clear() noexcept {
  bytes_.clear();
  taken_ = 0;
}

int send_some(int fd, byte_queue& from) {
  while (!from.empty()) {
    auto bytes = from.waiting();
    auto n =
      ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0)
      from.consume(static_cast<std::size_t>(n));
    else if (errno != EINTR)
      return errno == EAGAIN ? 0 : errno;
  }
  return 0;
}

} // namespace greenroom::client
