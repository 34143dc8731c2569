// The test clients themselves, against a server of a few lines.

#include "test/support/plain_server.hpp"
#include "test/support/ws_client.hpp"

#include <functional>
#include <optional>
#include <string>

#include <gtest/gtest.h>

using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

/// What a lambda throws, as text; empty if nothing.
std::string error_of(const std::function<void()>& what) {
  try {
    what();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

/// A server that accepts the handshake, says these bytes, and reads to the end.
plain_server::script says(std::string bytes) {
  return [bytes = std::move(bytes)](tcp_stream& stream) {
    accept_handshake(stream);
    deadline until{10s};
    stream.send(bytes, until, true);
    while (stream.fill(until)) {
      // Only the end counts.
    }
  };
}

std::string server_frame(opcode op, std::string_view payload) {
  return make_frame({.op = op, .masked = false}, payload);
}

/// What a client says to these frames when it waits for a message.
std::string complaint_about(const std::string& frames) {
  plain_server server{says(frames)};
  auto client = ws_client::connect({.port = server.port()});
  return error_of([&] { client.receive(); });
}

plain_server::script echo() {
  return [](tcp_stream& stream) {
    accept_handshake(stream);
    echo_frames(stream);
  };
}

} // namespace

// -- the wire -----------------------------------------------------------------

TEST(WsWireTest, TheAcceptIsThatOfTheSpecification) { // RFC 6455 §1.3
  EXPECT_EQ(accept_for("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WsWireTest, FramesAreThoseOfTheSpecification) { // RFC 6455 §5.7
  EXPECT_EQ(make_frame({.masked = false}, "Hello"), "\x81\x05Hello");
  EXPECT_EQ(make_frame({.mask_key = 0x37fa213d}, "Hello"),
            "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
  EXPECT_EQ(make_frame({.fin = false, .masked = false}, "Hel"), "\x01\x03Hel");
  std::string big(65536, 'x');
  EXPECT_EQ(make_frame({.op = opcode::binary, .masked = false}, big),
            std::string("\x82\x7f\0\0\0\0\0\x01\0\0", 10) + big);
}

TEST(WsWireTest, EveryBitCanBeMadeWrong) {
  EXPECT_EQ(make_frame({.op = static_cast<opcode>(0xb),
                        .rsv = 5,
                        .masked = false,
                        .length = length_form::eight_bytes},
                       "x"),
            std::string("\xdb\x7f\0\0\0\0\0\0\0\x01x", 11));
  EXPECT_EQ(make_frame({.masked = false, .claimed_length = 300}, "x"),
            std::string("\x81\x7e\x01\x2cx", 5));
}

TEST(WsWireTest, HeadersAreReadAsTheyWereWritten) {
  for (std::size_t size : {0, 1, 125, 126, 65535, 65536}) {
    auto bytes = make_frame({.op = opcode::binary, .fin = false, .rsv = 2},
                            std::string(size, 'x'));
    auto header = parse_frame_header(bytes);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->length, size);
    EXPECT_EQ(header->header_size + header->length, bytes.size());
    EXPECT_EQ(header->rsv, 2);
    EXPECT_FALSE(header->fin);
    EXPECT_FALSE(header->wasteful);
    for (std::size_t cut = 0; cut < header->header_size; ++cut)
      EXPECT_FALSE(parse_frame_header(bytes.substr(0, cut)));
    apply_mask(std::span{bytes}.subspan(header->header_size), header->mask_key);
    EXPECT_EQ(bytes.substr(header->header_size), std::string(size, 'x'));
  }
}

TEST(WsWireTest, Utf8IsCheckedStrictly) {
  for (auto* good : {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                     "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xef\xbf\xbf"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (auto* bad : {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                    "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff",
                    "\xe2\x82", "\xf0\x80\x80\x80", "\xc3(", "\xe2(\xa1"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

// -- talking ------------------------------------------------------------------

TEST(WsClientTest, MessagesComeBackAsTheyWent) {
  plain_server server{echo()};
  auto client = ws_client::connect({.port = server.port()});
  client.send_text("h\xc3\xa9llo");
  EXPECT_EQ(client.receive_text(), "h\xc3\xa9llo");
  std::string all_bytes(70'000, '\0');
  for (std::size_t i = 0; i < all_bytes.size(); ++i)
    all_bytes[i] = static_cast<char>(i * 7);
  client.send_binary(all_bytes);
  EXPECT_EQ(client.receive(), (ws_message{opcode::binary, all_bytes}));
  client.send_fragments(opcode::text, {"a\xe2", "\x82", "", "\xac"});
  EXPECT_EQ(client.receive_text(), "a\xe2\x82\xac");
  EXPECT_EQ(client.counts().messages_in, 3u);
  auto words = client.close(1000, "bye");
  EXPECT_EQ(words.code, 1000);
  EXPECT_EQ(words.reason, "bye");
}

TEST(WsClientTest, SendingDoesNotWaitForASlowEcho) {
  plain_server server{echo()};
  auto client = ws_client::connect({.port = server.port()});
  std::string payload(1 << 20, 'x');
  for (int i = 0; i < 32; ++i)
    client.send_binary(payload);
  for (int i = 0; i < 32; ++i)
    EXPECT_EQ(client.receive().payload.size(), payload.size());
}

TEST(WsClientTest, ADeafClientStopsAServerThatOnlyEchoes) {
  plain_server server{echo()};
  auto client = ws_client::connect(
    {.port = server.port(), .receive_buffer = 4096, .timeout = 300ms});
  client.stop_reading();
  std::string payload(1 << 20, 'x');
  EXPECT_THROW(for (int i = 0; i < 64; ++i) client.send_binary(payload),
               timeout_error);
  EXPECT_THROW(client.receive(), std::logic_error);
  client.reset();
}

TEST(WsClientTest, ABarrierGathersWhatCameBefore) {
  plain_server server{echo()};
  auto client = ws_client::connect({.port = server.port()});
  client.send_text("one");
  client.send_text("two");
  auto messages = client.messages_until_pong();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[1].payload, "two");
  EXPECT_TRUE(client.messages_until_pong().empty());
  EXPECT_FALSE(client.try_receive(1ms));
}

TEST(WsClientTest, PingsAreAnsweredUnlessToldOtherwise) {
  auto ping = server_frame(opcode::ping, "hi");
  auto text = server_frame(opcode::text, "x");
  for (auto answers : {true, false}) {
    std::string answer;
    {
      plain_server server{[&](tcp_stream& stream) {
        accept_handshake(stream);
        deadline until{10s};
        stream.send(ping + text, until, true);
        while (stream.fill(until)) {
          // Until the client has gone.
        }
        answer = stream.unread();
      }};
      auto client =
        ws_client::connect({.port = server.port(), .answer_pings = answers});
      EXPECT_EQ(client.receive_text(), "x");
      EXPECT_EQ(client.counts().pings_in, 1u);
      client.shutdown_write();
      EXPECT_EQ(client.expect_eof(), stream_end::fin);
    }
    EXPECT_EQ(answer.size(), answers ? 8u : 0u);
  }
}

TEST(WsClientTest, BytesBehindTheHandshakeTravelWithIt) {
  plain_server server{echo()};
  auto client = ws_client::connect(
    {.port = server.port(), .behind_handshake = make_frame({}, "early")});
  EXPECT_EQ(client.receive_text(), "early");
}

TEST(WsClientTest, OptionsReachTheServer) {
  std::string request;
  std::optional<plain_server> server;
  server.emplace([&](tcp_stream& stream) {
    request = accept_handshake(stream, "Sec-WebSocket-Protocol: b\r\n");
    echo_frames(stream);
  });
  auto client = ws_client::connect({.port = server->port(),
                                    .path = "/room/x?echo=0",
                                    .headers = {{"X-One", "1"}, {"X-One", "2"}},
                                    .origin = "http://a.example",
                                    .subprotocol = "a, b",
                                    .local_address = "127.0.0.3"});
  EXPECT_EQ(client.response().header("sec-websocket-protocol"), "b");
  client.close();
  server.reset();
  for (auto* part :
       {"GET /room/x?echo=0 HTTP/1.1\r\n", "X-One: 1\r\nX-One: 2\r\n",
        "Origin: http://a.example\r\n", "Sec-WebSocket-Protocol: a, b\r\n"})
    EXPECT_NE(request.find(part), std::string::npos) << part;
}

// -- refusals -----------------------------------------------------------------

TEST(WsClientTest, ARefusalIsAResponse) {
  plain_server server{[](tcp_stream& stream) {
    take_request(stream);
    stream.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
                deadline{10s}, true);
  }};
  auto refusal = ws_client::expect_refusal({.port = server.port()});
  EXPECT_EQ(refusal.status, 403);
  EXPECT_EQ(refusal.body, "no");
  EXPECT_NE(error_of([&] {
              ws_client::connect({.port = server.port()});
            }).find("403 Forbidden 'no'"),
            std::string::npos);
}

TEST(WsClientTest, AWrongHandshakeIsNotAccepted) {
  auto complaint = [](const std::string& head) {
    plain_server server{[head](tcp_stream& stream) {
      take_request(stream);
      stream.send(head + "\r\n", deadline{10s}, true);
    }};
    return error_of([&] { ws_client::connect({.port = server.port()}); });
  };
  std::string start = "HTTP/1.1 101 Switching Protocols\r\n"
                      "Upgrade: websocket\r\nConnection: Upgrade\r\n";
  EXPECT_EQ(complaint(start + "Sec-WebSocket-Accept: eA==\r\n"),
            "the server's handshake has a wrong Sec-WebSocket-Accept");
  EXPECT_EQ(complaint("HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n"),
            "the server's handshake has no 'Connection: upgrade'");
  plain_server eager{[](tcp_stream& stream) {
    accept_handshake(stream, "Sec-WebSocket-Protocol: c\r\n");
  }};
  EXPECT_EQ(error_of([&] {
              ws_client::connect({.port = eager.port(), .subprotocol = "a, b"});
            }),
            "the server's handshake has a subprotocol that was not offered");
}

// -- a strict client ----------------------------------------------------------

TEST(WsClientTest, FaultsOfAServerAreFound) {
  auto has = [](const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos
             ? testing::AssertionSuccess()
             : testing::AssertionFailure() << "'" << text << "'";
  };
  EXPECT_TRUE(has(complaint_about(make_frame({}, "x")), "masked"));
  EXPECT_TRUE(has(complaint_about(make_frame({.rsv = 4, .masked = false}, "x")),
                  "reserved bit"));
  EXPECT_TRUE(has(complaint_about(server_frame(static_cast<opcode>(3), "x")),
                  "reserved opcode"));
  EXPECT_TRUE(has(complaint_about(make_frame(
                    {.masked = false, .length = length_form::two_bytes}, "x")),
                  "length longer"));
  EXPECT_TRUE(
    has(complaint_about(server_frame(opcode::continuation, "x")), "not begun"));
  auto start = make_frame({.fin = false, .masked = false}, "x");
  EXPECT_TRUE(has(complaint_about(start + start), "within another"));
  EXPECT_TRUE(
    has(complaint_about(server_frame(opcode::text, "\xff")), "not UTF-8"));
  EXPECT_TRUE(
    has(complaint_about(server_frame(opcode::ping, std::string(126, 'x'))),
        "cut or long"));
  EXPECT_TRUE(
    has(complaint_about(server_frame(opcode::close, "x")), "one byte"));
  EXPECT_TRUE(
    has(complaint_about(server_frame(opcode::close, close_payload(1006, ""))),
        "code 1006"));
  EXPECT_TRUE(has(
    complaint_about(server_frame(opcode::close, close_payload(1013, "slow"))),
    "closed with 1013 'slow'"));
}

// -- ends ---------------------------------------------------------------------

TEST(WsClientTest, ACloseIsAnsweredAndTellsWhatWasSkipped) {
  std::string answer;
  std::optional<plain_server> server;
  server.emplace([&](tcp_stream& stream) {
    accept_handshake(stream);
    deadline until{10s};
    stream.send(server_frame(opcode::text, "x")
                  + server_frame(opcode::close, close_payload(1001, "drain")),
                until, true);
    while (stream.unread().size() < 8 && stream.fill(until)) {
      // The answer has 8 bytes.
    }
    answer = stream.unread();
  });
  auto client = ws_client::connect({.port = server->port()});
  auto words = client.expect_close();
  EXPECT_EQ(words.code, 1001);
  EXPECT_EQ(words.reason, "drain");
  EXPECT_EQ(words.skipped, 1u);
  EXPECT_EQ(client.expect_eof(), stream_end::fin);
  server.reset();
  EXPECT_EQ(answer.substr(0, 2), "\x88\x82");
}

TEST(WsClientTest, AResetIsToldFromAnEnd) {
  plain_server server{[](tcp_stream& stream) {
    accept_handshake(stream);
    stream.reset();
  }};
  auto client = ws_client::connect({.port = server.port()});
  EXPECT_EQ(client.expect_eof(), stream_end::reset);
}

TEST(WsClientTest, AResetReachesTheServer) {
  std::optional<stream_end> seen;
  std::optional<plain_server> server;
  server.emplace([&](tcp_stream& stream) {
    accept_handshake(stream);
    while (stream.fill(deadline{10s})) {
      // Only the end counts.
    }
    seen = stream.end();
  });
  auto client = ws_client::connect({.port = server->port()});
  client.reset();
  server.reset();
  EXPECT_EQ(seen, stream_end::reset);
}

TEST(WsClientTest, EveryWaitHasADeadline) {
  plain_server server{says("")};
  auto client = ws_client::connect({.port = server.port(), .timeout = 20ms});
  EXPECT_THROW(client.receive(), timeout_error);
  EXPECT_THROW(client.receive_frame(), timeout_error);
  EXPECT_THROW(client.expect_close(), timeout_error);
  EXPECT_THROW(client.expect_eof(), timeout_error);
  EXPECT_NE(error_of([&] { client.receive(); }).find("no message within 20 ms"),
            std::string::npos);
}
