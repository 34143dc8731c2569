#include "actors/wire.hpp"

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace greenroom::test {

namespace {

class WireTest : public testing::Test {
protected:
  void TearDown() override { EXPECT_EQ(wire::live_bytes(), before); }

  std::int64_t live() const { return wire::live_bytes() - before; }

  const std::int64_t before = wire::live_bytes();
};

TEST_F(WireTest, ABlockHoldsWhatWasAppended) {
  wire_builder b;
  b.append("hello ");
  b.append("");
  b.append("world");
  b.end_frame();
  b.append("!");
  b.end_frame();
  EXPECT_EQ(b.size(), 12u);
  auto x = b.finish();
  EXPECT_EQ(x->bytes(), "hello world!");
  EXPECT_EQ(x->size(), 12u);
  EXPECT_EQ(x->frames(), 2u);
  EXPECT_FALSE(x->closes());
}

TEST_F(WireTest, NothingAppendedIsNoBlock) {
  wire_builder b{1000};
  EXPECT_TRUE(b.empty());
  EXPECT_FALSE(b.finish());
}

TEST_F(WireTest, TheLastFrameSaysWhetherTheBlockCloses) {
  wire_builder b;
  b.append("x");
  b.end_frame(true);
  EXPECT_TRUE(b.finish()->closes());
  wire_builder c;
  c.append("x");
  c.end_frame();
  c.append("y");
  c.end_frame(true);
  c.append("a long one that makes the block grow behind its back");
  EXPECT_TRUE(c.finish()->closes());
}

TEST_F(WireTest, MoreThanExpectedIsKeptTogether) {
  wire_builder b{4};
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    auto piece = std::to_string(i);
    std::memcpy(b.extend(piece.size()).data(), piece.data(), piece.size());
    all += piece;
  }
  b.end_frame();
  auto x = b.finish();
  EXPECT_EQ(x->bytes(), all);
  EXPECT_EQ(x->frames(), 1u);
}

TEST_F(WireTest, FittingGivesBackWhatWasReservedForNothing) {
  wire_builder b{1000};
  b.append("hello");
  b.end_frame(true);
  b.fit();
  EXPECT_EQ(live(), 5);
  auto x = b.finish();
  EXPECT_EQ(x->bytes(), "hello");
  EXPECT_EQ(x->frames(), 1u);
  EXPECT_TRUE(x->closes());
  wire_builder little{6};
  little.append("world");
  little.fit(); // not worth a copy
  EXPECT_EQ(live(), 11);
}

TEST_F(WireTest, ABlockIsCountedOnceHoweverManyHoldIt) {
  wire_builder b{100};
  b.append(std::string(100, 'x'));
  auto x = b.finish();
  EXPECT_EQ(live(), 100);
  {
    std::vector<wire_ptr> many(50, x);
    EXPECT_EQ(live(), 100);
    auto y = std::move(x);
    EXPECT_FALSE(x);
    EXPECT_TRUE(y == many.back());
  }
  EXPECT_EQ(live(), 0);
}

TEST_F(WireTest, AnAbandonedBuilderLeavesNothing) {
  {
    wire_builder b{100};
    b.append(std::string(1000, 'x'));
  }
  EXPECT_EQ(live(), 0);
}

TEST_F(WireTest, AssigningLetsGoOfTheOldBlock) {
  wire_builder a, b;
  a.append("aaaa");
  b.append("bb");
  auto x = a.finish();
  auto y = b.finish();
  x = y;
  EXPECT_EQ(x->bytes(), "bb");
  auto& same = x;
  x = same;
  EXPECT_EQ(x->bytes(), "bb");
  x = {};
  y = {};
  EXPECT_EQ(live(), 0);
}

TEST_F(WireTest, ThreadsMayShareABlock) {
  wire_builder b;
  b.append("shared");
  auto x = b.finish();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([x] {
      for (int n = 0; n < 10'000; ++n) {
        auto copy = x;
        ASSERT_EQ(copy->bytes(), "shared");
      }
    });
  x = {};
  for (auto& t : threads)
    t.join();
  threads.clear();
  EXPECT_EQ(live(), 0);
}

} // namespace

} // namespace greenroom::test
