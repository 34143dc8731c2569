#include "net/outbox.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "net/send_marks.hpp"
#include "net/ws_frame.hpp"

using namespace greenroom;
using namespace greenroom::net;

namespace {

wire_ptr block_of(const std::vector<std::string>& payloads) {
  wire_builder out;
  for (const auto& x : payloads)
    append_ws_frame(out, ws_opcode::text, x);
  return out.finish();
}

wire_ptr plain_block(std::string_view bytes) {
  wire_builder out;
  out.append(bytes);
  return out.finish();
}

struct OutboxTest : testing::Test {
  std::uint64_t flow() const { return counter->queued(); }

  bool append(wire_ptr block) {
    counter->add(block->size());
    return out.append(std::move(block), true);
  }

  std::string offered() const {
    char scratch[16 * 1024];
    send_job job{scratch, sizeof(scratch)};
    out.gather(job);
    std::string bytes;
    for (std::size_t i = 0; i < job.count; ++i)
      bytes.append(static_cast<const char*>(job.parts[i].iov_base),
                   job.parts[i].iov_len);
    EXPECT_EQ(bytes.size(), job.bytes);
    return bytes;
  }

  /// Lets the "kernel" take `n` bytes.
  std::string take(std::size_t n) {
    auto bytes = offered().substr(0, n);
    out.sent(bytes.size());
    return bytes;
  }

  flow_ptr counter = std::make_shared<flow_counter>();
  outbox out{counter};
};

} // namespace

TEST_F(OutboxTest, BlocksGoOutInOrderAndLeaveTheFlow) {
  auto one = block_of({"one"});
  auto two = block_of({"two", "three"});
  EXPECT_TRUE(append(one));
  EXPECT_TRUE(append(two));
  EXPECT_EQ(flow(), one->size() + two->size());
  EXPECT_EQ(out.bytes(), flow());
  EXPECT_EQ(out.frames(), 3u);
  auto expected = std::string{one->bytes()} + std::string{two->bytes()};
  EXPECT_EQ(offered(), expected);
  EXPECT_EQ(out.sent(one->size() + 3), 1u);
  EXPECT_EQ(flow(), two->size() - 3);
  EXPECT_EQ(offered(), expected.substr(one->size() + 3));
  EXPECT_EQ(out.sent(two->size() - 3), 2u);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(flow(), 0u);
  EXPECT_EQ(out.frames(), 0u);
}

TEST_F(OutboxTest, NothingFollowsACloseFrame) {
  EXPECT_TRUE(out.append(make_ws_close(1000, "bye"), false));
  EXPECT_TRUE(out.closing());
  EXPECT_FALSE(append(block_of({"late"})));
  EXPECT_FALSE(out.append(ws_ping(), false));
  EXPECT_EQ(flow(), 0u);
  EXPECT_EQ(out.frames(), 1u);
}

TEST_F(OutboxTest, TheAnswerOfTheHandshakeGoesFirst) {
  auto data = block_of({"data"});
  append(data);
  append(data);
  out.put_first(plain_block("HTTP/1.1 101\r\n\r\n"));
  auto expected = "HTTP/1.1 101\r\n\r\n" + std::string{data->bytes()}
                  + std::string{data->bytes()};
  EXPECT_EQ(offered(), expected);
  EXPECT_EQ(out.control_bytes(), 16u);
  EXPECT_EQ(out.sent(expected.size()), 2u);
  EXPECT_EQ(out.control_bytes(), 0u);
  EXPECT_EQ(flow(), 0u);
}

TEST_F(OutboxTest, SmallBlocksAreJoinedAndBigOnesStayInPlace) {
  auto small = block_of({std::string(100, 's')});
  auto big = block_of({std::string(5000, 'b')});
  for (auto& x : {small, small, big, small, small})
    append(x);
  char scratch[16 * 1024];
  send_job job{scratch, sizeof(scratch)};
  out.gather(job);
  EXPECT_EQ(job.count, 3u);
  EXPECT_EQ(job.parts[0].iov_len, 2u * small->size());
  EXPECT_EQ(job.parts[1].iov_base, big->bytes().data());
  EXPECT_EQ(job.parts[2].iov_len, 2u * small->size());
}

