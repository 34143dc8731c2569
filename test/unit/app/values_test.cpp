// How values are written on the command line.

#include "app/values.hpp"

#include <chrono>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "net/room_name.hpp"

using namespace greenroom;
using namespace std::chrono_literals;

TEST(ValuesTest, ACountIsDigitsOnly) {
  EXPECT_EQ(parse_count("0"), 0u);
  EXPECT_EQ(parse_count("18446744073709551615"), UINT64_MAX);
  for (auto text : {"", " 1", "1 ", "-1", "+1", "1.5", "1k", "0x10",
                    "18446744073709551616", "one"})
    EXPECT_FALSE(parse_count(text)) << text;
}

TEST(ValuesTest, ASizeHasASuffixOrNone) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("512"), 512u);
  EXPECT_EQ(parse_size("512B"), 512u);
  for (auto text : {"64k", "64K", "64kb", "64KB", "64KiB", "64kib"})
    EXPECT_EQ(parse_size(text), 64u * 1024) << text;
  EXPECT_EQ(parse_size("3m"), 3u * 1024 * 1024);
  EXPECT_EQ(parse_size("2GiB"), 2ull * 1024 * 1024 * 1024);
  EXPECT_EQ(parse_size("1TiB"), 1ull << 40);
  for (auto text : {"", "k", "-1k", "1.5m", "1 k", "1kk", "1ki", "1x", "1kbit",
                    "18446744073709551615k", "1m "})
    EXPECT_FALSE(parse_size(text)) << text;
}

TEST(ValuesTest, ASizeIsReadAsItIsWritten) {
  EXPECT_EQ(format_size(0), "0");
  EXPECT_EQ(format_size(1000), "1000");
  EXPECT_EQ(format_size(1536), "1536");
  EXPECT_EQ(format_size(65536), "64KiB");
  EXPECT_EQ(format_size(1 << 20), "1MiB");
  for (auto n : {0ull, 1ull, 1023ull, 1024ull, 1025ull, 1ull << 33, 1ull << 63})
    EXPECT_EQ(parse_size(format_size(n)), n);
}

TEST(ValuesTest, ATimeNeedsAUnit) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("10s"), 10s);
  EXPECT_EQ(parse_duration("2m"), 2min);
  EXPECT_EQ(parse_duration("2min"), 2min);
  EXPECT_EQ(parse_duration("1h"), 1h);
  EXPECT_EQ(parse_duration("0"), 0ms);
  EXPECT_EQ(parse_duration("10S"), 10s);
  for (auto text : {"", "10", "s", "-1s", "1.5s", "10 s", "10d", "1sec",
                    "9999999h", "18446744073709551615h"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(ValuesTest, ATimeIsReadAsItIsWritten) {
  EXPECT_EQ(format_duration(0ms), "0");
  EXPECT_EQ(format_duration(250ms), "250ms");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(60s), "60s");
  for (auto span : {0ms, 1ms, 999ms, 1000ms, 61'001ms, 3'600'000ms})
    EXPECT_EQ(parse_duration(format_duration(span)), span);
}

TEST(ValuesTest, ASwitchHasTheUsualWords) {
  for (auto text : {"on", "true", "yes", "1", "ON"})
    EXPECT_EQ(parse_switch(text), true) << text;
  for (auto text : {"off", "false", "no", "0", "Off"})
    EXPECT_EQ(parse_switch(text), false) << text;
  for (auto text : {"", "2", "enable", "o"})
    EXPECT_EQ(parse_switch(text), std::nullopt) << text;
}

TEST(ValuesTest, AnAddressIsWrittenTheUsualWay) {
  EXPECT_EQ(parse_address("127.0.0.1"), "127.0.0.1");
  EXPECT_EQ(parse_address("localhost"), "127.0.0.1");
  EXPECT_EQ(parse_address("::"), "::");
  EXPECT_EQ(parse_address("[::1]"), "::1");
  EXPECT_EQ(parse_address("2001:DB8:0:0::1"), "2001:db8::1");
  for (auto text : {"", "*", "example.org", "127.0.0", "127.0.0.1:80",
                    "256.0.0.1", "[::1", "::1]", "0"})
    EXPECT_FALSE(parse_address(text)) << text;
  EXPECT_FALSE(parse_address(std::string_view{"127.0.0.1\0x", 11}));
}

TEST(ValuesTest, ANetworkIsAnAddressWithAPrefixOrWithout) {
  EXPECT_TRUE(parse_network("10.0.0.0/8"));
  EXPECT_TRUE(parse_network("10.0.0.1"));
  EXPECT_TRUE(parse_network("fd00::/8"));
  EXPECT_TRUE(parse_network("0.0.0.0/0"));
  for (auto text : {"", "10.0.0.0/33", "fd00::/129", "10.0.0.0/", "/8",
                    "10.0.0.0/-1", "10.0.0.0/8x", "example.org/8"})
    EXPECT_FALSE(parse_network(text)) << text;
}

TEST(ValuesTest, LoopbackIsThisMachineOnly) {
  EXPECT_TRUE(loopback("127.0.0.1"));
  EXPECT_TRUE(loopback("127.1.2.3"));
  EXPECT_TRUE(loopback("::1"));
  EXPECT_FALSE(loopback("0.0.0.0"));
  EXPECT_FALSE(loopback("::"));
  EXPECT_FALSE(loopback("192.168.1.1"));
  EXPECT_FALSE(loopback("128.0.0.1"));
}

TEST(ValuesTest, AUrlLeadsToThisMachineWhereEveryAddressIsMeant) {
  EXPECT_EQ(url_of("http", "127.0.0.1", 80), "http://127.0.0.1:80");
  EXPECT_EQ(url_of("ws", "0.0.0.0", 8000), "ws://127.0.0.1:8000");
  EXPECT_EQ(url_of("http", "::", 8000), "http://[::1]:8000");
  EXPECT_EQ(url_of("http", "2001:db8::1", 1), "http://[2001:db8::1]:1");
}

TEST(ValuesTest, ARoomNameIsRefusedWhereAHandshakeWouldRefuseIt) {
  for (std::string name :
       {"lobby", "a b", "d\xc3\xa9j\xc3\xa0", "a;b=c", "$x", "...", "%41"}) {
    EXPECT_EQ(room_name_error(name, 255), "") << name;
    EXPECT_TRUE(net::valid_room_name(name, 255));
  }
  EXPECT_EQ(room_name_error(std::string(255, 'x'), 255), "");
  EXPECT_EQ(room_name_error(std::string(256, 'x'), 255),
            "the name of a room has at most 255 bytes, this one 256");
  EXPECT_EQ(room_name_error("", 255), "a room needs a name");
  EXPECT_EQ(room_name_error("a/b", 255), "the name of a room has no /");
  for (std::string name : {"a\nb", "a\x7f", "\xc2\x9b", "\xff", "\xc3",
                           "\xed\xa0\x80", ".", ".."}) {
    EXPECT_NE(room_name_error(name, 255), "") << name;
    EXPECT_FALSE(net::valid_room_name(name, 255));
  }
}

TEST(ValuesTest, TheMachineHasSomething) {
  EXPECT_GE(usable_cores(), 1u);
  EXPECT_GT(usable_memory(), 1u << 20);
}
