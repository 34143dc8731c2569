#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace greenroom::net {

/// How messages are compressed (RFC 7692) on connections that agreed to it. Each
/// has a flag; whether a room's messages are is up to the room.
struct deflate_options {
  /// Of zlib, 1 to 9. More costs the room's thread up to three times the time and
  /// saves a few per cent.
  int level = 1;
  /// Smaller messages go out as they are: what compressing them saves is not worth
  /// the microseconds.
  std::size_t bytes_min = 128;
  /// Log2 of the window of what clients are sent, 9 to 15.
  int window_bits = 15;
  /// The same of what they send, asked of those that offer to be asked.
  int client_window_bits = 11;
  /// Whether clients may refer to their earlier messages. It costs memory of a
  /// window for each connection, and saves them bytes.
  bool client_context = false;
  /// Whether clients that do not offer a smaller window go uncompressed.
  bool require_client_window = false;
};

/// Limits of one WebSocket session. Each has a flag; app/README.md says what
/// happens at it.
struct session_options {
  /// Over it: close 1009. Bigger costs memory per sender.
  std::size_t message_bytes_max = 64 * 1024;
  /// From accepting the socket to the upgrade's answer.
  std::chrono::milliseconds handshake_timeout{10'000};
  /// A ping after this long, while the connection lives. Below the 60 s at which
  /// many proxies cut idle connections.
  std::chrono::milliseconds ping_every{25'000};
  /// Gone when nothing was read for so long: two pings and a little.
  std::chrono::milliseconds idle_timeout{60'000};
  /// Ends a connection whose waiting bytes the kernel takes none of.
  std::chrono::milliseconds write_progress_timeout{10'000};
  /// From our close frame to RST, if the client does not answer.
  std::chrono::milliseconds goodbye_timeout{5'000};
  /// Received messages that the actors have not taken yet: the socket is not read
  /// beyond them. Enough for a turn to batch.
  std::size_t inbound_messages_max = 64;
  std::size_t inbound_bytes_max = 256 * 1024;
  /// SO_SNDBUF; 0 leaves it to the kernel, which hides megabytes of lag.
  std::size_t send_buffer_bytes = 256 * 1024;
  /// Bytes of pongs and the like that wait for a client that does not read:
  /// beyond it the client is not read either.
  std::size_t control_bytes_max = 4 * 1024;
  deflate_options deflate;
};

/// Limits of the HTTP phase.
struct http_options {
  /// Request line and headers. Over it: 431.
  std::size_t header_bytes_max = 8 * 1024;
  /// Idle time of a kept-alive connection between two requests.
  std::chrono::milliseconds keep_alive_timeout{15'000};
  /// Kept-alive connections that idle; the one that would be more is closed after
  /// its answer.
  std::size_t keep_alive_max = 256;
  /// Requests that may wait behind the one being answered; more are not read
  /// until it is.
  std::size_t pipelined_max = 16;
  /// Origins of browsers that may connect, as `scheme://host[:port]`, or `*`.
  /// The broker's own host always may; on a loopback address that is localhost and
  /// the addresses of this machine. Requests without Origin pass.
  std::vector<std::string> origins;
  std::size_t room_name_bytes_max = 255;
  /// Answers that our own actors have to give: from the request to 504.
  std::chrono::milliseconds answer_timeout{10'000};
};

struct listener_options {
  std::string bind = "127.0.0.1";
  std::uint16_t port = 8000;
  int backlog = 4096;
  /// Open sockets in all; over it: 503 with Retry-After.
  std::size_t connections_max = 100'000;
  /// Open sockets of one client address; over it: 503 with Retry-After.
  std::size_t connections_per_address_max = 1'000;
  /// Networks (CIDR) whose X-Forwarded-For or PROXY protocol v2 is believed.
  std::vector<std::string> trusted_proxies;
  /// How long the listener pauses when descriptors ran out.
  std::chrono::milliseconds accept_backoff{100};
};

/// The inspection listener. What is not here is as for the public one.
struct inspect_options {
  bool on = true;
  std::string bind = "127.0.0.1";
  std::uint16_t port = 8001;
  /// If the port is taken, any other one will do.
  bool port_is_a_wish = false;
  /// Who may read; empty: everybody who reaches the listener.
  std::string token;
  /// Who may act, and read; empty: nobody may act.
  std::string act_token;
  /// Names in Host beside addresses and localhost.
  std::vector<std::string> hosts;
  /// Open sockets; over it: 503. Enough for some pages, of which each may hold six.
  std::size_t connections_max = 64;
  /// Answers that go on; over it: 503.
  std::size_t streams_max = 16;
  /// Events of a trace that wait for its reader; more are lost and counted.
  std::size_t stream_bytes_max = 256 * 1024;
  /// From a question to 504.
  std::chrono::milliseconds answer_timeout{10'000};
  /// Tokens that are shorter can be guessed and are refused.
  static constexpr std::size_t token_bytes_min = 16;
};

} // namespace greenroom::net
