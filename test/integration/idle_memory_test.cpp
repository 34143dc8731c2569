// Idle connections: what one costs, and that nothing is left when all have gone.
// `test/bench/idle_memory` runs it with ten thousand on the release binary.

#include "test/support/broker_fixture.hpp"
#include "test/support/swarm.hpp"
#include "test/support/ws_client.hpp"

#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

/// The goal as a figure. A build without optimisation meets it as well.
constexpr double bytes_per_connection_max = 6.9 * 1024;
constexpr std::size_t rooms = 100;

std::size_t connections_of_run() {
  if (const auto* given = std::getenv("GREENROOM_IDLE_CONNECTIONS"))
    return std::strtoull(given, nullptr, 10);
  return sanitized ? 1000 : 10'000;
}

bool nobody_in(std::string_view snapshot) {
  for (auto field : {"connections", "sockets", "memberships", "rooms",
                     "bytes_queued", "bytes_live", "actors_reader",
                     "actors_writer", "actors_room", "actors_outlet"}) {
    if (number_in(snapshot, field) != 0)
      return false;
  }
  return true;
}

} // namespace

TEST(IdleMemoryTest, IdleConnectionsAreCheapAndLeaveNothingBehind) {
  auto flags = roomy_flags();
  flags.emplace_back("--rooms-on-demand");
  flags.emplace_back("--inspect-every=100ms");
  flags.emplace_back("--log-lines-max=100000");
  flags.emplace_back("--log-bytes-max=64MiB");
  broker_process broker{flags};
  const auto count = connections_of_run();
  swarm clients{{.port = broker.port(), .timeout = 60s}};
  auto snapshot = [&](const auto& accept, std::size_t from = 0) {
    return broker.wait_log("snapshot", accept, 60s, from);
  };
  // The first WebSocket of a process brings Asio's reactor, with descriptors of
  // its own.
  auto first = ws_client::connect({.port = broker.port(), .path = "/room/a"});
  auto one = snapshot(
    [](std::string_view line) { return number_in(line, "connections") == 1; });
  first.close();
  first.drop();
  snapshot(nobody_in, one.next);
  const auto before = broker.stat();

  for (std::size_t i = 0; i < count; ++i)
    clients.add(fmt::format("/room/idle-{}", i % rooms));
  clients.open_all();
  // What a line says is gathered in pieces, so while they come its figures need
  // not agree.
  auto full = snapshot([&](std::string_view line) {
    for (auto field : {"connections", "memberships", "actors_reader"}) {
      if (number_in(line, field) != static_cast<std::int64_t>(count))
        return false;
    }
    return true;
  });
  EXPECT_EQ(number_in(full.text, "rooms"), static_cast<std::int64_t>(rooms));
  // The log of so many births has to be out before memory is looked at.
  full = snapshot(
    [&](std::string_view line) {
      return number_in(line, "connections") == static_cast<std::int64_t>(count);
    },
    full.next);
  const auto held = broker.stat();
  auto each =
    static_cast<double>(held.pss - before.pss) / static_cast<double>(count);
  fmt::print("{} idle connections: {:.0f} bytes each ({:.2f} KiB), process {} "
             "KiB before, {} KiB with them\n",
             count, each, each / 1024, before.pss / 1024, held.pss / 1024);
  EXPECT_EQ(held.fds, before.fds + count);
  if (!sanitized) {
    EXPECT_LE(each, bytes_per_connection_max);
  }

  // Half of them by RST, half by the book.
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 2 == 0)
      clients.reset(i);
    else
      clients.close(i);
  }
  clients.run_until(
    [&] { return clients.count(client_state::closed) == count; });
  auto begin = std::chrono::steady_clock::now();
  auto empty = snapshot(nobody_in, full.next);
  auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
    std::chrono::steady_clock::now() - begin);
  EXPECT_EQ(broker.stat().fds, before.fds);
  fmt::print("nothing left of them after {} ms; process {} KiB\n", took.count(),
             broker.stat().pss / 1024);
  EXPECT_LE(took, sanitized ? 10s : optimised ? 2s : 4s);
  EXPECT_EQ(number_in(empty.text, "crashes"), 0);
  EXPECT_EQ(broker.finish(), exit_status{0});
}
