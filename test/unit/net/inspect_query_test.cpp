#include "net/api/inspect_query.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

using namespace greenroom;
using namespace greenroom::net;
using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

namespace {

result<inspect_question> ask(view what, std::string_view query) {
  auto target = parse_target("/inspect/x?" + std::string{query});
  EXPECT_TRUE(target) << query;
  return read_question(what, *target);
}

std::string wrong(std::string_view query, view what = view::rooms) {
  auto x = ask(what, query);
  EXPECT_FALSE(x) << query;
  if (x)
    return "nothing";
  EXPECT_EQ(x.error().code, errc::bad_request);
  return x.error().detail;
}

} // namespace

TEST(InspectQueryTest, WithoutParametersItIsTheDefaults) {
  auto target = parse_target("/inspect/rooms");
  auto x = read_question(view::rooms, *target);
  ASSERT_TRUE(x);
  EXPECT_EQ(x->query.what, view::rooms);
  EXPECT_EQ(x->query.sort, "");
  EXPECT_TRUE(x->query.descending);
  EXPECT_EQ(x->query.offset, 0u);
  EXPECT_EQ(x->query.limit, 100u);
  EXPECT_EQ(x->every, 0ms);
}

TEST(InspectQueryTest, EveryParameterIsTaken) {
  auto x = ask(view::actors, "room=a%20b%2Fc&client=7&actor=9&kind=reader&"
                             "q=%C3%BC&sort=depth&order=asc&offset=200&"
                             "limit=1000&every=1000&seconds=60");
  ASSERT_TRUE(x) << x.error().detail;
  auto& q = x->query;
  EXPECT_EQ(q.room, "a b/c");
  EXPECT_EQ(q.client, 7u);
  EXPECT_EQ(q.actor, 9u);
  EXPECT_EQ(q.kind, "reader");
  EXPECT_EQ(q.text, "\xc3\xbc");
  EXPECT_EQ(q.sort, "depth");
  EXPECT_FALSE(q.descending);
  EXPECT_EQ(q.offset, 200u);
  EXPECT_EQ(q.limit, 1000u);
  EXPECT_EQ(x->every, 1s);
  EXPECT_EQ(x->lasts, 60s);
}

TEST(InspectQueryTest, ParametersAreDecodedAsInAForm) {
  auto x = ask(view::rooms, "room=a+b%2Bc");
  ASSERT_TRUE(x);
  EXPECT_EQ(x->query.room, "a b+c");
}

TEST(InspectQueryTest, WhatMeansNothingIsSaid) {
  EXPECT_THAT(wrong("rom=x"), HasSubstr("unknown parameter"));
  EXPECT_THAT(wrong("limit=1&limit=2"), HasSubstr("more than once"));
  EXPECT_THAT(wrong("limit=0"), HasSubstr("limit: expected a number from 1"));
  EXPECT_THAT(wrong("limit=1001"), HasSubstr("1000"));
  EXPECT_THAT(wrong("limit=-1"), HasSubstr("limit"));
  EXPECT_THAT(wrong("limit=1x"), HasSubstr("limit"));
  EXPECT_THAT(wrong("limit="), HasSubstr("limit"));
  EXPECT_THAT(wrong("limit"), HasSubstr("limit"));
  EXPECT_THAT(wrong("offset=10000"), HasSubstr("offset"));
  EXPECT_THAT(wrong("offset=9999&limit=2"), HasSubstr("beyond row 10000"));
  EXPECT_THAT(wrong("client=0"), HasSubstr("client"));
  EXPECT_THAT(wrong("client=18446744073709551616"), HasSubstr("client"));
  EXPECT_THAT(wrong("kind=dragon"), HasSubstr("reader"));
  EXPECT_THAT(wrong("sort=color"), HasSubstr("members"));
  EXPECT_THAT(wrong("order=up"), HasSubstr("asc"));
  EXPECT_THAT(wrong("room="), HasSubstr("room"));
  EXPECT_THAT(wrong("every=999"), HasSubstr("every"));
  EXPECT_THAT(wrong("seconds=5"), HasSubstr("without every"));
  EXPECT_THAT(wrong("", view::box), HasSubstr("room or client"));
}

