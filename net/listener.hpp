#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "actors/log.hpp"
#include "actors/metrics.hpp"
#include "actors/ports.hpp"
#include "net/io_loop.hpp"
#include "net/options.hpp"
#include "net/routes.hpp"

namespace greenroom::net {

/// The front door: listens on loop 0 and accepts; there connections are HTTP until
/// they become WebSockets, on the loop of their room.
///
/// The loops outlive it, and do not run any more when it is destroyed. WebSocket
/// sessions may outlive it.
class listener {
public:
  /// @param loops by unit; not empty
  /// @param desk, @param counts and @param log outlive the loops
  /// @param what is served; what it refers to outlives this
  /// @throws std::invalid_argument for an origin or a network that is none
  listener(const std::vector<io_loop*>& loops, front_desk& desk,
           const listener_options& options, const http_options& http,
           const session_options& session, metrics& counts, log_port& log,
           const service& what = {});

  ~listener();

  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

  /// Binds and begins to listen; connections are accepted once loop 0 runs. Bound
  /// are an address, or both loopback addresses for `localhost`.
  /// @throws std::invalid_argument if the address is none, std::system_error if
  /// it cannot be bound; the text is one line for the operator
  void open();

  /// The port that is listened on, also if 0 was asked for. @pre open
  std::uint16_t port() const noexcept;

  /// Stops to listen and ends connections that wait for a request; what has been
  /// asked is answered. Any thread; later calls do nothing.
  void stop();

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace greenroom::net
