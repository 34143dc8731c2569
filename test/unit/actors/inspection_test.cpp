#include "actors/inspection.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "actors/metrics.hpp"
#include "test/support/inspection_fixture.hpp"

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class WalkTest : public InspectionTest {
protected:
  /// Messages the first probe has handled: walks, where one chunk is enough.
  std::uint64_t handled_by_probe() {
    std::uint64_t result = 0;
    at(0).each_actor([&](const actor& x) {
      if (x.kind() == actor_kind::probe)
        result = x.stats().handled;
    });
    return result;
  }
};

// -- what is there ----------------------------------------------------------------------

TEST_F(WalkTest, TheOverviewCountsWhoIsThere) {
  env.version = "1.2.3";
  start({{"a", {}}, {"b", {}}});
  auto ann = connect("a", {.on = 0});
  auto cid = connect_talker(1);
  cid->emit("join 1 a\njoin 2 b");
  run();
  cid->stuck = true;
  ann->emit("0123456789");
  run();
  auto x = glance();
  EXPECT_EQ(x.version, "1.2.3");
  EXPECT_EQ(x.connections, 2u);
  EXPECT_EQ(x.rooms, 2u);
  EXPECT_EQ(x.memberships, 3u);
  EXPECT_EQ(x.quarantined, 0u);
  EXPECT_EQ(x.publications, 1u);
  EXPECT_EQ(x.deliveries, 2u);
  EXPECT_EQ(x.bytes_queued, cid->flow->queued());
  EXPECT_GT(x.bytes_queued, 0u);
  EXPECT_GT(x.cpu_us, 0);
  EXPECT_GT(x.memory_bytes, 1'000'000u);
  EXPECT_GT(x.descriptors, 2u);
  EXPECT_LE(x.started_at, x.now_at);
  ASSERT_THAT(x.units, SizeIs(2));
  EXPECT_EQ(x.units[0].unit, 0u);
  EXPECT_EQ(x.units[1].unit, 1u);
  EXPECT_EQ(x.units[0].connections + x.units[1].connections, 2u);
  EXPECT_EQ(x.units[0].actors, at(0).live_actors());
  EXPECT_EQ(x.units[1].actors, at(1).live_actors());
  EXPECT_GT(x.units[0].turns, 0u);
  EXPECT_GT(x.units[0].handled, 0u);
}

TEST_F(WalkTest, WhatItCostsIsCounted) {
  start();
  std::vector<socket_ptr> all;
  for (int i = 0; i < 200; ++i)
    all.push_back(connect("lobby", {.on = 0}));
  glance();
  advance(1s);
  EXPECT_GT(glance().units[0].sample_us, 0);
}

TEST_F(WalkTest, ActorsMakeATree) {
  start();
  auto ann = connect("lobby", {.on = 0});
  auto bob = connect("lobby", {.on = 1});
  auto all = actors();
  EXPECT_THAT(all, SizeIs(live_actors()));
  auto of = [&](std::string_view kind, client_id client = 0) {
    auto i = std::find_if(all.begin(), all.end(), [&](auto& x) {
      return x.kind == kind && x.client == client;
    });
    EXPECT_NE(i, all.end()) << kind;
    return i == all.end() ? actor_row{} : *i;
  };
  auto top = of("supervisor");
  EXPECT_EQ(top.parent, 0u);
  EXPECT_EQ(of("inspector").parent, top.id);
  EXPECT_EQ(of("probe").parent, top.id);
  EXPECT_EQ(of("room").parent, top.id);
  EXPECT_EQ(of("outlet").parent, of("room").id);
  EXPECT_EQ(of("reader", ann->id).parent, top.id);
  EXPECT_EQ(of("writer", ann->id).parent, of("reader", ann->id).id);
  EXPECT_EQ(of("room").room, "lobby");
  EXPECT_EQ(of("outlet").room, "lobby");
  EXPECT_EQ(of("reader", bob->id).unit, 1u);
}

TEST_F(WalkTest, LinksAndMonitorsAreCountedApart) {
  start();
  auto bob = connect("lobby", {.on = home_of("lobby") == 0 ? 1u : 0u});
  auto only = [&](std::string_view kind) {
    inspect_query q;
    q.kind = kind;
    auto found = actors(q);
    EXPECT_FALSE(found.empty()) << kind;
    return found.empty() ? actor_row{} : found.front();
  };
  for (auto kind : {"reader", "writer", "room", "outlet"}) {
    EXPECT_EQ(only(kind).links, 1u) << kind;
    EXPECT_EQ(only(kind).monitors, 1u) << kind; // the supervisor
  }
  EXPECT_EQ(only("supervisor").links, 0u);
}