TEST(InspectQueryTest, WhatAClientSentIsNotRepeated) {
  EXPECT_THAT(wrong("token=hunter2"), Not(HasSubstr("hunter2")));
  EXPECT_THAT(wrong("hunter2=1"), Not(HasSubstr("hunter2")));
  EXPECT_THAT(wrong("sort=hunter2"), Not(HasSubstr("hunter2")));
}

TEST(InspectQueryTest, EveryFieldButListsCanBeSortedBy) {
  EXPECT_THAT(sort_fields(view::edges), Contains("lag_ms"));
  EXPECT_THAT(sort_fields(view::closed), Contains("closed_at"));
  EXPECT_THAT(sort_fields(view::closed), Not(Contains("seats")));
  EXPECT_THAT(sort_fields(view::overview), Not(Contains("units")));
  EXPECT_THAT(sort_fields(view::rooms), Contains("named"));
}

TEST(InspectQueryTest, ViewsHaveNames) {
  for (auto what : {view::overview, view::actors, view::rooms,
                    view::connections, view::edges, view::closed, view::box}) {
    EXPECT_FALSE(name_of(what).empty());
    EXPECT_EQ(view_of(name_of(what)), what);
  }
  EXPECT_FALSE(view_of("edges"));
}

TEST(InspectQueryTest, ATraceFollowsOneRoomOrConnection) {
  auto trace = [](std::string_view query) {
    return read_trace(*parse_target("/inspect/trace?" + std::string{query}));
  };
  auto x = trace("room=lobby&seconds=5");
  ASSERT_TRUE(x);
  EXPECT_EQ(x->room, "lobby");
  EXPECT_EQ(x->lasts, 5s);
  x = trace("client=7");
  ASSERT_TRUE(x);
  EXPECT_EQ(x->client, 7u);
  EXPECT_EQ(x->lasts, 30s);
  for (auto bad : {"", "room=a&client=1", "client=0", "room=a&seconds=0",
                   "room=a&seconds=3601", "room=a&limit=1"})
    EXPECT_FALSE(trace(bad)) << bad;
}

TEST(InspectQueryTest, AnOrderNamesOneTarget) {
  auto x = read_order(R"({"client":17})", false);
  ASSERT_TRUE(x);
  EXPECT_EQ(x->what, end_target::connection);
  EXPECT_EQ(x->client, 17u);
  x = read_order(R"( {"actor": 4} )", false);
  ASSERT_TRUE(x);
  EXPECT_EQ(x->what, end_target::actor);
  EXPECT_EQ(x->actor, 4u);
  x = read_order(R"({"room":"a\u0022\n"})", false);
  ASSERT_TRUE(x);
  EXPECT_EQ(x->what, end_target::room);
  EXPECT_EQ(x->room, "a\"\n");
  x = read_order(R"({"room":"lobby"})", true);
  ASSERT_TRUE(x);
  EXPECT_EQ(x->what, end_target::restart);
}

TEST(InspectQueryTest, AnythingElseIsNoOrder) {
  for (auto bad : {"", "{}", "17", "[]", "null", "{\"client\":\"17\"}",
                   "{\"client\":0}", "{\"client\":-1}", "{\"client\":1.5}",
                   "{\"client\":1e3}", "{\"client\":18446744073709551616}",
                   "{\"client\":true}", "{\"room\":\"\"}", "{\"room\":7}",
                   "{\"user\":\"x\"}", "{\"client\":1,\"room\":\"x\"}",
                   "{\"client\":1}x", "{\"client\":1", "room=lobby"})
    EXPECT_FALSE(read_order(bad, false)) << bad;
  EXPECT_FALSE(read_order(R"({"client":17})", true));
  EXPECT_FALSE(read_order(R"({"actor":17})", true));
  EXPECT_FALSE(read_order(std::string(3000, '['), false));
}
