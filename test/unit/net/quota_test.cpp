#include "net/quota.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <utility>
#include <vector>

using namespace greenroom;
using namespace greenroom::net;

namespace {

ip_address ip(std::string_view text) {
  return ip_address::parse(text).value();
}

struct QuotaTest : testing::Test {
  metrics counts;

  std::shared_ptr<quota> make(std::size_t all, std::size_t each,
                              std::size_t refusals = 256) {
    return quota::make({all, each, refusals}, counts);
  }
};

} // namespace

TEST_F(QuotaTest, SocketsUpToTheLimitAreAdmitted) {
  auto q = make(2, 10);
  auto a = q->admit(ip("10.0.0.1"));
  auto b = q->admit(ip("10.0.0.2"));
  EXPECT_EQ(a.refusal(), errc::none);
  EXPECT_EQ(b.refusal(), errc::none);
  auto c = q->admit(ip("10.0.0.3"));
  EXPECT_TRUE(c);
  EXPECT_EQ(c.refusal(), errc::connection_limit);
  EXPECT_EQ(q->open(), 2u);
}

TEST_F(QuotaTest, APlaceIsGivenBackWithItsTicket) {
  auto q = make(1, 10);
  {
    auto a = q->admit(ip("10.0.0.1"));
    EXPECT_EQ(q->open(), 1u);
    EXPECT_EQ(q->clients(), 1u);
    EXPECT_EQ(counts.connections_open.get(), 1);
  }
  EXPECT_EQ(q->open(), 0u);
  EXPECT_EQ(q->clients(), 0u);
  EXPECT_EQ(counts.connections_open.get(), 0);
  EXPECT_EQ(q->admit(ip("10.0.0.1")).refusal(), errc::none);
}

TEST_F(QuotaTest, OneClientMayNotHaveMoreThanItsShare) {
  auto q = make(10, 2);
  auto a = q->admit(ip("10.0.0.1"));
  auto b = q->admit(ip("10.0.0.1"));
  EXPECT_EQ(b.refusal(), errc::none);
  EXPECT_EQ(q->admit(ip("10.0.0.1")).refusal(), errc::address_limit);
  EXPECT_EQ(q->admit(ip("10.0.0.2")).refusal(), errc::none);
  EXPECT_EQ(q->open(), 2u);
  a = {};
  EXPECT_EQ(q->admit(ip("10.0.0.1")).refusal(), errc::none);
}

TEST_F(QuotaTest, AMappedClientIsTheSameOne) {
  auto q = make(10, 1);
  auto a = q->admit(ip("10.0.0.1"));
  EXPECT_EQ(q->admit(ip("::ffff:10.0.0.1")).refusal(), errc::address_limit);
}

TEST_F(QuotaTest, AnIPv6ClientIsItsNetwork) {
  auto q = make(10, 1);
  auto a = q->admit(ip("2001:db8:0:1::1"));
  EXPECT_EQ(q->admit(ip("2001:db8:0:1:ffff::2")).refusal(),
            errc::address_limit);
  EXPECT_EQ(q->admit(ip("2001:db8:0:2::1")).refusal(), errc::none);
}

TEST_F(QuotaTest, AClientMayBeNamedLater) {
  auto q = make(10, 1);
  auto a = q->admit(std::nullopt);
  auto b = q->admit(std::nullopt);
  EXPECT_EQ(q->clients(), 0u);
  EXPECT_TRUE(a.assign(ip("10.0.0.1")));
  EXPECT_TRUE(a.assign(ip("10.0.0.1"))) << "a second call does nothing";
  EXPECT_FALSE(b.assign(ip("10.0.0.1")));
  EXPECT_TRUE(b.assign(ip("10.0.0.2"))) << "one that failed may be repeated";
  EXPECT_EQ(q->clients(), 2u);
}

TEST_F(QuotaTest, ATicketMoves) {
  auto q = make(10, 1);
  auto a = q->admit(ip("10.0.0.1"));
  auto b = std::move(a);
  EXPECT_FALSE(a); // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(b);
  EXPECT_EQ(q->open(), 1u);
  auto c = q->admit(ip("10.0.0.2"));
  b = std::move(c);
  EXPECT_EQ(q->open(), 1u);
  EXPECT_EQ(q->admit(ip("10.0.0.1")).refusal(), errc::none);
  EXPECT_EQ(q->admit(ip("10.0.0.2")).refusal(), errc::address_limit);
}

TEST_F(QuotaTest, RefusalsAreBoundedToo) {
  auto q = make(1, 10, 2);
  auto a = q->admit(ip("10.0.0.1"));
  auto b = q->admit(ip("10.0.0.1"));
  auto c = q->admit(ip("10.0.0.1"));
  EXPECT_EQ(c.refusal(), errc::connection_limit);
  EXPECT_FALSE(q->admit(ip("10.0.0.1")));
  EXPECT_EQ(counts.connections_open.get(), 3);
  b = {};
  EXPECT_TRUE(q->admit(ip("10.0.0.1")));
}

TEST_F(QuotaTest, TheLastTicketMayOutliveItsOwner) {
  auto q = make(1, 10);
  auto a = q->admit(ip("10.0.0.1"));
  q.reset();
  a = {};
  EXPECT_EQ(counts.connections_open.get(), 0);
}

TEST_F(QuotaTest, ThreadsDoNotMiscount) {
  auto q = make(100, 50);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([q, t] {
      for (int i = 0; i < 2'000; ++i) {
        auto from = ip(i % 2 == 0 ? "10.0.0.1" : "10.0.0.2");
        auto x = t % 2 == 0 ? q->admit(from) : q->admit(std::nullopt);
        x.assign(from);
      }
    });
  for (auto& x : threads)
    x.join();
  EXPECT_EQ(q->open(), 0u);
  EXPECT_EQ(q->clients(), 0u);
  EXPECT_EQ(counts.connections_open.get(), 0);
}
