// Ends on demand and their receipts.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "actors/reaper.hpp"
#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class ReaperTest : public ActorTest {
protected:
  using answers = std::shared_ptr<std::vector<receipt>>;

  /// Gives an order. Nobody has run yet.
  answers order(end_order what) {
    auto result = std::make_shared<std::vector<receipt>>();
    what.by = "test";
    tell(env.supervisor,
         end_asked{std::make_shared<inquiry<end_order, receipt>>(
           std::move(what),
           [result](receipt x) { result->push_back(std::move(x)); })});
    return result;
  }

  receipt end(end_order what) {
    auto told = order(std::move(what));
    run();
    if (told->empty())
      advance(env.supervisor_limits.end_deadline + 1s);
    EXPECT_THAT(*told, SizeIs(1));
    return told->empty() ? receipt{} : told->front();
  }

  receipt end_client(const socket_ptr& who) {
    end_order x;
    x.what = end_target::connection;
    x.client = who->id;
    return end(std::move(x));
  }

  receipt end_actor(std::uint64_t id) {
    end_order x;
    x.what = end_target::actor;
    x.actor = id;
    return end(std::move(x));
  }

  static end_order of_room(std::string name, end_target how) {
    end_order x;
    x.what = how;
    x.room = std::move(name);
    return x;
  }

  receipt end_room(std::string name) {
    return end(of_room(std::move(name), end_target::room));
  }

  receipt restart(std::string name) {
    return end(of_room(std::move(name), end_target::restart));
  }

  std::uint64_t id_of(actor_kind kind) {
    std::uint64_t result = 0;
    for (unit_id u = 0; u < unit_count; ++u)
      at(u).each_actor([&](const actor& x) {
        if (x.kind() == kind)
          result = x.id();
      });
    return result;
  }

  void SetUp() override { env.supervisor_limits.rooms_on_demand = true; }
};

// -- connections -------------------------------------------------------------------------

TEST_F(ReaperTest, AConnectionEndsWithWordsAndACleanReceipt) {
  start({{"a", {}}, {"b", {}}});
  auto ann = connect_talker(1);
  auto bob = connect_talker(0);
  ann->emit("join 1 a\njoin 2 b");
  bob->emit("join 1 a");
  run();
  auto r = end_client(ann);
  EXPECT_EQ(r.why, errc::none);
  EXPECT_TRUE(r.clean);
  EXPECT_THAT(r.left, IsEmpty());
  EXPECT_EQ(r.target, "connection");
  EXPECT_EQ(r.client, ann->id);
  EXPECT_EQ(r.memberships, 2u);
  EXPECT_EQ(r.actors, 2u);
  EXPECT_EQ(r.descriptors, 1u);
  EXPECT_EQ(ann->last_words, "kicked");
  EXPECT_TRUE(ann->gone);
  EXPECT_EQ(books().clients, 1u);
  EXPECT_EQ(books().memberships, 1u);
  EXPECT_THAT(
    log.lines("action"),
    ElementsAre(AllOf(HasSubstr("by=test target=connection"),
                      HasSubstr("memberships=2"), HasSubstr("clean=true"))));
}

TEST_F(ReaperTest, AReaderOrAWriterTakesTheOtherWithIt) {
  start();
  for (auto reader : {true, false}) {
    auto ann = connect("lobby", {.on = reader ? 0 : 1});
    auto who = member_of(ann);
    auto id = reader ? who->reader->id() : who->writer->id();
    who = nullptr;
    auto r = end_actor(id);
    EXPECT_TRUE(r.clean) << testing::PrintToString(r.left);
    EXPECT_EQ(r.target, reader ? "reader" : "writer");
    EXPECT_EQ(r.actor, id);
    EXPECT_EQ(r.client, ann->id);
    EXPECT_EQ(r.memberships, 1u);
    EXPECT_EQ(r.actors, 2u);
    EXPECT_EQ(ann->last_words, "kicked");
    EXPECT_EQ(field(log.records().back(), "target"), r.target);
  }
}

