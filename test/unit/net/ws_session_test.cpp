#include "net/ws_session.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/ws_frame.hpp"
#include "test/support/ws_wire.hpp"

using namespace greenroom;
using namespace greenroom::net;
using namespace std::chrono_literals;

namespace {

constexpr auto key = "dGhlIHNhbXBsZSBub25jZQ=="; // RFC 6455 §1.3

wire_ptr text_block(const std::vector<std::string>& payloads) {
  wire_builder out;
  for (const auto& x : payloads)
    append_ws_frame(out, ws_opcode::text, x);
  return out.finish();
}

/// A dialect that only matters for whether it pings.
struct dialect_fake final : protocol {
  std::string_view name() const noexcept override { return "fake"; }

  void decode(inbound, dialogue&, std::vector<command>&) const override {}

  wire_ptr encode(const turn&, client_id) const override { return {}; }

  wire_ptr encode(const answer&) const override { return {}; }

  wire_ptr ping() const override {
    return pings ? text_block({"ping"}) : wire_ptr{};
  }

  bool pings = false;
};

/// What the broker saw of one connection.
struct record {
  std::shared_ptr<socket_port> socket;
  std::vector<inbound> received;
  std::vector<std::pair<errc, std::uint16_t>> closed;
  std::uint64_t beside = 0;
  bool gone = false;
};

/// The broker's part, scripted.
struct desk_fake final : front_desk {
  struct sink final : socket_sink {
    sink(desk_fake& owner, record& what) : desk(owner), seen(what) {}

    ~sink() override { seen.gone = true; }

    void received(inbound message) override {
      EXPECT_TRUE(seen.closed.empty());
      if (desk.on_message)
        desk.on_message(seen, message);
      else
        seen.socket->taken(1);
      seen.received.push_back(std::move(message));
    }

    void received_beside(std::uint64_t bytes) override { seen.beside += bytes; }

    void closed(errc why, std::uint16_t code) override {
      seen.closed.emplace_back(why, code);
    }

    desk_fake& desk;
    record& seen;
  };

  void place(std::string, std::function<void(unit_id)>) override {}

  std::unique_ptr<socket_sink> open(unit_id,
                                    std::shared_ptr<socket_port> socket,
                                    upgrade) override {
    records.push_back(std::make_unique<record>());
    auto& x = *records.back();
    x.socket = std::move(socket);
    if (on_open)
      on_open(x);
    return std::make_unique<sink>(*this, x);
  }

  bool ready() const noexcept override { return true; }

  std::vector<std::unique_ptr<record>> records;
  std::function<void(record&)> on_open;
  std::function<void(record&, inbound&)> on_message;
};

/// The client's end: never blocks, says what came.
struct client_end {
  explicit client_end(int end) : fd(end) {}

  client_end(client_end&& x) noexcept
    : fd(std::exchange(x.fd, -1)), unread(std::move(x.unread)),
      bytes_in(x.bytes_in) {}

  ~client_end() { close(); }

  void close() {
    if (fd >= 0)
      ::close(std::exchange(fd, -1));
  }

  void reset() {
    linger now{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close();
  }

  /// @returns how many bytes the kernel took
  std::size_t send(std::string_view bytes) const {
    auto n =
      ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 ? 0 : static_cast<std::size_t>(n);
  }

  void send_frame(test::opcode op, std::string_view payload,
                  bool fin = true) const {
    test::frame_spec spec;
    spec.op = op;
    spec.fin = fin;
    send(test::make_frame(spec, payload));
  }

  void send_close(std::uint16_t code = 1000) const {
    send_frame(test::opcode::close, test::close_payload(code, ""));
  }

  /// Reads what is there. @returns how much that was
  std::size_t pull(std::size_t most = 1 << 20) {
    std::size_t sum = 0;
    std::vector<char> buffer(std::min<std::size_t>(most, 64 * 1024));
    while (sum < most) {
      auto n = ::recv(fd, buffer.data(), std::min(buffer.size(), most - sum),
                      MSG_DONTWAIT);
      if (n > 0) {
        unread.append(buffer.data(), static_cast<std::size_t>(n));
        bytes_in += static_cast<std::size_t>(n);
        sum += static_cast<std::size_t>(n);
        continue;
      }
      if (n == 0)
        eof = true;
      else if (errno != EAGAIN)
        was_reset = true;
      break;
    }
    return sum;
  }

  /// Takes the next frame off what was pulled.
  std::optional<std::pair<test::opcode, std::string>> frame() {
    auto header = test::parse_frame_header(unread);
    if (!header || unread.size() < header->header_size + header->length)
      return std::nullopt;
    EXPECT_FALSE(header->masked);
    EXPECT_FALSE(header->wasteful);
    EXPECT_TRUE(header->fin);
    auto payload = unread.substr(header->header_size, header->length);
    unread.erase(0, header->header_size + header->length);
    return std::pair{header->op, payload};
  }

  /// Payloads of the text frames that were pulled, up to another kind.
  std::vector<std::string> texts() {
    std::vector<std::string> out;
    while (auto header = test::parse_frame_header(unread)) {
      if (header->op != test::opcode::text)
        break;
      auto x = frame();
      if (!x)
        break;
      out.push_back(std::move(x->second));
    }
    return out;
  }

  std::string response() {
    auto end = unread.find("\r\n\r\n");
    if (end == std::string::npos)
      return "";
    auto head = unread.substr(0, end + 4);
    unread.erase(0, end + 4);
    return head;
  }

  int fd;
  std::string unread;
  std::uint64_t bytes_in = 0;
  bool eof = false;
  bool was_reset = false;
};

struct log_fake final : log_port {
  void write(log_record line) noexcept override {
    lines.push_back(line.message);
  }

  bool wants(level) const noexcept override { return true; }

  std::vector<std::string> lines;
};

struct WsSessionTest : testing::Test {
  WsSessionTest() {
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener, raw, sizeof(address)), 0);
    EXPECT_EQ(::listen(listener, 16), 0);
    socklen_t size = sizeof(address);
    ::getsockname(listener, raw, &size);
  }

  ~WsSessionTest() override {
    ::close(listener);
    for (auto& x : desk.records)
      x->socket.reset();
  }

