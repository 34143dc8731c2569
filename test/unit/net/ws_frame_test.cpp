#include "net/ws_frame.hpp"

#include <gtest/gtest.h>

#include <string>

#include "test/support/ws_wire.hpp"

using namespace greenroom;
using namespace greenroom::net;

namespace {

std::string frame_of(ws_opcode op, std::string_view payload) {
  wire_builder out;
  append_ws_frame(out, op, payload);
  auto block = out.finish();
  EXPECT_EQ(block->frames(), 1u);
  return std::string{block->bytes()};
}

std::string plain(test::opcode op, std::string_view payload) {
  test::frame_spec spec;
  spec.op = op;
  spec.masked = false;
  return test::make_frame(spec, payload);
}

} // namespace

TEST(WsFrameTest, EveryLengthHasTheShortestHeader) { // RFC 6455 §5.2
  for (std::size_t n : {0, 1, 125, 126, 127, 65'535, 65'536, 70'000}) {
    std::string payload(n, 'x');
    auto bytes = frame_of(ws_opcode::text, payload);
    EXPECT_EQ(bytes, plain(test::opcode::text, payload)) << n;
    EXPECT_EQ(bytes.size(), ws_header_size(n) + n);
    EXPECT_EQ(ws_frame_size(bytes), bytes.size());
    EXPECT_EQ(ws_frame_size(bytes.substr(0, ws_header_size(n))), bytes.size());
    EXPECT_EQ(ws_frame_size(bytes.substr(0, ws_header_size(n) - 1)), 0u);
  }
}

TEST(WsFrameTest, AFrameIsOfItsKind) {
  EXPECT_EQ(frame_of(ws_opcode::binary, "abc"),
            plain(test::opcode::binary, "abc"));
  EXPECT_EQ(frame_of(ws_opcode::pong, "abc"), plain(test::opcode::pong, "abc"));
  EXPECT_EQ(ws_ping()->bytes(), plain(test::opcode::ping, ""));
}

TEST(WsFrameTest, ACompressedMessageIsMarked) { // RFC 7692 §6
  wire_builder out;
  append_ws_frame(out, ws_opcode::text, "abc", true);
  EXPECT_EQ(static_cast<unsigned char>(out.finish()->bytes()[0]), 0xC1);
}

TEST(WsFrameTest, ACloseFrameCarriesCodeAndReason) { // RFC 6455 §5.5.1
  auto block = make_ws_close(1013, "slow_consumer");
  EXPECT_TRUE(block->closes());
  EXPECT_EQ(block->frames(), 1u);
  EXPECT_EQ(block->bytes(), plain(test::opcode::close,
                                  test::close_payload(1013, "slow_consumer")));
}

TEST(WsFrameTest, CodesThatMustNotBeSentAreLeftOut) { // RFC 6455 §7.4.1
  for (auto code : {0, 999, 1004, 1005, 1006, 1015, 5000})
    EXPECT_EQ(make_ws_close(static_cast<std::uint16_t>(code), "x")->bytes(),
              plain(test::opcode::close, ""))
      << code;
  for (auto code : {1000, 1003, 1007, 1014, 3000, 4999})
    EXPECT_EQ(make_ws_close(static_cast<std::uint16_t>(code), "x")->size(), 5u)
      << code;
}

TEST(WsFrameTest, ALongReasonIsCutBetweenTwoCharacters) {
  std::string reason(122, 'x');
  reason += "\xC3\xA4\xC3\xA4"; // two umlauts, the first one across the limit
  auto block = make_ws_close(1000, reason);
  EXPECT_EQ(block->bytes().substr(4), std::string(122, 'x'));
}
