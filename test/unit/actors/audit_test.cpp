// The zombie audit: what it finds, and that honest traffic is never taken for a
// fault.

#include "actors/audit.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class AuditTest : public ActorTest {
protected:
  void SetUp() override { env.supervisor_limits.rooms_on_demand = true; }

  std::int64_t found(audit_fault what) {
    return greenroom::at(counts.audit_faults, what).get();
  }

  /// The period passes. @returns what was found in it
  std::int64_t audit() {
    auto before = sum(counts.audit_faults);
    advance(env.audit.every + 100ms);
    return sum(counts.audit_faults) - before;
  }

  unit_id other_than(std::string room) {
    return home_of(std::move(room)) == 0 ? unit_id{1} : unit_id{0};
  }

  /// A member whose actors have ended, and of whom nobody knows any more.
  member_ptr dead_member(unit_id on) {
    auto ann = connect("lobby", {.on = on});
    auto who = member_of(ann);
    auto copy = std::make_shared<member>();
    copy->id = 1'000'000 + who->id;
    copy->unit = on;
    copy->dialect = &relay;
    copy->flow = std::make_shared<flow_counter>();
    copy->reader = who->reader;
    copy->writer = who->writer;
    ann->hang_up();
    run();
    return copy;
  }
};

// -- planted faults ------------------------------------------------------------------------

TEST_F(AuditTest, AForgottenMemberIsFoundWithinThePeriod) {
  for (auto here : {true, false}) {
    if (here)
      start();
    auto on = here ? home_of("lobby") : other_than("lobby");
    auto ann = connect("lobby", {.on = on});
    auto bob = connect("lobby", {.on = on});
    // Its room forgets it: the supervisor has not said so.
    tell(room_actor("lobby"), leave{ann->id, {}});
    run();
    EXPECT_EQ(audit(), 1);
    EXPECT_EQ(found(audit_fault::forgotten), here ? 1 : 2);
    EXPECT_EQ(ann->last_words, "out_of_step");
    EXPECT_EQ(ann->last_code, 1012);
    EXPECT_TRUE(bob->last_words.empty());
    EXPECT_THAT(log.lines("audit_fault").back(),
                HasSubstr(fmt::format("fault=forgotten client={} room=lobby "
                                      "expected=1 found=0 repair=disconnected",
                                      ann->id)));
    EXPECT_EQ(audit(), 0);
    bob->hang_up();
    run();
  }
}

TEST_F(AuditTest, AMemberThatOnlyItsOutletForgotIsFoundToo) {
  start();
  auto ann = connect("lobby", {.on = other_than("lobby")});
  auto bob = connect("lobby", {.on = other_than("lobby")});
  at(other_than("lobby")).each_actor([&](const actor& x) {
    if (x.kind() == actor_kind::outlet)
      tell(caf::actor_cast<caf::actor>(x.address()),
           outlet_leave{{ann->id, {}}, {}});
  });
  run();
  EXPECT_EQ(audit(), 1);
  EXPECT_EQ(found(audit_fault::forgotten), 1);
  EXPECT_EQ(ann->last_words, "out_of_step");
  EXPECT_TRUE(bob->last_words.empty());
}

TEST_F(AuditTest, AMembershipWhoseActorIsDeadIsDropped) {
  start();
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  for (unit_id on : {0, 1}) {
    auto zombie = dead_member(on);
    tell(room_actor("lobby"), join{zombie, {}, {}});
    run();
    std::weak_ptr<member> held = zombie;
    zombie = nullptr;
    EXPECT_FALSE(held.expired());
    EXPECT_EQ(audit(), 1);
    EXPECT_EQ(found(audit_fault::unseated), on + 1);
    EXPECT_TRUE(held.expired());
  }
  EXPECT_EQ(audit(), 0);
  EXPECT_FALSE(ann->gone || bob->gone);
}

TEST_F(AuditTest, AMemberThatTheSupervisorDoesNotKnowIsSentBack) {
  start({{"a", {}}, {"b", {}}});
  auto ann = connect_talker(0);
  ann->emit("join 1 a");
  run();
  tell(room_actor("b"), join{member_of(ann), {}, {}});
  run();
  EXPECT_EQ(audit(), 1);
  EXPECT_EQ(found(audit_fault::unseated), 1);
  EXPECT_EQ(ann->last_words, "out_of_step");
}

