#include "app/commands/join.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "test/support/plain_server.hpp"
#include "test/support/tcp.hpp"
#include "test/support/ws_wire.hpp"

using namespace greenroom;
using namespace greenroom::client;
using namespace std::chrono_literals;

namespace {

struct pipe_pair {
  pipe_pair() {
    std::array<int, 2> ends;
    if (::pipe2(ends.data(), O_CLOEXEC) == 0) {
      out = test::unique_fd{ends[0]};
      in = test::unique_fd{ends[1]};
    }
  }

  test::unique_fd out; ///< to read from
  test::unique_fd in;  ///< to write to
};

void put(const test::unique_fd& to, std::string_view text) {
  ASSERT_EQ(::write(to.get(), text.data(), text.size()),
            static_cast<ssize_t>(text.size()));
}

/// What comes until `size` bytes are there or the stream ends.
std::string take(const test::unique_fd& from, std::size_t size = SIZE_MAX) {
  std::string result;
  test::deadline until{10s};
  std::array<char, 4096> buffer;
  while (result.size() < size) {
    pollfd waits{from.get(), POLLIN, 0};
    if (::poll(&waits, 1, until.remaining()) <= 0) {
      ADD_FAILURE() << "nothing more after: " << result;
      break;
    }
    auto n = ::read(from.get(), buffer.data(), buffer.size());
    if (n <= 0)
      break;
    result.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return result;
}

std::string frame(test::opcode op, std::string_view payload, bool fin = true) {
  return test::make_frame({.op = op, .fin = fin, .masked = false}, payload);
}

/// The next frame of a client, unmasked.
std::pair<test::opcode, std::string> take_frame(test::tcp_stream& from) {
  test::deadline until{10s};
  for (;;) {
    auto bytes = from.unread();
    auto header = test::parse_frame_header(bytes);
    if (!header || bytes.size() < header->header_size + header->length) {
      if (!from.fill(until))
        throw std::runtime_error("the client is gone");
      continue;
    }
    std::string payload{bytes.substr(header->header_size, header->length)};
    from.consume(header->header_size + header->length);
    if (header->masked)
      test::apply_mask(payload, header->mask_key);
    return {header->op, payload};
  }
}

void send(test::tcp_stream& to, std::string_view bytes) {
  to.send(bytes, test::deadline{10s}, true);
}

// -- names --------------------------------------------------------------------------

TEST(ResolveTest, LocalhostIsThisMachineWhateverTheResolverSays) {
  for (auto* host : {"localhost", "LocalHost", "localhost.", "a.localhost"}) {
    auto found = resolve({.host = host, .port = 81});
    ASSERT_TRUE(found) << host;
    ASSERT_EQ(found->size(), 2u) << host;
    EXPECT_EQ((*found)[0].text(), "127.0.0.1:81");
    EXPECT_EQ((*found)[1].text(), "[::1]:81");
  }
}

TEST(ResolveTest, AnAddressIsItself) {
  auto found = resolve({.host = "::1", .port = 81});
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->front().text(), "[::1]:81");
  // Ends like the name, but is none of its kind.
  EXPECT_FALSE(resolve({.host = "0.notlocalhost", .port = 81}));
}

/// A session of `join` against a server that follows a script.
class JoinTest : public ::testing::Test {
protected:
  void SetUp() override { std::signal(SIGPIPE, SIG_IGN); }

  /// Starts both. The session runs in a thread of its own.
  void start(test::plain_server::script script) {
    server_.emplace(std::move(script));
    auto to =
      parse_url(fmt::format("ws://127.0.0.1:{}/room/lobby", server_->port()));
    ASSERT_TRUE(to);
    request.to = *to;
    auto endpoints = resolve(*to);
    ASSERT_TRUE(endpoints);
    streams.in = input.out.get();
    streams.out = output.in.get();
    streams.interrupt = interrupt.out.get();
    outcome_ = std::async(std::launch::async, [this, e = *endpoints] {
      auto result = run_join(request, e, streams);
      output.in.reset();
      return result;
    });
  }

