#include "actors/timer_wheel.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class bell final : public timer {
public:
  explicit bell(std::function<void()> f) : f_(std::move(f)) {}

protected:
  void fired() override { f_(); }

private:
  std::function<void()> f_;
};

class TimerWheelTest : public testing::Test {
protected:
  const steady_time start{1h + 7ms}; // not at a tick
  timer_wheel wheel{start};
  std::vector<std::string> rung;

  std::unique_ptr<bell> make(std::string name) {
    return std::make_unique<bell>(
      [this, name = std::move(name)] { rung.push_back(name); });
  }
};

TEST_F(TimerWheelTest, ATimerNeverFiresEarlyAndAtMostTwoTicksLate) {
  // One for being rounded up, one for when the unit looks.
  for (auto span = 0us; span < 100ms; span += 777us) {
    timer_wheel w{start};
    steady_time fired_at{};
    steady_time now = start;
    bell b{[&] { fired_at = now; }};
    w.arm(b, start + span);
    for (; b.armed() && now < start + 1s; now += 1ms)
      w.advance(now);
    ASSERT_FALSE(b.armed());
    EXPECT_GE(fired_at, start + span);
    EXPECT_LE(fired_at, start + span + 2 * timer_wheel::tick);
  }
}

TEST_F(TimerWheelTest, TimersFireInTheOrderOfTheirTicks) {
  auto a = make("a"), b = make("b"), c = make("c");
  wheel.arm_in(*c, 300ms);
  wheel.arm_in(*a, 100ms);
  wheel.arm_in(*b, 200ms);
  wheel.advance(start + 1s);
  EXPECT_THAT(rung, ElementsAre("a", "b", "c"));
}

TEST_F(TimerWheelTest, TimersOfOneTickFireInTheOrderInWhichTheyWereArmed) {
  auto a = make("a"), b = make("b"), c = make("c");
  wheel.arm_in(*a, 100ms);
  wheel.arm_in(*b, 100ms);
  wheel.arm_in(*c, 100ms);
  wheel.advance(start + 1s);
  EXPECT_THAT(rung, ElementsAre("a", "b", "c"));
}

TEST_F(TimerWheelTest, ATimerFiresOnce) {
  auto a = make("a");
  wheel.arm_in(*a, 100ms);
  for (auto now = start; now < start + 5min; now += 20ms)
    wheel.advance(now);
  EXPECT_THAT(rung, ElementsAre("a"));
}

TEST_F(TimerWheelTest, ADeadlineInThePastFiresWithTheNextTick) {
  auto a = make("a");
  wheel.arm(*a, start - 1h);
  EXPECT_TRUE(a->armed());
  wheel.advance(start + timer_wheel::tick);
  EXPECT_THAT(rung, ElementsAre("a"));
}

TEST_F(TimerWheelTest, ATimerOfALaterRoundWaitsForIt) {
  constexpr auto round = timer_wheel::tick * timer_wheel::slots;
  auto soon = make("soon"), late = make("late");
  wheel.arm_in(*late, 2 * round + 100ms);
  wheel.arm_in(*soon, 100ms); // the same slot
  auto now = start;
  for (; now < start + 2 * round; now += 20ms)
    wheel.advance(now);
  EXPECT_THAT(rung, ElementsAre("soon"));
  for (; now < start + 2 * round + 200ms; now += 20ms)
    wheel.advance(now);
  EXPECT_THAT(rung, ElementsAre("soon", "late"));
}

TEST_F(TimerWheelTest, ALongSleepMissesNobody) {
  constexpr auto round = timer_wheel::tick * timer_wheel::slots;
  auto a = make("a"), b = make("b"), c = make("c"), d = make("d");
  wheel.arm_in(*a, 1s);
  wheel.arm_in(*b, round - 1s);
  wheel.arm_in(*c, 2 * round);
  wheel.arm_in(*d, 6 * round);
  wheel.advance(start + 5 * round);
  EXPECT_THAT(rung, testing::UnorderedElementsAre("a", "b", "c"));
  EXPECT_TRUE(d->armed());
  wheel.advance(start + 7 * round);
  EXPECT_FALSE(d->armed());
}

TEST_F(TimerWheelTest, ADisarmedTimerIsSilent) {
  auto a = make("a"), b = make("b");
  wheel.arm_in(*a, 100ms);
  wheel.arm_in(*b, 100ms);
  a->disarm();
  EXPECT_FALSE(a->armed());
  a->disarm();
  wheel.advance(start + 1s);
  EXPECT_THAT(rung, ElementsAre("b"));
}

