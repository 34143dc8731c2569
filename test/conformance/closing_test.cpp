// RFC 6455 §7: how connections end.

#include "test/conformance/lobby.hpp"

#include <chrono>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

broker_options one_message_a_second() {
  auto result = roomy_options({"lobby", "other"});
  result.reader.messages_per_second = 1;
  result.reader.burst_seconds = 1;
  result.session.goodbye_timeout = 500ms;
  return result;
}

class ClosingTest : public LobbyTest {};

/// Where a second message at once is reason enough for the broker to close.
class BrokersGoodbyeTest : public LobbyTest {
protected:
  BrokersGoodbyeTest() : LobbyTest(one_message_a_second()) {}
};

std::string close_frame(std::uint16_t code, std::string_view reason = {}) {
  return make_frame({.op = opcode::close}, close_payload(code, reason));
}

} // namespace

// -- the client's goodbye -----------------------------------------------------------

TEST_F(ClosingTest, AGoodbyeIsAnsweredWithItsCode) { // §5.5.1
  for (std::uint16_t code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                             1011, 1012, 1013, 3000, 3999, 4000, 4999}) {
    auto c = client();
    c.send_close(code, "bye");
    EXPECT_EQ(c.expect_close().code, code);
    EXPECT_EQ(c.expect_eof(), stream_end::fin) << "§7.1.1: the server first";
  }
}

TEST_F(ClosingTest, AGoodbyeMayBeWithoutWords) {
  auto c = client();
  c.send_close({});
  EXPECT_EQ(c.expect_close().code, 1000);
  EXPECT_EQ(c.expect_eof(), stream_end::fin);
  auto d = client();
  d.send_close(1000, std::string(123, 'r'));
  EXPECT_EQ(d.expect_close().code, 1000);
}

TEST_F(ClosingTest, CodesThatMustNotBeSentAreProtocolErrors) { // §7.4
  for (std::uint16_t code :
       {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999})
    EXPECT_EQ(code_after(close_frame(code)), 1002) << code;
}

TEST_F(ClosingTest, HalfACodeIsAProtocolError) { // §5.5.1
  EXPECT_EQ(code_after({.op = opcode::close}, "\x03"), 1002);
}

TEST_F(ClosingTest, WhatComesBehindAGoodbyeIsIgnored) { // §5.5.1
  auto ann = client();
  auto bob = client();
  bob.send_raw(make_frame({}, "before") + close_frame(1000)
               + make_frame({}, "behind")
               + make_frame({.op = opcode::ping}, "behind") + close_frame(1001)
               + "rubbish");
  EXPECT_EQ(bob.expect_close().code, 1000);
  bob.expect_eof(); // by RST where it goes on talking
  EXPECT_EQ(ann.receive_text(), "before");
  expect_nothing_came(ann);
}

TEST_F(ClosingTest, WhoGoesWithoutAGoodbyeIsLetGo) { // §7.1.5: that is 1006
  auto ann = client();
  broker.wait_books([](auto& x) { return x.memberships == 1; });
  auto bob = client();
  auto carl = client();
  bob.shutdown_write();
  EXPECT_EQ(bob.expect_eof(), stream_end::fin);
  carl.reset();
  broker.wait_books([](auto& x) { return x.memberships == 1; });
  ann.send_text("alone");
  EXPECT_EQ(ann.receive_text(), "alone");
}

// -- the broker's goodbye -----------------------------------------------------------

TEST_F(BrokersGoodbyeTest, ItIsSaidOnceAndItsAnswerEndsTheConnection) {
  auto c = client();
  c.send_text("one");
  EXPECT_EQ(c.receive_text(), "one");
  c.send_text("two");
  EXPECT_EQ(c.expect_close().code, 1008);
  EXPECT_EQ(c.expect_eof(), stream_end::fin);
}

TEST_F(BrokersGoodbyeTest, WhatTheClientSaysInsteadOfAnAnswerIsIgnored) {
  auto ann = client();
  auto options = at();
  options.answer_close = false;
  auto bob = ws_client::connect(options);
  bob.send_text("one");
  bob.send_text("two");
  EXPECT_EQ(bob.expect_close().code, 1008);
  for (int i = 0; i < 100; ++i)
    bob.send_text("for nobody");
  bob.send_close(1000);
  EXPECT_EQ(bob.expect_eof(), stream_end::fin);
  EXPECT_EQ(ann.receive_text(), "one");
  expect_nothing_came(ann);
}

TEST_F(BrokersGoodbyeTest, WhoDoesNotAnswerIsCutOff) {
  auto options = at();
  options.answer_close = false;
  auto c = ws_client::connect(options);
  c.send_text("one");
  c.send_text("two");
  EXPECT_EQ(c.expect_close().code, 1008);
  auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(c.expect_eof(), stream_end::reset);
  auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, 400ms); // --goodbye-timeout is 500 ms
  EXPECT_LT(took, 5s);
}

TEST_F(BrokersGoodbyeTest, TwoGoodbyesMayMeet) { // §7.1.5
  auto options = at();
  options.answer_close = false;
  auto c = ws_client::connect(options);
  c.send_raw(make_frame({}, "one") + make_frame({}, "two") + close_frame(1000));
  auto code = c.expect_close().code;
  EXPECT_TRUE(code == 1008 || code == 1000) << code;
  EXPECT_EQ(c.expect_eof(), stream_end::fin);
}
