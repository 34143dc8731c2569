// Black boxes and traces.

#include "actors/recorder.hpp"

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr std::uint32_t start_of_time = 3'600'000;

auto is(std::string_view what) {
  return Field(&box_row::what, std::string{what});
}

// -- the ring -------------------------------------------------------------------------

TEST(RecorderTest, ItKeepsTheLastOnes) {
  recorder box{8};
  for (std::uint64_t i = 1; i <= 20; ++i)
    box.note(
      start_of_time + static_cast<std::uint32_t>(i), 0,
      {.what = box_event::post, .from = i, .bytes = i * 10, .offset = i});
  auto rows = box.rows(start_of_time + 20);
  ASSERT_THAT(rows, SizeIs(8));
  EXPECT_EQ(rows.front().from, 13u);
  EXPECT_EQ(rows.back().from, 20u);
  EXPECT_EQ(rows.back().bytes, 200u);
  EXPECT_EQ(rows.back().offset, 20u);
  EXPECT_EQ(rows.back().what, "post");
  EXPECT_EQ(rows.back().at - rows.front().at, 7);
}

TEST(RecorderTest, AnEndHasItsReasonAndCode) {
  recorder box{8};
  box.note(start_of_time, 0,
           {.what = box_event::socket_closed,
            .offset = 77,
            .why = errc::peer_closed,
            .code = 4999});
  auto rows = box.rows(start_of_time);
  EXPECT_EQ(rows[0].reason, "peer_closed");
  EXPECT_EQ(rows[0].code, 4999);
  EXPECT_EQ(rows[0].offset, 0u);
}

TEST(RecorderTest, ItSaysHowLongAMessageWaitedAndASlowOneTook) {
  recorder box{8};
  box.note(start_of_time, 160, {.what = box_event::received}); // of 1.024 us
  box.note(start_of_time, 0xFFFFFFFF, {.what = box_event::received});
  box.took(320us);
  box.note(start_of_time, 0, {.what = box_event::received});
  box.took(1h);
  auto rows = box.rows(start_of_time);
  EXPECT_EQ(rows[0].wait_us, 163);
  EXPECT_EQ(rows[0].run_us, 0);
  EXPECT_EQ(rows[1].wait_us, 1'073'725);
  EXPECT_EQ(rows[1].run_us, 311); // in steps of 16.384 us
  EXPECT_EQ(rows[2].wait_us, 0);
  EXPECT_EQ(rows[2].run_us, 1'073'725);
  EXPECT_EQ(box.text(start_of_time + 5).substr(0, 38),
            "-5ms received wait=163us run=0us; -5ms");
}

TEST(RecorderTest, TheClockMayWrap) {
  recorder box{8};
  box.note(0xFFFFFFF0, 0, {.what = box_event::received});
  EXPECT_EQ(box.text(0x10), "-32ms received");
}

TEST(RecorderTest, AnUnreadTapIsBounded) {
  recorder box{8};
  auto tap = std::make_shared<trace_tap>();
  box.attach(tap);
  for (std::size_t i = 0; i < trace_tap::rows_max + 7; ++i)
    box.note(start_of_time, 0, {.what = box_event::post});
  std::vector<box_row> rows;
  EXPECT_EQ(tap->take(rows), 7u);
  EXPECT_THAT(rows, SizeIs(trace_tap::rows_max));
  rows.clear();
  tap->end();
  box.note(start_of_time, 0, {.what = box_event::post});
  EXPECT_EQ(tap.use_count(), 1);
  EXPECT_EQ(tap->take(rows), 0u);
  EXPECT_THAT(rows, IsEmpty());
}

// -- in the broker ----------------------------------------------------------------------

class BoxTest : public ActorTest {
protected:
  std::vector<box_row> box_of(const caf::actor& whom) {
    std::vector<box_row> result;
    tell(whom,
         show_box{[&](std::vector<box_row> x) { result = std::move(x); }});
    run();
    return result;
  }
};

TEST_F(BoxTest, WhoOnlyJoinsHasNone) {
  start();
  auto ann = connect();
  EXPECT_EQ(member_of(ann)->box, nullptr);
  EXPECT_THAT(box_of(member_of(ann)->reader), IsEmpty());
  EXPECT_THAT(box_of(room_actor("lobby")), IsEmpty());
}

TEST_F(BoxTest, ItHoldsWhatTheClientSentAndGot) {
  start();
  auto ann = connect_talker(0);
  auto bob = connect("lobby", {.on = 1});
  ann->emit("join 1 lobby\npub 2 lobby secret");
  run();
  auto rows = box_of(member_of(ann)->reader);
  EXPECT_THAT(rows,
              Contains(AllOf(is("received"), Field(&box_row::bytes, 31u))));
  EXPECT_THAT(rows, Contains(is("joined")));
  EXPECT_THAT(rows, Contains(is("deliver")));
  for (auto& r : rows)
    EXPECT_EQ(r.client, ann->id);
  EXPECT_THAT(box_of(member_of(bob)->reader), ElementsAre(is("deliver")));
  EXPECT_THAT(
    box_of(room_actor("lobby")),
    ElementsAre(AllOf(is("post"), Field(&box_row::from, ann->id),
                      Field(&box_row::bytes, 6u), Field(&box_row::offset, 1u),
                      Field(&box_row::room, "lobby")),
                AllOf(is("turn"), Field(&box_row::bytes, 6u))));
}

