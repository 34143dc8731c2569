#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "test/bench/bench_world.hpp"

// What a message between actors costs: on one unit, into another thread's mailbox,
// and there and back.

namespace greenroom::bench {

namespace {

struct knock {
  std::uint64_t number;
};

} // namespace

} // namespace greenroom::bench

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::bench::knock)

namespace greenroom::bench {

namespace {

/// Counts what it gets, for others to see.
class counter final : public actor {
public:
  counter(caf::actor_config& cfg, unit& home, std::atomic<std::uint64_t>& seen)
    : actor(cfg, home, actor_kind::probe), seen_(seen) {}

protected:
  bool receive(caf::mailbox_element& in) override {
    return dispatch(in, [this](knock&) {
      seen_.store(seen_.load(std::memory_order_relaxed) + 1,
                  std::memory_order_release);
    });
  }

private:
  std::atomic<std::uint64_t>& seen_;
};

/// A unit that runs on a thread of its own, with one counter on it.
class running_unit {
public:
  running_unit() : unit_(system_, 1, loop_, counts_) {
    who = spawn_on<counter>(unit_, seen);
    thread_ = std::thread{[this] { unit_.run(); }};
  }

  running_unit(const running_unit&) = delete;
  running_unit& operator=(const running_unit&) = delete;

  ~running_unit() {
    tell(who, caf::exit_msg{who.address(), caf::exit_reason::kill});
    who = nullptr;
    unit_.stop(std::chrono::seconds{10});
    thread_.join();
  }

  void wait_for(std::uint64_t number) const {
    while (seen.load(std::memory_order_acquire) < number)
      std::this_thread::yield();
  }

  std::atomic<std::uint64_t> seen{0};
  caf::actor who;

private:
  test::quiet_config config_;
  caf::actor_system system_{config_};
  metrics counts_;
  test::fake_loop loop_;
  unit unit_;
  std::thread thread_;
};

/// Sent and handled on the same thread, so many at a time.
void message_on_a_unit(benchmark::State& state) {
  stepped_unit here;
  std::atomic<std::uint64_t> seen{0};
  auto who = here.spawn<counter>(seen);
  here.run();
  for (auto _ : state) {
    for (std::int64_t i = 0; i < state.range(0); ++i)
      tell(who, knock{1});
    here.run();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK(message_on_a_unit)->ArgName("batch")->Arg(1)->Arg(16)->Arg(512);

/// One message to each of so many actors: what a broadcast does.
void message_to_many(benchmark::State& state) {
  stepped_unit here;
  std::atomic<std::uint64_t> seen{0};
  std::vector<caf::actor> all;
  for (std::int64_t i = 0; i < state.range(0); ++i)
    all.push_back(here.spawn<counter>(seen));
  here.run();
  for (auto _ : state) {
    for (auto& x : all)
      tell(x, knock{1});
    here.run();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK(message_to_many)->ArgName("actors")->Arg(100)->Arg(10'000);

/// The sender's side of a mailbox that other threads use, too: the unit takes out
/// while this thread puts in, 1024 ahead at most.
void message_to_another_thread(benchmark::State& state) {
  constexpr std::uint64_t ahead = 1024;
  running_unit there;
  std::uint64_t sent = 0;
  for (auto _ : state) {
    tell(there.who, knock{++sent});
    if (sent % ahead == 0) {
      state.PauseTiming();
      there.wait_for(sent);
      state.ResumeTiming();
    }
  }
  there.wait_for(sent);
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(message_to_another_thread);

/// Several threads put into one mailbox at the same time.
void contended_mailbox(benchmark::State& state) {
  static running_unit* there;
  static std::atomic<std::uint64_t> sent;
  if (state.thread_index() == 0) {
    there = new running_unit;
    sent = 0;
  }
  for (auto _ : state)
    tell(there->who, knock{sent.fetch_add(1, std::memory_order_relaxed)});
  if (state.thread_index() == 0) {
    there->wait_for(sent);
    delete there;
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(contended_mailbox)->Iterations(200'000)->Threads(1)->Threads(2);

/// A sleeping unit is woken, handles one message, and this thread sees it.
void there_and_seen(benchmark::State& state) {
  running_unit there;
  std::uint64_t sent = 0;
  for (auto _ : state) {
    tell(there.who, knock{++sent});
    there.wait_for(sent);
  }
}

BENCHMARK(there_and_seen)->UseRealTime();

} // namespace

} // namespace greenroom::bench
