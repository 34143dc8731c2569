#include "actors/pacer.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
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
    env.reader.posts_bytes_max = 0; // bursts of one client
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
  advance(150ms); // `rest_max` and the ticks of the clock
  EXPECT_THAT(std::exchange(ann->got, {}), SizeIs(30));
  EXPECT_EQ(bob->last_words, "slow_consumer");
}

// Four that take 36 KB a second hold up nobody for longer than one that takes nothing.
TEST_F(PacerTest, WhoReadsTooLittleIsNotWaitedForLongEither) {
  begin();
  std::vector<member_ptr> slow;
  for (int i = 0; i < 4; ++i) {
    auto x = connect("lobby", {.on = 0});
    x->stuck = true;
    slow.push_back(member_of(x));
  }
  ann->got.clear();
  burst(9);
  EXPECT_LT(ann->got.size(), 9u);
  for (int i = 0; i < 150; ++i) { // as if taken by the kernel
    for (auto& x : slow)
      x->flow->sub(36);
    advance(1ms);
  }
  EXPECT_THAT(std::exchange(ann->got, {}), SizeIs(9));
  for (auto& x : slow)
    x->flow->add(std::uint64_t{150} * 36);
}

TEST_F(PacerTest, PoliciesThatDropDoNotWait) {
  for (auto policy :
       {overflow_policy::drop_newest, overflow_policy::drop_oldest,
        overflow_policy::conflate}) {
    SCOPED_TRACE(static_cast<int>(policy));
    if (policy == overflow_policy::drop_newest)
      start({{"0", {.overflow = policy}},
             {"1", {.overflow = overflow_policy::drop_oldest}},
             {"2", {.overflow = overflow_policy::conflate}}});
    auto room =
      std::to_string(static_cast<int>(policy)
                     - static_cast<int>(overflow_policy::drop_newest));
    ann = connect(room, {.on = 0});
    auto bob = connect(room, {.on = 0});
    run();
    bob->stuck = true;
    burst(30);
    EXPECT_THAT(ann->got, SizeIs(30));
    EXPECT_EQ(bob->last_words, "");
    ann->hang_up();
    bob->hang_up();
    run();
    advance(10s);
  }
}

TEST_F(PacerTest, PatienceIsSpentAndRegained) {
  env.room.patience = 150ms;
  begin();
  auto bob = connect("lobby", {.on = 0});
  run();
  auto rest = [&] {
    bob->stuck = true;
    ann->got.clear();
    auto began = now();
    burst(8);
    while (ann->got.size() < 8 && now() - began < 1s)
      advance(1ms);
    auto took = std::chrono::duration<double, std::milli>(now() - began);
    bob->recover();
    // It is waited for again, and a hundredth of that has come back.
    advance(pacer::unheeded_for + 100ms);
    EXPECT_EQ(bob->last_words, "");
    return took.count();
  };
  EXPECT_NEAR(rest(), 100, 45); // the clock's ticks
  EXPECT_NEAR(rest(), 50 + 51, 45);
  EXPECT_NEAR(rest(), 51, 45);
  advance(60s);
  EXPECT_NEAR(rest(), 100, 45);
}

