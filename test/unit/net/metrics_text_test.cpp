#include "net/api/metrics_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>

#include "test/support/fake_inspection.hpp"

using namespace greenroom;
using namespace greenroom::net;
using testing::HasSubstr;
using testing::Not;

namespace {

struct MetricsTextTest : testing::Test {
  MetricsTextTest() {
    whole.version = "1.2.3";
    whole.units.resize(2);
    whole.units[1].unit = 1;
  }

  std::string text(std::vector<room_row> rooms = {}) {
    inspect_page now;
    now.rows = std::vector<overview>{whole};
    inspect_page page;
    page.rows = std::move(rooms);
    auto answer = made.answer(now, page);
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.content_type, "text/plain; version=0.0.4; charset=utf-8");
    return answer.body;
  }

  static room_row named(std::string name, std::uint64_t publications) {
    room_row x;
    x.room = std::move(name);
    x.named = true;
    x.publications = publications;
    return x;
  }

  metrics counts;
  metrics inspect_counts;
  overview whole;
  metrics_text made{counts, inspect_counts};
};

std::string line(std::string_view text, const std::string& series) {
  std::istringstream lines{std::string{text}};
  for (std::string x; std::getline(lines, x);)
    if (x.starts_with(series + " "))
      return x.substr(series.size() + 1);
  return "none";
}

} // namespace

TEST_F(MetricsTextTest, EveryFamilyHasHelpTypeAndASample) {
  auto out = text({named("lobby", 1)});
  for (auto& x : metric_families()) {
    std::string name{x.name};
    EXPECT_THAT(out, HasSubstr("# HELP " + name + " "));
    EXPECT_THAT(out, HasSubstr("# TYPE " + name + " " + std::string{x.type}));
    auto sample = out.find("\n" + name);
    EXPECT_NE(sample, std::string::npos) << name;
  }
}

TEST_F(MetricsTextTest, EverySampleStandsUnderItsFamilyAndOnce) {
  std::istringstream lines{text({named("lobby", 1), named("news", 1)})};
  std::string family;
  std::set<std::string> seen;
  std::set<std::string> families;
  for (std::string x; std::getline(lines, x);) {
    if (x.starts_with("# TYPE ")) {
      family = x.substr(7, x.find(' ', 7) - 7);
      EXPECT_TRUE(families.insert(family).second) << family;
    } else if (!x.starts_with("#")) {
      EXPECT_TRUE(x.starts_with(family)) << x;
      EXPECT_TRUE(seen.insert(x.substr(0, x.rfind(' '))).second) << x;
      EXPECT_NO_THROW((void)std::stod(x.substr(x.rfind(' ') + 1))) << x;
    }
  }
  EXPECT_EQ(families.size(), metric_families().size());
}

TEST_F(MetricsTextTest, CountersHaveTheNamesThatPrometheusExpects) {
  for (auto& x : metric_families())
    EXPECT_EQ(x.name.ends_with("_total"), x.type == "counter") << x.name;
}

TEST_F(MetricsTextTest, CountsAreThoseOfTheProcess) {
  counts.messages_in.add(7);
  at(counts.closed, errc::slow_consumer).add(3);
  at(inspect_counts.refused, errc::unauthorized).add(2);
  whole.cpu_us = 1'500'000;
  auto out = text();
  EXPECT_EQ(line(out, "greenroom_messages_in_total"), "7");
  EXPECT_EQ(line(out, R"(greenroom_closed_total{reason="slow_consumer"})"),
            "3");
  EXPECT_EQ(line(out, R"(greenroom_closed_total{reason="peer_gone"})"), "0");
  EXPECT_EQ(
    line(out, R"(greenroom_inspect_refused_total{reason="unauthorized"})"),
    "2");
  EXPECT_EQ(line(out, "process_cpu_seconds_total"), "1.5");
  EXPECT_EQ(line(out, R"(greenroom_build_info{version="1.2.3"})"), "1");
  EXPECT_EQ(line(out, R"(greenroom_unit_turns_total{unit="1"})"), "0");
}

TEST_F(MetricsTextTest, RoomsAreThoseNamedAtStartAndOneForAllOthers) {
  whole.memberships = 100;
  whole.publications = 50;
  std::vector<room_row> rooms{named("a\"\\\nb", 20)};
  rooms[0].members = 30;
  rooms.push_back(named("unnamed", 5));
  rooms[1].named = false;
  auto out = text(rooms);
  EXPECT_EQ(line(out, R"(greenroom_room_members{room="a\"\\\nb"})"), "30");
  EXPECT_EQ(line(out, R"(greenroom_room_members{room="/others"})"), "70");
  EXPECT_EQ(line(out, R"(greenroom_room_publications_total{room="/others"})"),
            "30");
  EXPECT_THAT(out, Not(HasSubstr("unnamed")));
}

TEST_F(MetricsTextTest, RoomsThatNobodyNamedAddNoSeries) {
  auto before = text({named("lobby", 1)});
  std::vector<room_row> many{named("lobby", 1)};
  for (int i = 0; i < 100'000; ++i) {
    many.push_back(named("room-" + std::to_string(i), 1));
    many.back().named = false;
  }
  EXPECT_EQ(text(many), before);
}

TEST_F(MetricsTextTest, ACounterOfARoomOnlyGrows) {
  whole.publications = 100;
  constexpr auto lobby = R"(greenroom_room_publications_total{room="lobby"})";
  constexpr auto others =
    R"(greenroom_room_publications_total{room="/others"})";
  auto out = text({named("lobby", 60)});
  EXPECT_EQ(line(out, lobby), "60");
  EXPECT_EQ(line(out, others), "40");
  // It was restarted and begins anew.
  whole.publications = 110;
  out = text({named("lobby", 10)});
  EXPECT_EQ(line(out, lobby), "70");
  EXPECT_EQ(line(out, others), "40");
  // A sample of the rooms that is younger than that of the process.
  out = text({named("lobby", 30)});
  EXPECT_EQ(line(out, lobby), "90");
  EXPECT_EQ(line(out, others), "40");
}

TEST_F(MetricsTextTest, TheQuestionFindsNamedRoomsFirst) {
  auto x = metrics_text::rooms_query();
  EXPECT_EQ(x.what, view::rooms);
  EXPECT_EQ(x.sort, "named");
  EXPECT_TRUE(x.descending);
}
