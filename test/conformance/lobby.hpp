#pragma once

#include "test/conformance/flags.hpp"
#include "test/support/broker_fixture.hpp"
#include "test/support/ws_client.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace greenroom::test {

/// A whole broker in this process. Whatever a test does to it, nothing may be left
/// of its clients afterwards, and the broker has to be well.
class LobbyTest : public testing::Test {
protected:
  explicit LobbyTest(const broker_options& options = roomy_options())
    : broker(options) {
    // What Asio opens once and for all is open after the first WebSocket.
    client().close();
    wait_until([this] { return broker.counts().connections_open.get() == 0; },
               std::chrono::seconds{5}, [] { return "it is still open"; });
    before = broker.count();
  }

  void TearDown() override {
    census now;
    EXPECT_NO_THROW(wait_until(
      [&] { return (now = broker.count()) == before; },
      std::chrono::seconds{10},
      [&] { return to_string(now) + "\nbefore: " + to_string(before); }));
    EXPECT_EQ(http_get(broker.port(), "/health").status, 200);
  }

  ws_options at(std::string path = "/room/lobby") const {
    return {.port = broker.port(), .path = std::move(path)};
  }

  ws_client client(std::string path = "/room/lobby") const {
    return ws_client::connect(at(std::move(path)));
  }

  /// Sends bytes to a new client's connection. @returns how the broker ends it
  ws_goodbye end_after(std::string_view bytes) const {
    auto c = client();
    c.send_raw(bytes);
    auto words = c.expect_close();
    // It says nothing more, and lets the client go (RFC 6455 §7.1.1). A client that
    // answers the answer to its own goodbye is reset.
    try {
      c.shutdown_write();
    } catch (const std::runtime_error&) {
    }
    c.expect_eof();
    return words;
  }

  std::uint16_t code_after(std::string_view bytes) const {
    return end_after(bytes).code;
  }

  std::uint16_t code_after(const frame_spec& spec,
                           std::string_view payload = {}) const {
    return code_after(make_frame(spec, payload));
  }

  test_broker broker;
  census before;
};

} // namespace greenroom::test
