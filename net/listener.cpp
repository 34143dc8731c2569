#include "net/listener.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "net/address.hpp"
#include "net/fd.hpp"
#include "net/http_session.hpp"
#include "net/quota.hpp"

namespace greenroom::net {

namespace {

// Connections accepted in one turn of the loop: its sockets and actors wait
// meanwhile.
constexpr int accepts_per_turn = 64;

// Pauses that follow each other within this are one line in the log.
constexpr std::chrono::seconds episode{10};

// -- sockets
// ----------------------------------------------------------------------

struct socket_name {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }

  socket_name() = default;

  socket_name(const ip_address& address, std::uint16_t port) {
    auto& bytes = address.bytes();
    if (address.is_v4()) {
      sockaddr_in v4{};
      v4.sin_family = AF_INET;
      v4.sin_port = htons(port);
      std::memcpy(&v4.sin_addr, bytes.data() + 12, sizeof(v4.sin_addr));
      std::memcpy(&storage, &v4, size = sizeof(v4));
    } else {
      sockaddr_in6 v6{};
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(port);
      std::memcpy(&v6.sin6_addr, bytes.data(), sizeof(v6.sin6_addr));
      std::memcpy(&storage, &v6, size = sizeof(v6));
    }
  }

  std::uint16_t port() const {
    sockaddr_in6 x{}; // both families have it at the same place
    std::memcpy(&x, &storage, sizeof(x));
    return ntohs(x.sin6_port);
  }
};

// A failure keeps its errno for the caller.
bool set(int fd, int level, int name, int value) {
  return ::setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

/// Accepted sockets inherit all options of the one that listens, so that none
/// of these costs a call per connection.
unique_fd listen_on(const ip_address& address, std::uint16_t port,
                    const listener_options& options,
                    const session_options& session) {
  socket_name name{address, port};
  unique_fd fd{::socket(name.get()->sa_family,
                        SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd)
    return {};
  // `::` takes IPv4 as well, whatever the machine's default is.
  auto v6 = !address.is_v4();
  auto user_timeout = static_cast<int>(session.idle_timeout.count());
  auto buffer = static_cast<int>(session.send_buffer_bytes);
  if (!set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1)
      || (v6 && !set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0))
      || !set(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1)
      || !set(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout)
      || (buffer != 0 && !set(fd.get(), SOL_SOCKET, SO_SNDBUF, buffer))
      || ::bind(fd.get(), name.get(), name.size) != 0
      || ::listen(fd.get(), options.backlog) != 0) {
    auto why = errno;
    fd.reset();
    errno = why;
  }
  return fd;
}

std::uint16_t port_of(int fd) {
  socket_name name;
  ::getsockname(fd, name.get(), &name.size);
  return name.port();
}

std::string shown(std::string_view bind, std::uint16_t port) {
  std::string host{bind};
  if (host.find(':') != std::string::npos && !host.starts_with('['))
    host = '[' + host + ']';
  return host + ':' + std::to_string(port);
}

std::vector<ip_address> addresses_of(std::string_view bind) {
  if (bind == "localhost")
    return {*ip_address::parse("127.0.0.1"), *ip_address::parse("::1")};
  if (bind.starts_with('[') && bind.ends_with(']'))
    bind = bind.substr(1, bind.size() - 2);
  auto one = ip_address::parse(bind);
  if (!one)
    throw std::invalid_argument("cannot listen on `" + std::string{bind}
                                + "`: not an address");
  return {*one};
}

// -- options
// ----------------------------------------------------------------------

std::vector<network> networks_of(const std::vector<std::string>& texts) {
  std::vector<network> out;
  for (auto& text : texts) {
    auto one = network::parse(text);
    if (!one)
      throw std::invalid_argument("not a network: `" + text + '`');
    out.push_back(*one);
  }
  return out;
}

origin_rules origins_of(const http_options& http, std::string_view bind) {
  auto addresses = addresses_of(bind);
  auto local = std::all_of(addresses.begin(), addresses.end(),
                           [](auto& x) { return x.is_loopback(); });
  auto rules = origin_rules::make(http.origins,
                                  local ? own_names::loopback : own_names::any);
  if (!rules)
    throw std::invalid_argument(rules.error().detail);
  return *rules;
}

// -- accepting
// --------------------------------------------------------------------

/// Gets what a door accepts, on loop 0.
class porter {
public:
  virtual void take(unique_fd fd, const ip_address& peer) = 0;

protected:
  ~porter() = default;
};

/// One listening socket. On its loop's thread.
class door final : public fd_watcher, private timer {
public:
  door(porter& to, io_loop& loop, unique_fd fd, const listener_options& options,
       metrics& counts, log_port& log)
    : to_(to), loop_(loop), fd_(std::move(fd)),
      backoff_(options.accept_backoff), counts_(counts), log_(log) {}

  ~door() override { close(); }

  int fd() const { return fd_.get(); }

  void begin() {
    if (!fd_)
      return;
    loop_.watch(fd_.get(), *this, EPOLLIN | EPOLLET);
    watched_ = true;
  }

  void close() noexcept {
    disarm();
    if (std::exchange(watched_, false))
      loop_.close(fd_.release(), *this);
    fd_.reset();
  }

  void ready(std::uint32_t) override { go_on(); }