// The supervisor and the room agree on somebody who is no more.
TEST_F(AuditTest, ADeathThatNobodyHeardOfIsFound) {
  start();
  auto ann = connect();
  auto bob = connect();
  auto who = dead_member(0);
  who->id = ann->id; // it is in the books under this name
  // Its room has the dead one in the place of the living one.
  tell(room_actor("lobby"), leave{ann->id, {}});
  tell(room_actor("lobby"), join{who, {}, {}});
  run();
  EXPECT_GE(audit(), 1);
  EXPECT_EQ(found(audit_fault::dead), 1);
  // Now the room does not know the living one any more, which is found in turn.
  audit();
  EXPECT_EQ(found(audit_fault::forgotten), 1);
  EXPECT_EQ(ann->last_words, "out_of_step");
  EXPECT_FALSE(bob->gone);
}

TEST_F(AuditTest, AWriterThatStoppedFlushingIsFound) {
  start();
  for (unit_id on : {0, 1}) {
    auto ann = connect("lobby", {.on = on});
    auto bob = connect("lobby", {.on = on});
    ann->lame = true;
    bob->emit("x");
    run();
    EXPECT_GT(ann->flow->queued(), 0u);
    EXPECT_EQ(audit(), 1);
    EXPECT_EQ(found(audit_fault::stalled), on + 1);
    EXPECT_EQ(ann->last_words, "out_of_step");
    EXPECT_TRUE(bob->last_words.empty());
    ann->lame = false;
    bob->hang_up();
    run();
  }
}

TEST_F(AuditTest, AWriterThatDoesNotAnswerIsFound) {
  start();
  auto ann = connect();
  auto who = member_of(ann);
  // A writer that swallows everything, in the place of the real one.
  auto mute =
    spawn_puppet(0, {.receive = [](puppet&, caf::mailbox_element& in) {
                   return !in.content().match_elements<caf::exit_msg>();
                 }});
  auto copy = std::make_shared<member>();
  copy->id = who->id;
  copy->unit = who->unit;
  copy->dialect = who->dialect;
  copy->raw = true;
  copy->flow = std::make_shared<flow_counter>();
  copy->reader = who->reader;
  copy->writer = mute;
  tell(room_actor("lobby"), leave{who->id, {}});
  tell(room_actor("lobby"), join{copy, {}, {}});
  ann->emit("x");
  run();
  EXPECT_EQ(audit(), 1);
  EXPECT_EQ(found(audit_fault::stalled), 1);
  EXPECT_EQ(ann->last_words, "out_of_step");
  tell(mute, caf::exit_msg{mute.address(), caf::exit_reason::kill});
  run();
}

TEST_F(AuditTest, ASentencedMemberThatDoesNotGoIsKilled) {
  start();
  auto ann = connect();
  member_of(ann)->doomed = true; // and nobody has told it
  EXPECT_EQ(audit(), 1);
  EXPECT_EQ(found(audit_fault::doomed), 1);
  EXPECT_EQ(ann->last_words, "kicked");
}

TEST_F(AuditTest, AMemberThatATurnMissedIsFound) {
  start();
  // Straight at a roster: a room that loses count of its dialects.
  roster members;
  auto who = dead_member(0);
  auto live = connect("lobby", {.on = 0});
  auto alive = member_of(live);
  members.begin_at(7);
  members.add(alive, true);
  broadcast what;
  what.events = 1;
  what.last = 8;
  what.portions.push_back({{&talk, nullptr}, make_wire({"x"})});
  roster::progress from_the_first;
  members.deliver(what, from_the_first, members.size(),
                  {overflow_policy::disconnect, env.member, counts});
  auditor audits{env, at(0), env.supervisor->address()};
  at(0).enter();
  audits.look(members, "lobby", 0);
  run();
  EXPECT_EQ(found(audit_fault::behind), 1);
  EXPECT_THAT(log.lines("audit_fault"),
              ElementsAre(HasSubstr("expected=8 found=7")));
  EXPECT_EQ(live->last_words, "out_of_step");
}

// -- honest traffic -----------------------------------------------------------------------

TEST_F(AuditTest, AClientThatTakesNothingIsNoFault) {
  start();
  auto ann = connect();
  auto bob = connect();
  ann->stuck = true;
  for (int i = 0; i < 10; ++i) {
    bob->emit("x");
    EXPECT_EQ(audit(), 0);
  }
  EXPECT_TRUE(ann->last_words.empty());
}

TEST_F(AuditTest, NobodyLooksIfNobodyIsToLook) {
  env.audit.every = 0ms;
  start();
  auto ann = connect();
  tell(room_actor("lobby"), leave{ann->id, {}});
  advance(10min);
  EXPECT_EQ(sum(counts.audit_faults), 0);
  EXPECT_FALSE(ann->gone);
}

