#include "net/io_loop.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace greenroom;
using namespace greenroom::net;
using namespace std::chrono_literals;

namespace {

/// One end of a socket pair on a loop.
struct watched_end final : fd_watcher {
  watched_end(io_loop& home, int end) : loop(home), fd(end) {
    loop.watch(fd, *this);
  }

  ~watched_end() { close(); }

  void close() {
    if (fd >= 0)
      loop.close(std::exchange(fd, -1), *this);
  }

  void ready(std::uint32_t events) override {
    seen.push_back(events);
    if (on_ready)
      on_ready();
  }

  void abandoned() noexcept override {
    was_abandoned = true;
    close();
  }

  io_loop& loop;
  int fd;
  std::vector<std::uint32_t> seen;
  std::function<void()> on_ready;
  bool was_abandoned = false;
};

struct counting_sender final : sender {
  void send() override {
    ++sends;
    if (on_send)
      on_send();
  }

  int sends = 0;
  std::function<void()> on_send;
};

struct log_fake final : log_port {
  void write(log_record line) noexcept override {
    lines.push_back(std::move(line));
  }

  bool wants(level) const noexcept override { return true; }

  std::vector<log_record> lines;
};

struct IoLoopTest : testing::Test {
  IoLoopTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    ours = ends[0];
    theirs = ends[1];
  }

  ~IoLoopTest() override { ::close(theirs); }

  std::size_t say(std::string_view text) const {
    return static_cast<std::size_t>(::write(theirs, text.data(), text.size()));
  }

  metrics counts;
  log_fake log;
  io_loop loop{counts, &log};
  int ours = -1;
  int theirs = -1;
};

} // namespace

// -- descriptors ----------------------------------------------------------------

TEST_F(IoLoopTest, AnEdgeIsToldOnce) {
  watched_end end{loop, ours};
  EXPECT_EQ(loop.poll(), 1u);
  EXPECT_EQ(end.seen, (std::vector<std::uint32_t>{EPOLLOUT}));
  EXPECT_EQ(loop.poll(), 0u);
  say("a");
  EXPECT_EQ(loop.poll(), 1u);
  EXPECT_TRUE(end.seen.back() & EPOLLIN);
  EXPECT_EQ(loop.poll(), 0u); // still unread, but no edge
  say("b");
  EXPECT_EQ(loop.poll(), 1u);
}

TEST_F(IoLoopTest, TheEndOfThePeerIsSeen) {
  watched_end end{loop, ours};
  loop.poll();
  ::shutdown(theirs, SHUT_WR);
  loop.poll();
  EXPECT_TRUE(end.seen.back() & EPOLLRDHUP);
}

TEST_F(IoLoopTest, AForgottenWatcherIsNotToldOfEventsOfTheSameBatch) {
  int more[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, more), 0);
  auto one = std::make_unique<watched_end>(loop, ours);
  auto two = std::make_unique<watched_end>(loop, more[0]);
  int told = 0;
  one->on_ready = [&] {
    ++told;
    two.reset();
  };
  two->on_ready = [&] {
    ++told;
    one.reset();
  };
  loop.poll(); // both are writable
  EXPECT_EQ(told, 1);
  EXPECT_EQ(loop.watched(), 1u);
  ::close(more[1]);
}

TEST_F(IoLoopTest, AWatcherMayEndItself) {
  auto end = std::make_unique<watched_end>(loop, ours);
  end->on_ready = [&] { end->close(); };
  EXPECT_EQ(loop.poll(), 1u);
  EXPECT_EQ(loop.watched(), 0u);
  EXPECT_EQ(loop.poll(), 0u);
}

TEST_F(IoLoopTest, ADescriptorMovesToAnotherLoop) {
  io_loop other{counts};
  watched_end end{loop, ours};
  say("early");
  loop.wait(std::chrono::steady_clock::now() + 10s); // fetched, not told
  loop.forget(end.fd, end);
  std::unique_ptr<watched_end> moved;
  other.post([&, fd = std::exchange(end.fd, -1)] {
    moved = std::make_unique<watched_end>(other, fd);
  });
  EXPECT_EQ(loop.poll(), 0u);
  EXPECT_TRUE(end.seen.empty());
  other.poll();
  other.poll();
  ASSERT_TRUE(moved);
  EXPECT_TRUE(moved->seen.back() & EPOLLIN);
}

TEST_F(IoLoopTest, ALoopThatEndsAbandonsWhatItWatches) {
  struct witness {
    bool& gone;
    explicit witness(bool& x) : gone(x) {}
    witness(witness&& x) noexcept : gone(x.gone), moved_(x.moved_) {
      x.moved_ = true;
    }
    ~witness() {
      if (!moved_)
        gone = true;
    }
    bool moved_ = false;
  };
  bool deferred_gone = false;
  bool posted_gone = false;
  watched_end* end = nullptr;
  {
    io_loop other{counts};
    end = new watched_end{other, ours};
    other.defer([x = witness{deferred_gone}] { FAIL(); });
    other.post([x = witness{posted_gone}] { FAIL(); });
  }
  EXPECT_TRUE(end->was_abandoned);
  EXPECT_TRUE(deferred_gone);
  EXPECT_TRUE(posted_gone);
  delete end;
}

