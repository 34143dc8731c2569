#pragma once

#include <atomic>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>

#include "net/io_loop.hpp"

namespace greenroom::test {

/// A real event loop on a thread of its own, whose clock a test moves on: limits
/// of seconds are met without waiting for them.
class loop_thread {
public:
  explicit loop_thread(metrics& counts, log_port* log = nullptr)
    : loop_(counts, log) {}

  ~loop_thread() { stop(); }

  loop_thread(const loop_thread&) = delete;
  loop_thread& operator=(const loop_thread&) = delete;

  net::io_loop& loop() noexcept { return loop_; }

  void start() {
    thread_ = std::thread{[this] { run(); }};
  }

  /// Ends the thread; the loop stays as it is.
  void stop() {
    if (!thread_.joinable())
      return;
    stopping_ = true;
    loop_.wake();
    thread_.join();
  }

  /// Runs `f()` on the thread. @returns what it returns
  template <class F>
  auto call(F f) {
    using value = std::invoke_result_t<F>;
    std::packaged_task<value()> task{std::move(f)};
    auto done = task.get_future();
    loop_.post([task = std::move(task)]() mutable { task(); });
    if (done.wait_for(std::chrono::seconds{10}) != std::future_status::ready)
      throw std::runtime_error("the loop does not run");
    return done.get();
  }

  /// Moves the clock on and fires what is due.
  void advance(std::chrono::milliseconds span) {
    call([this, span] {
      ahead_ += span;
      tell_time();
    });
  }

private:
  void tell_time() {
    loop_.timers().advance(std::chrono::steady_clock::now() + ahead_);
  }

  void run() {
    while (!stopping_) {
      tell_time();
      auto ran = loop_.poll();
      if (loop_.flush() || ran != 0)
        continue;
      auto until = loop_.timers().next_deadline();
      loop_.wait(until == steady_time::max() ? until : until - ahead_);
    }
  }

  net::io_loop loop_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::chrono::milliseconds ahead_{0}; // of the real clock; on the thread
};

} // namespace greenroom::test