  void TearDown() override {
    loop.abandon_all();
    for (auto& x : desk.records) {
      EXPECT_TRUE(x->gone);
      EXPECT_EQ(x->closed.size(), 1u);
    }
    for (auto& x : flows)
      EXPECT_EQ(x->queued(), 0u);
    EXPECT_EQ(counts.sessions_open.get(), 0);
    EXPECT_EQ(loop.watched(), 0u);
  }

  /// A connection whose handshake waits for its answer.
  client_end connect(std::string read_ahead = {}, int client_buffer = 0) {
    auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client_buffer != 0)
      ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &client_buffer,
                   sizeof(client_buffer));
    EXPECT_EQ(
      ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    // Small frames must not wait for the acknowledgement of those before them.
    int now = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &now, sizeof(now));
    ws_request in;
    in.fd = unique_fd{
      ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    int on = 1;
    ::setsockopt(in.fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (send_buffer != 0)
      ::setsockopt(in.fd.get(), SOL_SOCKET, SO_SNDBUF, &send_buffer,
                   sizeof(send_buffer));
    in.accepted = clock;
    in.key = key;
    in.subprotocol = subprotocol;
    in.deflate = deflate;
    in.read_ahead = std::move(read_ahead);
    in.what.dialect = &dialect;
    in.what.flow = std::make_shared<flow_counter>();
    flows.push_back(in.what.flow);
    if (former != nullptr)
      loop.watch(in.fd.get(), *former);
    open_ws_session(home, std::move(in), former);
    run();
    return client_end{fd};
  }

  /// An open WebSocket; the response is read and forgotten.
  client_end open(std::string read_ahead = {}, int client_buffer = 0) {
    auto client = connect(std::move(read_ahead), client_buffer);
    seen().socket->accept();
    run();
    client.pull();
    EXPECT_TRUE(client.response().starts_with("HTTP/1.1 101 "));
    return client;
  }

  record& seen() { return *desk.records.back(); }

  flow_counter& flow() { return *flows.back(); }

  void append(wire_ptr block) {
    flow().add(block->size());
    seen().socket->append(std::move(block), retention::droppable);
  }

  /// Turns until there is nothing to do.
  void run() {
    for (int quiet = 0; quiet < 3;) {
      loop.timers().advance(clock);
      auto n = loop.poll();
      quiet = loop.flush() || n != 0 ? 0 : quiet + 1;
    }
  }

  /// Turns and reads until the kernels have brought what is waited for: small
  /// windows take their time.
  template <class F>
  void run_until(client_end& client, F&& done) {
    auto limit = std::chrono::steady_clock::now() + 20s;
    while (!done()) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit);
      if (client.pull() == 0)
        std::this_thread::sleep_for(1ms);
      run();
    }
  }

  /// Until the outbox is empty and the client has all of it.
  void run_until_read(client_end& client) {
    run_until(client, [&] {
      auto stats = seen().socket->stats();
      return stats.bytes_queued == 0 && client.bytes_in == stats.bytes_out;
    });
  }

  void advance(std::chrono::milliseconds span) {
    for (; span > 0ms; span -= 500ms) {
      clock += std::min<std::chrono::milliseconds>(span, 500ms);
      run();
    }
  }

  void say_goodbye(errc why, wire_ptr last = {}) {
    auto& row = describe(why);
    seen().socket->close(
      {why, row.close_code, std::string{row.name}, std::move(last)});
  }

  using why_and_code = std::pair<errc, std::uint16_t>;

  std::vector<why_and_code> only(errc why, std::uint16_t code = 0) {
    return {{why, code}};
  }

  io_loop_options started() const {
    io_loop_options x;
    x.start = clock;
    return x;
  }

  steady_time clock{std::chrono::hours{1}};
  metrics counts;
  log_fake log;
  desk_fake desk;
  dialect_fake dialect;
  io_loop loop{counts, &log, started()};
  ws_home home{loop, 0, desk, counts, {}};
  std::string subprotocol;
  std::optional<deflate_terms> deflate;
  net::fd_watcher* former = nullptr;
  int send_buffer = 0;
  std::vector<flow_ptr> flows;
  int listener = -1;
  sockaddr_in address{};
};

} // namespace

// -- the handshake --------------------------------------------------------------

