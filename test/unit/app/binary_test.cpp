// The program as a shell sees it: what it prints, how it ends.

#include <csignal>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/support/process.hpp"
#include "test/support/tcp.hpp"

using namespace greenroom::test;
using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

namespace {

process_options greenroom_with(std::vector<std::string> args,
                               std::vector<std::string> env = {}) {
  args.insert(args.begin(), GREENROOM_BINARY);
  return {.argv = std::move(args), .env = std::move(env)};
}

/// Runs it to its end. @returns what it said on standard error, one line
std::string complaint(std::vector<std::string> args,
                      std::vector<std::string> env, int status) {
  process aut{greenroom_with(std::move(args), std::move(env))};
  EXPECT_EQ(aut.wait_exit(), (exit_status{status, 0}));
  auto lines = aut.lines(output::err);
  EXPECT_EQ(lines.size(), 1u);
  EXPECT_EQ(aut.text(output::out), "");
  return lines.empty() ? "" : lines.front();
}

} // namespace

// -- mistakes -----------------------------------------------------------------------

TEST(BinaryTest, AMistakeIsOneLineAndStatusTwo) {
  EXPECT_EQ(complaint({"--port", "65536"}, {}, 2),
            "greenroom: --port 65536: expected a number from 0 to 65535");
  EXPECT_EQ(complaint({"serve", "--prot", "1"}, {}, 2),
            "greenroom: unknown flag --prot, did you mean --port?");
  EXPECT_EQ(complaint({"--port=0"}, {"GREENROOM_ROM=x"}, 2),
            "greenroom: unknown variable GREENROOM_ROM, did you mean "
            "GREENROOM_ROOM?");
  EXPECT_EQ(complaint({"--port=0", "--idle-timeout=1s"}, {}, 2),
            "greenroom: --idle-timeout 1s is not more than --ping-every 25s: "
            "quiet clients would be ended before they are asked");
  EXPECT_EQ(complaint({"serve", "serve", "--port=0"}, {}, 2),
            "greenroom: unexpected word 'serve'");
  EXPECT_EQ(complaint({"--version", "extra"}, {}, 2),
            "greenroom: unexpected word 'extra'");
  EXPECT_EQ(complaint({"version", "extra"}, {}, 2),
            "greenroom version: unexpected word 'extra'");
  EXPECT_EQ(complaint({"serv"}, {}, 2),
            "greenroom: unknown command 'serv', did you mean serve?");
  EXPECT_EQ(complaint({"health", "--port", "x"}, {}, 2),
            "greenroom health: --port x: expected a number from 1 to 65535");
}

TEST(BinaryTest, ATakenPortIsOneLineAndStatusOne) {
  process first{greenroom_with({"--port=0", "--room=lobby"})};
  auto port = std::to_string(first.wait_port());
  EXPECT_THAT(complaint({"--port", port}, {}, 1),
              AllOf(StartsWith("greenroom: "), HasSubstr("127.0.0.1:" + port),
                    HasSubstr("in use")));
}

TEST(BinaryTest, TheCommandMayStandBehindItsFlags) {
  for (std::vector<std::string> args :
       {std::vector<std::string>{"--port", "0", "--room", "serve", "serve"},
        {"serve", "--port", "0", "--room", "serve"},
        {"--port", "0", "--room", "serve"}}) {
    process aut{greenroom_with(args)};
    aut.wait_line(R"("message":"starting".*"rooms":1)");
    EXPECT_GT(aut.wait_port(), 0);
  }
}