  void abandoned() noexcept override { close(); }

private:
  // Accepts what waits. Edge-triggered: nothing is told again, so this goes on
  // until nothing is left, in later turns if need be.
  void go_on() {
    if (armed()) // paused
      return;
    for (int i = 0; i < accepts_per_turn; ++i) {
      if (!fd_)
        return;
      socket_name peer;
      unique_fd fd{::accept4(fd_.get(), peer.get(), &peer.size,
                             SOCK_NONBLOCK | SOCK_CLOEXEC)};
      if (fd) {
        take(std::move(fd), peer);
        continue;
      }
      switch (errno) {
        case EAGAIN:
          return;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
          pause(errno);
          return;
        default:
          // The connection ended before it was accepted: ECONNABORTED and all
          // that accept(2) passes on from the network.
          break;
      }
    }
    loop_.post([this] { go_on(); });
  }

  // An exception must not cost us the door.
  void take(unique_fd fd, const socket_name& peer) noexcept {
    counts_.connections_opened.add();
    try {
      if (auto address = ip_address::of(peer.storage))
        to_.take(std::move(fd), *address);
    } catch (...) {
      loop_.report("accept");
    }
  }

  void fired() override { go_on(); }

  // Whoever waits in the backlog is not lost; spinning would only slow down
  // those who might free a descriptor.
  void pause(int why) {
    counts_.accept_backoffs.add();
    auto now = loop_.timers().now();
    if (!last_pause_ || now - *last_pause_ > episode)
      log_.write(log_record{level::warn, "accept_paused"}.with(
        "why", std::generic_category().message(why)));
    last_pause_ = now;
    loop_.timers().arm_in(*this, backoff_);
  }

  porter& to_;
  io_loop& loop_;
  unique_fd fd_;
  std::chrono::milliseconds backoff_;
  metrics& counts_;
  log_port& log_;
  bool watched_ = false;
  std::optional<steady_time> last_pause_;
};

} // namespace

// -- listener
// ---------------------------------------------------------------------

struct listener::parts final : porter {
  parts(const std::vector<io_loop*>& loops_, front_desk& desk,
        const listener_options& options_, const http_options& http,
        const session_options& session, metrics& counts_, log_port& log_,
        const service& what)
    : loops(loops_), options(options_), counts(counts_), log(log_),
      places(quota::make(
        {options_.connections_max, options_.connections_per_address_max},
        counts_)),
      context{http,
              session,
              networks_of(options_.trusted_proxies),
              origins_of(http, options_.bind),
              desk,
              counts_,
              refusal_log{log_},
              {},
              what},
      sessions{context, *loops.front()} {
    for (std::size_t i = 0; i < loops.size(); ++i) {
      homes.push_back(std::make_unique<ws_home>(
        ws_home{*loops[i], static_cast<unit_id>(i), desk, counts, session}));
      context.homes.push_back(homes.back().get());
    }
  }

  ~parts() {
    doors.clear();
    // WebSocket sessions live until their loop ends, and so does what they
    // refer to: a loop drops work that it has not run after its sockets.
    for (auto& home : homes) {
      auto& loop = home->loop;
      loop.post([kept = std::move(home)] {});
    }
  }

  void take(unique_fd fd, const ip_address& peer) override {
    std::optional<ip_address> client;
    if (!contains(context.trusted, peer))
      client = peer; // else its requests will tell
    auto place = places->admit(client);
    if (!place) {
      at(counts.refused, errc::connection_limit).add();
      return; // closes it
    }
    // The HTTP phase stays where the supervisor is: it says where a connection
    // is to live, and a connection crosses threads once, to get there.
    sessions.open(
      {std::move(fd), peer, std::move(place), loops.front()->timers().now()});
  }

  std::vector<io_loop*> loops;
  listener_options options;
  metrics& counts;
  log_port& log;
  std::shared_ptr<quota> places;
  http_context context;
  std::vector<std::unique_ptr<ws_home>> homes;
  http_sessions sessions;
  std::vector<std::unique_ptr<door>> doors;
  std::uint16_t port = 0;
  std::atomic<bool> stopped{false};
};

listener::listener(const std::vector<io_loop*>& loops, front_desk& desk,
                   const listener_options& options, const http_options& http,
                   const session_options& session, metrics& counts,
                   log_port& log, const service& what)
  : parts_(std::make_unique<parts>(loops, desk, options, http, session, counts,
                                   log, what)) {}

listener::~listener() = default;

void listener::open() {
  auto& p = *parts_;
  auto addresses = addresses_of(p.options.bind);
  std::vector<unique_fd> sockets;
  // A free port of one address may be taken on the other.
  for (int tries = p.options.port == 0 ? 16 : 1; sockets.empty(); --tries) {
    p.port = p.options.port;
    for (auto& address : addresses) {
      auto fd = listen_on(address, p.port, p.options, p.context.session);
      if (!fd) {
        // Machines without IPv6 are none without a localhost.
        if (!sockets.empty()
            && (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT))
          continue;
        auto why = errno;
        sockets.clear();
        if (tries > 1 && why == EADDRINUSE)
          break;
        throw std::system_error(why, std::generic_category(),
                                "cannot listen on "
                                  + shown(p.options.bind, p.port));
      }
      p.port = port_of(fd.get());
      sockets.push_back(std::move(fd));
    }
  }
  auto& loop = *p.loops[0];
  for (auto& fd : sockets) {
    auto& x = *p.doors.emplace_back(std::make_unique<door>(
      p, loop, std::move(fd), p.options, p.counts, p.log));
    loop.post([&x] { x.begin(); });
  }
}

std::uint16_t listener::port() const noexcept {
  return parts_->port;
}

void listener::stop() {
  auto& p = *parts_;
  if (p.stopped.exchange(true))
    return;
  p.loops[0]->post([&p] {
    for (auto& x : p.doors)
      x->close();
    p.sessions.stop();
  });
}

} // namespace greenroom::net