TEST_F(TimerWheelTest, ArmingAgainMovesATimer) {
  auto a = make("a");
  wheel.arm_in(*a, 100ms);
  wheel.arm_in(*a, 500ms);
  wheel.advance(start + 300ms);
  EXPECT_THAT(rung, IsEmpty());
  wheel.advance(start + 600ms);
  EXPECT_THAT(rung, ElementsAre("a"));
}

TEST_F(TimerWheelTest, WhoFiresMayDisarmAndDestroyOthersThatAreDue) {
  auto b = make("b"), c = make("c");
  bell a{[&] {
    rung.emplace_back("a");
    b->disarm();
    c.reset();
  }};
  wheel.arm_in(a, 100ms);
  wheel.arm_in(*b, 100ms);
  wheel.arm_in(*c, 100ms);
  wheel.advance(start + 1s);
  EXPECT_THAT(rung, ElementsAre("a"));
}

TEST_F(TimerWheelTest, WhoFiresMayEndItself) {
  std::unique_ptr<bell> a;
  a = std::make_unique<bell>([&] {
    rung.emplace_back("a");
    a.reset();
  });
  wheel.arm_in(*a, 100ms);
  wheel.advance(start + 1s);
  EXPECT_THAT(rung, ElementsAre("a"));
}

TEST_F(TimerWheelTest, WhoFiresMayArmItselfAgain) {
  int times = 0;
  bell a{[&] {
    ++times;
    wheel.arm_in(a, 100ms);
  }};
  wheel.arm_in(a, 100ms);
  for (auto now = start; now <= start + 1s; now += 5ms)
    wheel.advance(now);
  EXPECT_GE(times, 8);
  EXPECT_LE(times, 10);
  EXPECT_TRUE(a.armed());
}

TEST_F(TimerWheelTest, ArmingForThePastWhileFiringIsNoEndlessLoop) {
  int times = 0;
  bell a{[&] {
    ++times;
    wheel.arm_in(a, -1s);
  }};
  wheel.arm_in(a, 0s);
  wheel.advance(start + 100ms);
  EXPECT_EQ(times, 1);
  wheel.advance(start + 200ms);
  EXPECT_EQ(times, 2);
}

TEST_F(TimerWheelTest, NobodyArmedMeansNoDeadline) {
  EXPECT_EQ(wheel.next_deadline(), steady_time::max());
  auto a = make("a");
  wheel.arm_in(*a, 100ms);
  EXPECT_LT(wheel.next_deadline(), steady_time::max());
  wheel.advance(start + 1s);
  EXPECT_EQ(wheel.next_deadline(), steady_time::max());
}

TEST_F(TimerWheelTest, TheNextDeadlineIsWhenTheFirstTimerFires) {
  auto a = make("a"), b = make("b");
  wheel.arm_in(*b, 10s);
  wheel.arm_in(*a, 100ms);
  auto next = wheel.next_deadline();
  EXPECT_GE(next, start + 100ms);
  EXPECT_LE(next, start + 100ms + timer_wheel::tick);
  wheel.advance(next);
  EXPECT_THAT(rung, ElementsAre("a"));
  EXPECT_GE(wheel.next_deadline(), start + 10s);
}

TEST_F(TimerWheelTest, TheClockNeverRunsBackwards) {
  wheel.advance(start + 1s);
  wheel.advance(start);
  EXPECT_EQ(wheel.now(), start + 1s);
}

TEST_F(TimerWheelTest, ATimerForTheEndOfTimeIsHarmless) {
  auto a = make("a");
  wheel.arm(*a, steady_time::max());
  wheel.advance(start + 1h);
  EXPECT_THAT(rung, IsEmpty());
  EXPECT_TRUE(a->armed());
}

TEST_F(TimerWheelTest, AWheelThatEndsDisarmsItsTimers) {
  bell a{[] {}};
  {
    timer_wheel w{start};
    w.arm_in(a, 1s);
  }
  EXPECT_FALSE(a.armed());
}

TEST_F(TimerWheelTest, WhoeverFollowsTheDeadlinesMissesNothing) {
  std::mt19937_64 random{random_seed()};
  struct entry {
    std::unique_ptr<bell> what;
    steady_time due;
    steady_time fired{};
  };
  std::vector<entry> all(2000);
  auto now = start;
  for (auto& e : all) {
    e.due = start + std::chrono::microseconds{random() % 300'000'000};
    e.what = std::make_unique<bell>([&e, &now] { e.fired = now; });
    wheel.arm(*e.what, e.due);
  }
  while (wheel.next_deadline() != steady_time::max()) {
    ASSERT_GT(wheel.next_deadline(), now);
    now = wheel.next_deadline();
    wheel.advance(now);
  }
  for (auto& e : all) {
    EXPECT_GE(e.fired, e.due);
    EXPECT_LE(e.fired, e.due + timer_wheel::tick);
  }
}

} // namespace

} // namespace greenroom::test
