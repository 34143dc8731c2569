#include "net/ws_accept.hpp"

#include <gtest/gtest.h>

namespace greenroom::net {
namespace {

// The example of RFC 6455 §1.3.
TEST(WsAccept, TokenIsTheOneOfTheRfc) {
  EXPECT_EQ(accept_token("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  // Again: what was fetched for the first is used for the second.
  EXPECT_EQ(accept_token("x3JJHMbDL1EzLkh9GBhXDw=="),
            "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
}

// RFC 6455 §4.2.2, point 5.
TEST(WsAccept, AnswerIsAResponseWithoutFrames) {
  auto plain = make_upgrade_answer({"dGhlIHNhbXBsZSBub25jZQ==", ""});
  EXPECT_EQ(plain->bytes(), "HTTP/1.1 101 Switching Protocols\r\n"
                            "Upgrade: websocket\r\n"
                            "Connection: upgrade\r\n"
                            "Sec-WebSocket-Accept: "
                            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                            "Server: greenroom\r\n"
                            "\r\n");
  EXPECT_EQ(plain->frames(), 0u);
  EXPECT_FALSE(plain->closes());
}

TEST(WsAccept, AnswerNamesTheSubprotocol) {
  auto chosen =
    make_upgrade_answer({"dGhlIHNhbXBsZSBub25jZQ==", "centrifuge-json"});
  EXPECT_NE(
    chosen->bytes().find("\r\nSec-WebSocket-Protocol: centrifuge-json\r\n"),
    std::string_view::npos);
}

TEST(WsAccept, AnswerNamesTheExtensions) {
  auto chosen = make_upgrade_answer(
    {"dGhlIHNhbXBsZSBub25jZQ==", "", "permessage-deflate; x"});
  EXPECT_NE(chosen->bytes().find(
              "\r\nSec-WebSocket-Extensions: permessage-deflate; x\r\n"),
            std::string_view::npos);
}

} // namespace
} // namespace greenroom::net
