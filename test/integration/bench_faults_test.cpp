#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/commands/bench.hpp"
#include "app/commands/bench/run.hpp"
#include "test/support/tcp.hpp"
#include "test/support/ws_wire.hpp"

// `greenroom bench` against a relay that breaks one rule on purpose: it must find
// exactly that fault, and nothing where there is none.

using namespace greenroom;
using namespace greenroom::client;
using namespace std::chrono_literals;

namespace {

enum class flaw {
  none,
  lose,     ///< one member does not get every tenth message
  lose_all, ///< nobody gets every tenth message
  repeat,   ///< one member gets every tenth message twice
  swap,     ///< one member gets two messages of a publisher in exchanged order
  cross,    ///< one member gets two publishers' messages in exchanged order
  misroute, ///< every tenth message also reaches a member of another room
  change_head, ///< a byte among the first 32 is another one, for one member
  change_body, ///< a byte behind them
  cut,         ///< the last byte is missing, for one member
  kind,        ///< text arrives as binary, at one member
  split,     ///< no fault: fragments, pings between them, a few bytes at a time
  no_echo,   ///< no fault: publishers do not get their own
  strangers, ///< no fault: somebody else talks in between
  late_join, ///< no fault: members are joined by their first ping only
  break_off, ///< a connection is cut in the middle
  kick,      ///< a connection gets a close frame in the middle
  refuse,    ///< every second handshake gets 503
  mask,      ///< frames are masked, against the rules
  deaf,      ///< handshakes only
  no_goodbye, ///< close frames are not answered
};

/// A relay with rooms by path, in one thread: every message to every member.
class flawed_relay {
public:
  explicit flawed_relay(flaw what) : flaw_(what) {
    listener_ = test::unique_fd{
      ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto name = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_.get(), name, size), 0);
    EXPECT_EQ(::listen(listener_.get(), 128), 0);
    EXPECT_EQ(::getsockname(listener_.get(), name, &size), 0);
    port_ = ntohs(address.sin_port);
    std::array<int, 2> ends;
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    stop_watch_ = test::unique_fd{ends[0]};
    stop_ = test::unique_fd{ends[1]};
    thread_ = std::thread{[this] { run(); }};
  }

  ~flawed_relay() {
    stop_.reset();
    thread_.join();
  }

  flawed_relay(const flawed_relay&) = delete;
  flawed_relay& operator=(const flawed_relay&) = delete;

  std::string url() const {
    return fmt::format("ws://127.0.0.1:{}/room/{{room}}", port_);
  }

private:
  struct client {
    test::unique_fd fd;
    std::string in;
    std::string out;
    std::string room; ///< empty before the handshake
  };

  struct room_state {
    std::vector<int> members; ///< descriptors, in the order of their coming
    std::uint64_t messages = 0;
    std::string held;   ///< the one that is delivered late
    int held_from = -1; ///< whose it is
  };

  void run() {
    for (;;) {
      std::vector<pollfd> waits{{stop_watch_.get(), POLLIN, 0},
                                {listener_.get(), POLLIN, 0}};
      for (auto& [fd, x] : clients_)
        waits.push_back(
          {fd, static_cast<short>(x.out.empty() ? POLLIN : POLLIN | POLLOUT),
           0});
      if (::poll(waits.data(), waits.size(), -1) < 0 || waits[0].revents != 0)
        return;
      if (waits[1].revents != 0)
        accept();
      for (std::size_t i = 2; i < waits.size(); ++i)
        if (waits[i].revents != 0 && !serve(waits[i].fd))
          drop(waits[i].fd);
    }
  }

