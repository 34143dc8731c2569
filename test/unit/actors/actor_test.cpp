#include "actors/runtime/actor.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <caf/all.hpp>
#include <gmock/gmock.h>

#include "actors/runtime/reason.hpp"
#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

namespace {

struct word {
  std::string what;
};

struct number {
  unsigned sender;
  unsigned n;
};

struct halt {
  errc why;
};

} // namespace

} // namespace greenroom::test

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::test::word)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::test::number)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::test::halt)

namespace greenroom::test {

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ActorBaseTest : public ActorTest {
protected:
  void SetUp() override { start({}); }

  /// Writes down words and its end, and halts or throws when told to.
  caf::actor clerk(unit_id on, const std::string& name) {
    return spawn_puppet(on, script_of(name));
  }

  puppet::script script_of(const std::string& name) {
    auto note = [this, name](std::string_view what) {
      diary.push_back(name + ' ' + std::string{what});
    };
    puppet::script s;
    s.receive = [note](puppet& me, caf::mailbox_element& in) {
      return dispatch(
        in, [&](word& x) { note(x.what); }, [&](halt& x) { me.quit(x.why); });
    };
    s.down = [note](puppet&, const caf::down_msg& x) {
      note("hears " + std::string{to_string(reason(x.reason))});
    };
    s.stopped = [note](errc why) {
      note("ends " + std::string{to_string(why)});
    };
    s.lost = [note](caf::mailbox_element& in) {
      dispatch(in, [&](word& x) { note("loses " + x.what); });
    };
    return s;
  }

  std::vector<std::string> events() {
    run();
    return std::exchange(diary, {});
  }

  std::vector<std::string> diary;
  caf::actor ann_;
};

static void say(const caf::actor& to, std::string what) {
  tell(to, word{std::move(what)});
}

// -- messages -------------------------------------------------------------------

TEST_F(ActorBaseTest, MessagesOfOneSenderArriveInOrder) {
  auto ann = clerk(0, "ann");
  auto bob = clerk(1, "bob");
  for (auto* w : {"a", "b", "c"}) {
    say(ann, w);
    say(bob, w);
  }
  EXPECT_THAT(events(), ElementsAre("ann a", "ann b", "ann c", "bob a", "bob b",
                                    "bob c"));
  tell(ann, halt{});
  tell(bob, halt{});
}

TEST_F(ActorBaseTest, WhatArrivesWhileItRunsIsHandledToo) {
  auto s = script_of("ann");
  auto plain = s.receive;
  s.receive = [plain](puppet& me, caf::mailbox_element& in) {
    dispatch(in, [&](word& x) {
      if (x.what == "first")
        say(me.self(), "second");
    });
    return plain(me, in);
  };
  auto ann = spawn_puppet(0, s);
  say(ann, "first");
  EXPECT_THAT(events(), ElementsAre("ann first", "ann second"));
  tell(ann, halt{});
}

TEST_F(ActorBaseTest, AMessageWithoutAHandlerDoesNoHarm) {
  auto ann = clerk(0, "ann");
  tell(ann, number{1, 2});
  say(ann, "next");
  EXPECT_THAT(events(), ElementsAre("ann next"));
  tell(ann, halt{});
}

TEST_F(ActorBaseTest, TellingNobodyDoesNoHarm) {
  say(caf::actor{}, "hello");
}

TEST_F(ActorBaseTest, ItStartsOnceAndBeforeItsFirstMessage) {
  auto s = script_of("ann");
  s.started = [this](puppet& me) {
    EXPECT_TRUE(me.home().is_current());
    diary.emplace_back("ann starts");
  };
  auto ann = spawn_puppet(1, s);
  say(ann, "hello");
  EXPECT_THAT(events(), ElementsAre("ann starts", "ann hello"));
  say(ann, "again");
  EXPECT_THAT(events(), ElementsAre("ann again"));
  tell(ann, halt{});
}

TEST_F(ActorBaseTest, ItRunsOnItsUnitWhoeverSends) {
  std::vector<bool> home;
  puppet::script s;
  s.receive = [&home](puppet& me, caf::mailbox_element& in) {
    home.push_back(me.home().is_current());
    return dispatch(in, [&](halt& x) { me.quit(x.why); });
  };
  auto ann = spawn_puppet(1, s);
  at(0).enter();
  tell(ann, word{"from the other unit"});
  run_one_turn(0);
  EXPECT_THAT(home, IsEmpty());
  run_one_turn(1);
  tell(ann, halt{});
  run();
  EXPECT_THAT(home, ElementsAre(true, true));
}

// -- ends -----------------------------------------------------------------------

TEST_F(ActorBaseTest, ItLivesUntilItQuitsThoughNobodyHoldsIt) {
  auto before = live_actors();
  caf::actor_addr weak;
  {
    auto ann = clerk(0, "ann");
    weak = ann.address();
    run();
  }
  EXPECT_EQ(live_actors(), before + 1);
  auto ann = caf::actor_cast<caf::actor>(weak);
  ASSERT_TRUE(ann);
  tell(ann, halt{});
  ann = nullptr;
  EXPECT_THAT(events(), ElementsAre("ann ends none"));
  EXPECT_EQ(live_actors(), before);
  EXPECT_FALSE(caf::actor_cast<caf::actor>(weak));
}

TEST_F(ActorBaseTest, NothingIsHandledBehindItsEnd) {
  auto ann = clerk(0, "ann");
  say(ann, "a");
  tell(ann, halt{errc::kicked});
  say(ann, "b");
  say(ann, "c");
  EXPECT_THAT(events(), ElementsAre("ann a", "ann ends kicked", "ann loses b",
                                    "ann loses c"));
}

TEST_F(ActorBaseTest, WhatCameLastIsLostInOrderToo) {
  auto s = script_of("ann");
  s.stopped = [this](errc) {
    // Behind what the actor has taken out of its mailbox already.
    say(ann_, "c");
    say(ann_, "d");
  };
  ann_ = spawn_puppet(0, s);
  tell(ann_, halt{});
  say(ann_, "a");
  say(ann_, "b");
  EXPECT_THAT(events(), ElementsAre("ann loses a", "ann loses b", "ann loses c",
                                    "ann loses d"));
  ann_ = nullptr;
}

TEST_F(ActorBaseTest, WhatIsSentToTheDeadIsLostToo) {
  auto ann = clerk(0, "ann");
  tell(ann, halt{});
  run();
  say(ann, "too late");
  EXPECT_THAT(events(), ElementsAre("ann ends none", "ann loses too late"));
}

TEST_F(ActorBaseTest, AMessageWithAHandleToItsReceiverKeepsNobodyAlive) {
  caf::actor_addr weak;
  {
    auto ann = clerk(0, "ann");
    weak = ann.address();
    tell(ann, halt{});
    tell(ann, joined{"room", ann, false});
  }
  run();
  EXPECT_FALSE(caf::actor_cast<caf::actor>(weak));
}

TEST_F(ActorBaseTest, AKilledActorEndsWhateverItDoes) {
  auto ann = clerk(0, "ann");
  tell(ann, caf::exit_msg{{}, caf::exit_reason::kill});
  EXPECT_THAT(events(), ElementsAre("ann ends kicked"));
}

TEST_F(ActorBaseTest, ARequestToTheDeadIsAnswered) {
  auto ann = clerk(0, "ann");
  auto bob = clerk(0, "bob");
  caf::scoped_actor self{at(0).system()};
  tell(ann, halt{});
  auto waiting = self->request(ann, std::chrono::minutes{1}, word{"hello"});
  run();
  auto late = self->request(ann, std::chrono::minutes{1}, word{"hello"});
  for (auto* handle : {&waiting, &late}) {
    caf::error got;
    handle->receive([] { FAIL(); }, [&](caf::error& e) { got = e; });
    EXPECT_EQ(got, caf::sec::request_receiver_down);
  }
  tell(bob, halt{});
}

// -- exceptions -----------------------------------------------------------------

class CrashTest : public ActorBaseTest {
protected:
  caf::actor bomber(unit_id on, const std::string& name) {
    auto s = script_of(name);
    auto plain = s.receive;
    s.receive = [plain](puppet& me, caf::mailbox_element& in) {
      dispatch(in, [](word& x) {
        if (x.what == "boom")
          throw std::runtime_error("it went boom");
      });
      return plain(me, in);
    };
    return spawn_puppet(on, s);
  }
};

TEST_F(CrashTest, AnExceptionEndsTheActorAsAFault) {
  auto ann = bomber(0, "ann");
  say(ann, "a");
  say(ann, "boom");
  say(ann, "b");
  EXPECT_THAT(events(), ElementsAre("ann a", "ann ends fault", "ann loses b"));
  EXPECT_EQ(counts.crashes.get(), 1);
  auto lines = log.lines("actor_crashed");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], testing::HasSubstr("what=it went boom"));
}

