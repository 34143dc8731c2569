#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <caf/actor_system.hpp>

#include "actors/engine.hpp"
#include "actors/member.hpp"
#include "actors/messages.hpp"
#include "actors/metrics.hpp"
#include "actors/ports.hpp"
#include "actors/runtime/actor.hpp"
#include "actors/runtime/unit.hpp"
#include "actors/writer.hpp"
#include "test/support/actor_fixture.hpp"
#include "test/support/fakes.hpp"

namespace greenroom::bench {

/// A socket that takes everything at once and remembers nothing: what is left is
/// the cost of the actors.
class swallowing_socket final : public socket_port {
public:
  explicit swallowing_socket(flow_ptr flow) : flow_(std::move(flow)) {}

  void accept() override {}
  void refuse(errc) override {}
  void append(wire_ptr what, retention) override { flow_->sub(what->size()); }
  std::uint64_t drop_oldest(std::uint64_t, std::vector<wire_mark>*) override {
    return 0;
  }
  void taken(std::size_t) override {}
  void close(farewell) override {}
  socket_stats stats() const override { return {}; }
  socket_lag lag() const override { return {}; }
  socket_stats stats_at_end() const override { return {}; }
  queued_events queued_of(std::uint64_t) const override { return {}; }

private:
  flow_ptr flow_;
};

/// One unit without sockets that the benchmark steps on its own thread.
class stepped_unit {
public:
  stepped_unit()
    : loop_(std::chrono::steady_clock::now()),
      unit_(system_, 0, loop_, counts_) {
    env.units.push_back(&unit_);
    env.counts = &counts_;
    env.log = &log_;
    unit_.enter();
  }

  stepped_unit(const stepped_unit&) = delete;
  stepped_unit& operator=(const stepped_unit&) = delete;

  ~stepped_unit() {
    for (auto& x : all_)
      tell(x, caf::exit_msg{x.address(), caf::exit_reason::kill});
    all_.clear();
    run();
  }

  unit& home() { return unit_; }

  /// Turns until nobody has work.
  void run() {
    while (unit_.turn()) {
    }
  }

  /// Spawns an actor that ends with this.
  template <class T, class... Ts>
  caf::actor spawn(Ts&&... xs) {
    auto x = spawn_on<T>(unit_, std::forward<Ts>(xs)...);
    all_.push_back(x);
    return x;
  }

  /// A connection's share of the actors: a writer before a swallowing socket.
  member_ptr make_member(client_id id, const protocol& dialect) {
    auto who = std::make_shared<member>();
    who->id = id;
    who->dialect = &dialect;
    who->raw = true;
    who->flow = std::make_shared<flow_counter>();
    who->writer =
      spawn<writer>(who, std::make_shared<swallowing_socket>(who->flow));
    return who;
  }

  engine env;

private:
  test::quiet_config config_;
  caf::actor_system system_{config_};
  metrics counts_;
  test::fake_log log_;
  test::fake_loop loop_;
  unit unit_;
  std::vector<caf::actor> all_;
};

} // namespace greenroom::bench