  void accept() {
    test::unique_fd fd{::accept4(listener_.get(), nullptr, nullptr,
                                 SOCK_CLOEXEC | SOCK_NONBLOCK)};
    auto number = fd.get();
    int one = 1;
    ::setsockopt(number, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (fd)
      clients_[number].fd = std::move(fd);
  }

  void drop(int fd) {
    auto found = clients_.find(fd);
    if (found == clients_.end())
      return;
    std::erase(rooms_[found->second.room].members, fd);
    clients_.erase(found);
  }

  void flush(client& to) {
    while (!to.out.empty()) {
      // Where frames are to be torn, a few bytes at a time.
      auto size = flaw_ == flaw::split ? std::min<std::size_t>(to.out.size(), 7)
                                       : to.out.size();
      auto n =
        ::send(to.fd.get(), to.out.data(), size, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n <= 0)
        return;
      to.out.erase(0, static_cast<std::size_t>(n));
    }
  }

  void say(int to, std::string bytes) {
    auto found = clients_.find(to);
    if (found == clients_.end())
      return;
    found->second.out += bytes;
    flush(found->second);
  }

  /// @returns whether the connection goes on
  bool serve(int fd) {
    auto found = clients_.find(fd);
    if (found == clients_.end())
      return true;
    auto& x = found->second;
    flush(x);
    std::array<char, 65536> buffer;
    auto n = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN))
      return false;
    if (n < 0)
      return true;
    x.in.append(buffer.data(), static_cast<std::size_t>(n));
    if (x.room.empty() && !shake(fd, x))
      return x.in.size() < 4096 && !x.in.empty();
    return take_frames(fd);
  }

  /// @returns whether it is a member now
  bool shake(int fd, client& x) {
    if (x.in.find("\r\n\r\n") == std::string::npos)
      return false;
    constexpr std::string_view name = "Sec-WebSocket-Key: ";
    auto key = x.in.substr(x.in.find(name) + name.size(), 24);
    auto path = x.in.substr(4, x.in.find(' ', 4) - 4);
    x.in.clear();
    if (flaw_ == flaw::refuse && ++handshakes_ % 2 == 0) {
      say(fd, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\n"
              "room_full");
      return false;
    }
    say(fd, fmt::format("HTTP/1.1 101 Switching Protocols\r\n"
                        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: {}\r\n\r\n",
                        test::accept_for(key)));
    x.room = path;
    if (flaw_ == flaw::late_join)
      say(fd, frame(test::opcode::ping, ""));
    else
      rooms_[path].members.push_back(fd);
    return true;
  }

  bool take_frames(int fd) {
    for (;;) {
      auto& x = clients_.at(fd);
      auto header = test::parse_frame_header(x.in);
      if (!header || x.in.size() < header->header_size + header->length)
        return true;
      auto payload = x.in.substr(header->header_size, header->length);
      x.in.erase(0, header->header_size + header->length);
      EXPECT_TRUE(header->masked); // RFC 6455 §5.1
      test::apply_mask(payload, header->mask_key);
      switch (header->op) {
        case test::opcode::close:
          if (flaw_ == flaw::no_goodbye)
            break;
          say(fd, frame(test::opcode::close, payload));
          return false;
        case test::opcode::ping:
          say(fd, frame(test::opcode::pong, payload));
          break;
        case test::opcode::pong:
          if (flaw_ == flaw::late_join)
            rooms_[x.room].members.push_back(fd);
          break;
        default:
          if (!publish(fd, x.room, header->op, payload))
            return false;
      }
    }
  }

  std::string frame(test::opcode op, std::string_view payload,
                    bool fin = true) const {
    return test::make_frame(
      {.op = op, .fin = fin, .masked = flaw_ == flaw::mask}, payload);
  }

  /// @returns whether the publisher's connection goes on
  bool publish(int from, const std::string& name, test::opcode op,
               const std::string& payload) {
    auto& room = rooms_[name];
    ++room.messages;
    if (flaw_ == flaw::deaf)
      return true;
    // The first one is the warm-up; what is planted lies behind it.
    auto tenth = room.messages % 10 == 5;
    auto members = room.members;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (flaw_ == flaw::no_echo && members[i] == from)
        continue;
      if (i == 1 || flaw_ == flaw::lose_all || flaw_ == flaw::split
          || flaw_ == flaw::strangers)
        deliver_flawed(members[i], from, room, op, payload, tenth);
      else
        say(members[i], frame(op, payload));
    }
    if (tenth && flaw_ == flaw::misroute)
      for (auto& [other, state] : rooms_)
        if (other != name && !state.members.empty())
          say(state.members.back(), frame(op, payload));
    if (room.messages == 50 && members.size() > 2) {
      if (flaw_ == flaw::break_off)
        drop(members[2]);
      if (flaw_ == flaw::kick)
        say(members[2], frame(test::opcode::close,
                              test::close_payload(1008, "slow_consumer")));
    }
    return true;
  }

  void deliver_flawed(int to, int from, room_state& room, test::opcode op,
                      std::string payload, bool tenth) {
    auto good = frame(op, payload);
    switch (flaw_) {
      case flaw::lose:
      case flaw::lose_all:
        if (!tenth)
          say(to, good);
        return;
      case flaw::repeat:
        say(to, tenth ? good + good : good);
        return;
      case flaw::swap:
      case flaw::cross:
        // Held back until the next one has gone.
        if (tenth) {
          room.held = good;
          room.held_from = from;
          return;
        }
        // Exchanged are messages of one publisher or of two, as asked for.
        if ((room.held_from == from) == (flaw_ == flaw::swap))
          say(to, good + std::exchange(room.held, {}));
        else
          say(to, std::exchange(room.held, {}) + good);
        return;
      case flaw::change_head:
        if (tenth)
          payload[20] = payload[20] == 'A' ? 'B' : 'A';
        break;
      case flaw::change_body:
        if (tenth)
          payload[100] = payload[100] == 'A' ? 'B' : 'A';
        break;
      case flaw::cut:
        if (tenth)
          payload.pop_back();
        break;
      case flaw::kind:
        if (tenth)
          op = test::opcode::binary;
        break;
      case flaw::split:
        say(to,
            frame(op, payload.substr(0, 3), false)
              + frame(test::opcode::ping, "between")
              + frame(test::opcode::continuation, payload.substr(3, 50), false)
              + frame(test::opcode::continuation, payload.substr(53)));
        return;
      case flaw::strangers:
        say(to, frame(op, "hello everybody") + good);
        return;
      default:
        break;
    }
    say(to, frame(op, payload));
  }

  flaw flaw_;
  test::unique_fd listener_;
  test::unique_fd stop_;
  test::unique_fd stop_watch_;
  std::uint16_t port_ = 0;
  std::map<int, client> clients_;
  std::map<std::string, room_state> rooms_;
  int handshakes_ = 0;
  std::thread thread_;
};

