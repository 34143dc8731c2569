#include "app/broker.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include "actors/desk.hpp"
#include "actors/engine.hpp"
#include "actors/inspection_desk.hpp"
#include "actors/messages.hpp"
#include "actors/runtime/reason.hpp"
#include "actors/runtime/unit.hpp"
#include "actors/supervisor.hpp"
#include "greenroom_version.hpp"
#include "net/api/inspect_service.hpp"
#include "net/io_loop.hpp"
#include "net/listener.hpp"
#include "net/routes.hpp"

namespace greenroom {

namespace {

using namespace std::chrono_literals;

// What is left when the supervisor has ended are actors on their way out.
constexpr auto stop_grace = 1000ms;
// Without a supervisor nobody is told to go; the inspector says why it crashed.
constexpr auto crash_grace = 100ms;

// Of the inspection listener: connections the kernel holds, and what it hides of a
// slow reader's stream.
constexpr int inspect_backlog = 128;
constexpr std::size_t inspect_send_buffer = 64 * 1024;

// EX_SOFTWARE of sysexits.h: our own fault, start me again.
constexpr int exit_software = 70;

struct system_config : caf::actor_system_config {
  system_config() {
    // CAF's own workers run nothing of ours: one, and one that does not poll.
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", 1);
  }
};

} // namespace

// Declared in the order of birth: loops outlive the actor system, which outlives
// the units, which outlive whoever talks to them.
struct broker::parts {
  parts(const broker_options& x, log_port& to, metrics& count)
    : options(x), log(to), counts(count) {}

  broker_options options;
  log_port& log;
  metrics& counts;
  engine env;
  bool io_uring_used = false;
  std::vector<std::unique_ptr<net::io_loop>> loops;
  system_config config;
  std::optional<caf::actor_system> system;
  std::vector<std::unique_ptr<unit>> units;
  std::optional<desk> front;
  inspection_desk inside{env};
  std::optional<net::listener> listener;
  std::shared_ptr<net::inspect_service> inspect;
  std::optional<net::listener> inspect_door;
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable changed;
  // Guarded by the mutex.
  bool over = false;
  errc why = errc::none;
  std::optional<steady_time> drain_deadline;

  /// Opens the second door. Those behind it are few: one loop serves them.
  void open_inspection() {
    auto& o = options;
    inspect =
      std::make_shared<net::inspect_service>(o.inspect, inside, counts, log);
    net::listener_options where;
    where.bind = o.inspect.bind;
    where.port = o.inspect.port;
    where.backlog = inspect_backlog;
    where.connections_max = o.inspect.connections_max;
    where.connections_per_address_max = o.inspect.connections_max;
    where.trusted_proxies = o.listener.trusted_proxies;
    where.accept_backoff = o.listener.accept_backoff;
    auto http = o.http;
    http.origins.clear();
    http.keep_alive_max = o.inspect.connections_max;
    http.answer_timeout = o.inspect.answer_timeout;
    auto session = o.session;
    session.send_buffer_bytes = inspect_send_buffer;
    auto open = [&] {
      inspect_door.emplace(std::vector{loops.front().get()}, *front, where,
                           http, session, inspect->listener_counts(), log,
                           net::service{net::inspect_routes(), inspect.get()});
      inspect_door->open();
    };
    try {
      open();
    } catch (const std::system_error& error) {
      if (!o.inspect.port_is_a_wish || error.code().value() != EADDRINUSE)
        throw;
      where.port = 0;
      open();
    }
  }

