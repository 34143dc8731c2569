#include "net/api/inspect_access.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

using namespace greenroom;
using namespace greenroom::net;

namespace {

constexpr auto reader = "reader-reader-reader";
constexpr auto actor = "actor-actor-actor-actor";

using fields = std::vector<header_field>;

constexpr route reads{.path = "/r", .needs = right::read};
constexpr route acts{.path = "/a", .posts = true, .needs = right::act};
constexpr route page{.path = "/p", .needs = right::page};
constexpr route open{.path = "/o", .needs = right::none};

struct InspectAccessTest : testing::Test {
  InspectAccessTest() {
    options.token = reader;
    options.act_token = actor;
  }

  errc refused(const route* to, fields more, std::string_view host = "") {
    http_request in;
    in.method = "GET";
    in.fields = std::move(more);
    in.fields.push_back({"Host", host.empty() ? "127.0.0.1:8001" : host});
    return inspect_access{options}
      .refuse(in, *parse_target("/inspect"), to)
      .code;
  }

  errc with_token(const route& to, const std::string& authorization) {
    return refused(&to, {{"Authorization", authorization}});
  }

  inspect_options options;
};

} // namespace

TEST_F(InspectAccessTest, EachTokenHasItsRight) {
  auto bearer = [](std::string_view x) { return "Bearer " + std::string{x}; };
  EXPECT_EQ(with_token(reads, bearer(reader)), errc::none);
  EXPECT_EQ(with_token(reads, bearer(actor)), errc::none);
  EXPECT_EQ(with_token(acts, bearer(actor)), errc::none);
  EXPECT_EQ(with_token(acts, bearer(reader)), errc::forbidden);
  EXPECT_EQ(with_token(reads, bearer("reader-reader-readeX")),
            errc::unauthorized);
  EXPECT_EQ(with_token(acts, bearer("reader-reader-reade")),
            errc::unauthorized);
  EXPECT_EQ(refused(&reads, {}), errc::unauthorized);
  EXPECT_EQ(refused(&acts, {}), errc::unauthorized);
  EXPECT_EQ(refused(&page, {}), errc::none);
  EXPECT_EQ(refused(&open, {}), errc::none);
  EXPECT_EQ(refused(nullptr, {}), errc::none);
}

TEST_F(InspectAccessTest, ATokenComesInOneWay) {
  EXPECT_EQ(with_token(reads, "bearer  reader-reader-reader"), errc::none);
  for (auto bad :
       {"reader-reader-reader", "Basic reader-reader-reader", "Bearer",
        "Bearer ", "Bearer reader-reader-reader x",
        "Bearerreader-reader-reader", "Bearer\treader-reader-reader"})
    EXPECT_EQ(with_token(reads, bad), errc::unauthorized) << bad;
  EXPECT_EQ(refused(&reads, {{"Authorization", "Bearer reader-reader-reader"},
                             {"Authorization", "Bearer x"}}),
            errc::unauthorized);
  EXPECT_EQ(refused(&reads, {{"Cookie", "token=reader-reader-reader"}}),
            errc::unauthorized);
}

TEST_F(InspectAccessTest, WithoutATokenEverybodyReadsAndNobodyActs) {
  options.token.clear();
  EXPECT_EQ(refused(&reads, {}), errc::none);
  EXPECT_EQ(with_token(reads, "Bearer nonsense"), errc::none);
  EXPECT_EQ(refused(&acts, {}), errc::unauthorized);
  EXPECT_EQ(with_token(acts, "Bearer nonsense"), errc::unauthorized);
  EXPECT_EQ(with_token(acts, std::string{"Bearer "} + actor), errc::none);
  options.act_token.clear();
  EXPECT_EQ(refused(&acts, {}), errc::forbidden);
  EXPECT_EQ(with_token(acts, "Bearer "), errc::forbidden);
  EXPECT_EQ(with_token(acts, std::string{"Bearer "} + actor), errc::forbidden);
}

TEST_F(InspectAccessTest, AnAddressOrLocalhostOrANamedHostIsAskedFor) {
  options.hosts = {"Broker.Internal"};
  for (auto good : {"127.0.0.1:8001", "localhost", "LocalHost:1", "[::1]:8001",
                    "192.0.2.7", "[2001:db8::1]", "broker.internal:80"})
    EXPECT_EQ(refused(&page, {}, good), errc::none) << good;
  for (auto bad : {"evil.example", "localhost.evil.example", "localhost.",
                   "127.0.0.1.evil.example", "127.1", "2130706433",
                   "broker.internal.evil.example"})
    for (auto* to : {&page, &open, &reads, &acts})
      EXPECT_EQ(refused(to, {}, bad), errc::host_refused) << bad;
  EXPECT_EQ(refused(nullptr, {}, "evil.example"), errc::host_refused);
}

TEST_F(InspectAccessTest, TheTargetInAbsoluteFormCountsAsHost) {
  http_request in;
  in.method = "GET";
  in.fields = {{"Host", "127.0.0.1"}};
  auto target = parse_target("http://evil.example/inspect");
  EXPECT_EQ(inspect_access{options}.refuse(in, *target, &page).code,
            errc::host_refused);
}

TEST_F(InspectAccessTest, APageOfElsewhereGetsNothing) {
  options.token.clear();
  for (auto* to : {&page, &open, &reads}) {
    EXPECT_EQ(refused(to, {{"Origin", "http://127.0.0.1:8001"}}), errc::none);
    for (auto bad : {"http://evil.example", "null", "http://127.0.0.1:8002",
                     "http://127.0.0.1", "", "http://127.0.0.1:8001/x"})
      EXPECT_EQ(refused(to, {{"Origin", bad}}), errc::origin_refused) << bad;
  }
  auto token = std::string{"Bearer "} + actor;
  EXPECT_EQ(refused(&acts, {{"Origin", "http://evil.example"},
                            {"Authorization", token}}),
            errc::origin_refused);
  EXPECT_EQ(refused(&acts, {{"Origin", "http://127.0.0.1:8001"},
                            {"Authorization", token}}),
            errc::none);
  EXPECT_EQ(refused(&page, {{"Origin", "http://127.0.0.1:8001"},
                            {"Origin", "http://127.0.0.1:8001"}}),
            errc::bad_request);
}

TEST_F(InspectAccessTest, APageMayBeLinkedToButDataMayNotBeLoaded) {
  options.token.clear();
  for (auto bad : {"cross-site", "same-site"}) {
    EXPECT_EQ(refused(&page, {{"Sec-Fetch-Site", bad}}), errc::none);
    EXPECT_EQ(refused(&reads, {{"Sec-Fetch-Site", bad}}), errc::origin_refused);
    EXPECT_EQ(refused(&open, {{"Sec-Fetch-Site", bad}}), errc::origin_refused);
  }
  for (auto good : {"same-origin", "none"})
    EXPECT_EQ(refused(&reads, {{"Sec-Fetch-Site", good}}), errc::none);
}
