#pragma once

#include "test/support/broker_fixture.hpp"
#include "test/support/http_client.hpp"
#include "test/support/ws_client.hpp"

#include <chrono>
#include <cstddef>
#include <random>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace greenroom::test {

/// A broker in this process under attack. A member of the lobby watches: it has to
/// be served meanwhile, and when all is over nothing may be left but the member.
class SiegeTest : public testing::Test {
protected:
  static broker_options besieged() {
    auto result = roomy_options();
    result.supervisor.rooms_on_demand = true;
    result.session.goodbye_timeout = std::chrono::milliseconds{500};
    return result;
  }

  explicit SiegeTest(const broker_options& options = besieged())
    : broker(options), witness(ws_client::connect(
                         {.port = broker.port(), .path = "/room/lobby"})) {
    expect_service();
    // What the process makes once for all connections of a dialect.
    ws_client::connect({.port = broker.port(), .path = "/connection/websocket"})
      .close();
    broker.wait_books([](auto& x) { return x.clients == 1; });
    wait_until([&] { return broker.counts().connections_open.get() == 1; },
               std::chrono::seconds{5}, [] { return "it is still open"; });
    before = broker.count();
  }

  /// The member gets through.
  void expect_service() {
    auto text = std::to_string(++served);
    witness.send_text(text);
    EXPECT_EQ(witness.receive_text(), text);
  }

  void TearDown() override {
    expect_service();
    census now;
    EXPECT_NO_THROW(wait_until(
      [&] { return (now = broker.count()) == before; },
      std::chrono::seconds{10},
      [&] { return to_string(now) + "\nbefore: " + to_string(before); }));
    EXPECT_EQ(broker.counts().crashes.get(), 0);
    EXPECT_TRUE(broker.log().lines("handler_failed").empty());
    EXPECT_EQ(http_get(broker.port(), "/health").status, 200);
  }

  tcp_stream connect() const {
    return tcp_stream::connect({.port = broker.port()},
                               deadline{std::chrono::seconds{10}});
  }

  /// Sends as much of it as the other side takes before it has enough.
  static void throw_at(tcp_stream& stream, std::string_view bytes) {
    try {
      stream.send(bytes, deadline{std::chrono::seconds{10}}, true);
    } catch (const std::system_error&) {
      // It has ended the connection: its right.
    }
  }

  std::string handshake(std::string path = "/room/lobby") const {
    return make_handshake({.port = broker.port(),
                           .path = std::move(path),
                           .key = next_handshake_key()});
  }

  test_broker broker;
  ws_client witness;
  int served = 0;
  census before;
};

inline std::string random_bytes(std::mt19937_64& random, std::size_t count) {
  std::string result(count, '\0');
  for (auto& x : result)
    x = static_cast<char>(random());
  return result;
}

} // namespace greenroom::test