  void end_units(std::chrono::milliseconds grace) {
    for (auto& u : units)
      u->stop(grace);
    for (auto& t : threads)
      t.join();
    threads.clear();
  }
};

broker::broker(const broker_options& options, log_port& log, metrics& counts)
  : parts_(std::make_unique<parts>(options, log, counts)) {}

broker::~broker() {
  auto& p = *parts_;
  if (!p.threads.empty()) {
    drain();
    wait();
  }
  // What a cut off drain left open closes while its actors can still be told.
  for (auto& x : p.loops)
    x->abandon_all();
  p.listener.reset();
  p.inspect_door.reset();
  p.env.supervisor = nullptr;
  p.units.clear();
  if (p.system)
    p.system->await_actors_before_shutdown(false);
}

void broker::bind() {
  auto& p = *parts_;
  auto& o = p.options;
  p.env.counts = &p.counts;
  p.env.log = &p.log;
  p.env.reader = o.reader;
  p.env.supervisor_limits = o.supervisor;
  p.env.member = o.member;
  p.env.room = o.room;
  p.env.inspection = o.inspector;
  p.env.audit = o.audit;
  p.env.version = version;
  for (auto& x : o.rooms)
    p.env.compressed.emplace(x.name, x.options.compressed);
  p.env.others_compressed = o.room_defaults.compressed;
  net::io_loop_options loop_options;
  loop_options.io_uring =
    o.io_uring != io_uring_use::off && net::send_ring::allowed();
  if (o.io_uring == io_uring_use::on && !loop_options.io_uring)
    throw std::system_error(EPERM, std::generic_category(),
                            "--io-uring on: the kernel does not allow it");
  p.io_uring_used = loop_options.io_uring;
  p.system.emplace(p.config);
  for (std::size_t i = 0; i < o.threads; ++i) {
    p.loops.push_back(
      std::make_unique<net::io_loop>(p.counts, &p.log, loop_options));
    p.units.push_back(std::make_unique<unit>(*p.system, static_cast<unit_id>(i),
                                             *p.loops.back(), p.counts));
    p.env.units.push_back(p.units.back().get());
  }
  p.front.emplace(p.env);
  std::vector<net::io_loop*> loops;
  for (auto& x : p.loops)
    loops.push_back(x.get());
  p.listener.emplace(loops, *p.front, o.listener, o.http, o.session, p.counts,
                     p.log);
  p.listener->open();
  if (o.inspect.on)
    p.open_inspection();
}

void broker::start() {
  auto& p = *parts_;
  auto& o = p.options;
  if (!p.listener)
    bind();
  p.log.write(
    log_record{level::info, "io_uring"}.with("used", p.io_uring_used));
  p.env.supervisor =
    spawn_on<supervisor>(*p.units.front(), p.env, o.rooms, o.room_defaults);
  p.env.supervisor->attach_functor([&p](const caf::error& x) {
    std::lock_guard guard{p.mutex};
    p.over = true;
    p.why = reason(x);
    p.changed.notify_all();
  });
  for (auto& u : p.units)
    p.threads.emplace_back([unit = u.get()] { unit->run(); });
}

std::uint16_t broker::port() const {
  return parts_->listener->port();
}

std::uint16_t broker::inspect_port() const {
  return parts_->inspect_door ? parts_->inspect_door->port() : 0;
}

void broker::drain() {
  auto& p = *parts_;
  {
    std::lock_guard guard{p.mutex};
    if (p.drain_deadline)
      return;
    p.drain_deadline =
      std::chrono::steady_clock::now() + p.options.drain_timeout;
    p.changed.notify_all();
  }
  if (p.listener)
    p.listener->stop();
  tell(p.env.supervisor, stop_all{});
}

int broker::wait() {
  auto& p = *parts_;
  bool finished = false;
  auto why = errc::none;
  auto grace = std::chrono::milliseconds{stop_grace};
  {
    std::unique_lock guard{p.mutex};
    auto over = [&p] { return p.over; };
    p.changed.wait(guard, [&p] { return p.over || p.drain_deadline; });
    if (!p.over) {
      auto reserve = p.options.drain_reserve();
      // The other half is the log's.
      auto last = *p.drain_deadline - reserve / 2;
      p.changed.wait_until(guard, *p.drain_deadline - reserve, over);
      if (!p.over) {
        guard.unlock();
        p.log.write(log_record{level::warn, "drain_cut_off"}.with(
          "connections", p.counts.sessions_open.get()));
        tell(p.env.supervisor, cut_off{});
        guard.lock();
        p.changed.wait_until(guard, last, over);
      }
      auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        last - std::chrono::steady_clock::now());
      grace = std::clamp<std::chrono::milliseconds>(left, 0ms, stop_grace);
    }
    finished = p.over;
    why = p.why;
  }
  if (finished && why != errc::none)
    p.log.write(log_record{level::error, "supervisor_down"}.with(
      "reason", to_string(why)));
  // Whoever looks may look until the end, at the drain above all.
  if (p.inspect_door)
    p.inspect_door->stop();
  const bool crashed = finished && why != errc::none;
  p.end_units(crashed ? crash_grace : grace);
  return crashed ? exit_software : 0;
}

inspection_port& broker::inspection() noexcept {
  return parts_->inside;
}

engine& broker::env() noexcept {
  return parts_->env;
}

} // namespace greenroom
