#include <benchmark/benchmark.h>

#include <string>

#include "actors/room.hpp"
#include "net/protocols/raw.hpp"
#include "test/bench/bench_world.hpp"

// What a turn of a room costs in the actors: events are posted, encoded once, and
// handed to every member's writer as one message. The sockets take everything.
// Arguments: members, events of a turn. A delivery is one event at one member.

namespace greenroom::bench {

namespace {

constexpr std::size_t payload_bytes = 128;

void room_turn(benchmark::State& state) {
  auto members = static_cast<client_id>(state.range(0));
  auto events = state.range(1);
  stepped_unit here;
  auto lobby = here.spawn<room>(here.env, "lobby", room_options{});
  for (client_id id = 1; id <= members; ++id)
    tell(lobby, join{here.make_member(id, net::raw_relay()), {}, 0, 0});
  here.run();
  std::string text(payload_bytes, 'x');
  for (auto _ : state) {
    for (std::int64_t i = 0; i < events; ++i)
      tell(lobby, post{{text, payload_form::text}, 1, nullptr, 0, {}});
    here.run();
  }
  auto turns = static_cast<double>(state.iterations());
  auto deliveries =
    static_cast<double>(members) * static_cast<double>(events) * turns;
  state.counters["per_member"] = benchmark::Counter(
    turns * static_cast<double>(members),
    benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["per_delivery"] = benchmark::Counter(
    deliveries, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

BENCHMARK(room_turn)
  ->ArgNames({"members", "events"})
  ->ArgsProduct({{2, 10, 100, 1000, 10'000}, {1, 16}});

/// A member comes and goes while others are there.
void join_and_leave(benchmark::State& state) {
  auto members = static_cast<client_id>(state.range(0));
  stepped_unit here;
  auto lobby = here.spawn<room>(here.env, "lobby", room_options{});
  for (client_id id = 1; id <= members; ++id)
    tell(lobby, join{here.make_member(id, net::raw_relay()), {}, 0, 0});
  auto guest = here.make_member(members + 1, net::raw_relay());
  here.run();
  for (auto _ : state) {
    tell(lobby, join{guest, {}, 0, 0});
    tell(lobby, leave{guest->id, 0, 0, false});
    here.run();
  }
}

BENCHMARK(join_and_leave)->ArgName("members")->Arg(10)->Arg(10'000);

} // namespace

} // namespace greenroom::bench
