// RFC 6455 §5: frames, fragments and control frames, against the whole broker.

#include "test/conformance/lobby.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;

namespace {

class FramingTest : public LobbyTest {};  // §5.2
class FragmentTest : public LobbyTest {}; // §5.4
class ControlTest : public LobbyTest {};  // §5.5

opcode code(int n) {
  return static_cast<opcode>(n);
}

const frame_spec first_part = {.op = opcode::text, .fin = false};
const frame_spec middle_part = {.op = opcode::continuation, .fin = false};
const frame_spec last_part = {.op = opcode::continuation};

} // namespace

// -- §5.2 ---------------------------------------------------------------------------

TEST_F(FramingTest, EveryFormOfLengthGoesInAndOut) {
  auto c = client();
  for (auto op : {opcode::text, opcode::binary})
    for (std::size_t n : {0, 1, 125, 126, 127, 65535, 65536}) {
      std::string payload(n, 'x');
      if (op == opcode::binary && n > 0)
        payload.back() = '\xff';
      c.send_frame({.op = op}, payload);
      auto frame =
        c.receive_frame(); // which checks that the form is the shortest
      EXPECT_EQ(frame.header.op, op) << n;
      EXPECT_TRUE(frame.header.fin) << n;
      EXPECT_TRUE(frame.payload == payload) << n;
    }
}

TEST_F(FramingTest, ALengthHasToBeInItsShortestForm) {
  for (std::size_t n : {0, 1, 125}) {
    EXPECT_EQ(
      code_after({.length = length_form::two_bytes}, std::string(n, 'x')), 1002)
      << n;
    EXPECT_EQ(
      code_after({.length = length_form::eight_bytes}, std::string(n, 'x')),
      1002)
      << n;
  }
  for (std::size_t n : {126, 65535})
    EXPECT_EQ(
      code_after({.length = length_form::eight_bytes}, std::string(n, 'x')),
      1002)
      << n;
}

TEST_F(FramingTest, ReservedBitsAreRefusedInEveryFrame) {
  for (std::uint8_t rsv = 1; rsv <= 7; ++rsv)
    for (auto op : {opcode::text, opcode::binary, opcode::ping, opcode::pong,
                    opcode::close})
      EXPECT_EQ(code_after({.op = op, .rsv = rsv}), 1002)
        << to_string(op) << ' ' << int{rsv};
  EXPECT_EQ(
    code_after(make_frame(first_part, "a")
               + make_frame({.op = opcode::continuation, .rsv = 4}, "b")),
    1002);
}

TEST_F(FramingTest, ReservedOpcodesAreRefused) {
  for (int op : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    EXPECT_EQ(code_after({.op = code(op)}), 1002) << op;
    EXPECT_EQ(code_after(make_frame(first_part, "a")
                         + make_frame({.op = code(op)}, "b")),
              1002)
      << op << " amid a message";
  }
}

TEST_F(FramingTest, ClientsHaveToMask) { // §5.1
  for (auto op : {opcode::text, opcode::binary, opcode::ping, opcode::pong,
                  opcode::close}) {
    EXPECT_EQ(code_after({.op = op, .masked = false}), 1002) << to_string(op);
    EXPECT_EQ(code_after({.op = op, .masked = false}, "xy"), 1002)
      << to_string(op);
  }
}

TEST_F(FramingTest, AnyMaskWillDo) { // §5.3
  auto c = client();
  for (std::uint32_t key : {0u, 1u, 0xffffffffu, 0x80000000u, 0x01020304u}) {
    c.send_frame({.mask_key = key}, "masked");
    EXPECT_EQ(c.receive_text(), "masked") << key;
  }
}

TEST_F(FramingTest, NothingOfABrokenFrameReachesTheRoom) {
  auto ann = client();
  code_after(make_frame({}, "before") + make_frame({.rsv = 2}, "broken")
             + make_frame({}, "behind"));
  EXPECT_EQ(ann.receive_text(), "before");
  expect_nothing_came(ann);
}

TEST_F(FramingTest, BytesMayComeOneByOne) {
  auto c = client();
  auto bytes = make_frame(first_part, "torn ")
               + make_frame({.op = opcode::ping}, "amid")
               + make_frame(last_part, std::string(200, 'x'));
  for (auto x : bytes)
    c.send_raw({&x, 1});
  EXPECT_EQ(c.receive_text(), "torn " + std::string(200, 'x'));
  EXPECT_EQ(c.counts().pongs_in, 1u);
}

