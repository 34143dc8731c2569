#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "actors/ports.hpp"
#include "net/protocols/centrifuge_json.hpp"
#include "net/protocols/raw.hpp"
#include "net/ws_frame.hpp"

// A turn of a room becomes wire bytes once, for all members. Arguments: bytes of a
// message, events of the turn.

namespace greenroom::bench {

namespace {

std::vector<event> events_of(std::size_t count, std::size_t bytes) {
  std::vector<event> result(count);
  for (std::size_t i = 0; i < count; ++i) {
    result[i].from = 1 + i % 2;
    result[i].offset = i + 1;
    result[i].what.bytes.assign(bytes, 'x');
  }
  return result;
}

void raw_turn(benchmark::State& state) {
  auto bytes = static_cast<std::size_t>(state.range(0));
  auto events = events_of(static_cast<std::size_t>(state.range(1)), bytes);
  turn all{"lobby", "epoch", events};
  for (auto _ : state)
    benchmark::DoNotOptimize(net::raw_relay().encode(all, 0));
  state.SetItemsProcessed(state.iterations() * state.range(1));
  state.SetBytesProcessed(state.iterations() * state.range(0) * state.range(1));
}

BENCHMARK(raw_turn)
  ->ArgNames({"bytes", "events"})
  ->ArgsProduct({{16, 128, 1024, 16'384}, {1, 16, 256}});

/// The same without what one member published: its own cut.
void raw_turn_without_own(benchmark::State& state) {
  auto events = events_of(static_cast<std::size_t>(state.range(0)), 128);
  turn all{"lobby", "epoch", events};
  for (auto _ : state)
    benchmark::DoNotOptimize(net::raw_relay().encode(all, 1));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK(raw_turn_without_own)->ArgName("events")->Arg(16);

void raw_command(benchmark::State& state) {
  std::string text(128, 'x');
  dialogue talk;
  std::vector<command> out;
  for (auto _ : state) {
    out.clear();
    net::raw_relay().decode({text, true}, talk, out);
    benchmark::DoNotOptimize(out.data());
  }
}

BENCHMARK(raw_command);

/// Text becomes a JSON string, and two members have published it.
void centrifuge_turn(benchmark::State& state) {
  auto bytes = static_cast<std::size_t>(state.range(0));
  auto events = events_of(static_cast<std::size_t>(state.range(1)), bytes);
  turn all{"lobby", "epoch", events};
  const net::centrifuge_json dialect{{}};
  for (auto _ : state)
    benchmark::DoNotOptimize(dialect.encode(all, 0));
  state.SetItemsProcessed(state.iterations() * state.range(1));
  state.SetBytesProcessed(state.iterations() * state.range(0) * state.range(1));
}

BENCHMARK(centrifuge_turn)
  ->ArgNames({"bytes", "events"})
  ->ArgsProduct({{16, 128, 1024, 16'384}, {1, 16, 256}});

void centrifuge_command(benchmark::State& state) {
  std::string text = R"({"id":12,"publish":{"channel":"lobby","data":")"
                     + std::string(128, 'x') + "\"}}";
  dialogue talk{.greeted = true};
  std::vector<command> out;
  const net::centrifuge_json dialect{{}};
  for (auto _ : state) {
    out.clear();
    dialect.decode({text, true}, talk, out);
    benchmark::DoNotOptimize(out.data());
  }
}

BENCHMARK(centrifuge_command);

} // namespace

} // namespace greenroom::bench
