#include "net/address.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>
#include <string>
#include <vector>

using namespace greenroom::net;

namespace {

ip_address ip(std::string_view text) {
  auto x = ip_address::parse(text);
  EXPECT_TRUE(x) << text;
  return x.value_or(ip_address{});
}

bool inside(std::string_view net, std::string_view address) {
  auto x = network::parse(net);
  EXPECT_TRUE(x) << net;
  return x && x->contains(ip(address));
}

std::vector<network> trusted() {
  return {*network::parse("10.0.0.0/8"), *network::parse("fd00::/8")};
}

std::string client(std::string_view peer,
                   const std::vector<std::string_view>& lines) {
  return client_address(ip(peer), trusted(), lines).text();
}

} // namespace

// -- addresses ------------------------------------------------------------------

TEST(AddressTest, TextIsReadAndWritten) {
  for (auto text : {"127.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1",
                    "2001:db8::1", "fe80::1:2:3:4"})
    EXPECT_EQ(ip(text).text(), text);
  EXPECT_EQ(ip("2001:DB8:0:0:0:0:0:1").text(), "2001:db8::1");
}

TEST(AddressTest, WhatIsNoAddressIsNothing) {
  using namespace std::string_literals;
  for (auto& text :
       {""s, "localhost"s, "127.1"s, "127.0.0.256"s, "1.2.3.4 "s, " 1.2.3.4"s,
        "1.2.3.4:80"s, "[::1]"s, "::1%lo"s, "1.2.3.4/8"s, "1.2.3.4\0"s,
        "1.2.3.4\0.5"s, std::string(100, '1')})
    EXPECT_FALSE(ip_address::parse(text)) << text;
}