/// Half a second of a fan-out: 200 messages to 5 members.
bench_request fanout() {
  bench_request x;
  x.plan = {1, 5, 1};
  x.rate = 400;
  x.duration = 500ms;
  return x;
}

bench_result measure(flaw what, bench_request request = fanout()) {
  flawed_relay relay{what};
  request.url = relay.url();
  auto got = run_bench(request);
  EXPECT_TRUE(got) << got.error().detail;
  return got ? std::move(*got) : bench_result{};
}

/// How many of n messages, behind the one that warmed up, are flawed.
std::uint64_t tenths(std::uint64_t published) {
  std::uint64_t n = 0;
  for (std::uint64_t i = 2; i <= published + 1; ++i)
    n += i % 10 == 5 ? 1 : 0;
  return n;
}

std::string complaint(const bench_result& x) {
  return x.complaints.empty() ? "" : x.complaints.begin()->first;
}

} // namespace

// -- honest relays ------------------------------------------------------------------

TEST(BenchFaultsTest, AnHonestRelayPasses) {
  auto x = measure(flaw::none);
  EXPECT_TRUE(x.good());
  EXPECT_EQ(x.opened, 5u);
  EXPECT_EQ(x.expected, 5 * x.published);
  EXPECT_EQ(x.delivered, x.expected);
  EXPECT_EQ(x.latency.count(), x.delivered);
  EXPECT_EQ(x.send_lag.count(), x.published);
  EXPECT_TRUE(x.echo);
}

TEST(BenchFaultsTest, AnHonestRelayPassesWithAWindow) {
  auto request = fanout();
  request.rate = 0;
  request.window = 8;
  request.size = 1000;
  request.binary = true;
  auto x = measure(flaw::none, request);
  EXPECT_TRUE(x.good());
  EXPECT_GT(x.published, 10u);
  EXPECT_EQ(x.delivered, x.published * 5);
}

TEST(BenchFaultsTest, ManyRoomsWhereEverybodyTalksPass) {
  auto request = fanout();
  request.what = workload::rooms;
  request.plan = {8, 4, 4};
  auto x = measure(flaw::none, request);
  EXPECT_TRUE(x.good());
  EXPECT_EQ(x.opened, 32u);
  EXPECT_EQ(x.delivered, 4 * x.published);
}

