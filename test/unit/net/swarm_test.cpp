// The swarm of the tests, against a broker of a few lines.

#include "test/support/plain_server.hpp"
#include "test/support/swarm_thread.hpp"
#include "test/support/verifier.hpp"

#include <array>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

/// A broker in one thread: what comes in at a path goes to all at this path. A
/// text "bye" is answered with close 1013, a text "die" with a reset, a text
/// "lie" with a frame that is wrong.
class tiny_broker {
public:
  tiny_broker() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in self = {};
    self.sin_family = AF_INET;
    self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(self);
    auto* address = reinterpret_cast<sockaddr*>(&self);
    std::array<int, 2> ends;
    if (::bind(listener_.get(), address, size) != 0
        || ::listen(listener_.get(), 4096) != 0
        || ::getsockname(listener_.get(), address, &size) != 0
        || ::pipe2(ends.data(), O_CLOEXEC) != 0)
      throw std::runtime_error("no listener");
    port_ = ntohs(self.sin_port);
    stop_watch_ = unique_fd{ends[0]};
    stop_ = unique_fd{ends[1]};
    thread_ = std::thread{[this] { run(); }};
  }

  ~tiny_broker() {
    stop_.reset();
    thread_.join();
  }

  std::uint16_t port() const { return port_; }

private:
  struct connection {
    tcp_stream stream;
    std::string path;
    bool close_sent = false;
    bool gone = false;
  };

  void run() {
    for (;;) {
      std::vector<pollfd> entries{{stop_watch_.get(), POLLIN, 0},
                                  {listener_.get(), POLLIN, 0}};
      for (auto& who : connections_)
        entries.push_back({who.stream.fd(), POLLIN, 0});
      ::poll(entries.data(), entries.size(), -1);
      if (entries[0].revents != 0)
        return;
      for (std::size_t i = 2; i < entries.size(); ++i) {
        if (entries[i].revents != 0)
          serve(connections_[i - 2]);
      }
      std::erase_if(connections_, [](auto& who) { return who.gone; });
      if (entries[1].revents != 0)
        accept();
    }
  }

  void accept() {
    unique_fd fd{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    connections_.push_back({tcp_stream{std::move(fd)}, {}});
  }

  void serve(connection& who) {
    try {
      if (!who.stream.fill(deadline{10s})) {
        who.gone = true;
      } else if (who.path.empty()) {
        auto request = accept_handshake(who.stream);
        who.path = request.substr(4, request.find(' ', 4) - 4);
      }
      while (!who.gone && take_frame(who)) {
        // Everything that has arrived.
      }
    } catch (const std::exception&) {
      who.gone = true;
    }
  }

  bool take_frame(connection& who) {
    auto bytes = who.stream.unread();
    auto header = parse_frame_header(bytes);
    if (!header || bytes.size() < header->header_size + header->length)
      return false;
    std::string payload{bytes.substr(header->header_size, header->length)};
    who.stream.consume(header->header_size + header->length);
    apply_mask(payload, header->mask_key);
    frame_spec spec{.op = header->op, .fin = header->fin, .masked = false};
    deadline until{10s};
    if (spec.op == opcode::close) {
      if (!who.close_sent)
        who.stream.send(make_frame(spec, payload), until, false);
      who.gone = true;
    } else if (is_control(spec.op)) {
      return true; // not relayed
    } else if (payload == "bye") {
      spec.op = opcode::close;
      auto words = close_payload(1013, "slow");
      who.stream.send(make_frame(spec, words), until, false);
      who.close_sent = true;
    } else if (payload == "die") {
      who.stream.reset();
      who.gone = true;
    } else if (payload == "lie") {
      spec.rsv = 1;
      who.stream.send(make_frame(spec, payload), until, false);
    } else {
      auto frame = make_frame(spec, payload);
      for (auto& other : connections_) {
        if (!other.gone && other.path == who.path)
          send(other, frame);
      }
    }
    return true;
  }

  void send(connection& to, const std::string& frame) {
    try {
      to.stream.send(frame, deadline{10s}, true);
    } catch (const std::exception&) {
      to.gone = true;
    }
  }

  unique_fd listener_;
  unique_fd stop_;
  unique_fd stop_watch_;
  std::uint16_t port_ = 0;
  std::vector<connection> connections_;
  std::thread thread_;
};

} // namespace

TEST(SwarmTest, RoomsOfClientsGetWhatIsTheirs) {
  constexpr std::size_t rooms = 20;
  constexpr std::size_t members = 10;
  constexpr int rounds = 30;
  tiny_broker broker;
  verifier checks{{.seed = 42, .length_max = 3000}};
  swarm clients{{.port = broker.port(), .handshakes_max = 16},
                [&](swarm::index who, opcode op, std::string_view payload) {
                  checks.received(who, op, payload);
                }};
  for (std::size_t i = 0; i < rooms; ++i) {
    checks.add_room();
    clients.add("/room/" + std::to_string(i), members);
    for (std::size_t k = 0; k < members; ++k) {
      checks.add_publisher(i); // as many as clients: one number for both
      checks.add_member(i);
    }
  }
  clients.open_all();
  EXPECT_EQ(clients.count(client_state::open), rooms * members);
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < clients.size(); i += 3) {
      auto what = checks.next(i);
      clients.send(i, what.op, what.payload);
    }
    clients.step(0ms);
  }
  clients.run_until([&] { return checks.finished(); });
  EXPECT_EQ(checks.report(), "");
  EXPECT_EQ(clients.messages(), checks.published() * members);
  EXPECT_TRUE(clients.faults().empty()) << clients.describe();
}

