#pragma once

#include "test/support/ws_client.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace greenroom::test {

inline constexpr auto centrifuge_path = "/connection/websocket";
inline constexpr std::string_view centrifuge_greeting =
  R"({"id":1,"connect":{}})";

std::string centrifuge_subscribe(std::uint32_t id, std::string_view room);

/// @param data JSON
std::string centrifuge_publish(std::uint32_t id, std::string_view room,
                               std::string_view data);

/// A client of the Centrifuge dialect, whatever lines share a message.
class centrifuge_client {
public:
  /// Connects and greets. @throws std::runtime_error if that is refused
  explicit centrifuge_client(std::uint16_t port);

  /// Sends commands, a line each. Their ids are behind 1, the greeting's.
  void ask(std::string_view commands) { socket_.send_text(commands); }

  /// Subscribes and waits for the answer, which has to be the next line.
  /// @throws std::runtime_error if it is another
  void join(std::uint32_t id, std::string_view room);

  /// The next reply or push. @throws std::runtime_error if none comes
  std::string next();

  /// How the broker ends it.
  ws_goodbye end() { return socket_.expect_close(); }

private:
  ws_client socket_;
  std::deque<std::string> lines_;
};

} // namespace greenroom::test
