#include "actors/pacer.hpp"

#include <memory>
#include <string>
#include <utility>

#include <gmock/gmock.h>

#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;

// A member may have 1 000 000 bytes under way; 250 000 are much.
class PacerTest : public ActorTest {
protected:
  void SetUp() override {
    env.member.outbound_bytes_max = 1'000'000;
    env.room.patience = 1s;
  }

  void begin(overflow_policy policy = overflow_policy::disconnect) {
    start({{"lobby", {.overflow = policy}}});
    ann = connect("lobby", {.on = 0});
    run();
  }

  /// A tenth of the limit each, all at once; the room sends each by itself.
  void burst(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i)
      ann->emit(std::string(100'000, 'x'));
    run();
  }

  /// The member reads everything it was sent, and stops again.
  void read_once(const socket_ptr& who) {
    who->recover();
    run();
    who->stuck = true;
  }

  socket_ptr ann;
};

} // namespace

TEST_F(PacerTest, ABurstEndsNobodyWhoReads) {
  for (unit_id there : {0, 1}) {
    SCOPED_TRACE(there);
    if (there == 0)
      begin();
    auto bob = connect("lobby", {.on = there});
    auto eve = connect("lobby", {.on = there});
    run();
    bob->stuck = true;
    eve->stuck = true;
    ann->got.clear();
    burst(30);
    EXPECT_GT(bob->flow->queued(), 250'000u);
    EXPECT_LT(bob->flow->queued(), 500'000u);
    for (int i = 0; i < 30 && bob->got.size() < 30; ++i) {
      read_once(bob);
      advance(10ms);
      read_once(eve);
      advance(10ms);
    }
    EXPECT_THAT(bob->got, SizeIs(30));
    EXPECT_THAT(eve->got, SizeIs(30));
    EXPECT_THAT(std::exchange(ann->got, {}), SizeIs(30));
    EXPECT_EQ(bob->last_words, "");
    bob->hang_up();
    eve->hang_up();
    run();
    advance(10s);
  }
}

TEST_F(PacerTest, WhoDoesNotReadIsNotWaitedForLong) {
  begin();
  auto bob = connect("lobby", {.on = 0});
  run();
  bob->stuck = true;
  ann->got.clear();
  burst(30);
  EXPECT_LT(ann->got.size(), 10u);
  advance(80ms); // `stalled_after` and the ticks of the clock
  EXPECT_THAT(std::exchange(ann->got, {}), SizeIs(30));
  EXPECT_EQ(bob->last_words, "slow_consumer");
}

TEST_F(PacerTest, OneThatReadsABitIsNotWaitedForEither) {
  begin(overflow_policy::drop_newest);
  auto bob = connect("lobby", {.on = 0});
  auto slow = member_of(bob);
  bob->stuck = true;
  ann->got.clear();
  burst(30);
  // A byte a millisecond: as if the kernel had taken it.
  for (int i = 0; i < 80; ++i) {
    slow->flow->sub(1);
    advance(1ms);
  }
  EXPECT_THAT(std::exchange(ann->got, {}), SizeIs(30));
  EXPECT_GT(slow->gaps.load(), 0u);
  slow->flow->add(80);
}

TEST_F(PacerTest, PatienceIsSpentAndRegained) {
  begin();
  auto bob = connect("lobby", {.on = 0});
  auto slow = member_of(bob);
  bob->stuck = true;
  ann->got.clear();
  // Gets on all the time, but never below what is much.
  auto rests = [&] {
    auto begin = now();
    slow->flow->add(100'000'000);
    std::uint64_t taken = 0;
    burst(12);
    while (ann->got.size() < 12 && now() - begin < 3s) {
      slow->flow->sub(100'000);
      taken += 100'000;
      advance(20ms);
    }
    slow->flow->sub(100'000'000 - taken);
    ann->got.clear();
    return now() - begin;
  };
  env.member.outbound_bytes_max =
    1'000'000'000; // it is no matter of the policy
  EXPECT_NEAR(std::chrono::duration<double>(rests()).count(), 1, 0.1);
  read_once(bob);
  EXPECT_LT(rests(), 100ms);
  read_once(bob);
  EXPECT_EQ(bob->last_words, "");
  advance(5s);
  EXPECT_EQ(slow->flow->queued(), 0u);
  EXPECT_NEAR(std::chrono::duration<double>(rests()).count(), 0.5, 0.1);
  read_once(bob);
}

TEST_F(PacerTest, OutsideOfABurstNobodyIsWaitedFor) {
  begin();
  auto bob = connect("lobby", {.on = 0});
  run();
  bob->stuck = true;
  ann->got.clear();
  for (int i = 1; i <= 9; ++i) {
    burst(1);
    EXPECT_THAT(ann->got, SizeIs(i));
    advance(110ms);
  }
  EXPECT_EQ(bob->last_words, "");
  burst(1);
  EXPECT_EQ(bob->last_words, "slow_consumer");
}

TEST_F(PacerTest, AResterKeepsNoUnitAwake) {
  begin();
  auto bob = connect("lobby", {.on = 0});
  run();
  bob->stuck = true;
  burst(30);
  EXPECT_FALSE(run_one_turn(0));
  EXPECT_FALSE(run_one_turn(0));
}

TEST_F(PacerTest, WhoEndsMeanwhileIsNotWaitedFor) {
  begin();
  auto bob = connect("lobby", {.on = 0});
  run();
  bob->stuck = true;
  ann->got.clear();
  burst(30);
  EXPECT_LT(ann->got.size(), 30u);
  bob->vanish();
  run();
  EXPECT_THAT(std::exchange(ann->got, {}), SizeIs(30));
}

TEST_F(PacerTest, WhoLeavesARoomWithoutNewsIsLetGo) {
  begin();
  const auto before = live_actors();
  auto bob = connect("lobby", {.on = 0});
  run();
  bob->stuck = true;
  burst(3); // it has much, and nothing comes that would wait for it
  std::weak_ptr<member> who = member_of(bob);
  EXPECT_FALSE(who.expired());
  bob->vanish();
  run();
  EXPECT_TRUE(who.expired());
  EXPECT_EQ(live_actors(), before);
}

TEST_F(PacerTest, JoinsWaitBehindTheTurnThatRests) {
  begin();
  auto bob = connect("lobby", {.on = 0});
  run();
  bob->stuck = true;
  burst(30);
  auto joe = connect_talker(0);
  joe->emit("join 1 lobby");
  run();
  EXPECT_THAT(joe->got, IsEmpty());
  read_once(bob);
  for (int i = 0; i < 30 && joe->got.empty(); ++i) {
    read_once(bob);
    advance(10ms);
  }
  EXPECT_THAT(joe->got, testing::ElementsAre("ok join 1 lobby 30"));
}

} // namespace greenroom::test