TEST_F(CrashTest, OthersOnTheUnitGoOn) {
  auto ann = bomber(0, "ann");
  auto bob = clerk(0, "bob");
  say(ann, "boom");
  say(bob, "a");
  EXPECT_THAT(events(), ElementsAre("ann ends fault", "bob a"));
  tell(bob, halt{});
}

TEST_F(CrashTest, AnExceptionAtTheStartEndsItAsWell) {
  auto s = script_of("ann");
  s.started = [](puppet&) { throw std::runtime_error("no"); };
  auto before = live_actors();
  auto ann = spawn_puppet(0, s);
  say(ann, "a");
  EXPECT_THAT(events(), ElementsAre("ann ends fault", "ann loses a"));
  EXPECT_EQ(live_actors(), before);
}

TEST_F(CrashTest, AnExceptionAtTheEndIsCountedAndNoMore) {
  auto s = script_of("ann");
  s.stopped = [](errc) { throw std::runtime_error("no"); };
  auto ann = spawn_puppet(0, s);
  auto bob = clerk(1, "bob");
  bool heard = false;
  puppet::script watcher;
  watcher.started = [&](puppet& me) { me.monitor(ann); };
  watcher.down = [&](puppet& me, const caf::down_msg&) {
    heard = true;
    me.quit(errc::none);
  };
  spawn_puppet(1, watcher);
  run();
  tell(ann, halt{});
  run();
  EXPECT_TRUE(heard);
  EXPECT_EQ(counts.crashes.get(), 1);
  tell(bob, halt{});
}