TEST_F(ReaperTest, WhatWaitedForItIsCounted) {
  start();
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  bob->stuck = true;
  ann->emit("12345");
  ann->emit("67890");
  run();
  auto who = member_of(bob);
  auto waiting = bob->flow->queued();
  EXPECT_GT(waiting, 0u);
  auto r = end_client(bob); // it never answers: cut off
  EXPECT_TRUE(r.clean) << testing::PrintToString(r.left);
  EXPECT_EQ(r.bytes, waiting);
  EXPECT_EQ(r.frames, 2u);
  EXPECT_GE(r.took_ms, 5000);
  EXPECT_EQ(who->flow->queued(), 0u);
}

TEST_F(ReaperTest, WhatIsLeftAtTheDeadlineIsNamed) {
  env.supervisor_limits.end_deadline = 6s;
  start();
  auto bob = connect();
  bob->immortal = true;
  auto r = end_client(bob);
  EXPECT_EQ(r.why, errc::none);
  EXPECT_FALSE(r.clean);
  EXPECT_THAT(r.left, ElementsAre("socket", "record"));
  EXPECT_GE(r.took_ms, 6000);
  EXPECT_LT(r.took_ms, 6200);
  EXPECT_EQ(r.memberships, 1u);
  EXPECT_EQ(r.descriptors, 0u);
  EXPECT_EQ(counts.receipts_unclean.get(), 1);
  EXPECT_THAT(log.lines("action"),
              ElementsAre(HasSubstr("clean=false left=socket, record")));
}

TEST_F(ReaperTest, TimersOfItAreCounted) {
  start();
  auto ann = open(0, talk_upgrade());
  run();
  EXPECT_EQ(end_client(ann).timers, 0u);
  // A dialect that greets has a heartbeat.
  talk_dialect strict{true};
  auto request = talk_upgrade();
  request.dialect = &strict;
  auto bob = open(0, std::move(request));
  run();
  EXPECT_EQ(end_client(bob).timers, 1u);
}

TEST_F(ReaperTest, AnOutletIsAskedToo) {
  start();
  auto ann =
    connect("lobby", {.on = home_of("lobby") == 0 ? unit_id{0} : unit_id{1}});
  auto other = static_cast<unit_id>(1 - home_of("lobby"));
  auto bob = connect("lobby", {.on = other});
  auto cid = connect("lobby", {.on = other});
  auto r = end_client(bob);
  EXPECT_TRUE(r.clean);
  EXPECT_EQ(r.memberships, 1u);
  // The last one: the outlet goes with it, and answers before.
  EXPECT_EQ(live(actor_kind::outlet), 1u);
  r = end_client(cid);
  EXPECT_TRUE(r.clean);
  EXPECT_EQ(r.memberships, 1u);
  EXPECT_EQ(live(actor_kind::outlet), 0u);
}

TEST_F(ReaperTest, AMembershipThatARoomKeepsIsNamed) {
  env.supervisor_limits.end_deadline = 1s;
  start();
  auto ann = connect();
  auto who = member_of(ann);
  ann->hang_up();
  run();
  tell(room_actor("lobby"), join{who, {}, {}}); // as if the leave was lost
  reap_target target;
  target.what = "connection";
  target.who = who;
  std::vector<receipt> told;
  auto reaper = spawn_on<greenroom::reaper>(
    at(0), env,
    std::make_shared<inquiry<end_order, receipt>>(
      end_order{}, [&](receipt x) { told.push_back(std::move(x)); }),
    std::move(target));
  tell(reaper, descriptor_closed{});
  tell(reaper, buried{});
  tell(reaper, seats_left{{"lobby"}});
  advance(2s);
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_FALSE(told[0].clean);
  EXPECT_THAT(told[0].left, ElementsAre("membership lobby"));
  EXPECT_EQ(told[0].memberships, 0u);
  tell(room_actor("lobby"), leave{who->id, {}});
  run();
}

TEST_F(ReaperTest, ARoomThatCrashesAmidTheQuestionIsAskedAgain) {
  start();
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  auto told = order([&] {
    end_order x;
    x.client = ann->id;
    return x;
  }());
  tell(room_actor("lobby"), sabotage{});
  run();
  advance(1s);
  ASSERT_THAT(*told, SizeIs(1));
  EXPECT_TRUE(told->front().clean)
    << testing::PrintToString(told->front().left);
  EXPECT_EQ(told->front().memberships, 1u);
}