TEST_F(WalkTest, AgeAndStateAreTrue) {
  start();
  auto ann = connect();
  advance(5s);
  auto bob = connect();
  advance(2s);
  inspect_query q;
  q.kind = "reader";
  q.sort = "age_ms";
  auto found = actors(q);
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_EQ(found[0].client, ann->id);
  EXPECT_EQ(found[0].age_ms, 7000);
  EXPECT_EQ(found[1].age_ms, 2000);
  EXPECT_EQ(found[0].state, "idle");
  q = {};
  q.kind = "probe";
  EXPECT_EQ(actors(q).front().state, "running");
}

TEST_F(WalkTest, FiltersPagesAndOrders) {
  start({{"Lobby", {}}, {"news", {}}});
  std::vector<socket_ptr> all;
  for (int i = 0; i < 10; ++i)
    all.push_back(connect("Lobby", {.on = i % 2}));
  inspect_query q;
  q.what = view::actors;
  q.kind = "writer";
  q.sort = "client";
  q.descending = false;
  q.offset = 3;
  q.limit = 4;
  auto page = look(q);
  EXPECT_EQ(page.total, 10u);
  std::vector<client_id> got;
  for (auto& x : std::get<std::vector<actor_row>>(page.rows))
    got.push_back(x.client);
  EXPECT_THAT(got, ElementsAre(all[3]->id, all[4]->id, all[5]->id, all[6]->id));
  q = {};
  q.client = all[2]->id;
  EXPECT_THAT(actors(q), SizeIs(2));
  q = {};
  q.text = "lobb";                   // whatever the case
  EXPECT_THAT(actors(q), SizeIs(2)); // room and outlet
  q = {};
  q.text = "nobody is called so";
  EXPECT_THAT(actors(q), IsEmpty());
  q = {};
  q.kind = "room";
  q.sort = "room";
  q.descending = false;
  auto rooms = actors(q);
  ASSERT_THAT(rooms, SizeIs(2));
  EXPECT_EQ(rooms[0].room, "Lobby");
  q.descending = true;
  EXPECT_EQ(actors(q)[0].room, "news");
}

TEST_F(WalkTest, WhatMakesNoSenseIsABadRequest) {
  start();
  inspect_query q;
  q.what = view::actors;
  q.sort = "no_such_field";
  EXPECT_EQ(look(q).why, errc::bad_request);
  q.sort = {};
  q.kind = "elephant";
  EXPECT_EQ(look(q).why, errc::bad_request);
  q.kind = {};
  q.limit = inspect_query::limit_max + 1;
  EXPECT_EQ(look(q).why, errc::bad_request);
  q = {};
  q.what = view::closed;
  q.sort = "seats"; // a list has no order
  EXPECT_EQ(look(q).why, errc::bad_request);
  q = {};
  q.what = view::box; // of whom?
  EXPECT_EQ(look(q).why, errc::bad_request);
}

// -- walks ------------------------------------------------------------------------------

TEST_F(WalkTest, AWalkTakesOneChunkInATurn) {
  unit_count = 1;
  env.inspection.chunk = 10;
  start();
  std::vector<socket_ptr> all;
  for (int i = 0; i < 50; ++i)
    all.push_back(connect());
  auto turns = live_actors() / 10;
  auto page = ask({});
  std::size_t n = 0;
  for (; !*page; ++n) {
    ASSERT_LT(n, 100u);
    run_one_turn(0);
  }
  EXPECT_GE(n, turns);
}