TEST(BenchFaultsTest, PingPasses) {
  auto request = fanout();
  request.what = workload::ping;
  request.plan = {1, 2, 2};
  request.rate = 0;
  request.window = 1;
  auto x = measure(flaw::none, request);
  EXPECT_TRUE(x.good());
  EXPECT_GT(x.published, 10u);
  EXPECT_EQ(x.delivered, x.published * 2);
  EXPECT_EQ(x.latency.count(), x.published); // the way to the other one
}

TEST(BenchFaultsTest, IdlePasses) {
  auto request = fanout();
  request.what = workload::idle;
  request.plan = {3, 1, 1};
  request.connections = 30;
  request.server_pids = {::getpid()};
  auto x = measure(flaw::none, request);
  EXPECT_TRUE(x.good());
  EXPECT_EQ(x.opened, 30u);
  EXPECT_EQ(x.alive, 30u);
  ASSERT_TRUE(x.server);
  EXPECT_GE(x.server->end.fds, x.server->before.fds + 60); // both ends
}

TEST(BenchFaultsTest, ChurnPasses) {
  auto request = fanout();
  request.what = workload::churn;
  request.plan = {3, 1, 1};
  request.connections = 10;
  auto x = measure(flaw::none, request);
  EXPECT_TRUE(x.good());
  EXPECT_GT(x.cycles, 10u);
  EXPECT_EQ(x.cycles, x.opened);
  EXPECT_EQ(x.cycle_time.count(), x.cycles);
}

TEST(BenchFaultsTest, FragmentsPingsAndTornFramesAreNoFault) {
  auto x = measure(flaw::split);
  EXPECT_TRUE(x.good());
  EXPECT_EQ(x.delivered, 5 * x.published);
}

TEST(BenchFaultsTest, ARelayWithoutEchoIsNoFault) {
  auto x = measure(flaw::no_echo);
  EXPECT_TRUE(x.good());
  EXPECT_FALSE(x.echo);
  EXPECT_EQ(x.expected, 4 * x.published);
  EXPECT_EQ(x.delivered, x.expected);
}

TEST(BenchFaultsTest, MessagesOfOthersAreCountedAndNoFault) {
  auto x = measure(flaw::strangers);
  EXPECT_TRUE(x.good());
  EXPECT_GE(x.foreign, x.delivered);
  EXPECT_EQ(x.delivered, 5 * x.published);
}

TEST(BenchFaultsTest, MembersThatJoinAfterTheHandshakeAreWaitedFor) {
  auto x = measure(flaw::late_join);
  EXPECT_TRUE(x.good());
  EXPECT_EQ(x.delivered, 5 * x.published);
}

// -- flawed ones ----------------------------------------------------------------------

TEST(BenchFaultsTest, ALossIsFound) {
  auto x = measure(flaw::lose);
  EXPECT_FALSE(x.good());
  EXPECT_EQ(x.faults.lost, tenths(x.published));
  EXPECT_EQ(x.faults.all(), x.faults.lost);
  EXPECT_EQ(x.delivered, x.expected - x.faults.lost);
}

TEST(BenchFaultsTest, ALossForEverybodyIsFound) {
  auto x = measure(flaw::lose_all);
  EXPECT_EQ(x.faults.lost, 5 * tenths(x.published));
  EXPECT_EQ(x.faults.all(), x.faults.lost);
}

TEST(BenchFaultsTest, ALossDoesNotStopAWindow) {
  auto request = fanout();
  request.rate = 0;
  request.window = 4;
  auto x = measure(flaw::lose, request);
  EXPECT_EQ(x.faults.lost, tenths(x.published));
  EXPECT_EQ(x.faults.all(), x.faults.lost);
  EXPECT_GT(x.published, 10u);
}

TEST(BenchFaultsTest, ARepetitionIsFound) {
  auto x = measure(flaw::repeat);
  EXPECT_FALSE(x.good());
  EXPECT_EQ(x.faults.repeated, tenths(x.published));
  EXPECT_EQ(x.faults.all(), x.faults.repeated);
  EXPECT_EQ(x.delivered, x.expected);
}

TEST(BenchFaultsTest, AnExchangeIsFound) {
  auto x = measure(flaw::swap);
  EXPECT_FALSE(x.good());
  // One that is held back in the end never comes.
  EXPECT_LE(x.faults.lost, 1u);
  EXPECT_EQ(x.faults.reordered + x.faults.lost, tenths(x.published));
  EXPECT_EQ(x.faults.all(), x.faults.reordered + x.faults.lost);
}

