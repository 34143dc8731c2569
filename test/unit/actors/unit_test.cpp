#include "actors/runtime/unit.hpp"

#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "actors/runtime/reason.hpp"
#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class UnitTest : public ActorTest {
protected:
  /// Writes down each message, ends when asked to.
  caf::actor clerk(unit_id on, std::string name) {
    puppet::script s;
    s.receive = [this, name](puppet& me, caf::mailbox_element& in) {
      return dispatch(
        in, [&](flush&) { diary.push_back(name); },
        [&](retire& x) { me.quit(x.why); });
    };
    clerks.push_back(spawn_puppet(on, s));
    return clerks.back();
  }

  void TearDown() override {
    for (auto& x : clerks)
      tell(x, retire{errc::none});
    clerks.clear();
    ActorTest::TearDown();
  }

  std::vector<std::string> diary;
  std::vector<caf::actor> clerks;
};

// -- the ready queue ---------------------------------------------------------------

TEST_F(UnitTest, ActorsRunInTheOrderInWhichTheyGotMail) {
  start({});
  auto ann = clerk(0, "ann"), bob = clerk(0, "bob"), cid = clerk(0, "cid");
  run();
  at(0).enter();
  for (auto& x : {cid, ann, bob, ann})
    tell(x, flush{});
  run();
  EXPECT_THAT(diary, ElementsAre("cid", "ann", "ann", "bob"));
}

TEST_F(UnitTest, MailFromOtherUnitsKeepsItsOrderToo) {
  start({});
  auto ann = clerk(0, "ann"), bob = clerk(0, "bob"), cid = clerk(0, "cid");
  run();
  at(1).enter();
  for (auto& x : {cid, ann, bob, ann})
    tell(x, flush{});
  run();
  EXPECT_THAT(diary, ElementsAre("cid", "ann", "ann", "bob"));
}

TEST_F(UnitTest, MailFromAnotherUnitEndsItsSleepOnce) {
  start({});
  auto ann = clerk(0, "ann"), bob = clerk(0, "bob");
  run();
  auto before = loop(0).wakes();
  at(1).enter();
  tell(ann, flush{});
  tell(ann, flush{});
  tell(bob, flush{});
  EXPECT_EQ(loop(0).wakes(), before + 1);
  run();
  at(1).enter();
  tell(bob, flush{});
  EXPECT_EQ(loop(0).wakes(), before + 2);
}

TEST_F(UnitTest, MailFromItsOwnThreadWakesNobody) {
  start({});
  auto ann = clerk(0, "ann");
  run();
  auto before = loop(0).wakes();
  at(0).enter();
  tell(ann, flush{});
  EXPECT_EQ(loop(0).wakes(), before);
  EXPECT_TRUE(run_one_turn(0));
  EXPECT_FALSE(run_one_turn(0));
}

TEST_F(UnitTest, ATurnRunsOnlySoManyActorsAndSaysThatThereIsMore) {
  how.resumes_per_turn = 2;
  start({});
  auto ann = clerk(0, "ann"), bob = clerk(0, "bob"), cid = clerk(0, "cid");
  run();
  at(0).enter();
  for (auto& x : {ann, bob, cid})
    tell(x, flush{});
  EXPECT_TRUE(run_one_turn(0));
  EXPECT_THAT(diary, ElementsAre("ann", "bob"));
  run_one_turn(0);
  EXPECT_THAT(diary, ElementsAre("ann", "bob", "cid"));
}

TEST_F(UnitTest, ATurnPollsThenRunsActorsThenFlushes) {
  start();
  auto home = home_of("lobby");
  auto client = connect("lobby", {.on = home});
  client->emit("hello");
  EXPECT_TRUE(run_one_turn(home));
  EXPECT_THAT(client->got, ElementsAre("hello"));
}

TEST_F(UnitTest, WhoeverHasSomethingLeftToSendIsNotDone) {
  start({});
  run();
  loop(0).unsent = true;
  EXPECT_TRUE(run_one_turn(0));
  loop(0).unsent = false;
  EXPECT_FALSE(run_one_turn(0));
}

TEST_F(UnitTest, OnlyPinnedActorsRunOnAUnit) {
  struct stranger final : caf::resumable, caf::ref_counted {
    subtype_t subtype() const override { return unspecified; }
    resume_result resume(caf::execution_unit*, std::size_t) override {
      return done;
    }
    void intrusive_ptr_add_ref_impl() override { ref(); }
    void intrusive_ptr_release_impl() override { deref(); }
  };
  start({});
  auto x = caf::make_counted<stranger>();
  EXPECT_THROW(at(0).exec_later(x.get()), std::logic_error);
}

// -- time ----------------------------------------------------------------------------