TEST_F(CrashTest, AnExceptionOverLostMailIsCountedAndNoMore) {
  auto s = script_of("ann");
  s.lost = [](caf::mailbox_element&) { throw std::runtime_error("no"); };
  auto ann = spawn_puppet(0, s);
  auto bob = clerk(0, "bob");
  tell(ann, halt{});
  say(ann, "a");
  say(ann, "b");
  EXPECT_THAT(events(), ElementsAre("ann ends none"));
  say(ann, "c");
  say(bob, "d");
  EXPECT_THAT(events(), ElementsAre("bob d"));
  EXPECT_EQ(counts.crashes.get(), 3);
  tell(bob, halt{});
}

TEST_F(CrashTest, SabotageCrashesAnyActor) {
  auto ann = clerk(0, "ann");
  tell(ann, sabotage{});
  EXPECT_THAT(events(), ElementsAre("ann ends fault"));
}

// -- links and monitors -----------------------------------------------------------

class LinkTest : public ActorBaseTest {
protected:
  /// An actor on `on` that links to `other` when it starts.
  caf::actor partner(unit_id on, const std::string& name,
                     const caf::actor& other) {
    auto s = script_of(name);
    s.started = [other](puppet& me) { me.link_to(other); };
    return spawn_puppet(on, s);
  }

  caf::actor watcher(unit_id on, const std::string& name,
                     const caf::actor& other) {
    auto s = script_of(name);
    s.started = [other](puppet& me) { me.monitor(other); };
    return spawn_puppet(on, s);
  }
};

TEST_F(LinkTest, AnEndWithAReasonTravelsBothWays) {
  for (unit_id there : {0, 1}) {
    auto ann = clerk(0, "ann");
    auto bob = partner(there, "bob", ann);
    run();
    tell(bob, halt{errc::peer_gone});
    EXPECT_THAT(events(),
                ElementsAre("bob ends peer_gone", "ann ends peer_gone"));
    auto cid = clerk(0, "cid");
    auto dan = partner(there, "dan", cid);
    run();
    tell(cid, halt{errc::kicked});
    EXPECT_THAT(events(), ElementsAre("cid ends kicked", "dan ends kicked"));
  }
}

TEST_F(LinkTest, AnOrdinaryEndStaysAlone) {
  auto ann = clerk(0, "ann");
  auto bob = partner(1, "bob", ann);
  run();
  tell(bob, halt{});
  EXPECT_THAT(events(), ElementsAre("bob ends none"));
  tell(ann, halt{});
}

