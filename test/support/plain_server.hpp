#pragma once

#include "test/support/tcp.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace greenroom::test {

/// A server on loopback that follows a script: the opposite number of the test
/// clients in their own tests. Connections are served one after the other.
class plain_server {
public:
  /// What to do with one connection. Exceptions end the connection only.
  using script = std::function<void(tcp_stream&)>;

  explicit plain_server(script what);

  /// Ends after the connection at hand; its deadlines bound the wait. What the
  /// script has written may be looked at afterwards.
  ~plain_server();

  plain_server(const plain_server&) = delete;
  plain_server& operator=(const plain_server&) = delete;

  std::uint16_t port() const { return port_; }

private:
  void serve(const script& what);

  unique_fd listener_;
  /// Closing `stop_` ends the thread, which watches the other end.
  unique_fd stop_;
  unique_fd stop_watch_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

/// Takes a request head off the stream. @returns it with its empty line
std::string take_request(tcp_stream& from);

/// Takes a WebSocket handshake and accepts it. @returns the request
std::string accept_handshake(tcp_stream& from,
                             const std::string& more_headers = {});

/// Sends every data frame back, answers pings, and ends after a close frame. It
/// reads nothing while it sends.
void echo_frames(tcp_stream& with);

} // namespace greenroom::test