TEST_F(WalkTest, WhoeverStaysIsSeenWhileOthersComeAndGo) {
  unit_count = 1;
  env.inspection.chunk = 3;
  auto seed = random_seed();
  std::mt19937_64 dice{seed};
  start();
  std::vector<socket_ptr> stay;
  std::vector<socket_ptr> others;
  for (int i = 0; i < 40; ++i) {
    stay.push_back(connect());
    others.push_back(connect());
  }
  for (int round = 0; round < 10; ++round) {
    inspect_query q;
    q.what = view::actors;
    q.kind = "reader";
    q.limit = 1000;
    auto page = ask(q);
    for (int turn = 0; !*page; ++turn) {
      ASSERT_LT(turn, 10'000);
      auto& one = others[dice() % others.size()];
      if (!one->gone && dice() % 2 == 0)
        one->hang_up();
      if (dice() % 3 == 0)
        others.push_back(open(0, raw_upgrade("lobby")));
      run_one_turn(0);
      if (turn > 200)
        advance(1s); // the next walk is due
    }
    std::vector<client_id> seen;
    for (auto& x : std::get<std::vector<actor_row>>((**page).rows))
      seen.push_back(x.client);
    auto count = seen.size();
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    EXPECT_EQ(seen.size(), count) << "somebody was seen twice";
    for (auto& x : stay)
      EXPECT_TRUE(std::binary_search(seen.begin(), seen.end(), x->id))
        << x->id << " was not seen";
  }
}

TEST_F(WalkTest, ManyWhoAskShareAWalk) {
  start();
  auto before = handled_by_probe();
  std::vector<std::shared_ptr<std::optional<inspect_page>>> pages;
  for (int i = 0; i < 50; ++i) {
    inspect_query q;
    q.what = i % 2 == 0 ? view::overview : view::actors;
    pages.push_back(ask(q));
  }
  run();
  EXPECT_LE(handled_by_probe() - before, 2u);
  advance(env.inspection.sample_every * 3);
  for (auto& p : pages)
    EXPECT_TRUE(p->has_value());
}

TEST_F(WalkTest, TheSameQuestionWithinThePeriodGetsTheSameAnswer) {
  start();
  auto first = look({});
  auto before = handled_by_probe();
  advance(env.inspection.sample_every / 2);
  auto again = look({});
  EXPECT_EQ(again.sampled_at, first.sampled_at);
  EXPECT_EQ(handled_by_probe(), before);
  advance(env.inspection.sample_every);
  look({});
  EXPECT_GT(handled_by_probe(), before);
}

// A page that asks once a period asks a few milliseconds less after the last answer
// than after the last question.
TEST_F(WalkTest, WhoAsksOnceAPeriodGetsAFreshAnswerEachTime) {
  start();
  look({});
  for (int i = 0; i < 60; ++i) {
    auto before = handled_by_probe();
    advance(env.inspection.sample_every - std::chrono::milliseconds{20});
    auto page = ask({});
    run();
    EXPECT_GT(handled_by_probe(), before) << i;
    EXPECT_TRUE(page->has_value()) << i;
  }
}

// A page asks two questions, and the second one comes when the walk of the first is
// over. Somebody else does the same half a period later.
TEST_F(WalkTest, WhoAsksSeveralQuestionsAgainAndAgainWaitsForNone) {
  start();
  const std::array asked{view::overview, view::edges, view::rooms};
  auto look_at_all = [&] {
    for (auto what : asked) {
      inspect_query q;
      q.what = what;
      auto page = ask(q);
      run();
      EXPECT_TRUE(page->has_value());
    }
  };
  look_at_all();
  advance(env.inspection.sample_every);
  auto before = handled_by_probe();
  // Before the first snapshot, which takes a walk of its own.
  for (int i = 0; i < 50; ++i) {
    look_at_all();
    advance(env.inspection.sample_every / 2);
    look_at_all();
    advance(env.inspection.sample_every / 2);
  }
  EXPECT_LE(handled_by_probe() - before, 2u * 51);
}

TEST_F(WalkTest, ManyDifferentQuestionsGetOneWalkInAPeriod) {
  env.inspection.burst = 3;
  start();
  auto before = handled_by_probe();
  std::size_t answered = 0;
  // Somebody clicks ten times a second for a minute.
  for (std::uint64_t i = 0; i < 600; ++i) {
    inspect_query q;
    q.what = view::actors;
    q.actor = i + 1;
    port.look(q, [&](inspect_page page) {
      EXPECT_EQ(page.why, errc::none);
      ++answered;
    });
    advance(100ms);
  }
  advance(3s);
  EXPECT_EQ(answered, 600u);
  EXPECT_LE(handled_by_probe() - before, 66u);
}

TEST_F(WalkTest, WhoClicksAroundDoesNotWait) {
  env.inspection.burst = 3;
  start();
  advance(10s);
  for (std::uint64_t i = 0; i < 3; ++i) {
    inspect_query q;
    q.what = view::actors;
    q.actor = i + 1;
    auto page = ask(q);
    run();
    EXPECT_TRUE(page->has_value()) << i;
  }
}

TEST_F(WalkTest, TooManyQuestionsAreRefused) {
  env.inspection.questions_max = 5;
  start();
  std::vector<std::shared_ptr<std::optional<inspect_page>>> pages;
  for (int i = 0; i < 7; ++i)
    pages.push_back(ask({}));
  for (int i = 5; i < 7; ++i) {
    ASSERT_TRUE(pages[i]->has_value());
    EXPECT_EQ((*pages[i])->why, errc::overloaded);
  }
  run();
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ((*pages[i])->why, errc::none);
  EXPECT_EQ(look({}).why, errc::none);
}

// -- what may go wrong ------------------------------------------------------------------

TEST_F(WalkTest, AProbeThatCrashesInItsWalkFailsTheQuestions) {
  unit_count = 1;
  env.inspection.chunk = 2;
  start();
  std::vector<socket_ptr> all;
  for (int i = 0; i < 20; ++i)
    all.push_back(connect());
  auto page = ask({});
  for (int i = 0; i < 3; ++i)
    run_one_turn(0);
  ASSERT_FALSE(page->has_value());
  at(0).each_actor([](const actor& x) {
    if (x.kind() == actor_kind::probe)
      tell(caf::actor_cast<caf::actor>(x.address()), sabotage{});
  });
  run();
  ASSERT_TRUE(page->has_value());
  EXPECT_EQ((*page)->why, errc::fault);
  EXPECT_EQ(counts.inspection_restarts.get(), 1);
  EXPECT_EQ(glance().connections, 20u);
}

TEST_F(WalkTest, AnInspectorThatCrashesFailsTheQuestions) {
  unit_count = 1;
  env.inspection.chunk = 2;
  start();
  std::vector<socket_ptr> all;
  for (int i = 0; i < 20; ++i)
    all.push_back(connect());
  auto page = ask({});
  inspect_query later;
  later.what = view::actors;
  run_one_turn(0);
  auto waits = ask(later);
  run_one_turn(0);
  ASSERT_FALSE(page->has_value());
  at(0).each_actor([](const actor& x) {
    if (x.kind() == actor_kind::inspector)
      tell(caf::actor_cast<caf::actor>(x.address()), sabotage{});
  });
  run();
  ASSERT_TRUE(page->has_value());
  EXPECT_EQ((*page)->why, errc::fault);
  ASSERT_TRUE(waits->has_value());
  EXPECT_EQ((*waits)->why, errc::fault);
  EXPECT_EQ(glance().connections, 20u);
}

TEST_F(WalkTest, AUnitThatIsStuckHoldsNobodyUpForEver) {
  start();
  auto page = ask({});
  for (int i = 0; i < 10; ++i)
    run_one_turn(0); // unit 1 does not run
  EXPECT_FALSE(page->has_value());
  sleep(11s);
  for (int i = 0; i < 10; ++i)
    run_one_turn(0);
  ASSERT_TRUE(page->has_value());
  EXPECT_EQ((*page)->why, errc::fault);
  advance(5s);
  EXPECT_EQ(glance().units.size(), 2u);
}

TEST_F(WalkTest, QuestionsToABrokerThatHasEndedFail) {
  start();
  tell(env.supervisor, stop_all{});
  advance(1s);
  auto page = ask({});
  run();
  ASSERT_TRUE(page->has_value());
  EXPECT_EQ((*page)->why, errc::fault);
}

// -- histograms -------------------------------------------------------------------------

TEST(HistogramTest, BoundsArePowersOfTwo) {
  histogram x;
  for (std::uint64_t v : {0u, 1u, 2u, 3u, 4u, 5u, 1024u, 1025u})
    x.add(v);
  x.add(~std::uint64_t{0} / 2);
  auto got = x.get();
  EXPECT_EQ(got.in[0], 2u);  // 0, 1
  EXPECT_EQ(got.in[1], 1u);  // 2
  EXPECT_EQ(got.in[2], 2u);  // 3, 4
  EXPECT_EQ(got.in[3], 1u);  // 5
  EXPECT_EQ(got.in[10], 1u); // 1024
  EXPECT_EQ(got.in[11], 1u);
  EXPECT_EQ(got.in[histogram_counts::buckets - 1], 1u);
  EXPECT_EQ(got.count(), 9u);
}

TEST(HistogramTest, QuantilesLieWithinTheirBucket) {
  histogram x;
  for (int i = 0; i < 99; ++i)
    x.add(100);
  x.add(10'000);
  auto got = x.get();
  EXPECT_GT(got.quantile(0.5), 64u);
  EXPECT_LE(got.quantile(0.5), 128u);
  EXPECT_GT(got.quantile(1.0), 8192u);
  EXPECT_LE(got.quantile(1.0), 16'384u);
  EXPECT_EQ(got.highest(), 16'384u);
  EXPECT_EQ(histogram_counts{}.quantile(0.5), 0u);
}

TEST(HistogramTest, ThreadsAreAddedUpAndMomentsSubtracted) {
  metrics all;
  auto& a = all.add_thread();
  auto& b = all.add_thread();
  a.batch.add(3);
  auto before = all.batch();
  b.batch.add(5);
  EXPECT_EQ(all.batch().count(), 2u);
  EXPECT_EQ(all.batch().sum, 8u);
  EXPECT_EQ(all.batch().since(before).sum, 5u);
}

} // namespace

} // namespace greenroom::test