TEST_F(AuditTest, ItLooksAtAFewAtATime) {
  env.audit.chunk = 3;
  start();
  std::vector<socket_ptr> people;
  for (int i = 0; i < 20; ++i)
    people.push_back(connect("lobby", {.on = static_cast<unit_id>(i % 2)}));
  for (int i : {0, 7, 13, 19})
    tell(room_actor("lobby"),
         leave{people[static_cast<std::size_t>(i)]->id, {}});
  run();
  EXPECT_EQ(audit(), 4);
  EXPECT_EQ(audit(), 0);
}

class HonestTest : public AuditTest {
protected:
  struct person {
    socket_ptr line;
    bool raw = false;
  };

  std::size_t roll(std::size_t sides) { return random() % sides; }

  std::string some_room() {
    static const std::vector<std::string> names{"a", "b", "c", "d", "e", "f"};
    return names[roll(names.size())];
  }

  void step() {
    auto x = roll(100);
    if (x < 8 && people.size() < 40)
      arrive();
    else if (x < 92 && !people.empty())
      act(people[roll(people.size())]);
    else if (x < 96)
      end_one();
    else
      crash_one();
    std::erase_if(people, [](auto& p) { return p.line->gone; });
  }

  void arrive() {
    person p;
    p.raw = roll(2) == 0;
    p.line = open(static_cast<unit_id>(roll(unit_count)),
                  p.raw ? raw_upgrade(some_room()) : talk_upgrade());
    people.push_back(std::move(p));
  }

  void act(person& p) {
    auto x = roll(40);
    if (x == 0)
      p.line->hang_up(roll(2) == 0 ? errc::peer_closed : errc::peer_gone);
    else if (x == 1)
      p.line->vanish();
    else if (x == 2)
      p.line->stuck = true;
    else if (x < 8)
      p.line->recover();
    else if (p.raw)
      p.line->emit("hello");
    else
      p.line->emit(fmt::format(
        "{} {} {} x", std::vector{"join", "join", "leave", "pub"}[roll(4)],
        ++commands, some_room()));
  }

  void end_one() {
    end_order x;
    x.what = static_cast<end_target>(1 + roll(3));
    x.room = some_room();
    if (!people.empty())
      x.client = people[roll(people.size())].line->id;
    tell(env.supervisor,
         end_asked{std::make_shared<inquiry<end_order, receipt>>(
           std::move(x), [](const receipt&) {})});
  }

  void crash_one() {
    auto& u = at(static_cast<unit_id>(roll(unit_count)));
    std::vector<caf::actor> candidates;
    u.each_actor([&](const actor& x) {
      if (x.kind() == actor_kind::room || x.kind() == actor_kind::outlet
          || x.kind() == actor_kind::reader || x.kind() == actor_kind::writer)
        candidates.push_back(caf::actor_cast<caf::actor>(x.address()));
    });
    if (!candidates.empty())
      tell(candidates[roll(candidates.size())], sabotage{});
  }

  std::mt19937_64 random{random_seed()};
  std::vector<person> people;
  int commands = 0;
};

// Small steps: what is under way stays so for a while, also while the audit looks.
TEST_F(HonestTest, AnHourOfTrafficIsNeverTakenForAFault) {
  unit_count = 3;
  how.resumes_per_turn = 2;
  how.messages_per_resume = 2;
  env.audit.every = 20s; // the more looks
  env.audit.chunk = 4;
  env.reader.messages_per_second = 0;
  env.member.outbound_bytes_max = 600;
  env.supervisor_limits.restarts_max = 1'000'000;
  env.supervisor_limits.crashes_max = 1'000'000;
  start({{"a", {}},
         {"b", {.write_delay = 300ms}},
         {"c", {.overflow = overflow_policy::conflate}},
         {"d", {.overflow = overflow_policy::drop_oldest}}});
  for (auto end = now() + 1h; now() < end;) {
    step();
    for (auto n = roll(12); n > 0; --n)
      run_one_turn(static_cast<unit_id>(roll(unit_count)));
    if (roll(4) == 0)
      advance(std::chrono::milliseconds{roll(400)});
    else
      sleep(std::chrono::milliseconds{roll(60)});
    ASSERT_EQ(sum(counts.audit_faults), 0)
      << testing::PrintToString(log.lines("audit_fault"));
  }
  EXPECT_GT(counts.publications.get(), 1000);
  EXPECT_GT(counts.rooms_restarted.get(), 10);
  for (auto& p : people)
    p.line->recover();
}

} // namespace

} // namespace greenroom::test
