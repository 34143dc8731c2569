#include "net/send_ring.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/io_loop.hpp"

using namespace greenroom;
using namespace greenroom::net;

namespace {

/// A socket pair: one end for the loop, one to look at what came.
class pair {
public:
  pair() {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                           0, ends_.data()),
              0);
  }

  pair(pair&& x) noexcept : ends_(std::exchange(x.ends_, {-1, -1})) {}

  ~pair() {
    for (auto fd : ends_)
      if (fd >= 0)
        ::close(fd);
  }

  int near() const { return ends_[0]; }

  void close_far() { ::close(std::exchange(ends_[1], -1)); }

  std::string received() const {
    std::string all;
    std::array<char, 4096> some{};
    for (;;) {
      auto n = ::recv(ends_[1], some.data(), some.size(), MSG_DONTWAIT);
      if (n <= 0)
        return all;
      all.append(some.data(), static_cast<std::size_t>(n));
    }
  }

private:
  std::array<int, 2> ends_{-1, -1};
};

struct batched final : sender {
  explicit batched(int where) : fd(where) {}

  void send() override { ++alone; }

  int batch_fd() const noexcept override { return fd; }

  void gather(send_job& job) const noexcept override {
    if (!text.empty())
      job.add(text);
  }

  void took(std::ptrdiff_t n, std::size_t offered) override {
    result = n;
    of = offered;
    if (on_took)
      on_took();
  }

  int fd;
  std::string text = "hello";
  std::ptrdiff_t result = 0;
  std::size_t of = 0;
  int alone = 0;
  std::function<void()> on_took;
};

/// These tests hold with and without a kernel that allows the ring; without, all
/// of it must go the other way.
class SendRingTest : public testing::Test {
protected:
  metrics counts;
  io_loop loop{counts, nullptr, {.sends_per_flush = 1024, .io_uring = true}};
  const bool allowed = send_ring::allowed();

  void SetUp() override { loop.poll(); }
};

} // namespace

TEST_F(SendRingTest, ResultsAreThereWhenTheSubmissionReturns) {
  auto ring = send_ring::make();
  ASSERT_EQ(ring != nullptr, allowed);
  if (!ring)
    return;
  std::vector<pair> pairs(3);
  pairs[1].close_far();
  ring->add(pairs[0].near()).add("one");
  ring->add(pairs[1].near()).add("two");
  ring->add(-1).add("three");
  auto& long_one = ring->add(pairs[2].near());
  std::string big(3000, 'x');
  long_one.add(big);
  long_one.add("tail");
  EXPECT_EQ(ring->size(), 4u);
  ASSERT_TRUE(ring->submit());
  EXPECT_EQ(ring->result(0), 3);
  EXPECT_EQ(ring->result(1), -EPIPE); // and no SIGPIPE
  EXPECT_EQ(ring->result(2), -EBADF);
  EXPECT_EQ(ring->result(3), 3004);
  EXPECT_EQ(pairs[0].received(), "one");
  EXPECT_EQ(pairs[2].received(), big + "tail");
  ring->clear();
  EXPECT_EQ(ring->size(), 0u);
}

TEST_F(SendRingTest, AFullSocketDoesNotHoldUpTheOthers) {
  auto ring = send_ring::make();
  if (!ring)
    return;
  std::vector<pair> pairs(2);
  std::string much(4 * 1024 * 1024, 'x');
  ring->add(pairs[0].near()).add_by_reference(much);
  ring->add(pairs[1].near()).add("y");
  ASSERT_TRUE(ring->submit());
  EXPECT_GT(ring->result(0), 0);
  EXPECT_LT(ring->result(0), static_cast<int>(much.size()));
  EXPECT_EQ(ring->result(1), 1);
  ring->clear();
  ring->add(pairs[0].near()).add_by_reference(much);
  ASSERT_TRUE(ring->submit());
  EXPECT_EQ(ring->result(0), -EAGAIN);
}

TEST_F(SendRingTest, AFlushSendsMoreThanOneSubmissionHolds) {
  std::vector<pair> pairs(700);
  std::vector<std::unique_ptr<batched>> senders;
  for (auto& x : pairs) {
    senders.push_back(std::make_unique<batched>(x.near()));
    loop.mark(*senders.back());
  }
  EXPECT_FALSE(loop.flush());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (allowed) {
      EXPECT_EQ(senders[i]->result, 5) << i;
      EXPECT_EQ(senders[i]->of, 5u) << i;
      EXPECT_EQ(pairs[i].received(), "hello") << i;
    } else {
      EXPECT_EQ(senders[i]->alone, 1) << i;
    }
  }
}

TEST_F(SendRingTest, AFlushStopsAtItsBudgetAndGoesOn) {
  std::vector<pair> pairs(1500);
  std::vector<std::unique_ptr<batched>> senders;
  for (auto& x : pairs) {
    senders.push_back(std::make_unique<batched>(x.near()));
    loop.mark(*senders.back());
  }
  EXPECT_TRUE(loop.flush());
  EXPECT_FALSE(loop.flush());
  for (auto& x : senders)
    EXPECT_EQ(allowed ? x->result : x->alone, allowed ? 5 : 1);
}

TEST_F(SendRingTest, WhoEndsAmidABatchIsNotToldItsResult) {
  std::vector<pair> pairs(3);
  std::vector<std::unique_ptr<batched>> senders;
  for (auto& x : pairs) {
    senders.push_back(std::make_unique<batched>(x.near()));
    loop.mark(*senders.back());
  }
  senders[0]->on_took = [&] { senders[1].reset(); };
  EXPECT_FALSE(loop.flush());
  EXPECT_EQ(allowed ? senders[2]->result : 5, 5);
}

TEST_F(SendRingTest, WhoHasNothingToSendIsLeftOut) {
  std::vector<pair> pairs(2);
  batched silent{pairs[0].near()};
  batched loud{pairs[1].near()};
  silent.text.clear();
  loop.mark(silent);
  loop.mark(loud);
  EXPECT_FALSE(loop.flush());
  EXPECT_EQ(silent.result, 0);
  EXPECT_EQ(allowed ? loud.result : 5, 5);
}
