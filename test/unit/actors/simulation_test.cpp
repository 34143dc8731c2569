#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;

/// The whole broker in small steps and in random order, with clients that come and
/// go and actors that crash. What the clients were told afterwards has to make
/// sense, and nothing may be left behind.
class SimulationTest : public ActorTest {
protected:
  struct person {
    socket_ptr line;
    bool raw = false;
    std::string room; // of a raw client
    int commands = 0; // sent so far; each has its number as id
    int said = 0;
  };

  struct moment {
    std::string room;
    std::string epoch;
    unsigned offset;
    auto operator<=>(const moment&) const = default;
  };

  void SetUp() override {
    unit_count = 3;
    how.resumes_per_turn = 1 + random() % 3;
    how.messages_per_resume = 1 + random() % 3;
    env.reader.messages_per_second = 0;
    env.reader.posts_max = 4;
    env.member.outbound_bytes_max = 400;
    env.supervisor_limits.rooms_on_demand = true;
    env.supervisor_limits.linger = std::chrono::milliseconds{random() % 100};
    env.supervisor_limits.crashes_max = 1'000'000;
    // Such small steps take their time: what is answered must be clean.
    env.supervisor_limits.end_deadline = 10min;
    on_demand.members_max = 6;
    start({{"a", {}}, {"b", {.write_delay = 30ms}}, {"c", {.members_max = 3}}});
  }

  std::size_t roll(std::size_t sides) { return random() % sides; }

  std::string some_room() {
    static const std::vector<std::string> names{"a", "b", "c", "d", "e", "$no"};
    return names[roll(names.size())];
  }

  void step() {
    auto x = roll(1000);
    if (x < 730) {
      run_one_turn(static_cast<unit_id>(roll(unit_count)));
    } else if (x < 770) {
      sleep(std::chrono::milliseconds{roll(40)});
    } else if (x < 800) {
      auto living = std::count_if(people.begin(), people.end(),
                                  [](auto& p) { return !p.line->gone; });
      if (living < 20)
        arrive();
    } else if (!people.empty() && x < 997) {
      act(people[roll(people.size())]);
    } else if (crashes) {
      sabotage_one();
    }
    if (ends && roll(400) == 0)
      end_one();
  }

  void arrive() {
    person p;
    p.raw = roll(2) == 0;
    p.room = some_room();
    auto on = static_cast<unit_id>(roll(unit_count));
    p.line =
      open(on, p.raw ? raw_upgrade(p.room, roll(3) != 0) : talk_upgrade());
    p.line->window = 1 + roll(4);
    people.push_back(std::move(p));
  }

  void act(person& p) {
    auto x = roll(300);
    if (x < 2)
      p.line->hang_up(roll(2) == 0 ? errc::peer_closed : errc::peer_gone);
    else if (x < 3)
      p.line->vanish();
    else if (x < 6)
      p.line->stuck = true;
    else if (x < 20)
      p.line->recover();
    else if (p.raw)
      p.line->emit(fmt::format("{}.{}", p.line->id, ++p.said));
    else
      talk_some(p);
  }

  void talk_some(person& p) {
    std::string message;
    for (auto n = 1 + roll(3); n > 0; --n) {
      auto id = ++p.commands;
      auto room = some_room();
      auto x = roll(10);
      if (x < 3)
        message += fmt::format("join {} {}\n", id, room);
      else if (x < 5)
        message += fmt::format("leave {} {}\n", id, room);
      else
        message +=
          fmt::format("pub {} {} {}.{}\n", id, room, p.line->id, ++p.said);
    }
    p.line->emit(message);
  }

  void sabotage_one() {
    auto& u = at(static_cast<unit_id>(roll(unit_count)));
    u.enter();
    std::vector<caf::actor> candidates;
    u.each_actor([&](const actor& x) {
      auto k = x.kind();
      auto often = k == actor_kind::room || k == actor_kind::outlet;
      if (often || k == actor_kind::inspector
          || ((k == actor_kind::reader || k == actor_kind::writer)
              && roll(10) == 0))
        candidates.push_back(caf::actor_cast<caf::actor>(x.address()));
    });
    if (!candidates.empty())
      tell(candidates[roll(candidates.size())], sabotage{});
  }

  /// Ends anything, on demand.
  void end_one() {
    end_order x;
    x.what = static_cast<end_target>(roll(4));
    x.room = some_room();
    if (!people.empty())
      x.client = people[roll(people.size())].line->id;
    auto& u = at(static_cast<unit_id>(roll(unit_count)));
    std::vector<std::uint64_t> ids;
    u.each_actor([&ids](const actor& a) { ids.push_back(a.id()); });
    if (!ids.empty())
      x.actor = ids[roll(ids.size())];
    at(static_cast<unit_id>(roll(unit_count))).enter();
    ++orders;
    tell(env.supervisor,
         end_asked{std::make_shared<inquiry<end_order, receipt>>(
           std::move(x), [this](const receipt& r) { receipts.push_back(r); })});
  }

  /// Every order was answered once, and nothing was left.
  void check_receipts() {
    EXPECT_EQ(receipts.size(), orders);
    for (auto& r : receipts) {
      EXPECT_TRUE(r.clean || r.why != errc::none)
        << r.target << " of client " << r.client << ", room '" << r.room
        << "': " << testing::PrintToString(r.left);
      well_done += r.clean ? 1 : 0;
    }
  }

  // -- what must hold ------------------------------------------------------------