  void start_echo() {
    start([](test::tcp_stream& stream) {
      test::accept_handshake(stream);
      test::echo_frames(stream);
    });
  }

  /// Waits for both; what the script has seen may be looked at afterwards.
  join_outcome outcome() {
    if (outcome_.wait_for(20s) != std::future_status::ready) {
      ADD_FAILURE() << "the session does not end";
      interrupt.in.reset();
    }
    auto result = outcome_.get();
    server_.reset();
    return result;
  }

  join_request request;
  join_streams streams;
  pipe_pair input;
  pipe_pair output;
  pipe_pair interrupt;

private:
  std::optional<test::plain_server> server_;
  std::future<join_outcome> outcome_;
};

} // namespace

// -- lines and messages -----------------------------------------------------------

TEST_F(JoinTest, LinesBecomeMessagesAndMessagesBecomeLines) {
  request.count = 3;
  start_echo();
  put(input.in, "hello\n\nlast without its end");
  input.in.reset();
  EXPECT_EQ(take(output.out), "hello\n\nlast without its end\n");
  auto end = outcome();
  EXPECT_EQ(end.status, 0) << end.words;
  EXPECT_EQ(end.words, "");
}

TEST_F(JoinTest, ALineIsSentAsSoonAsItIsWhole) {
  start_echo();
  put(input.in, "one\ntw");
  EXPECT_EQ(take(output.out, 4), "one\n");
  put(input.in, "o\n");
  EXPECT_EQ(take(output.out, 4), "two\n");
  input.in.reset();
  EXPECT_EQ(outcome().status, 0);
}

TEST_F(JoinTest, BinaryMeansBinaryMessages) {
  request.binary = true;
  std::pair<test::opcode, std::string> seen;
  start([&seen](test::tcp_stream& stream) {
    test::accept_handshake(stream);
    seen = take_frame(stream);
    test::echo_frames(stream);
  });
  put(input.in, "x\n");
  input.in.reset();
  EXPECT_EQ(outcome().status, 0);
  EXPECT_EQ(seen.first, test::opcode::binary);
  EXPECT_EQ(seen.second, "x");
}

TEST_F(JoinTest, AMessageInFragmentsIsOneLineAndPingsAreAnswered) {
  request.count = 1;
  std::pair<test::opcode, std::string> answer;
  start([&answer](test::tcp_stream& stream) {
    test::accept_handshake(stream);
    send(stream, frame(test::opcode::text, "frag", false)
                   + frame(test::opcode::ping, "there?")
                   + frame(test::opcode::continuation, "ment"));
    answer = take_frame(stream);
    test::echo_frames(stream);
  });
  EXPECT_EQ(take(output.out), "fragment\n");
  EXPECT_EQ(outcome().status, 0);
  EXPECT_EQ(answer.first, test::opcode::pong);
  EXPECT_EQ(answer.second, "there?");
}

TEST_F(JoinTest, MessagesRightBehindTheHandshakeAreSeen) {
  request.count = 1;
  start([](test::tcp_stream& stream) {
    auto key = test::take_request(stream);
    constexpr std::string_view name = "Sec-WebSocket-Key: ";
    key = key.substr(key.find(name) + name.size(), 24);
    send(stream, "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n"
                 "Connection: Upgrade\r\nsec-websocket-accept: "
                   + test::accept_for(key) + "\r\n\r\n"
                   + frame(test::opcode::text, "early"));
    test::echo_frames(stream);
  });
  EXPECT_EQ(take(output.out), "early\n");
  EXPECT_EQ(outcome().status, 0);
}

TEST_F(JoinTest, ATerminalIsNotMovedByMessages) {
  request.count = 1;
  streams.out_is_terminal = true;
  start([](test::tcp_stream& stream) {
    test::accept_handshake(stream);
    send(stream, frame(test::opcode::text, "\x1b[2Jgr\xc3\xbc\xc3\x9f\nend"));
    test::echo_frames(stream);
  });
  EXPECT_EQ(take(output.out), "?[2Jgr\xc3\xbc\xc3\x9f?end\n");
  EXPECT_EQ(outcome().status, 0);
}

