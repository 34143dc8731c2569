// Bad clients that never become WebSockets.

#include "test/hostile/siege.hpp"

#include <chrono>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

class HalfOpenTest : public SiegeTest {};

class GarbageTest : public SiegeTest {};

class SlowlorisTest : public SiegeTest {
protected:
  static broker_options hasty() {
    auto result = besieged();
    result.session.handshake_timeout = 600ms;
    return result;
  }

  SlowlorisTest() : SiegeTest(hasty()) {}
};

} // namespace

TEST_F(SlowlorisTest, HeadsThatTrickleInAreRefusedInTime) {
  std::vector<http_client> slow;
  for (int i = 0; i < 100; ++i)
    slow.emplace_back(http_options{.port = broker.port()}).send("GET /ro");
  auto begin = std::chrono::steady_clock::now();
  // A byte now and then is no progress that counts.
  std::size_t open = slow.size();
  std::vector<bool> ended(slow.size());
  while (open > 0) {
    ASSERT_LT(std::chrono::steady_clock::now() - begin, 10s);
    for (std::size_t i = 0; i < slow.size(); ++i) {
      if (ended[i])
        continue;
      if (slow[i].stream().wait_readable(deadline{1ms})) {
        EXPECT_EQ(slow[i].receive().status, 408);
        ended[i] = true;
        --open;
      } else {
        slow[i].send("o");
      }
    }
    expect_service();
  }
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 400ms);
}

TEST_F(HalfOpenTest, AThousandThatSayNothingAreInNobodysWay) {
  std::vector<tcp_stream> silent;
  for (int i = 0; i < 1000; ++i)
    silent.push_back(connect());
  expect_service();
  EXPECT_EQ(http_get(broker.port(), "/health").status, 200);
  for (std::size_t i = 0; i < silent.size(); i += 2)
    silent[i].reset();
  silent.clear();
}

TEST_F(HalfOpenTest, HandshakesMayBeLeftAtAnyByte) {
  auto request = handshake("/room/half");
  for (std::size_t n = 0; n <= request.size(); ++n) {
    auto a = connect();
    throw_at(a, std::string_view{request}.substr(0, n));
    a.reset();
    auto b = connect();
    throw_at(b, std::string_view{request}.substr(0, n));
    b.close();
  }
}

TEST_F(GarbageTest, AnyBytesAreAnsweredOrTheEnd) {
  auto seed = test_seed();
  std::mt19937_64 random{seed};
  for (int i = 0; i < 300; ++i) {
    auto c = connect();
    throw_at(c, random_bytes(random, 1 + random() % 3000));
    if (i % 3 == 0)
      c.reset();
    else if (i % 3 == 1)
      c.close();
    else
      c.shutdown_write();
    if (i % 3 == 2)
      while (c.fill(deadline{10s}))
        c.consume(c.unread().size());
  }
}

TEST_F(GarbageTest, DamagedHandshakesAreAnsweredOrTheEnd) {
  auto seed = test_seed();
  std::mt19937_64 random{seed};
  auto clean = handshake("/room/a%20b?echo=1");
  for (int i = 0; i < 500; ++i) {
    auto text = clean;
    for (auto n = 1 + random() % 4; n > 0; --n) {
      auto at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, 1 + random() % 8);
          break;
        default:
          text.insert(at, random_bytes(random, 1 + random() % 8));
      }
    }
    auto c = connect();
    throw_at(c, text);
    c.shutdown_write();
    while (c.fill(deadline{10s}))
      c.consume(c.unread().size());
    c.close();
  }
}

TEST_F(SlowlorisTest, TlsAndOtherProtocolsAreTurnedAway) {
  const std::string greetings[] = {
    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11},
    "SSH-2.0-OpenSSH_9.2\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "*1\r\n$4\r\nPING\r\n",
    {"\0\0\0\0", 4},
  };
  for (auto& x : greetings) {
    auto c = connect();
    throw_at(c, x);
    auto answer = read_response(c, deadline{10s});
    EXPECT_GE(answer.status, 400) << answer.status;
    EXPECT_LT(answer.status, 500) << answer.status;
  }
}

TEST_F(GarbageTest, AHeadWithoutAnEndIsCutOff) {
  auto c = connect();
  throw_at(c, "GET / HTTP/1.1\r\nHost: x\r\n");
  for (int i = 0; i < 2000; ++i)
    throw_at(c, fmt::format("X-{}: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", i));
  EXPECT_EQ(read_response(c, deadline{10s}).status, 431);
}