TEST_F(ReaperTest, ASecondOrderSharesTheReceipt) {
  start();
  auto ann = connect();
  end_order x;
  x.client = ann->id;
  auto first = order(x);
  auto second = order(x);
  run();
  EXPECT_THAT(*first, SizeIs(1));
  EXPECT_THAT(*second, SizeIs(1));
  EXPECT_TRUE(second->front().clean);
  EXPECT_EQ(counts.receipts.get(), 2);
  EXPECT_EQ(end_client(ann).why, errc::not_found);
}

TEST_F(ReaperTest, WhoIsEndingAlreadyGetsAReceiptToo) {
  start({{"a", {}}, {"b", {}}});
  auto ann = connect_talker(1);
  ann->emit("join 1 a\njoin 2 b");
  run();
  ann->stuck = true;
  tell(member_of(ann)->reader, evict{errc::stale});
  run();
  EXPECT_FALSE(ann->gone);
  auto r = end_client(ann);
  EXPECT_TRUE(r.clean) << testing::PrintToString(r.left);
  EXPECT_EQ(r.memberships, 2u);
  EXPECT_EQ(ann->last_words, "stale");
}

TEST_F(ReaperTest, AConnectionWhoseHandshakeIsNotAnsweredEndsToo) {
  start();
  auto ann = open(1, raw_upgrade("lobby"));
  auto told = order([&] {
    end_order x;
    x.client = ann->id;
    return x;
  }());
  run();
  ASSERT_THAT(*told, SizeIs(1));
  EXPECT_TRUE(told->front().clean);
  EXPECT_TRUE(ann->gone);
}

// -- rooms ---------------------------------------------------------------------------------

TEST_F(ReaperTest, MembersOfAnEndedRoomAreTold) {
  start();
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect_talker(1);
  bob->emit("join 1 lobby\njoin 2 other");
  run();
  bob->news();
  auto r = end_room("lobby");
  EXPECT_TRUE(r.clean) << testing::PrintToString(r.left);
  EXPECT_EQ(r.target, "room");
  EXPECT_EQ(r.room, "lobby");
  EXPECT_EQ(r.memberships, 2u);
  EXPECT_EQ(r.actors, 2u); // an outlet
  EXPECT_EQ(ann->last_words, "room_closed");
  EXPECT_THAT(bob->news(), ElementsAre("lost lobby room_closed"));
  EXPECT_FALSE(room_actor("lobby"));
  EXPECT_EQ(books().memberships, 1u);
  EXPECT_EQ(counts.crashes.get(), 0);
  // A named room is opened again.
  auto cid = connect("lobby");
  EXPECT_TRUE(cid->accepted);
  bob->emit("join 3 lobby\npub 4 lobby hello");
  run();
  EXPECT_THAT(cid->news(), ElementsAre("hello"));
}

TEST_F(ReaperTest, WhatWasPublishedBeforeARoomEndsArrives) {
  start();
  auto ann = connect_talker(0);
  auto bob = connect_talker(1);
  ann->emit("join 1 lobby");
  bob->emit("join 1 lobby");
  run();
  ann->news();
  bob->news();
  ann->emit("pub 2 lobby last");
  for (int i = 0; i < 2; ++i) // it is in the room's mailbox
    run_one_turn(0);
  auto told = order(of_room("lobby", end_target::room));
  run();
  EXPECT_TRUE(told->front().clean);
  EXPECT_THAT(bob->news(),
              ElementsAre("lobby 1 last", "lost lobby room_closed"));
}

TEST_F(ReaperTest, ARoomOnDemandGoesAway) {
  start({});
  auto ann = connect("new");
  auto before = books().rooms;
  EXPECT_EQ(before, 1u);
  EXPECT_TRUE(end_room("new").clean);
  EXPECT_EQ(books().rooms, 0u);
  EXPECT_EQ(end_room("new").why, errc::not_found);
}

