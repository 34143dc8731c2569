// RFC 6455 §4.2: the server's part of the opening handshake.

#include "test/conformance/lobby.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::string_literals;

namespace {

using lines = std::vector<std::string>;

// The example of §1.3.
const lines example = {"GET /room/lobby HTTP/1.1",
                       "Host: server.example.com",
                       "Upgrade: websocket",
                       "Connection: Upgrade",
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                       "Sec-WebSocket-Version: 13"};

std::string text_of(const lines& request) {
  std::string result;
  for (auto& x : request)
    result += x + "\r\n";
  return result + "\r\n";
}

/// The example with a line replaced, or left out where `by` is empty.
lines with(std::size_t line, const std::string& by) {
  auto result = example;
  result[line] = by;
  if (by.empty())
    result.erase(result.begin() + static_cast<std::ptrdiff_t>(line));
  return result;
}

lines plus(const lines& more) {
  auto result = example;
  result.insert(result.end(), more.begin(), more.end());
  return result;
}

class HandshakeTest : public LobbyTest {
protected:
  http_response answer(const lines& request) const {
    http_client c{{.port = broker.port()}};
    c.send(text_of(request));
    return c.receive();
  }

  int status(const lines& request) const { return answer(request).status; }
};

} // namespace

TEST_F(HandshakeTest, TheExampleOfTheRfcIsAnsweredAsItSays) { // §4.2.2
  auto x = answer(example);
  EXPECT_EQ(x.status, 101);
  EXPECT_EQ(x.version, "HTTP/1.1");
  EXPECT_TRUE(x.lists("Upgrade", "websocket"));
  EXPECT_TRUE(x.lists("Connection", "upgrade"));
  EXPECT_EQ(x.header("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(x.count("Sec-WebSocket-Accept"), 1u);
  EXPECT_FALSE(x.header("Sec-WebSocket-Protocol"));
  EXPECT_FALSE(x.header("Sec-WebSocket-Extensions"));
}

TEST_F(HandshakeTest, NamesAndTokensAreTakenInAnyCase) { // §4.2.1
  EXPECT_EQ(status({"GET /room/lobby HTTP/1.1", "hOsT: x", "UPGRADE: WebSocket",
                    "CONNECTION: uPGRADE",
                    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
                    "SEC-WEBSOCKET-VERSION: 13"}),
            101);
}

TEST_F(HandshakeTest, ListsMayHoldMore) {
  EXPECT_EQ(status(with(3, "Connection: keep-alive, Upgrade")), 101);
  EXPECT_EQ(status(with(3, "Connection: keep-alive , ,upgrade,")), 101);
  EXPECT_EQ(status(with(3, "Connection: keep-alive\r\nConnection: Upgrade")),
            101);
  EXPECT_EQ(status(with(2, "Upgrade: h2c, websocket")), 101);
  EXPECT_EQ(status(with(4, "Sec-WebSocket-Key:   dGhlIHNhbXBsZSBub25jZQ==  ")),
            101);
}

TEST_F(HandshakeTest, WhatNobodyAsksForIsIgnored) {
  EXPECT_EQ(status(plus({"X-Unknown: 1", "Cookie: a=b", "Pragma: no-cache"})),
            101);
  EXPECT_EQ(status(with(0, "GET http://server.example.com/room/lobby "
                           "HTTP/1.1")),
            101);
}

TEST_F(HandshakeTest, WithoutTheFieldsItIsNone) {
  EXPECT_EQ(status(with(1, "")), 400) << "Host";
  EXPECT_EQ(status(with(2, "")), 426) << "Upgrade";
  EXPECT_EQ(status(with(2, "Upgrade: h2c")), 426);
  EXPECT_EQ(status(with(2, "Upgrade: websockets")), 426);
  EXPECT_EQ(status(with(3, "")), 426) << "Connection";
  EXPECT_EQ(status(with(3, "Connection: keep-alive")), 426);
  EXPECT_EQ(status(with(4, "")), 400) << "Sec-WebSocket-Key";
}

TEST_F(HandshakeTest, ItIsAGetOfHttp11) {
  EXPECT_EQ(status(with(0, "POST /room/lobby HTTP/1.1")), 405);
  EXPECT_EQ(status(with(0, "get /room/lobby HTTP/1.1")), 405);
  EXPECT_EQ(status(with(0, "GET /room/lobby HTTP/1.0")), 426);
  EXPECT_EQ(status(with(0, "GET /room/lobby HTTP/2.0")), 400);
}

TEST_F(HandshakeTest, TheKeyIs16BytesInBase64) {
  for (auto key : {"short", "", "dGhlIHNhbXBsZSBub25jZQ",
                   "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZSE=",
                   "dGhlIHNhbXBsZSBub25jZ!==", "dGhlIHNhbXBsZSBub25jZQ==AAAA"})
    EXPECT_EQ(status(with(4, "Sec-WebSocket-Key: "s + key)), 400) << key;
}

TEST_F(HandshakeTest, FieldsThatMustBeAloneAre) {
  for (auto i : {1, 4, 5})
    EXPECT_EQ(status(plus({example[static_cast<std::size_t>(i)]})), 400)
      << example[static_cast<std::size_t>(i)];
}

TEST_F(HandshakeTest, OtherVersionsAreToldOurs) { // §4.4
  for (auto value : {"8", "0", "14", "013", "13, 8", "8, 13", "", "x"}) {
    auto x = answer(with(5, "Sec-WebSocket-Version: "s + value));
    EXPECT_EQ(x.status, 426) << value;
    EXPECT_EQ(x.header("Sec-WebSocket-Version"), "13") << value;
    EXPECT_EQ(x.count("Sec-WebSocket-Version"), 1u) << value;
  }
  EXPECT_EQ(status(with(5, "")), 426);
}

TEST_F(HandshakeTest, AHandshakeHasNoBody) {
  EXPECT_EQ(status(plus({"Content-Length: 0"})), 101);
  EXPECT_EQ(status(plus({"Content-Length: 5"})), 400);
  EXPECT_EQ(status(plus({"Transfer-Encoding: chunked"})), 400);
}

TEST_F(HandshakeTest, ASubprotocolIsNeverMadeUp) { // §4.2.2, point 5
  auto x = answer(plus({"Sec-WebSocket-Protocol: chat, superchat"}));
  EXPECT_EQ(x.status, 101);
  EXPECT_FALSE(x.header("Sec-WebSocket-Protocol"));
}

TEST_F(HandshakeTest, AnUnknownExtensionIsNotAgreedTo) { // §9.1
  auto x = answer(plus({"Sec-WebSocket-Extensions: x-unknown; a=1"}));
  EXPECT_EQ(x.status, 101);
  EXPECT_FALSE(x.header("Sec-WebSocket-Extensions"));
}

TEST_F(HandshakeTest, FramesMayComeRightBehindIt) {
  auto options = at();
  options.behind_handshake = make_frame({}, "first")
                             + make_frame({.op = opcode::ping}, "amid")
                             + make_frame({.op = opcode::binary}, "second");
  auto c = ws_client::connect(options);
  EXPECT_EQ(c.receive_text(), "first");
  EXPECT_EQ(c.receive().payload, "second");
  EXPECT_EQ(c.counts().pongs_in, 1u);
  options.behind_handshake = make_frame({.masked = false}, "wrong");
  EXPECT_EQ(ws_client::connect(options).expect_close().code, 1002);
}

TEST_F(HandshakeTest, ItMayComeByteForByte) {
  http_client c{{.port = broker.port()}};
  for (auto x : text_of(example))
    c.send({&x, 1});
  EXPECT_EQ(c.receive().status, 101);
}