  /// Answers come once and in order; publications only to members, without gaps.
  void check_talker(const person& p, bool whole) {
    SCOPED_TRACE(fmt::format("client {}", p.line->id));
    std::map<std::string, std::pair<std::string, unsigned>> in;
    int answered = 0;
    for (std::size_t i = 0; i < p.line->got.size(); ++i) {
      const auto& text = p.line->got[i];
      const auto& epoch = p.line->epochs[i];
      char verb[16], room[16], rest[64];
      int id = 0;
      unsigned offset = 0;
      if (sscanf(text.c_str(), "ok %15s %d %15s %u", verb, &id, room, &offset)
          == 4) {
        EXPECT_EQ(id, ++answered) << text;
        if (verb == std::string{"join"}) {
          EXPECT_FALSE(in.contains(room)) << text;
          in[room] = {epoch, offset};
        } else if (verb == std::string{"leave"}) {
          in.erase(room);
        }
      } else if (sscanf(text.c_str(), "no %15s %d %15s %63s", verb, &id, room,
                        rest)
                 == 4) {
        EXPECT_EQ(id, ++answered) << text;
      } else if (sscanf(text.c_str(), "lost %15s", room) == 1) {
        EXPECT_TRUE(in.contains(room)) << text;
        in.erase(room);
      } else if (sscanf(text.c_str(), "%15s %u %63s", room, &offset, rest)
                 == 3) {
        EXPECT_TRUE(in.contains(room)) << text;
        auto& [last_epoch, last] = in[room];
        EXPECT_EQ(offset, last_epoch == epoch ? last + 1 : 1) << text;
        last_epoch = epoch;
        last = offset;
        auto [known, fresh] = stream.emplace(moment{room, epoch, offset}, rest);
        EXPECT_EQ(known->second, rest) << text;
      } else {
        ADD_FAILURE() << text;
      }
    }
    if (whole) {
      EXPECT_EQ(answered, p.commands);
      memberships += in.size();
    }
  }

  /// No publication twice, and those of one sender in their order.
  void check_raw(const person& p) {
    SCOPED_TRACE(fmt::format("raw client {}", p.line->id));
    std::map<unsigned, unsigned> last;
    for (auto& text : p.line->got) {
      unsigned from = 0, n = 0;
      ASSERT_EQ(sscanf(text.c_str(), "%u.%u", &from, &n), 2) << text;
      EXPECT_GT(n, last[from]) << text;
      last[from] = n;
    }
  }

  /// Within an epoch each sender's publications have their order.
  void check_stream() {
    std::map<std::pair<std::pair<std::string, std::string>, unsigned>, unsigned>
      last;
    for (auto& [where, text] : stream) {
      unsigned from = 0, n = 0;
      ASSERT_EQ(sscanf(text.c_str(), "%u.%u", &from, &n), 2) << text;
      auto& before = last[{{where.room, where.epoch}, from}];
      EXPECT_GT(n, before) << text;
      before = n;
    }
  }

  void play(int steps) {
    for (int i = 0; i < steps; ++i)
      step();
    for (auto& p : people)
      p.line->recover();
    run();
    advance(20s); // many publications in a row may each wait for a write delay
    for (auto& p : people) {
      auto alive = p.line->last_words.empty() && !p.line->gone;
      if (p.raw) {
        check_raw(p);
        memberships += alive && p.line->accepted ? 1 : 0;
      } else {
        check_talker(p, alive);
      }
    }
    check_stream();
    check_receipts();
    EXPECT_EQ(books().memberships, memberships);
    // When all have gone, so have their rooms.
    for (auto& p : people)
      if (!p.line->gone)
        p.line->hang_up();
    run();
    advance(5s);
    EXPECT_EQ(books().memberships, 0u);
    for (unit_id u = 0; u < unit_count; ++u)
      at(u).each_actor([](const actor& x) {
        if (x.kind() == actor_kind::room) {
          EXPECT_THAT(std::string{x.room_name()},
                      testing::AnyOf("a", "b", "c"));
        }
      });
  }

  std::mt19937_64 random{random_seed()};
  bool crashes = true;
  bool ends = false; // on demand
  std::size_t orders = 0;
  std::vector<receipt> receipts;
  std::size_t well_done = 0; // orders that ended something
  std::vector<person> people;
  std::map<moment, std::string> stream;
  std::size_t memberships = 0;
};

class PeaceTest : public SimulationTest {};

TEST_F(PeaceTest, EverybodyIsToldEverythingOnceAndInOrder) {
  crashes = false;
  play(20'000);
  EXPECT_GT(counts.publications.get(), 100);
  EXPECT_EQ(counts.crashes.get(), 0);
  EXPECT_EQ(counts.posts_lost.get(), 0);
}

TEST_F(SimulationTest, CrashesLeaveNothingBehindAndNobodyUnanswered) {
  env.supervisor_limits.restarts_max = 1'000'000;
  play(20'000);
  EXPECT_GT(counts.publications.get(), 100);
  EXPECT_GT(counts.rooms_restarted.get(), 5);
}

TEST_F(PeaceTest, EndsOnDemandLeaveNothingAndEverybodyIsTold) {
  crashes = false;
  ends = true;
  env.supervisor_limits.restarts_max = 1; // they do not count
  play(40'000);
  EXPECT_GT(counts.publications.get(), 100);
  EXPECT_EQ(counts.crashes.get(), 0);
  EXPECT_EQ(counts.rooms_quarantined.get(), 0);
  EXPECT_GT(well_done, 30u);
}

TEST_F(SimulationTest, EndsOnDemandAmidCrashesHaveCleanReceiptsToo) {
  ends = true;
  env.supervisor_limits.restarts_max = 1'000'000;
  play(40'000);
  EXPECT_GT(well_done, 30u);
}

TEST_F(SimulationTest, RoomsThatCrashAgainAndAgainAreClosedInPeace) {
  env.supervisor_limits.restarts_max = 3;
  env.supervisor_limits.restart_window = 3s;
  play(20'000);
}

} // namespace

} // namespace greenroom::test
