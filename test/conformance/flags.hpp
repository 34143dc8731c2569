#pragma once

#include "test/support/broker_fixture.hpp"
#include "test/support/ws_client.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "app/config.hpp"

namespace greenroom::test {

/// Nothing that was sent before came to this member, whose messages come back to it.
/// A pong would say less: it does not pass through the room.
inline void expect_nothing_came(ws_client& member) {
  member.send_text("own words");
  EXPECT_EQ(member.receive_text(), "own words");
}

/// What the program would make of these flags, with a room and any port.
inline broker_options options_of(std::vector<std::string> flags) {
  flags.insert(flags.begin(), {"--port=0", "--threads=2", "--room=lobby"});
  auto inspects = [](const std::string& x) {
    return x.starts_with("--inspect-port");
  };
  if (std::none_of(flags.begin(), flags.end(), inspects))
    flags.emplace_back("--inspect-port=off");
  auto read = read_invocation(flags, {});
  if (!read)
    throw std::invalid_argument(std::string{read.error().detail});
  return read->options;
}

/// A broker in this process that was started with flags, and clients for it.
class flagged_broker : public test_broker {
public:
  explicit flagged_broker(std::vector<std::string> flags = {})
    : test_broker(options_of(std::move(flags))) {}

  ws_options at(std::string path = "/room/lobby") const {
    return {.port = port(), .path = std::move(path)};
  }

  ws_client client(std::string path = "/room/lobby") const {
    return ws_client::connect(at(std::move(path)));
  }

  http_response refusal(std::string path) const {
    return ws_client::expect_refusal(at(std::move(path)));
  }

  /// A member of the lobby that lets everything pile up.
  ws_client stuck_client(std::string path = "/room/lobby") const {
    auto options = at(std::move(path));
    options.receive_buffer = 4096;
    auto result = ws_client::connect(options);
    result.stop_reading();
    return result;
  }

  /// Waits until a freed place is there again.
  ws_client client_soon(const ws_options& options) const {
    std::vector<ws_client> result;
    wait_until(
      [&] {
        auto x = ws_client::try_connect(options);
        if (auto* c = std::get_if<ws_client>(&x))
          result.push_back(std::move(*c));
        return !result.empty();
      },
      std::chrono::seconds{10}, [] { return "no place becomes free"; });
    return std::move(result.front());
  }
};

inline std::string error_body(std::string_view name) {
  return "{\"error\":\"" + std::string{name} + "\"}\n";
}

} // namespace greenroom::test