// 32 rooms of one member, each of which sends less than is much.
TEST_F(PacerTest, ABurstOfManyRoomsEndsNobodyEither) {
  std::vector<named_room> rooms;
  for (int i = 0; i < 32; ++i)
    rooms.push_back({fmt::format("r{}", i), {}});
  start(rooms);
  auto bob = connect_talker(0);
  std::vector<socket_ptr> talkers;
  for (auto& x : rooms) {
    bob->emit("join 1 " + x.name);
    talkers.push_back(connect(x.name, {.on = 0}));
  }
  run();
  bob->got.clear();
  bob->stuck = true;
  for (auto& x : talkers)
    for (int i = 0; i < 3; ++i)
      x->emit(std::string(60'000, 'x'));
  run();
  for (int i = 0; i < 100 && bob->got.size() < 96; ++i) {
    read_once(bob);
    advance(5ms);
  }
  EXPECT_THAT(bob->got, SizeIs(96));
  EXPECT_EQ(bob->last_words, "");
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

// -- crashes while it rests ---------------------------------------------------------------

namespace {

/// Who rests for a member that reads nothing, and who crashes meanwhile.
struct resting_crash {
  bool outlet_rests;
  bool outlet_crashes;
  bool slow_one_vanishes;
};

class RestingCrashTest : public PacerTest,
                         public testing::WithParamInterface<resting_crash> {
protected:
  /// The only outlet, or the room.
  caf::actor victim() {
    caf::actor found = room_actor("lobby");
    if (GetParam().outlet_crashes)
      at(1 - home_of("lobby")).each_actor([&found](const actor& x) {
        if (x.kind() == actor_kind::outlet)
          found = caf::actor_cast<caf::actor>(x.address());
      });
    return found;
  }
};

} // namespace

// Who rests crashes behind the turn it rests with: whatever comes, joins and ends too,
// waits behind that.
TEST_P(RestingCrashTest, ItsMembersGoOnOthersNoticeNothingAndNothingIsLeft) {
  // What a crash loses and does not give back would stop its publisher for good.
  env.reader.posts_max = 2;
  start({{"lobby", {}}, {"other", {}}});
  const auto home = home_of("lobby");
  const auto away = static_cast<unit_id>(1 - home);
  const auto there = GetParam().outlet_rests ? away : home;
  ann = connect("lobby", {.on = home});
  auto far = connect("lobby", {.on = away}); // so there is an outlet always
  auto eve = connect("lobby", {.on = there});
  auto bob = connect("lobby", {.on = there});
  auto cid = connect("other", {.on = there});
  auto dan = connect("other", {.on = there});
  run();
  const auto actors_before = live_actors();
  std::weak_ptr<member> bobs = member_of(bob);
  bob->stuck = true;
  std::size_t sent = 0;
  for (; eve->got.size() == sent && sent < 30; ++sent) {
    ann->emit(std::string(100'000, 'x'));
    run();
  }
  ASSERT_EQ(eve->got.size(), sent - 1) << "it rests with the last one";

  std::size_t said = 0;
  auto expect_others_well = [&] {
    cid->emit(fmt::format("{}", ++said));
    run();
    ASSERT_THAT(dan->got, SizeIs(said));
    EXPECT_EQ(dan->got.back(), fmt::format("{}", said));
  };
  const bool rester_crashes =
    GetParam().outlet_rests == GetParam().outlet_crashes;
  const auto victim_id = victim()->id();
  tell(victim(), sabotage{});
  ann->emit("lost"); // behind it
  auto joe = connect_talker(there);
  joe->emit("join 1 lobby");
  run();
  EXPECT_EQ(counts.crashes.get(), rester_crashes ? 0 : 1);
  EXPECT_FALSE(run_one_turn(there)) << "it keeps no unit awake";
  expect_others_well();
  if (GetParam().slow_one_vanishes) {
    bob->vanish();
    run();
    EXPECT_EQ(counts.crashes.get(), 1) << "nobody is waited for any more";
  }
  for (int i = 0; i < 15; ++i) { // `rest_max` and the ticks of the clock
    advance(10ms);
    expect_others_well();
  }
  EXPECT_EQ(counts.crashes.get(), 1);
  EXPECT_EQ(counts.rooms_restarted.get(), 1);
  EXPECT_NE(victim()->id(), victim_id);
  EXPECT_THAT(joe->news(), testing::Contains(testing::StartsWith("ok join 1")));

  // What it rested with came before the crash.
  if (rester_crashes) {
    EXPECT_THAT(eve->got, SizeIs(testing::Ge(sent)));
  }
  for (auto& x : {ann, far, eve})
    x->news();
  bob->recover();
  run();
  bob->news();
  for (int i = 0; i < 5; ++i) {
    auto text = fmt::format("after {}", i);
    ann->emit(text);
    run();
    for (auto& x : {ann, far, eve})
      EXPECT_THAT(x->news(), testing::ElementsAre(text));
    EXPECT_THAT(joe->news(), SizeIs(1));
    if (!GetParam().slow_one_vanishes) {
      EXPECT_THAT(bob->news(), testing::ElementsAre(text));
    }
  }
  for (auto& x : {ann, far, eve, bob, cid, dan, joe})
    EXPECT_EQ(x->last_words, "");
  joe->hang_up();
  run();
  EXPECT_EQ(bobs.expired(), GetParam().slow_one_vanishes);
  EXPECT_EQ(live_actors(),
            actors_before - (GetParam().slow_one_vanishes ? 2 : 0));
}

INSTANTIATE_TEST_SUITE_P(
  Room, RestingCrashTest,
  testing::Values(
    resting_crash{false, false, false}, resting_crash{false, false, true},
    resting_crash{false, true, false}, resting_crash{false, true, true},
    resting_crash{true, false, false}, resting_crash{true, false, true},
    resting_crash{true, true, false}, resting_crash{true, true, true}),
  [](auto& x) {
    return fmt::format("{}Rests{}Crashes{}",
                       x.param.outlet_rests ? "Outlet" : "Room",
                       x.param.outlet_crashes ? "Outlet" : "Room",
                       x.param.slow_one_vanishes ? "SlowOneVanishes" : "");
  });

} // namespace greenroom::test
