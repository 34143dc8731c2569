#include "net/http_target.hpp"
#include "net/room_name.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

using namespace greenroom;
using namespace greenroom::net;
using namespace std::string_literals;

namespace {

using words = std::vector<std::string>;

words segments(std::string_view target) {
  auto x = parse_target(target);
  return x ? x->segments : words{"refused"};
}

bool refused(std::string_view target) {
  return !parse_target(target);
}

} // namespace

TEST(HttpTargetTest, PathsAreDecodedOnce) {
  EXPECT_EQ(segments("/room/lobby"), (words{"room", "lobby"}));
  EXPECT_EQ(segments("/room/a%20b"), (words{"room", "a b"}));
  EXPECT_EQ(segments("/room/a%2520b"), (words{"room", "a%20b"}));
  EXPECT_EQ(segments("/room/a+b"), (words{"room", "a+b"}));
  EXPECT_EQ(segments("/room/a%2Fb"), (words{"room", "a/b"}));
  EXPECT_EQ(segments("/room/%00"), (words{"room", "\0"s}));
  EXPECT_EQ(segments("/room/%c3%a4"), (words{"room", "\xc3\xa4"}));
  EXPECT_EQ(segments("/r%6fom/x"), (words{"room", "x"}));
}

TEST(HttpTargetTest, EmptySegmentsStay) {
  EXPECT_EQ(segments("/room/"), (words{"room", ""}));
  EXPECT_EQ(segments("/room"), (words{"room"}));
  EXPECT_EQ(segments("/room/a/"), (words{"room", "a", ""}));
  EXPECT_EQ(segments("//room/a"), (words{"", "room", "a"}));
}

TEST(HttpTargetTest, QueriesAreDecodedOnce) {
  auto x = parse_target("/p?a=1&b&c=%2541&d=x+y&=e&a=2");
  ASSERT_TRUE(x);
  std::vector<std::pair<std::string, std::string>> expected{
    {"a", "1"}, {"b", ""}, {"c", "%41"}, {"d", "x y"}, {"", "e"}, {"a", "2"}};
  EXPECT_EQ(x->query, expected);
  EXPECT_EQ(x->path, "/p");
}

TEST(HttpTargetTest, AnAbsoluteTargetNamesItsHost) {
  auto x = parse_target("http://Broker.test:8000/room/a?b=c");
  ASSERT_TRUE(x);
  EXPECT_EQ(x->authority, "Broker.test:8000");
  EXPECT_EQ(x->segments, (words{"room", "a"}));
  EXPECT_EQ(x->path, "/room/a");
  for (auto target : {"HTTPS://x/", "ws://x/", "wss://x", "http://[::1]:80/"})
    EXPECT_FALSE(refused(target)) << target;
  EXPECT_EQ(parse_target("/room/a")->authority, "");
}

TEST(HttpTargetTest, OtherFormsAreRefused) {
  for (auto target : {"*", "x:443", "", "room/a", "ftp://x/", "http:///a",
                      "http://u:p@x/", "http:/a", "http://x/#f", "/a#f", "/%",
                      "/%zz", "/%4", "/a b", "/\"", "/\xc3\xa4", "/a?%"})
    EXPECT_TRUE(refused(target)) << target;
}

TEST(HttpTargetTest, RoomNamesAreTextWithoutSlashes) {
  for (auto& name : {"a"s, "lobby"s, "a b"s, "\xc3\xa4"s, "a:b#c"s, "..."s,
                     "\xf0\x9f\x8e\xad"s, "\xc2\xa0"s, "%41"s})
    EXPECT_TRUE(valid_room_name(name, 255)) << name;
  for (auto& name :
       {""s, "a/b"s, "/"s, "a\0b"s, "\0"s, "a\nb"s, "\x1b"s, "\x7f"s,
        "\xc2\x80"s, "a\xc2\x9f"s, "."s, ".."s, "\xff"s, "\xc3"s, "\xc0\xaf"s,
        "\xed\xa0\x80"s, "\xf4\x90\x80\x80"s})
    EXPECT_FALSE(valid_room_name(name, 255)) << name;
}

TEST(HttpTargetTest, RoomNamesAreBoundedInBytes) {
  EXPECT_TRUE(valid_room_name(std::string(255, 'a'), 255));
  EXPECT_FALSE(valid_room_name(std::string(256, 'a'), 255));
  EXPECT_FALSE(valid_room_name(std::string(127, 'a') + "\xc3\xa4", 128));
}