TEST(BinaryTest, VersionIsOneLine) {
  for (auto word : {"--version", "-V", "version"}) {
    process aut{greenroom_with({word})};
    EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
    EXPECT_THAT(aut.text(output::out),
                testing::MatchesRegex("greenroom [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  }
}

// -- health -----------------------------------------------------------------------

// The health check of a container knows the process, not its flags.
TEST(BinaryTest, HealthFindsABrokerByItsProcess) {
  reserved_port port;
  auto number = std::to_string(port.number());
  auto health_of = [](const process& x) {
    process asks{greenroom_with({"health", "--pid", std::to_string(x.pid())})};
    auto status = asks.wait_exit();
    return std::pair{status, asks.text(output::out) + asks.text(output::err)};
  };
  auto well = std::pair{exit_status{0, 0},
                        "http://127.0.0.1:" + number + "/health: ok\n"};
  {
    process aut{
      greenroom_with({"--room=a", "--bind", "0.0.0.0", "--port", number})};
    aut.wait_port();
    EXPECT_EQ(health_of(aut), well);
  }
  {
    process aut{greenroom_with({"serve"}, {"GREENROOM_PORT=" + number})};
    aut.wait_port();
    EXPECT_EQ(health_of(aut), well);
  }
  process aut{greenroom_with({"--port=0"})};
  aut.wait_port();
  auto [status, text] = health_of(aut);
  EXPECT_EQ(status, (exit_status{1, 0}));
  EXPECT_THAT(text, HasSubstr("--port 0"));
  EXPECT_THAT(complaint({"health", "--pid", "x"}, {}, 2),
              StartsWith("greenroom health: --pid x: expected"));
  EXPECT_THAT(complaint({"health", "--pid", "999999999"}, {}, 1),
              HasSubstr("999999999"));
}

// -- life -----------------------------------------------------------------------------

TEST(BinaryTest, TheEnvironmentIsAsGoodAsFlags) {
  process aut{greenroom_with({}, {"GREENROOM_PORT=0", "GREENROOM_ROOM=a;b"})};
  aut.wait_line(R"("message":"starting".*"rooms":2)");
  EXPECT_GT(aut.wait_port(), 0);
}

TEST(BinaryTest, TheFirstSignalDrains) {
  for (int number : {SIGTERM, SIGINT}) {
    process aut{greenroom_with({"--port=0", "--room=lobby"})};
    aut.wait_port();
    aut.signal(number);
    EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
    EXPECT_THAT(aut.lines(output::out).back(),
                HasSubstr(R"("message":"stopped","status":0)"));
    EXPECT_EQ(aut.text(output::err), "");
  }
}

TEST(BinaryTest, AHangUpDoesNothing) {
  process aut{greenroom_with({"--port=0"})};
  aut.wait_port();
  aut.signal(SIGHUP);
  aut.wait_line(R"("message":"signal","name":"SIGHUP","action":"none")");
  aut.signal(SIGPIPE);
  aut.signal(SIGTERM);
  EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
}

TEST(BinaryTest, AnUnreadLogHoldsUpNeitherStartNorExit) {
  auto options = greenroom_with({"--port=0", "--room=lobby"});
  for (int i = 0; i < 100; ++i)
    options.argv.push_back("--room=" + std::string(100, 'x')
                           + std::to_string(i));
  options.out = capture::unread;
  process aut{options};
  std::this_thread::sleep_for(300ms);
  EXPECT_TRUE(aut.running());
  aut.signal(SIGTERM);
  EXPECT_EQ(aut.wait_exit(5s), (exit_status{0, 0}));
}

TEST(BinaryTest, ALogThatNobodyReadsAnyMoreEndsNothing) {
  auto options = greenroom_with({"--port=0"});
  options.out = capture::unread;
  process aut{options};
  aut.close_unread(output::out);
  std::this_thread::sleep_for(300ms);
  aut.signal(SIGHUP); // one more line to lose
  std::this_thread::sleep_for(100ms);
  EXPECT_TRUE(aut.running());
  aut.signal(SIGTERM);
  EXPECT_EQ(aut.wait_exit(5s), (exit_status{0, 0}));
}

// -- warnings -----------------------------------------------------------------------

TEST(BinaryTest, AnOpenDoorIsPointedOut) {
  {
    process aut{greenroom_with({"--port=0", "--bind=0.0.0.0", "--room=lobby"})};
    aut.wait_line(R"("level":"warn".*"message":"anybody_may_publish")");
  }
  for (std::vector<std::string> args :
       {std::vector<std::string>{"--port=0", "--room=lobby"},
        {"--port=0", "--bind=0.0.0.0", "--room=lobby,raw=read-only",
         "--anonymous=off"}}) {
    process aut{greenroom_with(args)};
    aut.wait_line("listening");
    aut.signal(SIGTERM);
    aut.wait_exit();
    EXPECT_THAT(aut.text(output::out),
                testing::Not(HasSubstr("anybody_may_publish")));
  }
}

TEST(BinaryTest, ConnectionsAreFittedToTheDescriptors) {
  auto options = greenroom_with({"--port=0", "--threads=1"});
  options.files_max = 1000;
  process aut{options};
  aut.wait_line(R"("level":"info".*"descriptors","limit":1000,)"
                R"("connections_max":8\d\d\})");
  options.argv.push_back("--connections-max=5000");
  process chosen{options};
  chosen.wait_line(R"("level":"warn".*"limit":1000,"connections_max":5000,)"
                   R"("advice")");
}

// -- health -------------------------------------------------------------------------

TEST(BinaryTest, HealthIsAnExitStatus) {
  process broker{greenroom_with({"--port=0"})};
  auto port = std::to_string(broker.wait_port());
  {
    process aut{greenroom_with({"health", "--port", port})};
    EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
    EXPECT_EQ(aut.text(output::out),
              "http://127.0.0.1:" + port + "/health: ok\n");
  }
  {
    // In a container the variables of the broker are those of the check.
    process aut{greenroom_with({"health"},
                               {"GREENROOM_PORT=" + port,
                                "GREENROOM_BIND=0.0.0.0", "GREENROOM_ROOM=a"})};
    EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
  }
  {
    process aut{greenroom_with(
      {"health", "--url", "http://localhost:" + port + "/health"})};
    EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
  }
  EXPECT_THAT(complaint({"health", "--url", "http://localhost:65536"}, {}, 2),
              HasSubstr("expected http://"));
  EXPECT_EQ(
    complaint({"health", "--url", "http://127.0.0.1:" + port + "/none"}, {}, 1),
    "http://127.0.0.1:" + port + "/none: 404 Not Found");
  broker.signal(SIGTERM);
  broker.wait_exit();
  EXPECT_THAT(complaint({"health", "--port", port}, {}, 1),
              HasSubstr("Connection refused"));
}

TEST(BinaryTest, HealthDoesNotWaitForEver) {
  // A listener that answers nobody: the kernel connects, nobody accepts.
  process mute{{.argv = {"perl", "-MIO::Socket::INET", "-e",
                         "$s = IO::Socket::INET->new(Listen => 5, LocalAddr => "
                         "'127.0.0.1'); $| = 1; print $s->sockhost, ':', "
                         "$s->sockport, \"\\n\"; sleep 60"}}};
  auto port = std::to_string(mute.wait_port());
  EXPECT_EQ(complaint({"health", "--port", port, "--timeout", "100ms"}, {}, 1),
            "http://127.0.0.1:" + port + "/health: Connection timed out");
}
