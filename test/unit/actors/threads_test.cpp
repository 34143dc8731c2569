#include <future>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "actors/supervisor.hpp"
#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;

/// A whole broker on real threads: for ThreadSanitizer, and for what only happens
/// when units run at the same time.
class ThreadsTest : public testing::Test {
protected:
  static constexpr unit_id unit_count = 2;

  ThreadsTest() {
    env.counts = &counts;
    env.log = &log;
    env.supervisor_limits.rooms_on_demand = true;
    env.supervisor_limits.restarts_max = 1'000'000;
    env.supervisor_limits.crashes_max = 1'000'000;
    env.reader.messages_per_second = 0;
    env.reader.posts_max = 8;
    for (unit_id i = 0; i < unit_count; ++i) {
      loops.push_back(std::make_unique<fake_loop>());
      units.push_back(
        std::make_unique<unit>(system, i, *loops[i], counts, unit_options{}));
      env.units.push_back(units.back().get());
    }
    env.supervisor = spawn_on<supervisor>(
      *units[0], env, std::vector<named_room>{{"a", {}}, {"b", {}}},
      room_options{});
    for (auto& u : units)
      threads.emplace_back([&u] { u->run(); });
  }

  ~ThreadsTest() override {
    env.supervisor = nullptr;
    system.await_actors_before_shutdown(false);
  }

  /// Runs `f` on a unit and waits for it.
  template <class F>
  void on_unit(unit_id where, F f) {
    std::promise<void> done;
    loops[where]->post([&] {
      f();
      done.set_value();
    });
    done.get_future().wait();
  }

  socket_ptr connect(unit_id on, std::string room) {
    auto socket = std::make_shared<fake_socket>(*loops[on]);
    on_unit(on, [&] {
      upgrade x;
      x.flow = socket->flow;
      x.raw = !room.empty();
      x.dialect = &talk;
      if (x.raw) {
        x.dialect = &relay;
        command c;
        c.what = verb::join;
        c.room = room;
        x.implied.push_back(std::move(c));
      }
      socket->attach(front.open(on, socket, std::move(x)));
    });
    return socket;
  }

  greenroom::books books(const std::string& room, caf::actor& where) const {
    std::promise<greenroom::books> told;
    tell(env.supervisor, ask_books{room, 0,
                                   [&](const greenroom::books& x,
                                       const caf::actor& r, const member_ptr&) {
                                     where = r;
                                     told.set_value(x);
                                   }});
    return told.get_future().get();
  }

  /// Everybody hangs up, the broker drains, its threads end.
  void finish() {
    for (auto& s : sockets)
      s->hang_up();
    tell(env.supervisor, stop_all{});
    for (auto& u : units)
      u->stop(1min);
    for (auto& t : threads)
      t.join();
    for (auto& u : units)
      EXPECT_EQ(u->live_actors(), 0u);
    for (auto& s : sockets) {
      EXPECT_TRUE(s->gone);
      EXPECT_EQ(s->flow->queued(), 0u);
    }
  }

  /// Nobody got anything twice or, from one sender, in the wrong order.
  void check(const fake_socket& x) {
    std::map<unsigned, unsigned> last;
    for (auto& text : x.got) {
      unsigned from = 0, n = 0;
      if (sscanf(text.c_str(), "%u.%u", &from, &n) == 2) {
        EXPECT_GT(n, last[from]) << text;
        last[from] = n;
      }
    }
  }

  relay_dialect relay;
  talk_dialect talk;
  fake_log log;
  metrics counts;
  engine env;
  desk front{env};
  std::vector<std::unique_ptr<fake_loop>> loops;
  quiet_config config;
  caf::actor_system system{config};
  std::vector<std::unique_ptr<unit>> units;
  std::vector<std::thread> threads;
  std::vector<socket_ptr> sockets;
};

TEST_F(ThreadsTest, EveryMemberOnEveryThreadGetsEverything) {
  constexpr std::int64_t members = 8;
  constexpr std::int64_t each = 500;
  for (std::size_t i = 0; i < members; ++i)
    sockets.push_back(connect(static_cast<unit_id>(i % unit_count), "a"));
  caf::actor where;
  while (books("a", where).memberships < std::size_t{members})
    std::this_thread::yield();
  for (std::int64_t n = 1; n <= each; ++n)
    for (std::size_t i = 0; i < members; ++i)
      sockets[i]->emit(fmt::format("{}.{}", i, n));
  while (counts.deliveries.get() < members * members * each)
    std::this_thread::yield();
  where = nullptr;
  finish();
  for (auto& s : sockets) {
    check(*s);
    EXPECT_EQ(s->got, sockets[0]->got);
    EXPECT_EQ(s->got.size(), std::size_t{members * each});
  }
}

TEST_F(ThreadsTest, ComingGoingAndCrashingLeaveNothingBehind) {
  std::mt19937_64 random{random_seed()};
  std::vector<int> said;
  auto roll = [&](std::size_t n) { return random() % n; };
  const std::vector<std::string> rooms{"a", "b", "c", "d"};
  for (int i = 0; i < 3000; ++i) {
    auto x = roll(100);
    if (x < 5 && sockets.size() < 60) {
      auto raw = roll(2) == 0;
      sockets.push_back(connect(static_cast<unit_id>(roll(unit_count)),
                                raw ? rooms[roll(4)] : std::string{}));
      said.push_back(raw ? 0 : -1'000'000);
    } else if (x < 6) {
      caf::actor where;
      books(rooms[roll(4)], where);
      tell(where, sabotage{});
    } else if (!sockets.empty()) {
      auto who = roll(sockets.size());
      auto& s = *sockets[who];
      auto n = ++said[who];
      if (x < 7)
        s.hang_up(errc::peer_gone);
      else if (n > 0)
        s.emit(fmt::format("{}.{}", who + 1, n));
      else if (x < 40)
        s.emit(fmt::format("join {} {}", i + 1, rooms[roll(4)]));
      else if (x < 60)
        s.emit(fmt::format("leave {} {}", i + 1, rooms[roll(4)]));
      else
        s.emit(fmt::format("pub {} {} {}.{}", i + 1, rooms[roll(4)], who + 1,
                           n + 1'000'000));
    }
  }
  finish();
  for (auto& s : sockets)
    check(*s);
}

} // namespace

} // namespace greenroom::test
