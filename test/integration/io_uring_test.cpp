// Where the kernel permits io_uring, the broker really sends with it: the kernel itself
// counts what went through the rings. (scripts/io_uring.test.sh shows what happens
// where it does not.)

#include "test/support/broker_fixture.hpp"
#include "test/support/swarm.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#if __has_include(<liburing.h>)
#include <liburing.h>
#include <sys/socket.h>
#endif

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

/// The rings of a process and what was ever put into them, as the kernel counts it.
struct rings {
  std::size_t count = 0;
  std::size_t readable = 0; ///< whose counts the kernel tells
  std::uint64_t entries = 0;
};

rings rings_of(pid_t pid) {
  rings result;
  const auto root = fmt::format("/proc/{}", pid);
  std::error_code error;
  for (auto& each : std::filesystem::directory_iterator{root + "/fd", error}) {
    auto target = std::filesystem::read_symlink(each.path(), error);
    if (error || target != "anon_inode:[io_uring]")
      continue;
    ++result.count;
    std::ifstream in{root + "/fdinfo/" + each.path().filename().string()};
    constexpr std::string_view key = "SqTail:";
    for (std::string line; std::getline(in, line);) {
      if (!line.starts_with(key))
        continue;
      auto at = line.find_first_of("0123456789");
      std::uint64_t tail = 0;
      if (at != std::string::npos
          && std::from_chars(line.data() + at, line.data() + line.size(), tail)
                 .ec
               == std::errc{}) {
        ++result.readable;
        result.entries += tail;
      }
    }
  }
  return result;
}

struct permission {
  std::string why_not; ///< empty: it is permitted
  bool counts = false; ///< the kernel tells what went through a ring
};

/// Whether something can be sent with io_uring here. Without the broker's own code,
/// which is to be judged by it.
permission ask_kernel() {
#if __has_include(<liburing.h>)
  io_uring ring{};
  if (auto status = ::io_uring_queue_init(4, &ring, 0); status < 0)
    return {fmt::format("the kernel does not permit io_uring: {}",
                        std::strerror(-status))};
  std::array<int, 2> ends{};
  auto status = -EIO;
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0) {
    ::io_uring_prep_send(::io_uring_get_sqe(&ring), ends[0], "x", 1, 0);
    io_uring_cqe* done = nullptr;
    status = ::io_uring_submit(&ring);
    if (status == 1 && (status = ::io_uring_wait_cqe(&ring, &done)) == 0)
      status = done->res;
    ::close(ends[0]);
    ::close(ends[1]);
  }
  permission result;
  if (status != 1)
    result.why_not = fmt::format("the kernel permits a ring, but no send "
                                 "through it: {}",
                                 std::strerror(-status));
  result.counts = rings_of(::getpid()).entries == 1;
  ::io_uring_queue_exit(&ring);
  return result;
#else
  return {"this build knows no io_uring"};
#endif
}

struct outcome {
  bool said = false; ///< by its log
  rings used;
};

constexpr std::size_t members = 20;
constexpr std::uint64_t messages = 50;

/// A broker with this flag sends each of the messages to each of the members.
/// @param counts whether the kernel tells what went through a ring
outcome serve(const std::string& flag, bool counts) {
  broker_process broker{{"--room=lobby", "--threads=2", flag}};
  auto line = broker.wait_log("io_uring");
  outcome result;
  result.said = line.text.find(R"("used":true)") != std::string::npos;
  swarm crowd{{.port = broker.port(), .timeout = 30s}};
  crowd.add("/room/lobby", members);
  crowd.open_all();
  // One at a time: each is a turn of its own, and a send to each member.
  for (std::uint64_t n = 1; n <= messages; ++n) {
    crowd.send(0, opcode::text, "hello");
    crowd.run_until([&] { return crowd.messages() == n * members; });
  }
  // The kernel leaves the counts out of a ring that is in use.
  wait_until(
    [&] {
      result.used = rings_of(broker.child().pid());
      return !counts || result.used.readable == result.used.count;
    },
    10s, [&] { return fmt::format("{} rings", result.used.count); });
  for (std::size_t i = 0; i < members; ++i)
    crowd.close(i);
  crowd.run_until([&] { return crowd.count(client_state::closed) == members; });
  EXPECT_EQ(broker.finish(), exit_status{0});
  EXPECT_EQ(crowd.faults(), std::vector<std::string>{});
  return result;
}

} // namespace

TEST(IoUringTest, WhereTheKernelPermitsItTheBrokerSendsWithIt) {
  const auto kernel = ask_kernel();
  if (!kernel.why_not.empty())
    GTEST_SKIP() << kernel.why_not;
  for (auto flag : {"--io-uring=auto", "--io-uring=on"}) {
    SCOPED_TRACE(flag);
    auto x = serve(flag, kernel.counts);
    EXPECT_TRUE(x.said);
    // A unit opens its ring when it first has several to send to.
    EXPECT_GE(x.used.count, 1u);
    if (kernel.counts) { // but for turns that had one receiver only
      EXPECT_GE(x.used.entries, messages * members / 2);
    }
  }
}

TEST(IoUringTest, WhoeverDoesNotWantItGetsTheSameWithout) {
  auto x = serve("--io-uring=off", false);
  EXPECT_FALSE(x.said);
  EXPECT_EQ(x.used.count, 0u);
}