TEST_F(LinkTest, ALinkToTheDeadEndsAtOnce) {
  auto ann = clerk(0, "ann");
  tell(ann, halt{errc::slow_consumer});
  run();
  auto bob = partner(1, "bob", ann);
  EXPECT_THAT(events(),
              ElementsAre("ann ends slow_consumer", "bob ends slow_consumer"));
}

TEST_F(LinkTest, ACrashTravelsAsAFault) {
  auto ann = clerk(0, "ann");
  auto bob = partner(1, "bob", ann);
  run();
  tell(ann, sabotage{});
  EXPECT_THAT(events(), ElementsAre("ann ends fault", "bob ends fault"));
}

TEST_F(LinkTest, AMonitorHearsTheReason) {
  auto ann = clerk(0, "ann");
  auto bob = watcher(1, "bob", ann);
  run();
  tell(ann, halt{errc::no_pong});
  EXPECT_THAT(events(), ElementsAre("ann ends no_pong", "bob hears no_pong"));
  tell(bob, halt{});
}

TEST_F(LinkTest, AMonitorHearsOfAnOrdinaryEnd) {
  auto ann = clerk(0, "ann");
  auto bob = watcher(1, "bob", ann);
  run();
  tell(ann, halt{});
  EXPECT_THAT(events(), ElementsAre("ann ends none", "bob hears none"));
  tell(bob, halt{});
}

TEST_F(LinkTest, AMonitorOfTheDeadHearsItAtOnce) {
  auto ann = clerk(0, "ann");
  tell(ann, halt{errc::stale});
  run();
  auto bob = watcher(1, "bob", ann);
  EXPECT_THAT(events(), ElementsAre("ann ends stale", "bob hears stale"));
  tell(bob, halt{});
}

TEST_F(LinkTest, AMonitorOfSomebodyWhoNeverStartsHearsItsEnd) {
  auto ann = clerk(1, "ann");
  auto bob = watcher(0, "bob", ann);
  run_one_turn(0); // unit 1 has not run
  tell(ann, halt{errc::kicked});
  EXPECT_THAT(events(), ElementsAre("ann ends kicked", "bob hears kicked"));
  tell(bob, halt{});
}

// -- fairness and counters ----------------------------------------------------------

class BudgetTest : public ActorBaseTest {
protected:
  void SetUp() override {
    how.messages_per_resume = 2;
    ActorBaseTest::SetUp();
  }
};

TEST_F(BudgetTest, AFloodOfOneLetsOthersTakeTheirTurn) {
  auto ann = clerk(0, "ann");
  auto bob = clerk(0, "bob");
  for (auto* w : {"1", "2", "3", "4", "5"})
    say(ann, w);
  say(bob, "1");
  EXPECT_THAT(events(), ElementsAre("ann 1", "ann 2", "bob 1", "ann 3", "ann 4",
                                    "ann 5"));
  tell(ann, halt{});
  tell(bob, halt{});
}

TEST_F(ActorBaseTest, ItCountsWhatItGotAndHowDeepItsMailboxWas) {
  auto ann = clerk(0, "ann");
  run();
  auto stats = [&] {
    return static_cast<const actor*>(caf::actor_cast<caf::abstract_actor*>(ann))
      ->stats();
  };
  auto fresh = stats();
  EXPECT_EQ(fresh.received, 0u);
  EXPECT_EQ(fresh.depth_max, 0u);
  for (int i = 0; i < 5; ++i)
    say(ann, "x");
  EXPECT_EQ(stats().received, 5u);
  EXPECT_EQ(stats().handled, 0u);
  run();
  say(ann, "y");
  run();
  auto x = stats();
  EXPECT_EQ(x.received, 6u);
  EXPECT_EQ(x.handled, 6u);
  EXPECT_EQ(x.depth_max, 5u);
  EXPECT_GT(x.busy.count(), 0);
  tell(ann, halt{});
}

// -- real threads -------------------------------------------------------------------