TEST_F(WsSessionTest, AnAcceptedHandshakeIsAnsweredWith101) { // RFC 6455 §4.2.2
  subprotocol = "greenroom.raw";
  auto client = connect();
  client.pull();
  EXPECT_EQ(client.unread, ""); // the broker takes its time
  EXPECT_EQ(counts.sessions_open.get(), 0);
  seen().socket->accept();
  run();
  EXPECT_EQ(counts.sessions_open.get(), 1);
  client.pull();
  auto head = client.response();
  EXPECT_TRUE(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n")) << head;
  EXPECT_NE(head.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            std::string::npos);
  EXPECT_NE(head.find("Sec-WebSocket-Protocol: greenroom.raw\r\n"),
            std::string::npos);
  EXPECT_EQ(client.unread, "");
}

TEST_F(WsSessionTest, FramesAppendedBeforeGoOutRightBehindTheAnswer) {
  auto client = connect();
  append(text_block({"one", "two"}));
  run();
  client.pull();
  EXPECT_EQ(client.unread, "");
  seen().socket->accept();
  append(text_block({"three"}));
  run();
  client.pull();
  EXPECT_TRUE(client.response().starts_with("HTTP/1.1 101 "));
  EXPECT_EQ(client.texts(), (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ(counts.sends.get(), 1);
}

TEST_F(WsSessionTest, BytesRightBehindTheHandshakeReachTheStream) {
  std::string ahead;
  for (int i = 0; i < 300; ++i)
    test::append_frame(ahead, {}, "early " + std::to_string(i));
  // The last frame is torn between what was read ahead and what still comes.
  auto torn = test::make_frame({}, "torn");
  auto client = open(ahead + torn.substr(0, 7));
  EXPECT_EQ(seen().received.size(), 300u);
  client.send(torn.substr(7));
  run();
  ASSERT_EQ(seen().received.size(), 301u);
  EXPECT_EQ(seen().received[299].bytes, "early 299");
  EXPECT_EQ(seen().received[300].bytes, "torn");
}

TEST_F(WsSessionTest, ADescriptorIsHandedOverByWhoeverReadTheRequest) {
  struct watcher final : net::fd_watcher {
    void ready(std::uint32_t) override { ADD_FAILURE(); }

    void abandoned() noexcept override { ADD_FAILURE(); }
  } http;
  former = &http;
  auto client = open();
  client.send_frame(test::opcode::text, "x");
  run();
  EXPECT_EQ(seen().received.size(), 1u);
  EXPECT_EQ(loop.watched(), 1u);
}

TEST_F(WsSessionTest, ARefusedHandshakeIsToldAndClosed) {
  auto client = connect();
  append(text_block({"never sent"}));
  seen().socket->refuse(errc::room_full);
  seen().socket->accept(); // too late
  run();
  client.pull();
  auto head = client.response();
  EXPECT_TRUE(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n")) << head;
  EXPECT_NE(head.find("Connection: close\r\n"), std::string::npos);
  EXPECT_NE(head.find("Retry-After: "), std::string::npos);
  EXPECT_EQ(client.unread, "{\"error\":\"room_full\"}\n");
  EXPECT_TRUE(client.eof);
  EXPECT_FALSE(seen().gone); // the client has not ended yet
  client.close();
  run();
  EXPECT_TRUE(seen().gone);
  EXPECT_EQ(seen().closed, only(errc::room_full));
  EXPECT_EQ(at(counts.refused, errc::room_full).get(), 1);
  EXPECT_EQ(at(counts.closed, errc::room_full).get(), 0);
}

TEST_F(WsSessionTest, ACloseInsteadOfAnAnswerRefuses) {
  auto client = connect();
  say_goodbye(errc::shutdown);
  run();
  client.pull();
  EXPECT_TRUE(client.response().starts_with("HTTP/1.1 503 "));
}

TEST_F(WsSessionTest, TheBrokerMayAnswerBeforeOpenReturns) {
  desk.on_open = [](record& x) { x.socket->accept(); };
  auto client = connect();
  client.pull();
  EXPECT_TRUE(client.response().starts_with("HTTP/1.1 101 "));
  desk.on_open = [](record& x) { x.socket->refuse(errc::draining); };
  auto other = connect();
  other.pull();
  EXPECT_TRUE(other.response().starts_with("HTTP/1.1 503 "));
}

TEST_F(WsSessionTest, AHandshakeThatIsNotAnsweredTimesOut) {
  auto client = connect();
  advance(9'500ms);
  EXPECT_TRUE(seen().closed.empty());
  advance(1s);
  EXPECT_EQ(seen().closed, only(errc::handshake_timeout));
  client.pull();
  EXPECT_TRUE(client.response().starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(client.eof);
  advance(6s); // the client does not end, so we do
  EXPECT_TRUE(seen().gone);
}

TEST_F(WsSessionTest, AClientThatVanishesBeforeTheAnswerIsGone) {
  auto client = connect();
  client.reset();
  run();
  EXPECT_TRUE(seen().gone);
  EXPECT_EQ(seen().closed, only(errc::peer_gone));
  seen().socket->accept();
  append(text_block({"late"}));
  run();
}

// -- messages -------------------------------------------------------------------

TEST_F(WsSessionTest, MessagesOfEveryLengthArrive) {
  auto client = open();
  for (std::size_t n :
       {0, 1, 125, 126, 255, 256, 257, 1500, 4096, 65'535, 65'536}) {
    std::string payload(n, 'a');
    for (std::size_t i = 0; i < n; ++i)
      payload[i] = static_cast<char>('a' + i % 26);
    auto frame = test::make_frame({}, payload);
    for (std::string_view rest = frame; !rest.empty();) {
      rest.remove_prefix(client.send(rest));
      run();
    }
    ASSERT_EQ(seen().received.back().bytes, payload) << n;
    EXPECT_TRUE(seen().received.back().text);
  }
  client.send_frame(test::opcode::binary, "\xFF\xFE");
  run();
  EXPECT_EQ(seen().received.back().bytes, "\xFF\xFE");
  EXPECT_FALSE(seen().received.back().text);
  EXPECT_EQ(counts.messages_in.get(), 12);
}

TEST_F(WsSessionTest, FragmentsBecomeOneMessageWithPingsInBetween) {
  auto client = open(); // RFC 6455 §5.4
  client.send_frame(test::opcode::text, "one ", false);
  client.send_frame(test::opcode::ping, "are you there");
  client.send_frame(test::opcode::continuation, std::string(1000, '2'), false);
  client.send_frame(test::opcode::ping, "still");
  client.send_frame(test::opcode::continuation, "", true);
  client.send_frame(test::opcode::text, "next");
  run();
  ASSERT_EQ(seen().received.size(), 2u);
  EXPECT_EQ(seen().received[0].bytes, "one " + std::string(1000, '2'));
  EXPECT_EQ(seen().received[1].bytes, "next");
  client.pull();
  EXPECT_EQ(client.frame(),
            std::pair(test::opcode::pong, std::string{"are you there"}));
  EXPECT_EQ(client.frame(),
            std::pair(test::opcode::pong, std::string{"still"}));
  EXPECT_EQ(client.unread, "");
}

TEST_F(WsSessionTest, ManySmallMessagesInOneGoAreEchoedWithTheirPongs) {
  desk.on_message = [this](record& x, inbound& in) {
    append(text_block({in.bytes}));
    x.socket->taken(1);
  };
  auto client = open();
  std::string bytes;
  int pings = 0;
  for (int i = 0; i < 2000; ++i) {
    test::append_frame(bytes, {},
                       std::string(i % 300, 'x') + "#" + std::to_string(i));
    if (i % 3 == 0) {
      test::frame_spec ping;
      ping.op = test::opcode::ping;
      test::append_frame(bytes, ping, std::to_string(i));
      ++pings;
    }
  }
  for (std::string_view left = bytes; !left.empty();) {
    left.remove_prefix(client.send(left));
    run();
    client.pull();
  }
  run();
  client.pull();
  int texts = 0;
  int pongs = 0;
  while (auto x = client.frame()) {
    if (x->first == test::opcode::pong) {
      EXPECT_EQ(x->second, std::to_string(3 * pongs++));
    } else {
      EXPECT_EQ(x->second,
                std::string(texts % 300, 'x') + "#" + std::to_string(texts));
      ++texts;
    }
  }
  EXPECT_EQ(texts, 2000);
  EXPECT_EQ(pongs, pings);
  EXPECT_EQ(client.unread, "");
  EXPECT_LT(counts.sends.get(), 300);
}

TEST_F(WsSessionTest, WhatATurnAppendsGoesOutInOneSend) {
  auto client = open();
  auto before = counts.sends.get();
  for (int i = 0; i < 50; ++i)
    append(text_block({std::string(100, 'x')}));
  run();
  EXPECT_EQ(counts.sends.get(), before + 1);
  client.pull();
  EXPECT_EQ(client.texts().size(), 50u);
  EXPECT_EQ(flow().queued(), 0u);
  auto stats = seen().socket->stats();
  EXPECT_EQ(stats.frames_out, 50u);
  EXPECT_EQ(stats.bytes_queued, 0u);
}

TEST_F(WsSessionTest, AFullOutboxDoesNotWaitForTheEndOfTheTurn) {
  auto client = open();
  auto big = text_block({std::string(50'000, 'x')});
  for (int i = 0; i < 3; ++i)
    append(big);
  client.pull();
  EXPECT_FALSE(client.unread.empty()); // no flush so far
}

// -- limits on what comes in ----------------------------------------------------

TEST_F(WsSessionTest, AMessageThatIsTooBigIsRefusedWith1009) {
  auto client = open();
  auto frame = test::make_frame({}, std::string(300'000, 'x'));
  for (std::string_view left = frame; !left.empty();) {
    auto n = client.send(left);
    run();
    if (n == 0 && client.eof)
      break;
    left.remove_prefix(n);
    client.pull();
  }
  EXPECT_EQ(seen().closed, only(errc::message_too_big));
  EXPECT_TRUE(seen().received.empty());
  client.pull();
  auto last = client.frame();
  ASSERT_TRUE(last);
  EXPECT_EQ(last->first, test::opcode::close);
  EXPECT_EQ(test::parse_close(last->second).code, 1009);
  EXPECT_TRUE(client.eof);
  EXPECT_FALSE(client.was_reset);
  client.close();
  run();
  EXPECT_TRUE(seen().gone);
  EXPECT_EQ(at(counts.closed, errc::message_too_big).get(), 1);
}

TEST_F(WsSessionTest, FragmentsThatAreTooBigTogetherAreRefusedToo) {
  auto client = open();
  client.send_frame(test::opcode::text, std::string(40'000, 'x'), false);
  run();
  client.send_frame(test::opcode::continuation, std::string(40'000, 'x'));
  run();
  EXPECT_EQ(seen().closed, only(errc::message_too_big));
}

TEST_F(WsSessionTest, BrokenFramesAreProtocolErrors) { // RFC 6455 §5
  auto broken = [&](const test::frame_spec& spec) {
    auto client = open();
    client.send(test::make_frame(spec, "x"));
    run();
    EXPECT_EQ(seen().closed, only(errc::protocol_error));
    client.pull();
    auto last = client.frame();
    ASSERT_TRUE(last);
    EXPECT_EQ(test::parse_close(last->second).code, 1002);
  };
  test::frame_spec spec;
  spec.masked = false;
  broken(spec);
  spec = {};
  spec.rsv = 4;
  broken(spec);
  spec = {};
  spec.op = static_cast<test::opcode>(3);
  broken(spec);
  spec = {};
  spec.op = test::opcode::continuation;
  broken(spec);
  spec = {};
  spec.op = test::opcode::ping;
  spec.fin = false;
  broken(spec);
}

TEST_F(WsSessionTest, TextThatIsNotUtf8IsRefusedWith1007) { // RFC 6455 §8.1
  auto client = open();
  client.send_frame(test::opcode::text, "\xC3");
  run();
  EXPECT_EQ(seen().closed, only(errc::bad_utf8));
  client.pull();
  auto last = client.frame();
  ASSERT_TRUE(last);
  EXPECT_EQ(test::parse_close(last->second).code, 1007);
}

// -- compression (RFC 7692) -------------------------------------------------------

const std::string deflated_hello{"\xf2\x48\xcd\xc9\xc9\x07\x00", 7}; // §7.2.3.1

struct DeflateSessionTest : WsSessionTest {
  DeflateSessionTest() { deflate = deflate_terms{15, 15, false, "the-answer"}; }

  void send(client_end& client, std::string_view payload, std::uint8_t rsv = 4,
            test::opcode op = test::opcode::text, bool fin = true) {
    test::frame_spec spec;
    spec.op = op;
    spec.fin = fin;
    spec.rsv = rsv;
    client.send(test::make_frame(spec, payload));
    run();
  }

  void expect_end(client_end& client, errc why, std::uint16_t code) {
    run();
    EXPECT_EQ(seen().closed, only(why));
    say_goodbye(why);
    run();
    client.pull();
    std::optional<std::pair<test::opcode, std::string>> last;
    while (auto x = client.frame())
      last = x;
    ASSERT_TRUE(last);
    EXPECT_EQ(test::parse_close(last->second).code, code);
  }

  std::string all_received() {
    std::string out;
    for (auto& x : seen().received)
      out += (x.text ? "t:" : "b:") + x.bytes + ' ';
    return out;
  }
};

TEST_F(DeflateSessionTest, TheResponseSaysWhatWasAgreedOn) {
  auto client = connect();
  seen().socket->accept();
  run();
  client.pull();
  EXPECT_NE(
    client.response().find("\r\nSec-WebSocket-Extensions: the-answer\r\n"),
    std::string::npos);
  deflate.reset();
  auto other = connect();
  seen().socket->accept();
  run();
  other.pull();
  EXPECT_EQ(other.response().find("Extensions"), std::string::npos);
}

TEST_F(DeflateSessionTest, S6_CompressedAndPlainMessagesMayAlternate) {
  auto client = open();
  send(client, deflated_hello);
  send(client, "plain", 0);
  send(client, deflated_hello, 4, test::opcode::binary);
  send(client, "", 0, test::opcode::binary);
  send(client, std::string(1, '\0'));
  EXPECT_EQ(all_received(), "t:Hello t:plain b:Hello b: t: ");
  EXPECT_EQ(seen().received[0].compressed_bytes, 7u);
  EXPECT_EQ(seen().received[1].compressed_bytes, 0u);
}

TEST_F(DeflateSessionTest, ManyMessagesMayComeInOneSegment) {
  home.limits.inbound_messages_max = 10'000;
  auto client = open();
  std::string all;
  std::string expected;
  for (int i = 0; i < 2000; ++i) {
    test::frame_spec spec;
    if (i % 3 == 0) {
      spec.rsv = 4;
      test::append_frame(all, spec, deflated_hello);
      expected += "t:Hello ";
    } else {
      auto text = std::string(i % 700, 'x');
      test::append_frame(all, spec, text);
      expected += "t:" + text + ' ';
    }
    if (i % 5 == 0)
      test::append_frame(all, {.op = test::opcode::ping}, "p");
    if (all.size() > 20'000) {
      client.send(std::exchange(all, {}));
      run();
      client.pull();
    }
  }
  client.send(all);
  run();
  EXPECT_EQ(all_received(), expected);
}

TEST_F(DeflateSessionTest, S61_ACompressedMessageMayComeInFragments) {
  auto client = open();
  send(client, "", 4, test::opcode::text, false);
  send(client, deflated_hello.substr(0, 3), 0, test::opcode::continuation,
       false);
  send(client, "", 0, test::opcode::ping);
  send(client, deflated_hello.substr(3), 0, test::opcode::continuation, false);
  send(client, "", 0, test::opcode::continuation);
  EXPECT_EQ(all_received(), "t:Hello ");
  send(client, "plain", 0);
  EXPECT_EQ(all_received(), "t:Hello t:plain ");
}

TEST_F(DeflateSessionTest, BytesBehindTheHandshakeMayBeCompressed) {
  test::frame_spec spec;
  spec.rsv = 4;
  auto client = open(test::make_frame(spec, deflated_hello));
  EXPECT_EQ(all_received(), "t:Hello ");
}

TEST_F(DeflateSessionTest, S6_AMarkWhereNoneMayBeIsRefusedWith1002) {
  auto broken = [&](std::uint8_t rsv, test::opcode op, bool begun = false) {
    auto client = open();
    if (begun)
      send(client, deflated_hello.substr(0, 2), 4, test::opcode::text, false);
    send(client, "abc", rsv, op);
    expect_end(client, errc::protocol_error, 1002);
    EXPECT_EQ(all_received(), "");
  };
  broken(4, test::opcode::ping);
  broken(4, test::opcode::pong);
  broken(4, test::opcode::close);
  broken(4, test::opcode::continuation, true);
  broken(4, test::opcode::text, true);
  broken(6, test::opcode::text);
  broken(2, test::opcode::text);
}

TEST_F(DeflateSessionTest, WhatCannotBeInflatedIsRefusedWith1007) {
  for (auto payload :
       {std::string{"\xff\xff\xff"}, deflated_hello.substr(0, 5)}) {
    auto client = open();
    send(client, payload);
    send(client, deflated_hello); // is for nobody any more
    expect_end(client, errc::bad_deflate, 1007);
    EXPECT_EQ(all_received(), "");
  }
}

TEST_F(DeflateSessionTest, TextHasToBeUtf8WhenItIsInflated) {
  std::string stored{"\x00\x02\x00\xfd\xff\xc3\x28\x00", 8}; // not compressed
  auto client = open();
  send(client, stored, 4, test::opcode::binary);
  EXPECT_EQ(all_received(), "b:\xc3\x28 ");
  send(client, stored);
  expect_end(client, errc::bad_utf8, 1007);
}

TEST_F(DeflateSessionTest, TheLimitIsForWhatComesOut) {
  home.limits.message_bytes_max = 5;
  auto ann = open();
  send(ann, deflated_hello);
  EXPECT_EQ(all_received(), "t:Hello ");
  home.limits.message_bytes_max = 4;
  auto bob = open();
  send(bob, deflated_hello);
  expect_end(bob, errc::message_too_big, 1009);
  EXPECT_EQ(all_received(), "");
}

TEST_F(DeflateSessionTest, PlainMessagesHaveTheSameLimit) {
  home.limits.message_bytes_max = 1000;
  auto ann = open();
  send(ann, std::string(1000, 'x'), 0);
  EXPECT_EQ(seen().received.size(), 1u);
  // Shorter than what a compressed one may be on the wire, and longer.
  for (std::size_t size : {1001, 1100, 5000}) {
    auto bob = open();
    send(bob, std::string(size, 'x'), 0);
    expect_end(bob, errc::message_too_big, 1009);
    EXPECT_EQ(all_received(), "");
  }
  auto cid = open();
  send(cid, std::string(600, 'x'), 0, test::opcode::text, false);
  send(cid, std::string(600, 'x'), 0, test::opcode::continuation, false);
  expect_end(cid, errc::message_too_big, 1009);
}

TEST_F(DeflateSessionTest, AFloodOfCompressedBytesIsRefusedAtItsHeader) {
  home.limits.message_bytes_max = 1000;
  auto client = open();
  test::frame_spec spec;
  spec.rsv = 4;
  spec.claimed_length = 1 << 20;
  client.send(test::make_frame(spec, "x"));
  expect_end(client, errc::message_too_big, 1009);
}

TEST_F(DeflateSessionTest, S7112_AContextIsKeptWhereThatWasAgreedOn) {
  const std::string again{"\xf2\x00\x11\x00\x00", 5}; // §7.2.3.2
  deflate->client_context = true;
  auto ann = open();
  send(ann, deflated_hello);
  send(ann, "plain", 0); // is no part of it
  send(ann, again);
  EXPECT_EQ(all_received(), "t:Hello t:plain t:Hello ");
  deflate->client_context = false;
  auto bob = open();
  send(bob, deflated_hello);
  send(bob, again);
  expect_end(bob, errc::bad_deflate, 1007);
}

TEST_F(WsSessionTest, ReadingPausesUntilMessagesWereTaken) {
  desk.on_message = [](record&, inbound&) {};
  home.limits.inbound_messages_max = 8;
  auto client = open();
  for (int i = 0; i < 30; ++i)
    client.send_frame(test::opcode::text, std::to_string(i));
  run();
  EXPECT_EQ(seen().received.size(), 8u);
  seen().socket->taken(3);
  run();
  EXPECT_EQ(seen().received.size(), 11u);
  for (int i = 0; i < 19; ++i) {
    seen().socket->taken(1);
    run();
  }
  EXPECT_EQ(seen().received.size(), 30u);
  EXPECT_EQ(seen().received.back().bytes, "29");
}

TEST_F(WsSessionTest, TheWindowCountsBytesToo) {
  desk.on_message = [](record&, inbound&) {};
  home.limits.inbound_bytes_max = 10'000;
  auto client = open();
  for (int i = 0; i < 10; ++i)
    client.send_frame(test::opcode::text, std::string(4'000, 'x'));
  run();
  EXPECT_EQ(seen().received.size(), 3u);
  seen().socket->taken(1);
  run();
  EXPECT_EQ(seen().received.size(), 4u);
  seen().socket->taken(4);
  run();
  EXPECT_EQ(seen().received.size(), 7u);
}

TEST_F(WsSessionTest, AClientThatFloodsPingsAndReadsNothingIsNotReadEither) {
  send_buffer = 4096;
  auto client = open({}, 4096);
  test::frame_spec ping;
  ping.op = test::opcode::ping;
  auto frame = test::make_frame(ping, std::string(125, 'p'));
  std::string many;
  for (int i = 0; i < 100; ++i)
    many += frame;
  std::size_t sent = 0;
  for (int quiet = 0; quiet < 5;) {
    auto n = client.send(many.substr(sent % frame.size()));
    sent += n;
    run();
    quiet = n == 0 ? quiet + 1 : 0;
  }
  auto stats = seen().socket->stats();
  EXPECT_LT(stats.bytes_queued, 2 * home.limits.control_bytes_max);
  EXPECT_LT(stats.bytes_in, sent); // the rest is the kernel's, so it stands
  // Once it reads, everything is answered.
  auto due = sent / frame.size() * (2 + 125);
  run_until(client, [&] { return client.unread.size() >= due; });
  std::size_t pongs = 0;
  for (std::string_view left = client.unread; !left.empty(); ++pongs) {
    ASSERT_EQ(left[0], '\x8A');
    left.remove_prefix(ws_frame_size(left));
  }
  EXPECT_EQ(pongs, sent / frame.size());
  EXPECT_TRUE(seen().closed.empty());
}

// -- the end --------------------------------------------------------------------

TEST_F(WsSessionTest, AClientsCloseFrameIsAnsweredAndToldAtOnce) { // §7.1.2
  auto client = open();
  client.send_close(4000);
  run();
  EXPECT_EQ(seen().closed, only(errc::peer_closed, 4000));
  // The server ends TCP, at once (§7.1.1); the kernel sends what it was given.
  EXPECT_TRUE(seen().gone);
  say_goodbye(errc::peer_closed); // the reader's reflex: nothing to add
  append(text_block({"late"}));
  run();
  client.pull();
  auto last = client.frame();
  ASSERT_TRUE(last);
  EXPECT_EQ(last->first, test::opcode::close);
  EXPECT_EQ(test::parse_close(last->second).code, 4000);
  EXPECT_EQ(client.unread, "");
  EXPECT_TRUE(client.eof);
  EXPECT_EQ(counts.sessions_open.get(), 0);
  EXPECT_EQ(at(counts.closed, errc::peer_closed).get(), 1);
}

TEST_F(WsSessionTest, AClientThatClosesAndLeavesIsLetGo) {
  auto client = open();
  append(text_block({"under way"}));
  client.send_close();
  client.close();
  run();
  EXPECT_EQ(seen().closed, only(errc::peer_closed, 1000));
  EXPECT_TRUE(seen().gone);
}

TEST_F(WsSessionTest, OurGoodbyeGoesBehindTheDataAndWaitsForTheAnswer) {
  auto client = open();
  append(text_block({"one", "two"}));
  say_goodbye(errc::kicked, text_block({"farewell"}));
  say_goodbye(errc::shutdown);
  append(text_block({"late"}));
  run();
  client.pull();
  EXPECT_EQ(client.texts(),
            (std::vector<std::string>{"one", "two", "farewell"}));
  auto last = client.frame();
  ASSERT_TRUE(last);
  EXPECT_EQ(last->first, test::opcode::close);
  EXPECT_EQ(test::parse_close(last->second).code, 1008);
  EXPECT_EQ(test::parse_close(last->second).reason, "kicked");
  EXPECT_EQ(client.unread, "");
  EXPECT_FALSE(client.eof);
  // Data and pings that still come are ignored.
  client.send_frame(test::opcode::text, "ignored");
  client.send_frame(test::opcode::ping, "ignored");
  client.send_frame(test::opcode::text, std::string(5000, 'x'));
  run();
  EXPECT_TRUE(seen().received.empty());
  EXPECT_TRUE(seen().closed.empty());
  client.send_close(1008);
  run();
  EXPECT_EQ(seen().closed, only(errc::peer_closed, 1008));
  client.pull();
  EXPECT_EQ(client.unread, "");
  EXPECT_TRUE(client.eof);
  client.close();
  run();
  EXPECT_TRUE(seen().gone);
  EXPECT_EQ(at(counts.closed, errc::kicked).get(), 1);
  EXPECT_EQ(counts.discarded.get(), 1);
}

TEST_F(WsSessionTest, AGoodbyeNobodyAnswersEndsInAReset) {
  auto client = open();
  say_goodbye(errc::kicked);
  run();
  advance(4'500ms);
  EXPECT_FALSE(seen().gone);
  advance(1s);
  EXPECT_TRUE(seen().gone);
  EXPECT_EQ(seen().closed, only(errc::kicked));
  client.pull();
  EXPECT_TRUE(client.was_reset);
}

TEST_F(WsSessionTest, AGoodbyeReachesAPausedConnection) {
  desk.on_message = [](record&, inbound&) {};
  home.limits.inbound_messages_max = 1;
  auto client = open();
  for (int i = 0; i < 5; ++i)
    client.send_frame(test::opcode::text, "x");
  run();
  say_goodbye(errc::rate_limited);
  run();
  EXPECT_EQ(seen().received.size(), 1u);
  client.send_close();
  run();
  EXPECT_EQ(seen().closed, only(errc::peer_closed, 1000));
}

TEST_F(WsSessionTest, AHalfClosedClientIsGone) {
  auto client = open();
  client.send_frame(test::opcode::text, "last words");
  ::shutdown(client.fd, SHUT_WR);
  run();
  EXPECT_EQ(seen().received.size(), 1u);
  EXPECT_EQ(seen().closed, only(errc::peer_gone));
  EXPECT_TRUE(seen().gone);
}

TEST_F(WsSessionTest, AResetClientIsGone) {
  auto client = open();
  client.reset();
  run();
  EXPECT_EQ(seen().closed, only(errc::peer_gone));
  EXPECT_TRUE(seen().gone);
  EXPECT_EQ(at(counts.closed, errc::peer_gone).get(), 1);
}

TEST_F(WsSessionTest, AResetOfAPausedConnectionIsNoticed) {
  desk.on_message = [](record&, inbound&) {};
  home.limits.inbound_messages_max = 1;
  auto client = open();
  for (int i = 0; i < 5; ++i)
    client.send_frame(test::opcode::text, "x");
  run();
  client.reset();
  run();
  EXPECT_TRUE(seen().gone);
  seen().socket->taken(1);
  run();
}

TEST_F(WsSessionTest, ASlowConsumerGetsTheFrameInFlightAndAGoodbye) {
  send_buffer = 4096;
  auto client = open({}, 4096);
  std::vector<std::string> payloads;
  payloads.reserve(40);
  for (int i = 0; i < 40; ++i)
    payloads.emplace_back(300 + i, 'x');
  for (int i = 0; i < 100; ++i)
    append(text_block(payloads));
  run();
  auto stats = seen().socket->stats();
  EXPECT_GT(stats.bytes_queued, 500'000u);
  EXPECT_EQ(flow().queued(), stats.bytes_queued);
  say_goodbye(errc::slow_consumer);
  run();
  EXPECT_LT(seen().socket->stats().bytes_queued, 400u);
  EXPECT_LT(flow().queued(), 400u);
  run_until_read(client);
  auto texts = client.texts();
  for (std::size_t i = 0; i < texts.size(); ++i)
    ASSERT_EQ(texts[i].size(), 300 + i % 40);
  auto last = client.frame();
  ASSERT_TRUE(last) << "a torn frame";
  EXPECT_EQ(last->first, test::opcode::close);
  EXPECT_EQ(test::parse_close(last->second).code, 1013);
  EXPECT_EQ(client.unread, "");
  client.send_close();
  run();
  client.close();
  run();
  EXPECT_TRUE(seen().gone);
  EXPECT_EQ(texts.size() + static_cast<std::size_t>(counts.discarded.get()),
            4'000u);
}

TEST_F(WsSessionTest, AStalledClientThatIsEndedLeavesNothingBehind) {
  send_buffer = 4096;
  auto client = open({}, 4096);
  for (int i = 0; i < 100; ++i)
    append(text_block({std::string(5'000, 'x')}));
  run();
  say_goodbye(errc::shutdown); // everything is still to be sent
  advance(6s);
  EXPECT_TRUE(seen().gone);
  EXPECT_EQ(flow().queued(), 0u);
  EXPECT_GT(counts.discarded.get(), 50);
}

TEST_F(WsSessionTest, DroppedBlocksAreNotSent) {
  send_buffer = 4096;
  auto client = open({}, 4096);
  for (int i = 0; i < 100; ++i)
    append(text_block({std::string(5'000, 'x')}));
  run();
  auto dropped = seen().socket->drop_oldest(20'000, nullptr);
  EXPECT_GT(dropped, 50u);
  append(text_block({"newest"}));
  run_until_read(client);
  auto texts = client.texts();
  EXPECT_EQ(texts.size() + dropped, 101u);
  EXPECT_EQ(texts.back(), "newest");
}

TEST_F(WsSessionTest, AnExceptionInTheBrokerEndsOneConnection) {
  desk.on_message = [](record&, inbound&) { throw std::runtime_error("bug"); };
  auto client = open();
  client.send_frame(test::opcode::text, "x");
  run();
  EXPECT_TRUE(seen().gone);
  EXPECT_EQ(seen().closed, only(errc::fault));
  EXPECT_EQ(log.lines, std::vector<std::string>{"handler_failed"});
  client.pull();
  EXPECT_TRUE(client.was_reset);
}

TEST_F(WsSessionTest, TheBrokerMayEndTheConnectionWhileItReceives) {
  desk.on_message = [this](record& x, inbound& in) {
    if (in.bytes == "bye")
      say_goodbye(errc::kicked);
    else if (in.bytes == "gone")
      say_goodbye(errc::peer_gone);
    x.socket->taken(1);
  };
  auto client = open();
  client.send_frame(test::opcode::text, "gone");
  client.send_frame(test::opcode::text, "not read");
  run();
  EXPECT_TRUE(seen().gone);
  auto other = open();
  other.send_frame(test::opcode::text, "bye");
  other.send_frame(test::opcode::text, "not told");
  run();
  EXPECT_EQ(seen().received.size(), 1u);
  other.send_close();
  other.close();
  run();
  EXPECT_TRUE(seen().gone);
}

TEST_F(WsSessionTest, ALoopThatEndsClosesItsSessions) {
  auto one = open();
  append(text_block({"queued"}));
  auto two = connect();
  auto three = open();
  three.send_frame(test::opcode::text, "not read any more");
  loop.abandon_all();
  one.pull();
  EXPECT_TRUE(one.eof);
}

// -- time -----------------------------------------------------------------------

TEST_F(WsSessionTest, AnIdleClientIsPingedAndLivesByItsPongs) {
  auto client = open();
  int pings = 0;
  for (int i = 0; i < 300; ++i) {
    advance(1s);
    client.pull();
    while (auto x = client.frame()) {
      EXPECT_EQ(x->first, test::opcode::ping);
      ++pings;
      client.send_frame(test::opcode::pong, x->second);
    }
  }
  EXPECT_GE(pings, 11);
  EXPECT_LE(pings, 13);
  EXPECT_TRUE(seen().closed.empty());
}

TEST_F(WsSessionTest, AClientWithoutASignOfLifeIsGone) {
  auto client = open();
  advance(59s);
  EXPECT_TRUE(seen().closed.empty());
  advance(1'500ms);
  EXPECT_EQ(seen().closed, only(errc::no_sign_of_life));
  EXPECT_FALSE(seen().gone);
  say_goodbye(errc::no_sign_of_life);
  run();
  client.pull();
  std::string last;
  while (auto x = client.frame())
    last = x->second;
  EXPECT_EQ(test::parse_close(last).reason, "no_sign_of_life");
  advance(6s);
  EXPECT_TRUE(seen().gone);
}

TEST_F(WsSessionTest, AnEndThatNobodyAnswersToComesAllTheSame) {
  auto client = open();
  advance(66s);
  EXPECT_TRUE(seen().gone);
  EXPECT_EQ(seen().closed, only(errc::no_sign_of_life));
}

TEST_F(WsSessionTest, ADialectWithItsOwnPingIsLeftAlone) {
  dialect.pings = true;
  auto client = open();
  advance(55s);
  client.pull();
  EXPECT_EQ(client.unread, "");
}

TEST_F(WsSessionTest, ThePauseOfABusyBrokerIsNotTheClientsSilence) {
  desk.on_message = [](record&, inbound&) {};
  home.limits.inbound_messages_max = 1;
  auto client = open();
  client.send_frame(test::opcode::text, "x");
  client.send_frame(test::opcode::text, "y");
  run();
  advance(200s);
  EXPECT_TRUE(seen().closed.empty());
  seen().socket->taken(1);
  run();
  EXPECT_EQ(seen().received.size(), 2u);
  seen().socket->taken(1);
  advance(59s);
  EXPECT_TRUE(seen().closed.empty());
  advance(2s);
  EXPECT_EQ(seen().closed, only(errc::no_sign_of_life));
}

TEST_F(WsSessionTest, AClientThatTakesNothingIsStalled) {
  send_buffer = 4096;
  auto client = open({}, 4096);
  for (int i = 0; i < 200; ++i)
    append(text_block({std::string(5'000, 'x')}));
  run();
  advance(8s);
  client.pull(50'000); // progress: the limit begins anew
  run();
  advance(9s);
  EXPECT_TRUE(seen().closed.empty());
  advance(2s);
  EXPECT_EQ(seen().closed, only(errc::write_stalled));
  say_goodbye(errc::write_stalled);
  run();
  EXPECT_LT(seen().socket->stats().bytes_queued, 6'000u);
  advance(6s);
  EXPECT_TRUE(seen().gone);
  client.pull();
  EXPECT_TRUE(client.was_reset);
}

// epoll says that there is room when a third of the kernel's buffer is free: who
// reads little by little takes longer for that than a stall may last.
TEST_F(WsSessionTest, WhoReadsSlowlyIsNotStalled) {
  send_buffer = 512 * 1024;
  auto client = open({}, 32 * 1024);
  auto block = text_block({std::string(60'000, 'x')});
  for (int i = 0; i < 50; ++i) {
    append(block);
    run();
  }
  for (int i = 0; i < 5; ++i) {
    client.pull(40'000);
    run();
    advance(9s);
    EXPECT_TRUE(seen().closed.empty());
  }
  advance(12s);
  EXPECT_EQ(seen().closed, only(errc::write_stalled));
  say_goodbye(errc::write_stalled);
  advance(6s);
  EXPECT_TRUE(seen().gone);
}

// -- floods -----------------------------------------------------------------------

TEST_F(WsSessionTest, AFloodOfPongsLeavesTheLoopItsTurn) {
  auto client = open();
  test::frame_spec pong;
  pong.op = test::opcode::pong;
  std::string flood;
  while (flood.size() < 1'000'000)
    flood += test::make_frame(pong, std::string(120, 'x'));
  std::size_t sent = 0;
  std::uint64_t most = 0;
  for (int i = 0; i < 1000 && sent < flood.size(); ++i) {
    sent += client.send(std::string_view{flood}.substr(sent));
    auto before = seen().socket->stats().bytes_in;
    loop.timers().advance(clock);
    loop.poll();
    most = std::max(most, seen().socket->stats().bytes_in - before);
  }
  EXPECT_EQ(sent, flood.size());
  run();
  EXPECT_GE(seen().socket->stats().bytes_in, flood.size());
  EXPECT_LE(most, 64u * 1024 + 20'000); // and the last read of it
  // The broker knows, and may charge for it.
  EXPECT_GT(seen().beside, flood.size() - 100'000);
  EXPECT_LE(seen().beside, flood.size() + 1000);
  client.close();
  run();
}

TEST_F(WsSessionTest, MessagesAreNotWhatComesBesideThem) {
  auto client = open();
  for (int i = 0; i < 200; ++i) {
    client.send_frame(test::opcode::binary, std::string(10'000, 'x'));
    run();
  }
  EXPECT_EQ(seen().received.size(), 200u);
  EXPECT_EQ(seen().beside, 0u);
  client.close();
  run();
}

TEST_F(WsSessionTest, ALateEndDoesNotMeetADescriptorOfSomebodyElse) {
  auto one = open();
  auto first = desk.records.size() - 1;
  one.reset();
  run();
  auto two = open(); // most likely with the same number
  auto& dead = *desk.records[first]->socket;
  dead.close({errc::kicked, 1008, "kicked", {}});
  dead.taken(1);
  dead.refuse(errc::fault);
  run();
  two.send_frame(test::opcode::text, "alive");
  run();
  EXPECT_EQ(seen().received.size(), 1u);
}