TEST(SwarmTest, EndsAreTold) {
  tiny_broker broker;
  swarm clients{{.port = broker.port()}};
  clients.add("/room/a", 5);
  clients.open_all();
  clients.send(0, opcode::text, "bye");
  clients.send(1, opcode::text, "die");
  clients.send(2, opcode::text, "lie");
  clients.close(3, 1001, "enough");
  clients.reset(4);
  EXPECT_THROW(clients.send(4, opcode::text, "x"), std::logic_error);
  EXPECT_THROW(clients.send(3, opcode::text, "x"), std::logic_error);
  clients.run_until([&] { return clients.count(client_state::closed) == 5; });
  EXPECT_EQ(clients.words(0)->code, 1013);
  EXPECT_EQ(clients.words(0)->reason, "slow");
  EXPECT_EQ(clients.words(1)->code, 1006);
  EXPECT_FALSE(clients.words(2));
  EXPECT_EQ(clients.words(3)->reason, "enough");
  EXPECT_FALSE(clients.words(4));
  EXPECT_EQ(clients.count_code(1013), 1u);
  ASSERT_EQ(clients.faults().size(), 1u);
  EXPECT_NE(clients.faults()[0].find("reserved bit"), std::string::npos);
}

TEST(SwarmTest, FragmentsAndSplitFramesArePutTogether) {
  tiny_broker broker;
  std::vector<std::string> got;
  swarm clients{{.port = broker.port()},
                [&](swarm::index, opcode op, std::string_view payload) {
                  got.push_back(to_string(op) + ' ' + std::string{payload});
                }};
  auto one = clients.add("/room/a");
  clients.open_all();
  auto bytes = make_frame({.fin = false}, "one ")
               + make_frame({.op = opcode::ping}, "between")
               + make_frame({.op = opcode::continuation, .fin = false}, "two ")
               + make_frame({.op = opcode::continuation}, "three");
  for (auto byte : bytes) {
    clients.send_raw(one, {&byte, 1});
    clients.step(0ms);
  }
  std::string big(1 << 20, 'x');
  clients.send(one, opcode::binary, big);
  clients.run_until([&] { return got.size() == 2; });
  EXPECT_EQ(got[0], "text one two three");
  EXPECT_EQ(got[1], "binary " + big);
}

TEST(SwarmTest, AClientThatDoesNotReadGetsItLater) {
  tiny_broker broker;
  swarm clients{{.port = broker.port()}};
  clients.add("/room/a", 2);
  clients.open_all();
  clients.stop_reading(1);
  clients.send(0, opcode::text, "x");
  clients.run_until([&] { return clients.messages(0) == 1; });
  EXPECT_THROW(
    clients.run_until([&] { return clients.messages(1) == 1; }, 20ms),
    timeout_error);
  clients.resume_reading(1);
  clients.run_until([&] { return clients.messages(1) == 1; });
}

TEST(SwarmTest, ARefusalIsTold) {
  plain_server server{[](tcp_stream& stream) {
    take_request(stream);
    stream.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
                deadline{10s}, true);
  }};
  swarm clients{{.port = server.port()}};
  clients.add("/room/a");
  EXPECT_THROW(clients.open_all(), std::runtime_error);
  EXPECT_EQ(clients.refusal(0), 403);
}

TEST(SwarmTest, NobodyListensIsAFault) {
  std::uint16_t port = 0;
  {
    tiny_broker gone;
    port = gone.port();
  }
  swarm clients{{.port = port}};
  clients.add("/room/a");
  EXPECT_THROW(clients.open_all(), std::runtime_error);
  EXPECT_EQ(clients.refusal(0), 0);
  EXPECT_EQ(clients.faults().size(), 1u);
}

TEST(SwarmTest, ItRunsInAThreadOfItsOwn) {
  tiny_broker broker;
  swarm_thread clients{
    {.port = broker.port(), .local_addresses = {"127.0.0.2", "127.0.0.3"}}};
  clients.call([](swarm& all) { all.add("/room/a", 100); });
  clients.run_until(
    [](swarm& all) { return all.count(client_state::open) == 100; });
  clients.call([](swarm& all) { all.send(0, opcode::text, "x"); });
  clients.run_until([](swarm& all) { return all.messages() == 100; });
  EXPECT_THROW(clients.run_until([](swarm&) { return false; }, 20ms),
               timeout_error);
  EXPECT_THROW(clients.call([](swarm& all) { all.words(100); }),
               std::out_of_range);
  EXPECT_EQ(clients.call([](swarm& all) { return all.size(); }), 100u);
}

TEST(SwarmTest, WhatAHandlerThrowsComesOutOfTheWait) {
  tiny_broker broker;
  swarm_thread clients{{.port = broker.port()},
                       [](swarm::index, opcode, std::string_view) {
                         throw std::logic_error("the test is wrong");
                       }};
  clients.call([](swarm& all) { all.add("/room/a"); });
  clients.run_until(
    [](swarm& all) { return all.count(client_state::open) == 1; });
  clients.call([](swarm& all) { all.send(0, opcode::text, "x"); });
  EXPECT_THROW(clients.run_until([](swarm&) { return false; }),
               std::logic_error);
}