TEST_F(OutboxTest, OneCallOffersABoundedNumberOfBytesAndParts) {
  auto big = block_of({std::string(100'000, 'b')});
  for (int i = 0; i < 8; ++i)
    append(big);
  EXPECT_EQ(offered().size(), 3u * big->size());
  out.clear();
  auto middle = block_of({std::string(2100, 'm')});
  for (int i = 0; i < 100; ++i)
    append(middle);
  EXPECT_EQ(offered().size(), send_job::parts_max * middle->size());
}

TEST_F(OutboxTest, TheOldestBlocksAreDroppedButNeverOneThatHasBegun) {
  std::vector<wire_ptr> blocks;
  for (auto x : {"a", "b", "c", "d"}) {
    blocks.push_back(block_of({x, x}));
    append(blocks.back());
  }
  auto size = blocks[0]->size();
  take(1);
  EXPECT_EQ(out.drop_oldest(2 * size), 4u); // b and c
  auto expected =
    std::string{blocks[0]->bytes().substr(1)} + std::string{blocks[3]->bytes()};
  EXPECT_EQ(offered(), expected);
  EXPECT_EQ(flow(), expected.size());
  EXPECT_EQ(out.frames(), 4u);
}

TEST_F(OutboxTest, WhatIsNotCountedIsNeverDropped) {
  append(block_of({"a"}));
  out.append(ws_ping(), false);
  append(block_of({"b"}));
  out.append(make_ws_close(1000, ""), false);
  EXPECT_EQ(out.drop_oldest(0), 2u);
  EXPECT_EQ(out.frames(), 2u);
  EXPECT_EQ(out.control_bytes(), out.bytes());
  EXPECT_TRUE(out.closing());
  EXPECT_EQ(flow(), 0u);
}

TEST_F(OutboxTest, AnswersAreNeverDropped) {
  append(block_of({"event"}));
  auto answer = block_of({"answer"});
  counter->add(answer->size());
  EXPECT_TRUE(out.append(answer, true, retention::kept));
  append(block_of({"event"}));
  EXPECT_EQ(out.drop_oldest(0), 2u);
  EXPECT_EQ(offered(), answer->bytes());
  EXPECT_EQ(flow(), answer->size());
}

TEST_F(OutboxTest, DiscardingFinishesTheFrameInFlightOnly) {
  auto block = block_of({"one", std::string(300, '2'), "three"});
  append(block);
  append(block);
  take(10); // in the middle of the second frame
  EXPECT_EQ(out.discard_unsent(), 4u);
  EXPECT_EQ(offered(), block->bytes().substr(10, 5 + 304 - 10));
  EXPECT_EQ(flow(), offered().size());
  EXPECT_TRUE(out.append(make_ws_close(1013, "slow_consumer"), false));
  EXPECT_EQ(out.sent(offered().size()), 3u);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(flow(), 0u);
}

TEST_F(OutboxTest, DiscardingBetweenTwoFramesLeavesNothing) {
  auto block = block_of({"one", "two"});
  append(block);
  take(5);
  EXPECT_EQ(out.discard_unsent(), 1u);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(out.frames(), 0u);
  EXPECT_EQ(flow(), 0u);
}

TEST_F(OutboxTest, DiscardingKeepsTheAnswerOfTheHandshake) {
  append(block_of({"data"}));
  out.put_first(plain_block("HTTP/1.1 101\r\n\r\n"));
  EXPECT_EQ(out.discard_unsent(), 1u);
  EXPECT_EQ(offered(), "HTTP/1.1 101\r\n\r\n");
}

TEST_F(OutboxTest, AClearedOutboxGivesEverythingBack) {
  append(block_of({"one", "two", "three"}));
  append(block_of({"four"}));
  take(7); // the first frame is out, the second one has begun
  EXPECT_EQ(out.clear(), 3u);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(flow(), 0u);
}

TEST_F(OutboxTest, TheFlowIsGivenBackByTheDestructor) {
  {
    outbox other{counter};
    counter->add(2 * ws_ping()->size());
    other.append(ws_ping(), true);
    other.append(ws_ping(), true);
  }
  EXPECT_EQ(flow(), 0u);
}

TEST_F(OutboxTest, IsSmall) {
  EXPECT_LE(sizeof(outbox), 112u);
}

// Whatever happens in between, what goes out is a row of whole frames, and every
// byte leaves the flow once.
TEST_F(OutboxTest, RandomUseNeverTearsAFrame) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    std::minstd_rand random{seed + 1};
    auto below = [&](unsigned n) { return random() % n; };
    std::string wire_out;
    std::uint64_t made = 0;
    std::uint64_t dropped = 0;
    for (int step = 0; step < 200; ++step) {
      switch (below(10)) {
        default: {
          std::vector<std::string> payloads;
          for (auto i = below(4) + 1; i > 0; --i)
            payloads.emplace_back(below(8) == 0 ? below(70'000) : below(300),
                                  'x');
          made += payloads.size();
          if (below(5) == 0)
            out.append(block_of(payloads), false);
          else
            append(block_of(payloads));
          break;
        }
        case 5:
        case 6:
        case 7:
          wire_out += take(below(2) == 0 ? below(400) : below(100'000));
          break;
        case 8:
          if (below(4) == 0)
            dropped += out.discard_unsent();
          break;
        case 9:
          dropped += out.drop_oldest(below(20'000));
          break;
      }
      ASSERT_LE(flow(), out.bytes());
      ASSERT_EQ(flow() + out.control_bytes(), out.bytes());
    }
    while (!out.empty())
      wire_out += take(100'000);
    std::uint64_t frames = 0;
    std::string_view left = wire_out;
    while (!left.empty()) {
      auto size = ws_frame_size(left);
      ASSERT_GT(size, 0u);
      ASSERT_LE(size, left.size());
      ASSERT_EQ(left[0], '\x81');
      left.remove_prefix(size);
      ++frames;
    }
    ASSERT_EQ(frames + dropped, made);
    ASSERT_EQ(flow(), 0u);
    ASSERT_EQ(out.frames(), 0u);
    ASSERT_EQ(out.control_bytes(), 0u);
  }
}

TEST_F(OutboxTest, EachRoomsShareOfWhatWaitsIsKnown) {
  auto mine = block_of({"one", "two"});
  auto others = block_of({"three"});
  auto later = block_of({"four"});
  mine.mark({7, 11, 12, 2, 1'000'000});
  others.mark({8, 5, 5, 1, 1'000'000});
  later.mark({7, 13, 13, 1, 9'000'000});
  counter->add(mine->size() + others->size() + later->size());
  out.append(mine, true, retention::droppable, 100);
  out.append(others, true, retention::droppable, 2100);
  out.append(later, true, retention::droppable, 3100);
  auto x = out.of(7, 4100);
  EXPECT_EQ(x.events, 3u);
  EXPECT_EQ(x.bytes, mine->size() + later->size());
  EXPECT_EQ(x.first, 11u);
  EXPECT_EQ(x.age, send_marks::time_of(4000));
  EXPECT_EQ(out.of(8, 4100).age, send_marks::time_of(2000));
  EXPECT_EQ(out.of(9, 4100).events, 0u);
  EXPECT_EQ(out.oldest(), 100u);
  EXPECT_EQ(out.bytes_most(), flow());
  // What has begun waits still, but for the bytes that are out.
  histogram latency;
  out.sent(3, &latency, 2'000'000);
  EXPECT_EQ(out.of(7, 4100).bytes, mine->size() + later->size() - 3);
  EXPECT_EQ(latency.get().count(), 0u);
  out.sent(mine->size() - 3, &latency, 2'000'000);
  EXPECT_EQ(out.of(7, 4100).first, 13u);
  EXPECT_EQ(latency.get().count(), 1u) << "one block, however many frames";
  EXPECT_EQ(latency.get().sum, 1000u);
  std::vector<wire_mark> gone;
  EXPECT_EQ(out.drop_oldest(0, &gone), 2u);
  ASSERT_EQ(gone.size(), 2u);
  EXPECT_EQ(gone[0].room, 8u);
  EXPECT_EQ(gone[1].last, 13u);
  EXPECT_EQ(out.bytes_most(), mine->size() + others->size() + later->size());
}
