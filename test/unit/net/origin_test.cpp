#include "net/origin.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

using namespace greenroom::net;

namespace {

bool allows(const std::vector<std::string>& listed, std::string_view origin,
            std::string_view host = "broker.test:8000",
            own_names ours = own_names::any) {
  auto rules = origin_rules::make(listed, ours);
  EXPECT_TRUE(rules);
  return rules && rules->allow(origin, host);
}

} // namespace

TEST(OriginTest, ThePagesOfTheBrokersOwnHostMayConnect) {
  EXPECT_TRUE(allows({}, "http://broker.test:8000"));
  EXPECT_TRUE(allows({}, "https://broker.test:8000"));
  EXPECT_TRUE(allows({}, "http://Broker.TEST:8000"));
  EXPECT_TRUE(allows({}, "http://[::1]:8000", "[::1]:8000"));
  EXPECT_FALSE(allows({}, "http://broker.test:8001"));
  EXPECT_FALSE(allows({}, "http://broker.test"));
  EXPECT_FALSE(allows({}, "http://evil.test:8000"));
  EXPECT_FALSE(allows({}, "http://broker.test.evil.test:8000"));
  EXPECT_FALSE(allows({}, "app://broker.test:8000"));
}

TEST(OriginTest, APortLeftOutIsTheUsualOneOfTheScheme) {
  EXPECT_TRUE(allows({}, "http://x", "x"));
  EXPECT_TRUE(allows({}, "https://x", "x"));
  EXPECT_TRUE(allows({}, "http://x", "x:80"));
  EXPECT_TRUE(allows({}, "https://x", "x:443"));
  EXPECT_TRUE(allows({}, "https://x:443", "x"));
  EXPECT_FALSE(allows({}, "https://x", "x:80"));
  EXPECT_FALSE(allows({}, "http://x:8000", "x"));
}

TEST(OriginTest, ANameThatLeadsToThisMachineIsNotItsOwn) {
  auto local = [](std::vector<std::string> listed, std::string host) {
    return allows(listed, "http://" + host, host, own_names::loopback);
  };
  for (auto host : {"localhost", "LocalHost:8000", "127.0.0.1:8000",
                    "127.1.2.3:8000", "[::1]:8000"})
    EXPECT_TRUE(local({}, host)) << host;
  // DNS rebinding: the browser believes that it talks to the page's own host.
  for (auto host :
       {"evil.test:8000", "localhost.evil.test:8000", "127.0.0.1.evil.test",
        "192.0.2.1:8000", "[2001:db8::1]:8000", "0.0.0.0:8000"})
    EXPECT_FALSE(local({}, host)) << host;
  EXPECT_FALSE(
    allows({}, "http://evil.test:8000", "127.0.0.1:8000", own_names::loopback));
  // A proxy's name is known by the list.
  EXPECT_TRUE(local({"http://chat.test"}, "chat.test"));
}

TEST(OriginTest, ListedPagesMayConnect) {
  std::vector<std::string> listed{"https://app.test", "http://a.test:3000/",
                                  "capacitor://localhost"};
  EXPECT_TRUE(allows(listed, "https://app.test"));
  EXPECT_TRUE(allows(listed, "https://app.test:443"));
  EXPECT_TRUE(allows(listed, "http://a.test:3000"));
  EXPECT_TRUE(allows(listed, "capacitor://localhost"));
  EXPECT_TRUE(allows(listed, "http://broker.test:8000")) << "and its own";
  EXPECT_FALSE(allows(listed, "http://app.test"));
  EXPECT_FALSE(allows(listed, "https://app.test:8443"));
  EXPECT_FALSE(allows(listed, "https://sub.app.test"));
  EXPECT_FALSE(allows(listed, "http://a.test"));
}

TEST(OriginTest, AStarLetsEveryPageIn) {
  EXPECT_TRUE(allows({"*"}, "https://evil.test"));
  EXPECT_TRUE(allows({"https://app.test", "*"}, "null"));
}

TEST(OriginTest, WhatIsNoOriginIsForeign) {
  for (auto text :
       {"", "null", "broker.test:8000", "http://", "http://broker.test:8000/",
        "http://broker.test:8000/a", "http://u@broker.test:8000",
        "http://broker.test:8000?a", "http://broker.test:8000 http://a.test",
        "http://broker.test:8000\xff"})
    EXPECT_FALSE(allows({"https://app.test"}, text)) << text;
  EXPECT_FALSE(allows({}, "http://broker.test:8000", "")) << "no host known";
}

TEST(OriginTest, AMalformedListIsRefusedByName) {
  for (auto text : {"", "app.test", "https://", "https://a.test/path",
                    "https://a.test?x", "null", "https://a.test:0",
                    "https://a.test:99999", "http://*.test", "**"}) {
    auto rules = origin_rules::make({text});
    ASSERT_FALSE(rules) << text;
    EXPECT_NE(rules.error().detail.find(text), std::string::npos);
  }
}

TEST(OriginTest, AnAuthorityIsHostAndPort) {
  EXPECT_EQ(authority::parse("X.test")->host, "x.test");
  EXPECT_FALSE(authority::parse("x.test")->port);
  EXPECT_EQ(authority::parse("x.test:80")->port, 80);
  EXPECT_FALSE(authority::parse("x.test:")->port);
  EXPECT_EQ(authority::parse("[2001:DB8::1]:80")->host, "[2001:db8::1]");
  for (auto text : {"", ":80", "x:0", "x:65536", "u@x", "x/", "x y", "[::1"})
    EXPECT_FALSE(authority::parse(text)) << text;
}
