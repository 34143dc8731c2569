#include "net/listener.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "test/support/http_rig.hpp"

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;
using testing::AnyOf;
using testing::HasSubstr;

namespace {

struct ListenerTest : testing::Test, http_rig {
  std::string error_of_start() {
    try {
      start();
    } catch (const std::exception& x) {
      return x.what();
    }
    return "none";
  }

  bool all_closed() {
    return eventually([this] { return open_sockets() == 0; });
  }

  bool answers(const std::string& host) {
    try {
      http_client c{{.host = host, .port = port()}};
      return c.get("/health").status == 200;
    } catch (const std::exception&) {
      return false;
    }
  }
};

bool has_ipv6() {
  unique_fd fd{::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in6 x{};
  x.sin6_family = AF_INET6;
  x.sin6_addr = in6addr_loopback;
  return fd
         && ::bind(fd.get(), reinterpret_cast<sockaddr*>(&x), sizeof(x)) == 0;
}

// This process's end of a connection, by the port of the other end.
int accepted_fd(std::uint16_t peer_port) {
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_in peer{};
    socklen_t size = sizeof(peer);
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0
        && ntohs(peer.sin_port) == peer_port)
      return fd;
  }
  return -1;
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  ::getsockopt(fd, level, name, &value, &size);
  return value;
}

// Lets the process open no more descriptors.
class descriptor_famine {
public:
  descriptor_famine() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    auto now = before_;
    // The lowest free one is the first that is forbidden.
    int free = ::dup(0);
    ::close(free);
    now.rlim_cur = static_cast<rlim_t>(free);
    ::setrlimit(RLIMIT_NOFILE, &now);
  }

  ~descriptor_famine() { end(); }

  void end() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
  rlimit before_{};
};

} // namespace

// -- binding --------------------------------------------------------------------------

TEST_F(ListenerTest, AFreePortIsChosenAndTold) {
  start();
  EXPECT_NE(port(), 0);
  EXPECT_TRUE(answers("127.0.0.1"));
}

TEST_F(ListenerTest, ATakenPortIsOneClearLine) {
  http_rig first;
  first.start();
  listening.port = first.port();
  EXPECT_EQ(error_of_start(),
            "cannot listen on 127.0.0.1:" + std::to_string(first.port())
              + ": Address already in use");
}

TEST_F(ListenerTest, AnAddressOfSomebodyElseIsOneClearLine) {
  listening.bind = "192.0.2.1";
  EXPECT_EQ(error_of_start(),
            "cannot listen on 192.0.2.1:0: Cannot assign requested address");
}

TEST_F(ListenerTest, WhatIsNoAddressIsRefusedByName) {
  for (auto text : {"", "example.test", "127.0.0.1:80", "[127.0.0.1"}) {
    listening.bind = text;
    EXPECT_THAT(error_of_start(), HasSubstr(text));
    EXPECT_THAT(error_of_start(), HasSubstr("not an address"));
  }
}

TEST_F(ListenerTest, WrongOptionsAreRefusedByName) {
  listening.trusted_proxies = {"10.0.0.0/8", "10.0.0.0/99"};
  EXPECT_THROW(start(), std::invalid_argument);
  EXPECT_THAT(error_of_start(), HasSubstr("10.0.0.0/99"));
  listening.trusted_proxies = {};
  http.origins = {"example.test"};
  EXPECT_THAT(error_of_start(), HasSubstr("example.test"));
}

TEST_F(ListenerTest, IPv6IsListenedOn) {
  if (!has_ipv6())
    GTEST_SKIP() << "no IPv6 here";
  listening.bind = "::1";
  start();
  EXPECT_TRUE(answers("::1"));
  EXPECT_FALSE(answers("127.0.0.1"));
}

