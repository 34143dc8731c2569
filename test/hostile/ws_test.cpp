// Bad clients behind a good handshake.

#include "test/hostile/siege.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

class FloodTest : public SiegeTest {};

class TornFrameTest : public SiegeTest {};

class LyingFrameTest : public SiegeTest {};

class RandomFrameTest : public SiegeTest {};

class CentrifugeGarbageTest : public SiegeTest {};

std::string times(std::string_view what, std::size_t n) {
  std::string result;
  for (; n > 0; --n)
    result += what;
  return result;
}

/// Reads until the end, whatever comes.
void read_to_end(ws_client& c) {
  auto& stream = c.stream();
  while (stream.fill(deadline{10s}))
    stream.consume(stream.unread().size());
}

} // namespace

// -- floods -------------------------------------------------------------------------

TEST_F(FloodTest, TenThousandPingsAreAnswered) {
  auto c = ws_client::connect({.port = broker.port(), .path = "/room/lobby"});
  c.send_raw(times(make_frame({.op = opcode::ping}, "flood"), 10'000));
  c.send_ping("last");
  c.expect_pong("last");
  EXPECT_EQ(c.counts().pongs_in, 10'001u);
}

TEST_F(FloodTest, PingsOfAClientThatNeverReadsStayOutside) {
  auto c = ws_client::connect(
    {.port = broker.port(), .path = "/room/lobby", .receive_buffer = 4096});
  c.stop_reading();
  auto ping =
    times(make_frame({.op = opcode::ping}, std::string(125, 'p')), 500);
  // It is not read beyond --control-max, so the kernel takes no more from us.
  std::size_t sent = 0;
  auto patience = deadline{20s};
  while (c.stream().wait_writable(deadline{500ms})) {
    ASSERT_FALSE(patience.passed()) << sent << " bytes, and it reads on";
    sent += c.send_some(ping);
    EXPECT_LT(broker.counts().bytes_out.get(), 8 * 1024 * 1024);
  }
  EXPECT_LT(wire::live_bytes(), 64 * 1024);
  expect_service();
}

TEST_F(FloodTest, EmptyFragmentsAreNoProgressAndNoHarm) {
  auto c = ws_client::connect({.port = broker.port(), .path = "/room/other"});
  c.send_frame({.op = opcode::text, .fin = false}, "");
  c.send_raw(
    times(make_frame({.op = opcode::continuation, .fin = false}, ""), 50'000));
  expect_service();
  c.send_frame({.op = opcode::continuation}, "end");
  EXPECT_EQ(c.receive_text(), "end");
}

TEST_F(FloodTest, ThousandsOfRoomNamesLeaveNoRoom) {
  for (int i = 0; i < 600; ++i) {
    auto c = ws_client::connect(
      {.port = broker.port(), .path = fmt::format("/room/name-{}", i)});
    if (i % 2 == 0)
      c.reset();
    else
      c.close();
  }
  for (int i = 0; i < 600; ++i)
    EXPECT_EQ(ws_client::expect_refusal(
                {.port = broker.port(), .path = fmt::format("/room/{}%00", i)})
                .status,
              400);
}

// -- frames -------------------------------------------------------------------------

TEST_F(TornFrameTest, AConnectionMayBreakAtAnyByte) {
  auto bytes = make_frame({.op = opcode::text, .fin = false}, "torn")
               + make_frame({.op = opcode::ping}, "ping")
               + make_frame({.op = opcode::continuation}, std::string(200, 'x'))
               + make_frame({.op = opcode::close}, close_payload(1000, "bye"));
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    auto c = ws_client::connect({.port = broker.port(), .path = "/room/torn"});
    c.send_raw(std::string_view{bytes}.substr(0, n));
    if (n % 2 == 0)
      c.reset();
    else
      c.drop();
  }
}

TEST_F(TornFrameTest, ManyThatComeByteForByteAtTheSameTimeAreAllUnderstood) {
  std::vector<ws_client> all;
  for (int i = 0; i < 20; ++i)
    all.push_back(ws_client::connect(
      {.port = broker.port(), .path = fmt::format("/room/t{}", i)}));
  auto bytes = make_frame({}, std::string(130, 'y'))
               + make_frame({.op = opcode::binary}, "z");
  for (auto x : bytes)
    for (auto& c : all)
      c.send_raw({&x, 1});
  for (auto& c : all) {
    EXPECT_EQ(c.receive_text(), std::string(130, 'y'));
    EXPECT_EQ(c.receive().payload, "z");
  }
}

TEST_F(LyingFrameTest, PromisesOfMuchCostNothing) {
  for (auto length :
       {std::uint64_t{1} << 63, ~std::uint64_t{0}, (std::uint64_t{1} << 63) - 1,
        std::uint64_t{1} << 32, std::uint64_t{65537}}) {
    auto c = ws_client::connect({.port = broker.port(), .path = "/room/lobby"});
    c.send_frame({.claimed_length = length}, "");
    auto code = c.expect_close().code;
    // With the highest bit set it is no length at all (RFC 6455 §5.2).
    EXPECT_TRUE(code == 1009 || (length >> 63 == 1 && code == 1002))
      << length << ' ' << code;
  }
  std::vector<ws_client> all;
  for (int i = 0; i < 200; ++i)
    all.push_back(
      ws_client::connect({.port = broker.port(), .path = "/room/lobby"}));
  for (auto& c : all) // the most that is allowed, and then nothing more
    c.send_frame({.claimed_length = 65536}, "x");
  expect_service();
}

TEST_F(LyingFrameTest, FragmentsDoNotAddUpBeyondTheLimitEither) {
  auto c = ws_client::connect({.port = broker.port(), .path = "/room/lobby"});
  c.send_frame({.op = opcode::binary, .fin = false}, std::string(60'000, 'x'));
  c.send_frame({.op = opcode::continuation, .claimed_length = ~0ull >> 1}, "");
  EXPECT_EQ(c.expect_close().code, 1009);
}

TEST_F(RandomFrameTest, AnyBytesEndOneConnectionAtMost) {
  auto seed = test_seed();
  std::mt19937_64 random{seed};
  for (int i = 0; i < 300; ++i) {
    auto c = ws_client::connect({.port = broker.port(), .path = "/room/rnd"});
    throw_at(c.stream(), random_bytes(random, 1 + random() % 500));
    if (i % 2 == 0) {
      c.reset();
    } else {
      c.shutdown_write();
      read_to_end(c);
    }
    if (i % 50 == 0)
      expect_service();
  }
}

TEST_F(RandomFrameTest, RandomFramesEndOneConnectionAtMost) {
  auto seed = test_seed();
  std::mt19937_64 random{seed};
  auto pick = [&](std::uint64_t n) { return random() % n; };
  for (int i = 0; i < 300; ++i) {
    auto c = ws_client::connect({.port = broker.port(), .path = "/room/rnd"});
    std::string bytes;
    for (auto n = 1 + pick(20); n > 0; --n) {
      frame_spec spec;
      spec.op = static_cast<opcode>(pick(8) == 0 ? pick(16) : pick(3));
      spec.fin = pick(4) != 0;
      spec.masked = pick(30) != 0;
      if (pick(30) == 0)
        spec.rsv = static_cast<std::uint8_t>(pick(8));
      if (pick(30) == 0)
        spec.claimed_length = random() >> pick(64);
      auto payload = random_bytes(random, pick(200));
      if (pick(2) == 0)
        for (auto& x : payload)
          x = static_cast<char>('a' + static_cast<unsigned char>(x) % 26);
      append_frame(bytes, spec, payload);
    }
    throw_at(c.stream(), bytes);
    if (pick(2) == 0) {
      c.reset();
    } else {
      c.shutdown_write();
      read_to_end(c);
    }
  }
}

// -- the Centrifuge dialect ---------------------------------------------------------

TEST_F(CentrifugeGarbageTest, DamagedCommandsAreAnsweredOrTheEnd) {
  auto seed = test_seed();
  std::mt19937_64 random{seed};
  const std::string clean =
    R"({"id":1,"connect":{"name":"x"}})"
    "\n"
    R"({"id":2,"subscribe":{"channel":"lobby","recover":false}})"
    "\n"
    R"({"id":3,"unsubscribe":{"channel":"lobby"}})";
  for (int i = 0; i < 300; ++i) {
    auto c = ws_client::connect(
      {.port = broker.port(), .path = "/connection/websocket"});
    auto text = clean;
    for (auto n = 1 + random() % 5; n > 0; --n) {
      auto at = random() % text.size();
      if (random() % 2 == 0)
        text[at] = static_cast<char>(random() % 128);
      else
        text.erase(at, 1 + random() % 6);
    }
    throw_at(c.stream(), make_frame({}, text));
    c.shutdown_write();
    read_to_end(c);
  }
}

TEST_F(CentrifugeGarbageTest, DepthIsBounded) {
  for (std::size_t depth : {100, 30'000}) {
    auto c = ws_client::connect(
      {.port = broker.port(), .path = "/connection/websocket"});
    c.send_text(R"({"id":1,"connect":)" + times("[", depth) + times("]", depth)
                + "}");
    EXPECT_GE(c.expect_close().code, 3000);
    // What nobody looks into may be as deep as it likes.
    auto d = ws_client::connect(
      {.port = broker.port(), .path = "/connection/websocket"});
    d.send_text(R"({"id":1,"connect":{"data":)" + times("[", depth)
                + times("]", depth) + "}}");
    EXPECT_TRUE(d.receive_text().starts_with(R"({"id":1,)"));
  }
}