/// A counter of what came from each sender; quits when it has everything.
class tally final : public actor {
public:
  tally(caf::actor_config& cfg, unit& home, std::size_t senders, unsigned each,
        std::vector<caf::actor> echoes, std::atomic<unsigned>& wrong)
    : actor(cfg, home, actor_kind::probe), next_(senders, 0),
      missing_(senders * each), echoes_(std::move(echoes)), wrong_(wrong) {}

protected:
  bool receive(caf::mailbox_element& in) override {
    return dispatch(in, [this](number& x) {
      if (next_[x.sender]++ != x.n || !home().is_current())
        ++wrong_;
      if (!echoes_.empty())
        tell(echoes_[x.n % echoes_.size()], number{x.sender, x.n});
      if (--missing_ == 0)
        quit(errc::none);
    });
  }

  void stopped(errc) override { echoes_.clear(); }

private:
  std::vector<unsigned> next_;
  std::size_t missing_;
  std::vector<caf::actor> echoes_;
  std::atomic<unsigned>& wrong_;
};

TEST(ActorThreadsTest, EveryMessageArrivesOnceAndInOrder) {
  constexpr unsigned senders = 4;
  constexpr unsigned each = 20'000;
  constexpr unsigned receivers = 6;
  quiet_config config;
  metrics counts;
  std::atomic<unsigned> wrong{0};
  std::vector<std::unique_ptr<fake_loop>> loops;
  caf::actor_system system{config};
  std::vector<std::unique_ptr<unit>> units;
  for (unit_id i = 0; i < 2; ++i) {
    loops.push_back(std::make_unique<fake_loop>());
    units.push_back(
      std::make_unique<unit>(system, i, *loops[i], counts, unit_options{}));
  }
  // Each sender's numbers pass a first receiver, which sends them on to a second
  // one: from outside, inside a unit, and between units.
  std::vector<caf::actor> last;
  std::vector<caf::actor> first;
  for (unsigned i = 0; i < receivers; ++i)
    last.push_back(spawn_on<tally>(*units[i % 2], senders, each,
                                   std::vector<caf::actor>{}, wrong));
  for (unsigned i = 0; i < receivers; ++i)
    first.push_back(spawn_on<tally>(*units[(i / 2) % 2], senders, each,
                                    std::vector<caf::actor>{last[i]}, wrong));
  std::vector<std::thread> threads;
  for (auto& u : units)
    threads.emplace_back([&u] { u->run(); });
  std::vector<std::thread> sources;
  for (unsigned s = 0; s < senders; ++s)
    sources.emplace_back([&first, s] {
      for (unsigned n = 0; n < each; ++n) {
        for (auto& x : first)
          tell(x, number{s, n});
        if (n % 64 == 0)
          std::this_thread::yield();
      }
    });
  for (auto& t : sources)
    t.join();
  first.clear();
  last.clear();
  for (auto& u : units)
    u->stop(std::chrono::minutes{1});
  for (auto& t : threads)
    t.join();
  EXPECT_EQ(wrong.load(), 0u);
  for (auto& u : units)
    EXPECT_EQ(u->live_actors(), 0u);
  EXPECT_EQ(counts.crashes.get(), 0);
}

TEST(ActorThreadsTest, LinkedActorsOnTwoThreadsEndTogether) {
  quiet_config config;
  metrics counts;
  std::vector<std::unique_ptr<fake_loop>> loops;
  caf::actor_system system{config};
  std::vector<std::unique_ptr<unit>> units;
  for (unit_id i = 0; i < 2; ++i) {
    loops.push_back(std::make_unique<fake_loop>());
    units.push_back(
      std::make_unique<unit>(system, i, *loops[i], counts, unit_options{}));
  }
  std::vector<std::thread> threads;
  for (auto& u : units)
    threads.emplace_back([&u] { u->run(); });
  for (int i = 0; i < 500; ++i) {
    puppet::script s;
    s.receive = [](puppet& me, caf::mailbox_element& in) {
      return dispatch(in, [&](halt& x) { me.quit(x.why); });
    };
    auto ann = spawn_on<puppet>(*units[0], s);
    s.started = [ann](puppet& me) { me.link_to(ann); };
    auto bob = spawn_on<puppet>(*units[1], s);
    tell(i % 2 == 0 ? ann : bob, halt{errc::peer_gone});
  }
  for (auto& u : units)
    u->stop(std::chrono::minutes{1});
  for (auto& t : threads)
    t.join();
  for (auto& u : units)
    EXPECT_EQ(u->live_actors(), 0u);
}

} // namespace

} // namespace greenroom::test