TEST(BenchFaultsTest, AnExchangeBetweenPublishersIsFound) {
  auto request = fanout();
  request.plan = {1, 5, 2};
  auto x = measure(flaw::cross, request);
  EXPECT_FALSE(x.good());
  // One member has seen another order than the rest, if it has seen all.
  EXPECT_EQ(x.faults.divergent + x.faults.lost, 1u);
  EXPECT_EQ(x.faults.all(), 1u);
}

TEST(BenchFaultsTest, AMessageInAWrongRoomIsFound) {
  auto request = fanout();
  request.what = workload::rooms;
  request.plan = {2, 3, 3};
  auto x = measure(flaw::misroute, request);
  EXPECT_FALSE(x.good());
  EXPECT_EQ(x.faults.misrouted,
            tenths((x.published + 1) / 2) + tenths(x.published / 2));
  EXPECT_EQ(x.faults.all(), x.faults.misrouted);
}

TEST(BenchFaultsTest, ChangesAreFound) {
  for (auto what :
       {flaw::change_head, flaw::change_body, flaw::cut, flaw::kind}) {
    auto x = measure(what);
    EXPECT_FALSE(x.good());
    EXPECT_EQ(x.faults.corrupt, tenths(x.published));
    EXPECT_EQ(x.faults.lost, x.faults.corrupt); // it has not come as it was
    EXPECT_EQ(x.faults.all(), 2 * x.faults.corrupt);
  }
}

TEST(BenchFaultsTest, ABrokenConnectionIsFound) {
  auto x = measure(flaw::break_off);
  EXPECT_FALSE(x.good());
  EXPECT_EQ(x.dropped, 1u);
  EXPECT_GT(x.faults.lost, 0u); // it missed the rest
  EXPECT_NE(complaint(x), "");
}

TEST(BenchFaultsTest, AKickedMemberIsFoundAndTheCodeTold) {
  auto x = measure(flaw::kick);
  EXPECT_FALSE(x.good());
  EXPECT_EQ(x.dropped, 1u);
  EXPECT_EQ(complaint(x), "closed by the server: 1008 slow_consumer");
}

TEST(BenchFaultsTest, RefusalsAreFoundAndTheirReasonTold) {
  auto x = measure(flaw::refuse);
  EXPECT_FALSE(x.good());
  EXPECT_EQ(x.refused, 2u);
  EXPECT_EQ(x.opened, 3u);
  EXPECT_EQ(complaint(x), "503 Service Unavailable: room_full");
}

TEST(BenchFaultsTest, BrokenFramesAreFound) {
  auto x = measure(flaw::mask);
  EXPECT_FALSE(x.good());
  EXPECT_EQ(x.dropped, 5u);
  EXPECT_NE(complaint(x).find("a masked frame"), std::string::npos);
}

TEST(BenchFaultsTest, ARelayThatRelaysNothingIsFound) {
  auto request = fanout();
  request.warm_up_timeout = 300ms;
  auto x = measure(flaw::deaf, request);
  EXPECT_FALSE(x.good());
  EXPECT_EQ(x.unreached, 4u);
  EXPECT_EQ(x.faults.lost, 4 * x.published);
}

TEST(BenchFaultsTest, MissingAnswersToCloseFramesAreFound) {
  auto request = fanout();
  request.what = workload::churn;
  request.plan = {1, 1, 1};
  request.connections = 3;
  auto x = measure(flaw::no_goodbye, request);
  EXPECT_FALSE(x.good());
  EXPECT_EQ(x.unanswered, 3u);
}

TEST(BenchFaultsTest, TheExitStatusTellsFaultsFromNone) {
  auto status = [](flaw what) {
    flawed_relay relay{what};
    std::vector<std::string> args{relay.url(), "--members",  "5",   "--rate",
                                  "400",       "--duration", "0.3", "--json"};
    ::testing::internal::CaptureStdout();
    auto result = bench_command(args);
    auto text = ::testing::internal::GetCapturedStdout();
    EXPECT_NE(text.find(result == 0 ? "\"passed\": true" : "\"passed\": false"),
              std::string::npos)
      << text;
    return result;
  };
  EXPECT_EQ(status(flaw::none), 0);
  EXPECT_EQ(status(flaw::lose), 1);
  EXPECT_EQ(status(flaw::repeat), 1);
  EXPECT_EQ(status(flaw::swap), 1);
}