TEST_F(UnitTest, TimersFireOnTheClockOfTheUnit) {
  start({});
  struct bell final : timer {
    explicit bell(std::vector<steady_time>& x, unit& u) : times(x), home(u) {}
    void fired() override { times.push_back(home.now()); }
    std::vector<steady_time>& times;
    unit& home;
  };
  std::vector<steady_time> times;
  bell b{times, at(0)};
  at(0).timers().arm_in(b, 100ms);
  auto begin = now();
  advance(80ms);
  EXPECT_THAT(times, IsEmpty());
  advance(60ms);
  ASSERT_EQ(times.size(), 1u);
  EXPECT_GE(times[0], begin + 100ms);
  EXPECT_LE(times[0], begin + 120ms);
}

// -- lifecycle events ------------------------------------------------------------------

class UnitReportTest : public UnitTest {
protected:
  void SetUp() override {
    how.lifecycle_max = 3;
    env.inspection.every = 0ms;
    start({});
    at(1).report_to(
      [this](lifecycle_batch x) { batches.push_back(std::move(x)); });
  }

  void report(int n) {
    for (int i = 0; i < n; ++i) {
      lifecycle_event e;
      e.number = static_cast<std::uint64_t>(i);
      at(1).report(std::move(e));
    }
  }

  std::vector<lifecycle_batch> batches;
};

TEST_F(UnitReportTest, EventsOfATurnComeInOneBatch) {
  report(2);
  run_one_turn(1);
  run_one_turn(1);
  ASSERT_EQ(batches.size(), 1u);
  ASSERT_EQ(batches[0].size(), 2u);
  EXPECT_EQ(batches[0][1].number, 1u);
  EXPECT_EQ(batches[0][1].unit, 1);
}

TEST_F(UnitReportTest, MoreEventsThanFitAreCounted) {
  report(5);
  run_one_turn(1);
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].size(), 3u);
  EXPECT_EQ(counts.log_lost.get(), 2);
  report(1);
  run_one_turn(1);
  EXPECT_EQ(batches.size(), 2u);
  EXPECT_EQ(counts.log_lost.get(), 2);
}

TEST_F(UnitReportTest, WhatNobodyWantsToKnowWaits) {
  at(1).report_to({});
  report(2);
  run_one_turn(1);
  at(1).report_to(
    [this](lifecycle_batch x) { batches.push_back(std::move(x)); });
  run_one_turn(1);
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].size(), 2u);
}

// -- running on a thread ------------------------------------------------------------------

class UnitThreadTest : public testing::Test {
protected:
  quiet_config config;
  metrics counts;
  fake_loop loop;
  caf::actor_system system{config};
};

TEST_F(UnitThreadTest, ItStopsWhenTheLastActorHasEnded) {
  unit aut{system, 0, loop, counts};
  puppet::script s;
  s.receive = [](puppet& me, caf::mailbox_element& in) {
    return dispatch(in, [&](retire& x) { me.quit(x.why); });
  };
  auto ann = spawn_on<puppet>(aut, s);
  std::thread t{[&] { aut.run(); }};
  aut.stop(1min);
  tell(ann, retire{errc::none});
  t.join();
  EXPECT_EQ(aut.live_actors(), 0u);
}

TEST_F(UnitThreadTest, ItEndsWhoDoesNotEndWhenTheGraceIsOver) {
  unit aut{system, 0, loop, counts};
  auto ann = spawn_on<puppet>(aut, puppet::script{});
  auto why = errc::none;
  ann->attach_functor([&why](const caf::error& x) { why = reason(x); });
  std::thread t{[&] { aut.run(); }};
  aut.stop(10ms);
  t.join();
  EXPECT_EQ(aut.live_actors(), 0u);
  EXPECT_EQ(why, errc::shutdown);
  EXPECT_FALSE(aut.is_current());
  tell(ann, retire{errc::none}); // for nobody, and no harm
}

TEST_F(UnitThreadTest, ATimerEndsItsSleep) {
  unit aut{system, 0, loop, counts};
  struct bell final : timer {
    explicit bell(unit& u) : home(u) {}
    void fired() override { home.stop(0ms); }
    unit& home;
  };
  bell b{aut};
  loop.timers().arm_in(b, 30ms);
  std::thread t{[&] { aut.run(); }};
  t.join();
  EXPECT_FALSE(b.armed());
}

TEST_F(UnitThreadTest, AnActorThatNeverRanIsLetGoWithItsUnit) {
  caf::actor_addr weak;
  {
    unit aut{system, 0, loop, counts};
    auto ann = spawn_on<puppet>(aut, puppet::script{});
    weak = ann.address();
    tell(ann, flush{});
  }
  EXPECT_FALSE(caf::actor_cast<caf::actor>(weak));
}

} // namespace

} // namespace greenroom::test
