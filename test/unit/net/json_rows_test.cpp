#include "net/api/json_rows.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>

#include <boost/json/parse.hpp>

#include "net/api/inspect_rows.hpp"

using namespace greenroom;
using namespace greenroom::net;
using namespace std::string_literals;

namespace {

template <class T>
std::string json(const T& x) {
  std::string out;
  append_json(out, x);
  return out;
}

} // namespace

TEST(JsonRowsTest, TextIsEscapedWhereJsonWantsIt) {
  EXPECT_EQ(json("lobby"s), R"("lobby")");
  EXPECT_EQ(json(""s), R"("")");
  EXPECT_EQ(json("a\"b\\c"s), R"("a\"b\\c")");
  EXPECT_EQ(json("\n\t\x01\x7f\0"s), R"("\u000a\u0009\u0001\u007f\u0000")");
  EXPECT_EQ(json("</script><b>"s), R"("</script><b>")");
  EXPECT_EQ(json("gr\xc3\xbc\xc3\x9f\xf0\x9f\x99\x82"s),
            "\"gr\xc3\xbc\xc3\x9f\xf0\x9f\x99\x82\"");
}

TEST(JsonRowsTest, WhatIsNoUtf8IsReplaced) {
  constexpr auto mark = "\xef\xbf\xbd";
  EXPECT_EQ(json("a\xffz"s), "\"a"s + mark + "z\"");
  EXPECT_EQ(json("\xc3"s), '"' + std::string{mark} + '"'); // cut
  EXPECT_EQ(json("\xc0\xaf"s),
            '"' + std::string{mark} + mark + '"'); // overlong
  EXPECT_EQ(json("\xed\xa0\x80"s),                 // half a surrogate pair
            '"' + std::string{mark} + mark + mark + '"');
  EXPECT_EQ(json("\xe2\x82x"s), '"' + std::string{mark} + mark + "x\"");
}

TEST(JsonRowsTest, WhateverATextHoldsItIsOneJsonStringOfValidUtf8) {
  std::mt19937_64 random{20261125};
  for (int i = 0; i < 20'000; ++i) {
    std::string text(random() % 12, '\0');
    for (auto& c : text)
      c =
        static_cast<char>(random() % 4 == 0 ? random() : 0x20 + random() % 96);
    boost::json::error_code failed;
    auto value = boost::json::parse(json(text), failed);
    ASSERT_FALSE(failed) << i;
    ASSERT_TRUE(value.is_string());
  }
}

TEST(JsonRowsTest, NumbersAreExact) {
  EXPECT_EQ(json(std::numeric_limits<std::uint64_t>::max()),
            "18446744073709551615");
  EXPECT_EQ(json(std::numeric_limits<std::int64_t>::min()),
            "-9223372036854775808");
  EXPECT_EQ(json(std::uint16_t{7}), "7");
  EXPECT_EQ(json(true), "true");
  EXPECT_EQ(json(false), "false");
}

TEST(JsonRowsTest, ARowHasItsFieldsInOrder) {
  closed_seat seat;
  seat.room = "a\"";
  seat.offset = 3;
  EXPECT_EQ(json(seat), R"({"room":"a\"","offset":3})");
  receipt x;
  x.left = {"socket", "writer"};
  EXPECT_TRUE(
    json(x).ends_with(R"("clean":false,"left":["socket","writer"]})"));
}

TEST(JsonRowsTest, EveryViewIsAPageOfJson) {
  auto check = [](view what, const inspect_rows& rows) {
    inspect_query asked;
    asked.what = what;
    asked.offset = 5;
    inspect_page page;
    page.total = 7;
    page.sampled_at = 9;
    page.rows = rows;
    std::string out;
    append_page(out, asked, page);
    auto value = boost::json::parse(out).as_object();
    EXPECT_EQ(value["total"], 7);
    EXPECT_EQ(value["sampled_at"], 9);
    EXPECT_EQ(value["offset"], 5);
    EXPECT_EQ(value["limit"], 100);
    EXPECT_EQ(value["rows"].as_array().size(), 1u);
    return std::string{value["view"].as_string()};
  };
  overview whole;
  whole.units.resize(2);
  EXPECT_EQ(check(view::overview, std::vector<overview>{whole}), "overview");
  EXPECT_EQ(check(view::actors, std::vector<actor_row>(1)), "actors");
  EXPECT_EQ(check(view::rooms, std::vector<room_row>(1)), "rooms");
  EXPECT_EQ(check(view::connections, std::vector<connection_row>(1)),
            "connections");
  EXPECT_EQ(check(view::edges, std::vector<edge_row>(1)), "lag");
  closed_row closed;
  closed.seats.resize(2);
  EXPECT_EQ(check(view::closed, std::vector<closed_row>{closed}), "closed");
  EXPECT_EQ(check(view::box, std::vector<box_row>(1)), "box");
}