TEST_F(ReaperTest, WhoJoinsARoomThatIsEndingOpensItAgain) {
  start();
  auto ann = connect_talker(0);
  auto bob = connect_talker(1);
  ann->emit("join 1 lobby");
  run();
  auto told = order(of_room("lobby", end_target::room));
  at(0).enter();
  tell(env.supervisor, join_room{bob->id, "lobby", {}, {7, 0, 0}});
  bob->emit("join 1 lobby");
  run();
  EXPECT_TRUE(told->front().clean);
  EXPECT_EQ(told->front().memberships, 1u);
  EXPECT_THAT(ann->news(), Contains("lost lobby room_closed"));
  EXPECT_EQ(books().memberships, 1u);
}

TEST_F(ReaperTest, ARestartKeepsTheMembersAndIsNoCrash) {
  env.supervisor_limits.restarts_max = 2;
  start();
  auto ann = connect_talker(0);
  auto bob = connect_talker(1);
  ann->emit("join 1 lobby");
  bob->emit("join 1 lobby");
  run();
  for (int i = 0; i < 5; ++i) {
    auto former = room_actor("lobby");
    auto r = restart("lobby");
    EXPECT_TRUE(r.clean) << testing::PrintToString(r.left);
    EXPECT_EQ(r.target, "restart");
    EXPECT_EQ(r.actor, former->id());
    EXPECT_EQ(r.moved, 2u);
    EXPECT_EQ(r.memberships, 0u);
    EXPECT_NE(room_actor("lobby"), former);
  }
  EXPECT_EQ(counts.rooms_restarted.get(), 0);
  ann->news();
  bob->news();
  auto epoch = ann->epochs.back();
  ann->emit("pub 2 lobby hello");
  run();
  EXPECT_THAT(bob->news(), ElementsAre("lobby 1 hello"));
  EXPECT_NE(bob->epochs.back(), epoch);
  EXPECT_THAT(log.lines("room_restarted"), SizeIs(5));
  EXPECT_THAT(log.lines("room_restarted").front(),
              HasSubstr("members=2 reason=kicked"));
  // A crash still counts.
  crash("lobby");
  crash("lobby");
  EXPECT_EQ(books().quarantined, 1u);
}

TEST_F(ReaperTest, ARestartFreesAQuarantinedRoom) {
  env.supervisor_limits.restarts_max = 1;
  start();
  crash("lobby");
  EXPECT_EQ(books().quarantined, 1u);
  EXPECT_EQ(end_room("lobby").why, errc::not_found);
  EXPECT_TRUE(restart("lobby").clean);
  EXPECT_EQ(books().quarantined, 0u);
  EXPECT_TRUE(connect("lobby")->accepted);
}

TEST_F(ReaperTest, ARoomOrAnOutletEndsByItsActorToo) {
  start();
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  auto r = end_actor(id_of(actor_kind::outlet));
  EXPECT_TRUE(r.clean) << testing::PrintToString(r.left);
  EXPECT_EQ(r.target, "outlet");
  EXPECT_EQ(r.moved, 2u);
  EXPECT_FALSE(ann->gone || bob->gone);
  r = end_actor(room_actor("lobby")->id());
  EXPECT_TRUE(r.clean);
  EXPECT_EQ(r.target, "room");
  EXPECT_EQ(ann->last_words, "room_closed");
}

TEST_F(ReaperTest, TwoKindsOfEndsOfARoomDoNotMix) {
  start();
  auto ann = connect();
  auto first = order(of_room("lobby", end_target::restart));
  auto second = order(of_room("lobby", end_target::room));
  auto third = order(of_room("lobby", end_target::restart));
  run();
  EXPECT_TRUE(first->front().clean);
  EXPECT_EQ(second->front().why, errc::overloaded);
  EXPECT_TRUE(third->front().clean);
  EXPECT_FALSE(ann->gone);
}

TEST_F(ReaperTest, WhatLingersMayBeRestartedAndStillGoes) {
  env.supervisor_limits.linger = 5s;
  start({});
  auto ann = connect_talker();
  ann->emit("join 1 new\nleave 2 new");
  run();
  advance(4s);
  EXPECT_TRUE(restart("new").clean);
  advance(4s); // it counts anew
  EXPECT_EQ(books().rooms, 1u);
  advance(2s);
  EXPECT_EQ(books().rooms, 0u);
  EXPECT_EQ(live(actor_kind::room), 0u);
}