// -- §5.4 ---------------------------------------------------------------------------

TEST_F(FragmentTest, FragmentsBecomeOneMessage) {
  auto c = client();
  for (auto op : {opcode::text, opcode::binary}) {
    c.send_fragments(op, {"a", "b"});
    EXPECT_EQ(c.receive(), (ws_message{op, "ab"}));
    c.send_fragments(op, {"", "", "x", "", ""});
    EXPECT_EQ(c.receive(), (ws_message{op, "x"}));
    c.send_fragments(op, {"", ""});
    EXPECT_EQ(c.receive(), (ws_message{op, ""}));
  }
  std::string all;
  std::string bytes = make_frame(first_part, "");
  for (int i = 0; i < 2000; ++i) {
    std::string piece(1, static_cast<char>('a' + i % 26));
    all += piece;
    bytes += make_frame(middle_part, piece);
  }
  c.send_raw(bytes + make_frame(last_part, ""));
  EXPECT_EQ(c.receive_text(), all);
}

TEST_F(FragmentTest, ControlFramesMayComeInBetween) {
  auto c = client();
  c.send_frame(first_part, "a");
  c.send_ping("one");
  EXPECT_TRUE(c.expect_pong("one").empty());
  c.send_frame(middle_part, "b");
  c.send_pong("nobody asked");
  c.send_ping("two");
  EXPECT_TRUE(c.expect_pong("two").empty());
  c.send_frame(last_part, "c");
  EXPECT_EQ(c.receive_text(), "abc");
}

TEST_F(FragmentTest, ACloseFrameAmidAMessageEndsIt) {
  auto ann = client();
  EXPECT_EQ(
    code_after(make_frame(first_part, "half")
               + make_frame({.op = opcode::close}, close_payload(1001, ""))),
    1001);
  expect_nothing_came(ann);
}

TEST_F(FragmentTest, AContinuationNeedsABeginning) {
  EXPECT_EQ(code_after(last_part, "x"), 1002);
  EXPECT_EQ(code_after(middle_part, "x"), 1002);
  EXPECT_EQ(code_after(make_frame({}, "whole") + make_frame(last_part, "x")),
            1002);
}

TEST_F(FragmentTest, AMessageHasToEndBeforeTheNext) {
  for (auto op : {opcode::text, opcode::binary})
    for (auto fin : {true, false})
      EXPECT_EQ(code_after(make_frame(first_part, "a")
                           + make_frame({.op = op, .fin = fin}, "b")),
                1002)
        << to_string(op) << fin;
}

// -- §5.5 ---------------------------------------------------------------------------

TEST_F(ControlTest, APongCarriesWhatThePingDid) {
  auto c = client();
  for (auto& payload : {std::string{}, std::string{"hello"},
                        std::string{"\0\xff\xfe", 3}, std::string(125, 'p')}) {
    c.send_frame({.op = opcode::ping}, payload);
    auto frame = c.receive_frame();
    EXPECT_EQ(frame.header.op, opcode::pong);
    EXPECT_EQ(frame.payload, payload);
  }
}

TEST_F(ControlTest, PongsNobodyAskedForAreIgnored) {
  auto c = client();
  c.send_pong();
  c.send_pong(std::string(125, 'p'));
  c.send_text("still here");
  EXPECT_EQ(c.receive_text(), "still here");
}

TEST_F(ControlTest, ThousandsOfPingsAreAnsweredInTheirOrder) {
  auto c = client();
  std::string bytes;
  for (int i = 0; i < 5000; ++i)
    bytes += make_frame({.op = opcode::ping}, fmt::format("{}", i));
  c.send_raw(bytes);
  for (int i = 0; i < 5000; ++i)
    ASSERT_EQ(c.receive_frame().payload, fmt::format("{}", i));
}

TEST_F(ControlTest, NoneIsLongerThan125Bytes) {
  for (auto op : {opcode::ping, opcode::pong, opcode::close})
    for (std::size_t n : {126, 65536})
      EXPECT_EQ(
        code_after({.op = op},
                   close_payload(1000, std::string(n, 'x')).substr(0, n)),
        1002)
        << to_string(op) << n;
}

TEST_F(ControlTest, NoneIsFragmented) {
  for (auto op : {opcode::ping, opcode::pong, opcode::close})
    EXPECT_EQ(code_after({.op = op, .fin = false}), 1002) << to_string(op);
}
