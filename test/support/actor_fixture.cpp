#include "test/support/actor_fixture.hpp"

#include <algorithm>

#include <caf/atom.hpp>

#include "actors/supervisor.hpp"

namespace greenroom::test {

quiet_config::quiet_config() {
  set("scheduler.policy", caf::atom("sharing"));
  set("scheduler.max-threads", static_cast<std::size_t>(1));
}

// -- puppet ---------------------------------------------------------------------

puppet::puppet(caf::actor_config& cfg, unit& home, script what)
  : actor(cfg, home, actor_kind::probe), script_(std::move(what)) {}

void puppet::started() {
  if (script_.started)
    script_.started(*this);
}

bool puppet::receive(caf::mailbox_element& in) {
  return script_.receive && script_.receive(*this, in);
}

void puppet::monitor_down(const caf::down_msg& x) {
  if (script_.down)
    script_.down(*this, x);
}

void puppet::stopped(errc why) {
  if (script_.stopped)
    script_.stopped(why);
}

void puppet::lost(caf::mailbox_element& in) {
  if (script_.lost)
    script_.lost(in);
}

// -- life -----------------------------------------------------------------------

ActorTest::ActorTest() : live_before_(wire::live_bytes()) {
  env.room.patience = {};
  env.supervisor_limits.linger = {};
}

ActorTest::~ActorTest() {
  // Whatever is left must not keep the actor system waiting.
  env.supervisor = nullptr;
  if (system_)
    system_->await_actors_before_shutdown(false);
  sockets_.clear();
  units_.clear();
}

void ActorTest::start(std::vector<named_room> rooms) {
  system_ = std::make_unique<caf::actor_system>(config_);
  how.clock = &clock_;
  for (std::size_t i = 0; i < unit_count; ++i) {
    loops_.push_back(std::make_unique<fake_loop>(clock_));
    units_.push_back(std::make_unique<unit>(*system_, static_cast<unit_id>(i),
                                            *loops_.back(), counts, how));
    env.units.push_back(units_.back().get());
  }
  env.counts = &counts;
  env.log = &log;
  env.supervisor =
    spawn_on<supervisor>(at(0), env, std::move(rooms), on_demand);
  desk.emplace(env);
  run();
}

void ActorTest::TearDown() {
  if (!system_)
    return;
  for (auto& s : sockets_) {
    s->stuck = false;
    if (std::exchange(s->immortal, false))
      s->vanish();
    else if (!s->gone)
      s->hang_up();
  }
  run();
  advance(fake_socket::goodbye_timeout + std::chrono::seconds{1});
  if (supervisor_lives()) {
    auto left = books();
    EXPECT_EQ(left.clients, 0u);
    EXPECT_EQ(left.readers, 0u);
    EXPECT_EQ(left.writers, 0u);
    EXPECT_EQ(left.sockets, 0u);
    EXPECT_EQ(left.memberships, 0u);
    EXPECT_EQ(left.bytes_queued, 0u);
    EXPECT_EQ(live(actor_kind::outlet), 0u);
    tell(env.supervisor, stop_all{});
    run();
    advance(std::chrono::seconds{1});
  }
  EXPECT_EQ(live_actors(), 0u);
  EXPECT_EQ(system_->registry().running(), 0u);
  for (auto& s : sockets_) {
    EXPECT_TRUE(s->gone) << "client " << s->id;
    EXPECT_EQ(s->flow->queued(), 0u) << "client " << s->id;
    // Only this fixture and the test know it still.
  }
  sockets_.clear();
  EXPECT_EQ(wire::live_bytes(), live_before_);
}

void ActorTest::abandon() {
  for (auto& u : units_) {
    u->enter();
    std::vector<caf::actor> left;
    u->each_actor([&left](const actor& x) {
      left.push_back(caf::actor_cast<caf::actor>(x.address()));
    });
    for (auto& x : left)
      tell(x, caf::exit_msg{x.address(), caf::exit_reason::kill});
  }
  run();
}

// -- time -----------------------------------------------------------------------

bool ActorTest::run_one_turn(unit_id which) {
  at(which).enter();
  return at(which).turn();
}

void ActorTest::run() {
  bool more = true;
  // Far more than any test needs: a livelock is a failure, not a timeout.
  for (int rounds = 0; more; ++rounds) {
    ASSERT_LT(rounds, 1'000'000) << "the units never come to rest";
    more = false;
    for (std::size_t i = 0; i < units_.size(); ++i)
      more = run_one_turn(static_cast<unit_id>(i)) || more;
  }
}

void ActorTest::advance(std::chrono::steady_clock::duration span) {
  auto end = clock_ + span;
  run();
  for (;;) {
    auto next = end;
    for (auto& l : loops_)
      next = std::min(next, l->timers().next_deadline());
    clock_ = std::max(clock_, next);
    run();
    if (clock_ >= end)
      return;
  }
}

// -- clients --------------------------------------------------------------------

upgrade ActorTest::raw_upgrade(std::string room, bool echo) const {
  upgrade x;
  x.dialect = &relay;
  x.raw = true;
  x.address = "192.0.2.1";
  command c;
  c.what = verb::join;
  c.room = std::move(room);
  c.options.echo = echo;
  x.implied.push_back(std::move(c));
  return x;
}

upgrade ActorTest::talk_upgrade() const {
  upgrade x;
  x.dialect = &talk;
  x.address = "192.0.2.2";
  return x;
}

socket_ptr ActorTest::open(unit_id on, upgrade request) {
  auto socket = std::make_shared<fake_socket>(loop(on));
  sockets_.push_back(socket);
  request.flow = socket->flow;
  at(on).enter();
  socket->attach(desk->open(on, socket, std::move(request)));
  socket->id = env.last_client.load();
  return socket;
}

unit_id ActorTest::place(std::string room) {
  unit_id result = 0;
  desk->place(std::move(room), [&result](unit_id x) { result = x; });
  run();
  return result;
}

socket_ptr ActorTest::connect(std::string room, how_to_connect x) {
  auto where = x.on ? *x.on : place(room);
  auto socket = open(where, raw_upgrade(std::move(room), x.echo));
  run();
  return socket;
}

socket_ptr ActorTest::connect_talker(std::optional<unit_id> on) {
  auto where = on ? *on : place({});
  auto socket = open(where, talk_upgrade());
  run();
  return socket;
}

// -- looking inside -------------------------------------------------------------

greenroom::books ActorTest::books() {
  greenroom::books result;
  tell(env.supervisor,
       ask_books{{},
                 0,
                 [&result](const greenroom::books& x, const caf::actor&,
                           const member_ptr&) { result = x; }});
  run();
  return result;
}

caf::actor ActorTest::room_actor(std::string room) {
  caf::actor result;
  tell(env.supervisor,
       ask_books{std::move(room), 0,
                 [&result](const greenroom::books&, const caf::actor& x,
                           const member_ptr&) { result = x; }});
  run();
  return result;
}

member_ptr ActorTest::member_of(const socket_ptr& who) {
  member_ptr result;
  tell(env.supervisor,
       ask_books{{},
                 who->id,
                 [&result](const greenroom::books&, const caf::actor&,
                           const member_ptr& x) { result = x; }});
  run();
  return result;
}

unit_id ActorTest::home_of(std::string room) {
  auto x = room_actor(std::move(room));
  return static_cast<actor*>(caf::actor_cast<caf::abstract_actor*>(x))
    ->home()
    .id();
}

void ActorTest::crash(std::string room) {
  tell(room_actor(std::move(room)), sabotage{});
  run();
}

std::size_t ActorTest::live_actors() const {
  std::size_t result = 0;
  for (auto& u : units_)
    result += u->live_actors();
  return result;
}

std::size_t ActorTest::live(actor_kind kind) const {
  std::size_t result = 0;
  for (auto& u : units_)
    u->each_actor([&](const actor& x) { result += x.kind() == kind ? 1 : 0; });
  return result;
}

bool ActorTest::supervisor_lives() const {
  return live(actor_kind::supervisor) > 0;
}

caf::actor ActorTest::spawn_puppet(unit_id on, puppet::script what) {
  return spawn_on<puppet>(at(on), std::move(what));
}

} // namespace greenroom::test