TEST_F(BoxTest, ItIsWrittenWhenAConnectionEndsAbnormally) {
  env.member.outbound_bytes_max = 10;
  start();
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  bob->stuck = true;
  for (int i = 0; i < 3; ++i) {
    ann->emit("12345");
    run();
  }
  EXPECT_THAT(log.lines("black_box"),
              ElementsAre(AllOf(
                HasSubstr(fmt::format("client={}", bob->id)),
                HasSubstr("reason=slow_consumer"), HasSubstr("deliver bytes=6"),
                HasSubstr("evict slow_consumer"), Not(HasSubstr("12345")))));
  ann->hang_up();
  run();
  EXPECT_THAT(log.lines("black_box"), SizeIs(1));
}

TEST_F(BoxTest, ACrashedRoomsBoxIsWritten) {
  start();
  auto ann = connect();
  ann->emit("x");
  run();
  crash("lobby");
  EXPECT_THAT(log.lines("black_box"),
              ElementsAre(AllOf(HasSubstr("room=lobby reason=fault"),
                                HasSubstr("post from="), HasSubstr("turn"))));
}

TEST_F(BoxTest, OnlySoManyAreWrittenASecond) {
  start();
  std::vector<socket_ptr> people;
  for (int i = 0; i < 30; ++i)
    people.push_back(connect("lobby", {.on = 0}));
  people[0]->emit("x");
  run();
  for (auto& p : people)
    tell(member_of(p)->writer, sabotage{});
  run();
  EXPECT_THAT(log.lines("black_box"), SizeIs(unit::boxes_per_second));
  EXPECT_EQ(counts.log_lost.get(), 10);
}

// -- traces -------------------------------------------------------------------------------

class listener final : public trace_sink {
public:
  void traced(std::vector<box_row> what, std::uint64_t n) override {
    rows.insert(rows.end(), what.begin(), what.end());
    lost += n;
  }

  void ended(errc x) override { ends.push_back(x); }

  std::vector<box_row> rows;
  std::uint64_t lost = 0;
  std::vector<errc> ends;
};

trace_order of(client_id who) {
  trace_order x;
  x.client = who;
  return x;
}

trace_order of(std::string room, std::chrono::milliseconds lasts = 30s) {
  trace_order x;
  x.room = std::move(room);
  x.lasts = lasts;
  return x;
}

class TraceTest : public BoxTest {
protected:
  std::shared_ptr<listener> follow(trace_order what) {
    auto to = std::make_shared<listener>();
    tell(env.supervisor, follow_asked{std::move(what), to});
    run();
    return to;
  }
};

TEST_F(TraceTest, AConnectionIsFollowedUntilItsEnd) {
  start();
  auto ann = connect();
  ann->emit("before");
  run();
  auto to = follow(of(ann->id));
  ann->emit("hello");
  advance(200ms);
  EXPECT_THAT(to->rows,
              ElementsAre(AllOf(is("received"), Field(&box_row::bytes, 5u)),
                          AllOf(is("deliver"), Field(&box_row::bytes, 6u))));
  EXPECT_THAT(to->ends, IsEmpty());
  ann->hang_up(errc::peer_closed, 4001);
  run();
  EXPECT_THAT(to->rows,
              Contains(AllOf(is("socket_closed"), Field(&box_row::code, 4001),
                             Field(&box_row::reason, "peer_closed"))));
  EXPECT_EQ(to->rows.back().what, "ended");
  EXPECT_THAT(to->ends, ElementsAre(errc::peer_closed));
  EXPECT_EQ(live(actor_kind::tracer), 0u);
}

TEST_F(TraceTest, ARoomIsFollowedThroughARestartUntilTheTimeIsOver) {
  start();
  auto ann = connect();
  auto to = follow(of("lobby", 2s));
  ann->emit("hello");
  advance(200ms);
  EXPECT_THAT(to->rows,
              ElementsAre(AllOf(is("post"), Field(&box_row::bytes, 5u),
                                Field(&box_row::offset, 1u)),
                          is("turn")));
  crash("lobby");
  advance(300ms);
  to->rows.clear();
  ann->emit("again");
  auto bob = connect();
  advance(200ms);
  EXPECT_THAT(to->rows, ElementsAre(is("post"), is("turn"), is("join")));
  EXPECT_THAT(to->ends, IsEmpty());
  advance(2s);
  EXPECT_THAT(to->ends, ElementsAre(errc::none));
  to->rows.clear();
  ann->emit("later");
  advance(1s);
  EXPECT_THAT(to->rows, IsEmpty());
}

TEST_F(TraceTest, ItEndsWhenNobodyListens) {
  start();
  auto ann = connect();
  auto to = follow(of(ann->id));
  EXPECT_EQ(live(actor_kind::tracer), 1u);
  to.reset();
  advance(200ms);
  EXPECT_EQ(live(actor_kind::tracer), 0u);
}

TEST_F(TraceTest, WhatCannotBeFollowedIsSaid) {
  env.inspection.traces_max = 1;
  start();
  EXPECT_THAT(follow(of(99))->ends, ElementsAre(errc::not_found));
  EXPECT_THAT(follow(of("nowhere"))->ends, ElementsAre(errc::not_found));
  EXPECT_THAT(follow({})->ends, ElementsAre(errc::bad_request));
  auto to = follow(of("lobby", 1h));
  EXPECT_THAT(follow(of("lobby"))->ends, ElementsAre(errc::overloaded));
  EXPECT_THAT(to->ends, IsEmpty());
  advance(env.inspection.trace_longest + 1s);
  EXPECT_THAT(to->ends, ElementsAre(errc::none));
}

TEST_F(TraceTest, ADrainEndsIt) {
  start();
  auto to = follow(of("lobby", 1h));
  tell(env.supervisor, stop_all{});
  run();
  EXPECT_THAT(to->ends, ElementsAre(errc::shutdown));
}

} // namespace

} // namespace greenroom::test