TEST_F(ListenerTest, EveryAddressIsIPv4AsWell) {
  if (!has_ipv6())
    GTEST_SKIP() << "no IPv6 here";
  listening.bind = "[::]";
  start();
  EXPECT_TRUE(answers("::1"));
  EXPECT_TRUE(answers("127.0.0.1"));
  auto c = ws_client::connect(ws());
  EXPECT_EQ(desk.guests().back().address, "127.0.0.1");
}

TEST_F(ListenerTest, LocalhostIsBothLoopbackAddresses) {
  listening.bind = "localhost";
  start();
  EXPECT_TRUE(answers("127.0.0.1"));
  EXPECT_EQ(answers("::1"), has_ipv6());
}

// -- connections ------------------------------------------------------------------------

TEST_F(ListenerTest, ConnectionsAreMadeForSmallFrames) {
  session.send_buffer_bytes = 100'000;
  start();
  auto c = client();
  ASSERT_EQ(c.get("/health").status, 200);
  auto fd = accepted_fd(c.stream().local_port());
  ASSERT_GE(fd, 0);
  EXPECT_NE(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
  EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 60'000);
  EXPECT_EQ(option(fd, SOL_SOCKET, SO_SNDBUF), 200'000)
    << "Linux doubles it, for its own books";
  EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(ListenerTest, ConnectionsStayAtTheDoorUntilTheyHaveAHome) {
  start(2);
  desk.home = 1;
  auto watched = [&](std::size_t i) {
    return loop(i).call([&] { return loop(i).loop().watched(); });
  };
  auto before = watched(0); // the door
  auto a = client();
  EXPECT_EQ(a.get("/health").status, 200);
  EXPECT_EQ(watched(0), before + 1);
  EXPECT_EQ(watched(1), 0u);
  auto b = ws_client::connect(ws());
  EXPECT_EQ(watched(0), before + 1);
  EXPECT_EQ(watched(1), 1u);
}

TEST_F(ListenerTest, ComingAndGoingLeavesNothingBehind) {
  start(2);
  for (int i = 0; i < 300; ++i) {
    auto c = client();
    c.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    if (i % 3 == 0) {
      c.stream().reset();
    } else if (i % 3 == 1) {
      EXPECT_EQ(c.receive().status, 200);
    }
  }
  // The last one may still be in the backlog: nothing is open then, either.
  EXPECT_TRUE(
    eventually([&] { return counts.connections_opened.get() == 300; }));
  EXPECT_TRUE(all_closed());
  EXPECT_EQ(loop(1).call([&] { return loop(1).loop().watched(); }), 0u);
}

TEST_F(ListenerTest, AStopClosesTheDoor) {
  start();
  auto c = ws_client::connect(ws());
  door().stop();
  door().stop();
  EXPECT_TRUE(eventually([&] { return !answers("127.0.0.1"); }));
  c.send_text("still here");
  EXPECT_EQ(c.receive_text(), "still here");
}

TEST_F(ListenerTest, WebSocketsMayOutliveTheListener) {
  start(2);
  auto a = ws_client::connect(ws());
  desk.home = 1;
  auto b = ws_client::connect(ws());
  EXPECT_EQ(open_sockets(), 2);
  stop_loops(); // the listener first
  EXPECT_EQ(open_sockets(), 0);
}

// -- limits -------------------------------------------------------------------------------

TEST_F(ListenerTest, SocketsBeyondTheLimitAreToldToComeBack) {
  listening.connections_max = 2;
  start();
  auto a = ws_client::connect(ws());
  auto b = ws_client::connect(ws());
  auto x = ws_client::expect_refusal(ws());
  EXPECT_EQ(x.status, 503);
  EXPECT_EQ(x.body, "{\"error\":\"connection_limit\"}\n");
  EXPECT_THAT(x.header("Retry-After").value_or(""),
              AnyOf("1", "2", "3", "4", "5"));
  EXPECT_EQ(x.header("Connection"), "close");
  EXPECT_EQ(refused(errc::connection_limit), 1);
  a.drop();
  EXPECT_TRUE(eventually([&] {
    return std::holds_alternative<ws_client>(ws_client::try_connect(ws()));
  }));
}

TEST_F(ListenerTest, AFullHouseStillSaysThatItLives) {
  listening.connections_max = 1;
  start();
  auto a = ws_client::connect(ws());
  auto c = client();
  auto x = c.get("/health");
  EXPECT_EQ(x.status, 200);
  EXPECT_EQ(x.header("Connection"), "close");
  c.expect_eof();
}

TEST_F(ListenerTest, WhoSaysNothingIsRefusedSoon) {
  listening.connections_max = 1;
  start();
  auto a = ws_client::connect(ws());
  auto c = client();
  ASSERT_TRUE(eventually([&] { return open_sockets() == 2; }));
  advance(2'100ms);
  EXPECT_EQ(c.receive().status, 503);
  c.expect_eof();
}

TEST_F(ListenerTest, RefusalsAreBoundedToo) {
  listening.connections_max = 1;
  start();
  auto a = ws_client::connect(ws());
  std::vector<http_client> waiting;
  for (int i = 0; i < 256; ++i)
    waiting.push_back(client());
  ASSERT_TRUE(eventually([&] { return open_sockets() == 257; }));
  auto c = client();
  c.expect_eof(); // without a word
  EXPECT_EQ(refused(errc::connection_limit), 1);
}

TEST_F(ListenerTest, OneAddressMayHaveSoMany) {
  listening.connections_per_address_max = 2;
  start();
  auto from = [&](const std::string& address) {
    auto options = ws();
    options.local_address = address;
    return options;
  };
  auto a = ws_client::connect(from("127.0.0.2"));
  auto b = ws_client::connect(from("127.0.0.2"));
  EXPECT_EQ(ws_client::expect_refusal(from("127.0.0.2")).body,
            "{\"error\":\"address_limit\"}\n");
  auto c = ws_client::connect(from("127.0.0.3"));
  EXPECT_EQ(refused(errc::address_limit), 1);
}

// -- out of descriptors -----------------------------------------------------------------------

TEST_F(ListenerTest, WithoutDescriptorsItPausesAndDoesNotSpin) {
  listening.accept_backoff = 10s;
  start();
  ASSERT_TRUE(answers("127.0.0.1")); // everything is loaded that needs files
  ASSERT_TRUE(all_closed());
  unique_fd late{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  descriptor_famine famine;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(late.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)),
            0)
    << "the kernel takes it into the backlog";
  ASSERT_TRUE(eventually([&] { return counts.accept_backoffs.get() == 1; }));
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(counts.accept_backoffs.get(), 1);
  advance(9s);
  EXPECT_EQ(counts.accept_backoffs.get(), 1);
  advance(1'100ms);
  EXPECT_EQ(counts.accept_backoffs.get(), 2);
  EXPECT_EQ(open_sockets(), 0);
  famine.end();
  // Nothing new arrives: it has to think of it itself.
  advance(10'100ms);
  EXPECT_TRUE(eventually([&] { return open_sockets() == 1; }));
  tcp_stream stream{std::move(late)};
  stream.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n", deadline{5s}, false);
  EXPECT_EQ(read_response(stream, deadline{5s}).status, 200);
}

TEST_F(ListenerTest, OnePauseAfterTheOtherIsOneLine) {
  listening.accept_backoff = 1s;
  start();
  ASSERT_TRUE(answers("127.0.0.1"));
  ASSERT_TRUE(all_closed());
  unique_fd late{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  descriptor_famine famine;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(late.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)),
            0);
  ASSERT_TRUE(eventually([&] { return counts.accept_backoffs.get() == 1; }));
  for (int i = 0; i < 5; ++i)
    advance(1'100ms);
  EXPECT_GE(counts.accept_backoffs.get(), 5);
  famine.end();
  ASSERT_EQ(log.lines("accept_paused").size(), 1u);
  EXPECT_EQ(log.lines("accept_paused")[0], "why=Too many open files");
}