TEST_F(JoinTest, MoreThanAnyBufferHoldsPassesThrough) {
  constexpr int lines = 50'000;
  request.count = lines;
  start_echo();
  std::string text;
  for (int i = 0; i < lines; ++i)
    text += fmt::format("line {}\n", i);
  std::thread writer{[&] {
    for (std::string_view rest = text; !rest.empty();) {
      auto n = ::write(input.in.get(), rest.data(), rest.size());
      if (n <= 0)
        break;
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    input.in.reset();
  }};
  EXPECT_TRUE(take(output.out) == text);
  writer.join();
  EXPECT_EQ(outcome().status, 0);
}

// -- ends ---------------------------------------------------------------------------

TEST_F(JoinTest, TheEndOfTheInputSaysGoodbye) {
  std::pair<test::opcode, std::string> seen;
  start([&seen](test::tcp_stream& stream) {
    test::accept_handshake(stream);
    seen = take_frame(stream);
    send(stream, frame(test::opcode::text, "on its way")
                   + frame(test::opcode::close, seen.second));
  });
  input.in.reset();
  EXPECT_EQ(take(output.out), "on its way\n");
  EXPECT_EQ(outcome().status, 0);
  EXPECT_EQ(seen.first, test::opcode::close);
  EXPECT_EQ(test::parse_close(seen.second).code, 1000);
}

TEST_F(JoinTest, LingerOutlivesTheInputAndAnInterruptSaysGoodbye) {
  request.linger = true;
  std::pair<test::opcode, std::string> seen;
  start([&seen](test::tcp_stream& stream) {
    test::accept_handshake(stream);
    send(stream, frame(test::opcode::text, "still here"));
    seen = take_frame(stream);
    send(stream, frame(test::opcode::close, seen.second));
  });
  input.in.reset();
  EXPECT_EQ(take(output.out, 11), "still here\n");
  put(interrupt.in, "x");
  EXPECT_EQ(outcome().status, 0);
  EXPECT_EQ(seen.first, test::opcode::close);
}

TEST_F(JoinTest, ARefusalIsTold) {
  start([](test::tcp_stream& stream) {
    test::take_request(stream);
    send(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\n"
                 "room_unknown\n");
  });
  auto end = outcome();
  EXPECT_EQ(end.status, 1);
  EXPECT_EQ(end.words, "refused: 404 Not Found: room_unknown");
}

TEST_F(JoinTest, ACloseOfTheServerIsToldWithItsCode) {
  std::pair<test::opcode, std::string> seen;
  start([&seen](test::tcp_stream& stream) {
    test::accept_handshake(stream);
    send(stream, frame(test::opcode::text, "last words")
                   + frame(test::opcode::close,
                           test::close_payload(1008, "rate_limited")));
    seen = take_frame(stream);
  });
  EXPECT_EQ(take(output.out), "last words\n");
  auto end = outcome();
  EXPECT_EQ(end.status, 1);
  EXPECT_EQ(end.words, "closed by the server: 1008 rate_limited");
  EXPECT_EQ(test::parse_close(seen.second).code, 1008);
}

TEST_F(JoinTest, AConnectionThatBreaksIsTold) {
  start([](test::tcp_stream& stream) { test::accept_handshake(stream); });
  auto end = outcome();
  EXPECT_EQ(end.status, 1);
  EXPECT_NE(end.words.find("connection lost"), std::string::npos) << end.words;
}

TEST_F(JoinTest, AServerThatIsNoneIsTold) {
  start([](test::tcp_stream& stream) {
    test::take_request(stream);
    send(stream, "220 mail.example ESMTP\r\n");
  });
  auto end = outcome();
  EXPECT_EQ(end.status, 1);
  EXPECT_NE(end.words.find("does not speak HTTP"), std::string::npos)
    << end.words;
}

TEST_F(JoinTest, ATimeoutWithMessagesMissingIsAFailure) {
  request.count = 2;
  request.timeout = 200ms;
  start([](test::tcp_stream& stream) {
    test::accept_handshake(stream);
    send(stream, frame(test::opcode::text, "one"));
    test::echo_frames(stream);
  });
  auto end = outcome();
  EXPECT_EQ(end.status, 1);
  EXPECT_EQ(end.words, "timed out with 1 of 2 messages");
}

TEST_F(JoinTest, AReaderThatHasSeenEnoughEndsItQuietly) { // | head -n 1
  request.linger = true;
  start_echo();
  put(input.in, "one\n");
  EXPECT_EQ(take(output.out, 4), "one\n");
  output.out.reset();
  auto end = outcome();
  EXPECT_EQ(end.status, 0) << end.words;
}

TEST_F(JoinTest, AnEndlessLineEndsIt) {
  start_echo();
  std::thread writer{[&] {
    std::string block(1024 * 1024, 'x');
    while (::write(input.in.get(), block.data(), block.size()) > 0) {
    }
  }};
  auto end = outcome();
  input.out.reset();
  writer.join();
  EXPECT_EQ(end.status, 1);
  EXPECT_NE(end.words.find("longer than 16MiB"), std::string::npos)
    << end.words;
}

// -- URLs ---------------------------------------------------------------------------

TEST(ClientUrlTest, AUrlIsTakenApart) {
  auto x = parse_url("ws://[::1]:8000/room/a b\xc3\xbc?echo=0");
  ASSERT_TRUE(x) << x.error().detail;
  EXPECT_EQ(x->host, "::1");
  EXPECT_EQ(x->port, 8000);
  EXPECT_EQ(x->authority, "[::1]:8000");
  EXPECT_EQ(x->target, "/room/a%20b%C3%BC?echo=0");
  x = parse_url("ws://localhost");
  ASSERT_TRUE(x);
  EXPECT_EQ(x->port, 80);
  EXPECT_EQ(x->target, "/");
}

TEST(ClientUrlTest, OthersAreRefused) {
  for (auto text : {"", "lobby", "127.0.0.1:8000/room/x", "http://h/room/x",
                    "wss://h/room/x", "ws:///room/x", "ws://h:0/x",
                    "ws://h:70000/x", "ws://me:pw@h/x", "ws://h/room/#x"})
    EXPECT_FALSE(parse_url(text)) << text;
}

TEST(ClientUrlTest, ParametersAreAdded) {
  std::string target = "/room/x";
  add_parameter(target, "echo=0");
  EXPECT_EQ(target, "/room/x?echo=0");
  add_parameter(target, "a=b");
  EXPECT_EQ(target, "/room/x?echo=0&a=b");
  EXPECT_EQ(encode_segment("a/b?c d"), "a%2Fb%3Fc%20d");
}

// -- the command line ---------------------------------------------------------------

TEST(JoinCommandTest, WhatIsNotUnderstoodIsTwo) {
  auto complaint = [](std::vector<std::string> args) {
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(join_command(args), 2);
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_NE(complaint({}).find("URL is missing"), std::string::npos);
  EXPECT_NE(
    complaint({"ws://h/x", "--cuont", "1"}).find("did you mean --count"),
    std::string::npos);
  EXPECT_NE(complaint({"ws://h/x", "--count"}).find("needs a value"),
            std::string::npos);
  EXPECT_NE(complaint({"ws://h/x", "--count", "-1"}).find("expected a number"),
            std::string::npos);
  EXPECT_NE(complaint({"ws://h/x", "--timeout", "0"}).find("expected a time"),
            std::string::npos);
  EXPECT_NE(complaint({"ws://h/x", "more"}).find("unexpected word"),
            std::string::npos);
}

TEST(JoinCommandTest, HelpFitsATerminal) {
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(join_command(std::vector<std::string>{"--help"}), 0);
  auto text = ::testing::internal::GetCapturedStdout();
  EXPECT_NE(text.find("--linger"), std::string::npos);
  for (std::size_t at = 0; at < text.size();) {
    auto end = text.find('\n', at);
    EXPECT_LE(end - at, 80u) << text.substr(at, end - at);
    at = end + 1;
  }
}