TEST(AddressTest, AMappedAddressIsTheIPv4OneInIt) {
  EXPECT_EQ(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
  EXPECT_EQ(ip("::ffff:c000:201").text(), "192.0.2.1");
  EXPECT_TRUE(ip("::ffff:192.0.2.1").is_v4());
  EXPECT_FALSE(ip("::192.0.2.1").is_v4());
}

TEST(AddressTest, LoopbackIsKnownInBothFamilies) {
  for (auto text : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"})
    EXPECT_TRUE(ip(text).is_loopback()) << text;
  for (auto text : {"128.0.0.1", "::2", "::", "0.0.0.0"})
    EXPECT_FALSE(ip(text).is_loopback()) << text;
}

TEST(AddressTest, TheKernelsFormIsRead) {
  sockaddr_storage from{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&from);
  v4->sin_family = AF_INET;
  inet_pton(AF_INET, "192.0.2.7", &v4->sin_addr);
  EXPECT_EQ(ip_address::of(from), ip("192.0.2.7"));
  from = {};
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&from);
  v6->sin6_family = AF_INET6;
  inet_pton(AF_INET6, "2001:db8::7", &v6->sin6_addr);
  EXPECT_EQ(ip_address::of(from), ip("2001:db8::7"));
  from.ss_family = AF_UNIX;
  EXPECT_FALSE(ip_address::of(from));
}

// -- networks -------------------------------------------------------------------

TEST(AddressTest, ANetworkHoldsItsPrefix) {
  EXPECT_TRUE(inside("10.0.0.0/8", "10.255.255.255"));
  EXPECT_FALSE(inside("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(inside("192.0.2.128/25", "192.0.2.128"));
  EXPECT_FALSE(inside("192.0.2.128/25", "192.0.2.127"));
  EXPECT_TRUE(inside("192.0.2.1/32", "192.0.2.1"));
  EXPECT_FALSE(inside("192.0.2.1/32", "192.0.2.0"));
  EXPECT_TRUE(inside("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(inside("192.0.2.1", "192.0.2.2"));
  EXPECT_TRUE(inside("2001:db8::/33", "2001:db8:7fff::"));
  EXPECT_FALSE(inside("2001:db8::/33", "2001:db8:8000::"));
}

TEST(AddressTest, BitsBehindThePrefixDoNotMatter) {
  EXPECT_TRUE(inside("10.1.2.3/8", "10.9.9.9"));
  EXPECT_TRUE(inside("2001:db8::5/32", "2001:db8:1::"));
}

TEST(AddressTest, ANetworkOfEverybodyKeepsToItsFamily) {
  EXPECT_TRUE(inside("0.0.0.0/0", "203.0.113.9"));
  EXPECT_FALSE(inside("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(inside("::/0", "2001:db8::1"));
  EXPECT_FALSE(inside("::/0", "203.0.113.9"));
}

TEST(AddressTest, ANetworkMayBeWrittenInMappedForm) {
  EXPECT_TRUE(inside("::ffff:10.0.0.0/104", "10.1.1.1"));
  EXPECT_FALSE(inside("::ffff:10.0.0.0/104", "11.1.1.1"));
  EXPECT_EQ(network::parse("::ffff:10.0.0.0/104")->text(), "10.0.0.0/8");
  EXPECT_EQ(network::parse("fd00::/8")->text(), "fd00::/8");
}

TEST(AddressTest, WhatIsNoNetworkIsNothing) {
  for (auto text :
       {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8 ",
        "10.0.0.0/8/8", "::/129", "10/8", "example.com", "10.0.0.0/0x8"})
    EXPECT_FALSE(network::parse(text)) << text;
}

// -- X-Forwarded-For --------------------------------------------------------------

TEST(AddressTest, AStrangersWordAboutItsAddressIsNotTaken) {
  EXPECT_EQ(client("203.0.113.1", {"198.51.100.1"}), "203.0.113.1");
}

TEST(AddressTest, ATrustedProxySaysWhoItsClientIs) {
  EXPECT_EQ(client("10.0.0.1", {"198.51.100.1"}), "198.51.100.1");
  EXPECT_EQ(client("fd00::1", {"2001:db8::1"}), "2001:db8::1");
}

TEST(AddressTest, TheRightmostUntrustedAddressIsTheClient) {
  // What stands to the left of it, the client may have invented.
  EXPECT_EQ(client("10.0.0.1", {"1.1.1.1, 198.51.100.1, 10.0.0.2"}),
            "198.51.100.1");
  EXPECT_EQ(client("10.0.0.1", {"garbage, 198.51.100.1"}), "198.51.100.1");
}

TEST(AddressTest, SeveralLinesAreOneList) {
  EXPECT_EQ(
    client("10.0.0.1", {"1.1.1.1", "198.51.100.1, 10.0.0.3", "10.0.0.2"}),
    "198.51.100.1");
}

TEST(AddressTest, BehindTrustedProxiesOnlyTheFirstOfThemIsTheClient) {
  EXPECT_EQ(client("10.0.0.1", {"10.0.0.3, 10.0.0.2"}), "10.0.0.3");
}

TEST(AddressTest, WithoutAnAddressTheProxyIsTheClient) {
  EXPECT_EQ(client("10.0.0.1", {}), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", {""}), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", {" , ,"}), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", {"unknown"}), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", {"198.51.100.1, unknown"}), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", {"198.51.100.1 10.0.0.2"}), "10.0.0.1");
}

TEST(AddressTest, AForwardedAddressMayHaveAPort) {
  EXPECT_EQ(parse_forwarded("192.0.2.1:80"), ip("192.0.2.1"));
  EXPECT_EQ(parse_forwarded("[2001:db8::1]"), ip("2001:db8::1"));
  EXPECT_EQ(parse_forwarded("[2001:db8::1]:80"), ip("2001:db8::1"));
  EXPECT_EQ(parse_forwarded("2001:db8::1"), ip("2001:db8::1"));
  for (auto text :
       {"192.0.2.1:", "192.0.2.1:x", "192.0.2.1:65536", "[192.0.2.1]",
        "[2001:db8::1", "[2001:db8::1]80", "[2001:db8::1]:", "[]", ":80"})
    EXPECT_FALSE(parse_forwarded(text)) << text;
}
