#pragma once

#include <optional>
#include <string>

#include "actors/metrics.hpp"
#include "actors/ports.hpp"
#include "net/deflate_offer.hpp"
#include "net/fd.hpp"
#include "net/io_loop.hpp"
#include "net/options.hpp"
#include "net/quota.hpp"

namespace greenroom::net {

/// A connection whose upgrade request was found to be right and that waits for
/// its answer. Travels to the thread where it is going to live.
struct ws_request {
  /// Connected, non-blocking, with TCP_NODELAY and an SO_SNDBUF of
  /// `session_options::send_buffer_bytes`: an accepted socket inherits both from
  /// the one that listens.
  unique_fd fd;
  /// Counts the socket; given back when it is closed.
  quota::ticket place;
  /// When the socket was accepted: the handshake has its limit from then on.
  steady_time accepted;
  /// Sec-WebSocket-Key, base64 of 16 bytes (RFC 6455 §4.2.1).
  std::string key;
  /// The chosen subprotocol; empty: the response names none.
  std::string subprotocol;
  /// How messages may be compressed; nothing: not at all.
  std::optional<deflate_terms> deflate;
  /// What the client sent behind its request.
  std::string read_ahead;
  /// What the broker has to know. `flow` is set.
  upgrade what;
};

/// What every session of a unit needs; outlives them.
struct ws_home {
  io_loop& loop;
  unit_id unit = 0;
  front_desk& desk;
  metrics& counts;
  session_options limits;
};

/// Starts a session: the broker gets a `socket_port` through `front_desk::open`
/// and answers the handshake with it. On the loop's thread. The session owns
/// itself until its descriptor is closed; a loop that ends closes it.
/// @param former whoever watches the descriptor on this very loop now, and does
/// not any more afterwards; null if nobody does
/// @throws std::system_error if the kernel refuses to watch the descriptor
void open_ws_session(ws_home& home, ws_request request,
                     fd_watcher* former = nullptr);

} // namespace greenroom::net