// -- sending --------------------------------------------------------------------

TEST_F(IoLoopTest, AMarkedSenderSendsOnceATurn) {
  counting_sender one;
  loop.mark(one);
  loop.mark(one);
  EXPECT_FALSE(loop.flush());
  EXPECT_EQ(one.sends, 1);
  EXPECT_FALSE(loop.flush());
  EXPECT_EQ(one.sends, 1);
}

TEST_F(IoLoopTest, AFlushIsBoundedAndTheRestComesNext) {
  io_loop_options options;
  options.sends_per_flush = 3;
  io_loop other{counts, nullptr, options};
  std::vector<counting_sender> many(5);
  for (auto& x : many)
    other.mark(x);
  EXPECT_TRUE(other.flush());
  other.wait(steady_time::max()); // must not sleep
  EXPECT_FALSE(other.flush());
  for (auto& x : many)
    EXPECT_EQ(x.sends, 1);
}

TEST_F(IoLoopTest, ASenderMayMarkItselfOrVanish) {
  counting_sender again;
  again.on_send = [&] {
    if (again.sends < 3)
      loop.mark(again);
  };
  auto gone = std::make_unique<counting_sender>();
  loop.mark(again);
  loop.mark(*gone);
  gone.reset();
  EXPECT_FALSE(loop.flush());
  EXPECT_EQ(again.sends, 3);
}

// -- work -----------------------------------------------------------------------

TEST_F(IoLoopTest, DeferredWorkRunsInOrder) {
  std::string trace;
  loop.defer([&] {
    trace += 'a';
    loop.defer([&] { trace += 'c'; });
  });
  loop.defer([&] { trace += 'b'; });
  loop.wait(steady_time::max()); // must not sleep
  EXPECT_EQ(loop.poll(), 3u);
  EXPECT_EQ(trace, "abc");
}

TEST_F(IoLoopTest, AnExceptionEndsOnlyItsOwner) {
  watched_end end{loop, ours};
  end.on_ready = [] { throw std::runtime_error("broken"); };
  loop.defer([] { throw 42; });
  bool ran = false;
  loop.defer([&] { ran = true; });
  loop.poll();
  EXPECT_TRUE(end.was_abandoned);
  EXPECT_TRUE(ran);
  EXPECT_EQ(log.lines.size(), 2u);
}

// -- waiting --------------------------------------------------------------------

TEST_F(IoLoopTest, ASleepEndsAtItsDeadline) {
  auto start = std::chrono::steady_clock::now();
  loop.wait(start + 30ms);
  auto slept = std::chrono::steady_clock::now() - start;
  EXPECT_GE(slept, 30ms);
  EXPECT_LT(slept, 10s);
  loop.wait(start); // has passed
}

TEST_F(IoLoopTest, AWakeInAdvanceEndsTheNextSleep) {
  loop.wake();
  loop.wait(steady_time::max());
  auto start = std::chrono::steady_clock::now();
  loop.wake();
  loop.poll(); // the turn looks at whatever the wake was for
  loop.wait(start + 20ms);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 20ms);
}

TEST_F(IoLoopTest, ReadinessEndsASleepAndIsToldWithoutAskingAgain) {
  watched_end end{loop, ours};
  loop.poll();
  std::thread other{[&] { say("x"); }};
  loop.wait(std::chrono::steady_clock::now() + 10s);
  other.join();
  EXPECT_EQ(loop.poll(), 1u);
}

TEST_F(IoLoopTest, WorkFromManyThreadsIsNeverLost) {
  constexpr int threads = 4;
  constexpr int each = 5'000;
  std::vector<std::thread> others;
  others.reserve(threads);
  std::vector<int> last(threads, -1);
  int ran = 0;
  bool in_order = true;
  for (int t = 0; t < threads; ++t)
    others.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        loop.post([&, t, i] { // on the loop's thread
          ++ran;
          in_order = in_order && last[t] == i - 1;
          last[t] = i;
        });
        if (i % 64 == 0)
          std::this_thread::yield();
      }
    });
  auto limit = std::chrono::steady_clock::now() + 60s;
  while (ran < threads * each && std::chrono::steady_clock::now() < limit)
    if (loop.poll() == 0)
      loop.wait(limit); // a lost wake would sleep for a minute
  for (auto& x : others)
    x.join();
  EXPECT_EQ(ran, threads * each);
  EXPECT_TRUE(in_order);
  EXPECT_LT(std::chrono::steady_clock::now(), limit);
}