TEST_F(ReaperTest, WhatLingersMayBeEndedWhileSomebodyComes) {
  env.supervisor_limits.linger = 5s;
  start({});
  auto ann = connect_talker();
  ann->emit("join 1 new\nleave 2 new");
  run();
  auto told = order(of_room("new", end_target::room));
  ann->emit("join 3 new");
  run();
  ASSERT_THAT(*told, SizeIs(1));
  EXPECT_TRUE(told->front().clean);
  EXPECT_THAT(ann->got, Contains(::testing::StartsWith("ok join 3 new")));
  advance(1min);
  EXPECT_EQ(books().rooms, 1u);
  ann->emit("leave 4 new");
  run();
  EXPECT_TRUE(end_room("new").clean);
  advance(1min);
  EXPECT_EQ(books().rooms, 0u);
}

TEST_F(ReaperTest, ARoomThatIsLeftWhileItRestartsIsOver) {
  start({});
  auto ann = connect_talker(0);
  ann->emit("join 1 new");
  run();
  auto told = order(of_room("new", end_target::restart));
  ann->hang_up();
  run();
  ASSERT_THAT(*told, SizeIs(1));
  EXPECT_TRUE(told->front().clean)
    << testing::PrintToString(told->front().left);
}

// -- what is refused ------------------------------------------------------------------------

TEST_F(ReaperTest, WhatDoesNotExistOrMayNotEndIsSaid) {
  start();
  EXPECT_EQ(end_actor(999'999).why, errc::not_found);
  EXPECT_EQ(end_actor(env.supervisor->id()).why, errc::not_available);
  EXPECT_EQ(end_actor(id_of(actor_kind::inspector)).why, errc::not_available);
  EXPECT_EQ(end_actor(id_of(actor_kind::probe)).why, errc::not_available);
  EXPECT_EQ(end_room("nowhere").why, errc::not_found);
  EXPECT_EQ(restart("nowhere").why, errc::not_found);
  end_order x;
  x.client = 4711;
  auto r = end(x);
  EXPECT_EQ(r.why, errc::not_found);
  EXPECT_EQ(r.client, 4711u);
  EXPECT_FALSE(r.clean);
  EXPECT_THAT(log.lines("action"), SizeIs(7));
  EXPECT_THAT(log.lines("action").back(), HasSubstr("reason=not_found"));
}

TEST_F(ReaperTest, OrdersUnderWayAreBounded) {
  env.supervisor_limits.ends_max = 2;
  start();
  std::vector<socket_ptr> people;
  for (int i = 0; i < 3; ++i) {
    people.push_back(connect());
    people.back()->stuck = true;
  }
  std::vector<answers> told;
  for (auto& p : people) {
    end_order x;
    x.client = p->id;
    told.push_back(order(x));
  }
  run();
  EXPECT_THAT(*told[0], IsEmpty());
  ASSERT_THAT(*told[2], SizeIs(1));
  EXPECT_EQ(told[2]->front().why, errc::overloaded);
  advance(6s);
  EXPECT_TRUE(told[0]->front().clean);
  EXPECT_TRUE(told[1]->front().clean);
  EXPECT_TRUE(end_client(people[2]).clean);
}

TEST_F(ReaperTest, ADrainAnswersEveryOrder) {
  start();
  auto ann = connect();
  ann->stuck = true;
  end_order x;
  x.client = ann->id;
  auto early = order(x);
  tell(env.supervisor, stop_all{});
  auto late = order(x);
  run();
  EXPECT_EQ(late->front().why, errc::draining);
  advance(6s);
  EXPECT_TRUE(early->front().clean);
  auto dead = order(x);
  EXPECT_EQ(dead->front().why, errc::draining);
}

TEST_F(ReaperTest, AReaperThatCrashesAnswersAllTheSame) {
  start();
  auto ann = connect();
  ann->stuck = true;
  end_order x;
  x.client = ann->id;
  auto told = order(x);
  run();
  at(0).each_actor([](const actor& a) {
    if (a.kind() == actor_kind::reaper)
      tell(caf::actor_cast<caf::actor>(a.address()), sabotage{});
  });
  run();
  ASSERT_THAT(*told, SizeIs(1));
  EXPECT_EQ(told->front().why, errc::fault);
  EXPECT_FALSE(told->front().clean);
  advance(6s);
}

} // namespace

} // namespace greenroom::test
