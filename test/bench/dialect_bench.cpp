#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string>
#include <string_view>

#include "test/support/broker_fixture.hpp"
#include "test/support/swarm.hpp"

// What a delivery costs the broker in one dialect and in another: CPU time of its
// whole process, kernel included, while a raw client talks to 1000 members. The
// client is this process. Argument: messages that are sent at once.

namespace greenroom::bench {

namespace {

using test::broker_process;
using test::opcode;
using test::swarm;

constexpr std::size_t members = 1000;
constexpr std::size_t text_size = 128;

std::chrono::nanoseconds cpu_of(pid_t pid) {
  clockid_t clock = 0;
  timespec now{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &now) != 0)
    throw std::runtime_error("no CPU time of the broker");
  return std::chrono::seconds{now.tv_sec}
         + std::chrono::nanoseconds{now.tv_nsec};
}

/// @param path of the members
/// @param greeting what they say first; empty: nothing
/// @param answers lines that they hear in return
void fan_out(benchmark::State& state, const std::string& path,
             std::string_view greeting, std::size_t answers) {
  auto burst = static_cast<std::size_t>(state.range(0));
  auto flags = test::roomy_flags();
  flags.insert(flags.end(), {"--room", "lobby"});
  broker_process broker{flags};
  std::size_t lines = 0; // a publication is a line in every dialect
  swarm crowd{{.port = broker.port()},
              [&lines](swarm::index, opcode, std::string_view text) {
                lines += 1
                         + static_cast<std::size_t>(
                           std::count(text.begin(), text.end(), '\n'));
              }};
  crowd.add(path, members);
  auto speaker = crowd.add("/room/lobby?echo=0");
  crowd.open_all();
  if (!greeting.empty())
    for (std::size_t i = 0; i < members; ++i)
      crowd.send(i, opcode::text, greeting);
  crowd.run_until([&] { return lines == members * answers; });
  const std::string text(text_size, 'x');
  std::size_t deliveries = 0;
  lines = 0;
  auto before = cpu_of(broker.child().pid());
  for (auto _ : state) {
    for (std::size_t i = 0; i < burst; ++i)
      crowd.send(speaker, opcode::text, text);
    deliveries += members * burst;
    crowd.run_until([&] { return lines >= deliveries; });
  }
  auto used = cpu_of(broker.child().pid()) - before;
  if (lines != deliveries || !crowd.faults().empty())
    state.SkipWithError("deliveries are missing or too many");
  state.counters["cpu_ns_per_delivery"] =
    static_cast<double>(used.count()) / static_cast<double>(deliveries);
}

void raw(benchmark::State& state) {
  fan_out(state, "/room/lobby", {}, 0);
}

void centrifuge(benchmark::State& state) {
  fan_out(state, "/connection/websocket",
          "{\"id\":1,\"connect\":{}}\n"
          "{\"id\":2,\"subscribe\":{\"channel\":\"lobby\"}}",
          2);
}

void sizes(benchmark::internal::Benchmark* x) {
  // About as many deliveries in each, and enough of them for a quiet figure.
  x->ArgName("burst")->Arg(1)->Iterations(1000);
}

void bursts(benchmark::internal::Benchmark* x) {
  x->ArgName("burst")->Arg(16)->Iterations(200);
}

BENCHMARK(raw)->Apply(sizes);
BENCHMARK(centrifuge)->Apply(sizes);
BENCHMARK(raw)->Apply(bursts);
BENCHMARK(centrifuge)->Apply(bursts);

} // namespace

} // namespace greenroom::bench
