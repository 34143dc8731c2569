#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "actors/event_loop.hpp"
#include "actors/log.hpp"
#include "actors/metrics.hpp"
#include "actors/timer_wheel.hpp"
#include "net/send_job.hpp"
#include "net/send_marks.hpp"
#include "net/send_ring.hpp"

namespace greenroom::net {

class io_loop;

/// One descriptor's owner, as its loop sees it. On the loop's thread.
class fd_watcher {
public:
  fd_watcher(const fd_watcher&) = delete;
  fd_watcher& operator=(const fd_watcher&) = delete;

  /// Something changed. Edges, not levels: each is told once, so what is ready
  /// has to be used until the kernel says EAGAIN or gives less than asked for.
  /// @param events EPOLLIN and the like
  virtual void ready(std::uint32_t events) = 0;

  /// The loop ends, or `ready` threw: close the descriptor and let go. Called
  /// at most once by a loop that ends; nothing else is called afterwards.
  virtual void abandoned() noexcept = 0;

protected:
  fd_watcher() = default;

  /// @pre not watched any more
  ~fd_watcher() = default;

private:
  friend class io_loop;

  fd_watcher* prev_ = nullptr;
  fd_watcher* next_ = nullptr;
};

/// Somebody with bytes to send at the end of the turn. On the loop's thread.
class sender {
public:
  sender(const sender&) = delete;
  sender& operator=(const sender&) = delete;

  /// Sends once what waits, without blocking. The loop took it off the list
  /// before; whoever has more to send that the kernel would take marks itself
  /// again.
  virtual void send() = 0;

  /// The descriptor to send to in a batch with others, -1: only `send` will do.
  virtual int batch_fd() const noexcept { return -1; }

  /// Of a batch: says what is to be sent. Adds nothing if nothing is.
  virtual void gather(send_job&) const noexcept {}

  /// Of a batch: what became of it, as `send` would have found out itself.
  /// @param result bytes, or a negative errno value
  virtual void took(std::ptrdiff_t /*result*/, std::size_t /*offered*/) {}

protected:
  sender() noexcept : prev_(this), next_(this) {}

  ~sender() { unmark(); }

  /// Leaves the list, and the batch under way.

  /// Whether the loop will call `send`.
  bool marked() const noexcept { return next_ != this; }

  void unmark() noexcept {
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = this;
    if (batch_ != nullptr)
      *std::exchange(batch_, nullptr) = nullptr;
  }

private:
  friend class io_loop;

  sender* prev_;
  sender* next_;
  sender** batch_ = nullptr; // its place in the batch under way
};

/// Work that runs once on a loop's thread and frees itself.
class loop_task {
public:
  loop_task(const loop_task&) = delete;
  loop_task& operator=(const loop_task&) = delete;

  /// Does the work; the task frees itself, before or after.
  virtual void run() = 0;

  /// The loop ends first: frees itself without doing the work.
  virtual void drop() noexcept = 0;

protected:
  loop_task() = default;
  ~loop_task() = default;

private:
  friend class io_loop;

  loop_task* next_ = nullptr;
};

/// What a loop's sockets moved since it told the process: the shared counters are
/// touched once a turn, not once a message.
struct traffic {
  std::int64_t messages_in = 0;
  std::int64_t bytes_in = 0;
  std::int64_t frames_out = 0;
  std::int64_t bytes_out = 0;
  std::int64_t sends = 0;
};

struct io_loop_options {
  /// `send` calls of one flush: a huge room must not keep its unit from
  /// accepting and answering. What is left goes out in the next turn.
  std::size_t sends_per_flush = 1024;
  /// Deferred work of one poll, such as the handlers of many small messages
  /// that came in one segment.
  std::size_t tasks_per_poll = 4096;
  /// Bytes that one socket, and all of them, may bring in one poll: a client that
  /// sends without end must not keep its unit from running actors and sending.
  /// What is over waits for the next poll.
  std::size_t socket_bytes_per_poll = std::size_t{64} * 1024;
  std::size_t bytes_per_poll = std::size_t{1024} * 1024;
  /// Whether the sends of a flush go to the kernel together, through io_uring.
  /// Falls back to one call each where the kernel refuses.
  bool io_uring = false;
  /// Where the timers' clock begins.
  steady_time start = std::chrono::steady_clock::now();
};

/// The sockets of one unit over an epoll of our own. Each descriptor is
/// registered once, edge-triggered, for everything: a burst of input costs one
/// `epoll_wait` and one `recv`. On the unit's thread unless said otherwise.
class io_loop final : public event_loop {
public:
  static constexpr std::uint32_t all_events =
    EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

  /// @param log gets exceptions of handlers; may be null
  /// @throws std::system_error when the process is out of descriptors
  explicit io_loop(metrics& counts, log_port* log = nullptr,
                   io_loop_options options = {});

  /// Abandons what is still watched and drops work that has not run.
  ~io_loop() override;

  io_loop(const io_loop&) = delete;
  io_loop& operator=(const io_loop&) = delete;

  // -- event_loop ---------------------------------------------------------------

  std::size_t poll() override;
  bool flush() override;
  void wait(steady_time until) override;
  void wake() noexcept override;

  timer_wheel& timers() noexcept override { return timers_; }

  // -- descriptors --------------------------------------------------------------

  /// Watches a non-blocking descriptor. The first `ready` follows at once (a
  /// connected socket is writable).
  /// @param x lives until it is forgotten
  /// @throws std::system_error if the kernel refuses
  void watch(int fd, fd_watcher& x, std::uint32_t events = all_events);

  /// Stops watching a descriptor that stays open, for example to hand it to
  /// another loop: `other.post([fd] { ... })`. Events that were fetched already
  /// are not told any more.
  void forget(int fd, fd_watcher& x) noexcept;

  /// Tells `to` instead of `from` about a descriptor of this loop: one system
  /// call less than forgetting and watching it again. What is ready is told once
  /// more.
  /// @pre `from` is watched with `fd`
  void hand_over(int fd, fd_watcher& from, fd_watcher& to,
                 std::uint32_t events = all_events) noexcept;

  /// As `forget`, and closes the descriptor: one system call less.
  void close(int fd, fd_watcher& x) noexcept;

  /// Abandons whoever is still watched and drops work that has not run, as the
  /// destructor does: for an owner whose actors end before its loops. Nothing may
  /// be posted or watched afterwards.
  void abandon_all() noexcept;

  /// How many descriptors are watched.
  std::size_t watched() const noexcept { return watched_; }

  // -- sending ------------------------------------------------------------------

  /// Has `x` send at the end of this turn; marking twice does no harm.
  void mark(sender& x) noexcept {
    if (!x.marked())
      link_before(x, unsent_);
  }

  // -- work ---------------------------------------------------------------------

  /// Runs `x` in this poll or the next, in the order of the calls. Takes it
  /// over.
  void defer_task(loop_task& x) noexcept;

  /// Runs `x` in the next poll. Takes it over.
  void postpone_task(loop_task& x) noexcept { append(postponed_, x); }

  /// What one socket has read in a poll.
  struct share {
    std::uint32_t poll = 0;
    std::uint32_t bytes = 0;
  };

  /// Whether a socket may read in this poll.
  bool may_read(share& x) const noexcept {
    if (x.poll != polls_)
      x = {polls_, 0};
    return x.bytes < options_.socket_bytes_per_poll
           && bytes_read_ < options_.bytes_per_poll;
  }

  void has_read(share& x, std::size_t bytes) noexcept {
    x.bytes += static_cast<std::uint32_t>(bytes);
    bytes_read_ += bytes;
  }

  /// Runs `f()` in this poll or the next.
  template <class F>
  void defer(F&& f) {
    defer_task(*new function_task<std::decay_t<F>>(std::forward<F>(f)));
  }

  /// Runs `f()` on the loop's thread and wakes it. Any thread; in order for
  /// each of them. What a loop has not run when it ends is dropped.
  template <class F>
  void post(F&& f) {
    push(*new function_task<std::decay_t<F>>(std::forward<F>(f)));
  }

  // -- around handlers ----------------------------------------------------------

  /// Where sockets count; told to `metrics` at the end of each poll and flush.
  traffic& tally() noexcept { return tally_; }

  /// The time of the turn, in ticks of `send_marks`.
  std::uint32_t ticks() const noexcept { return ticks_; }

  /// When the sends of this flush were done, to some of them: nanoseconds of the
  /// steady clock.
  std::int64_t flushed_ns() const noexcept { return flushed_ns_; }

  /// For sends outside of a flush.
  void note_flush_time() noexcept {
    flushed_ns_ = std::chrono::steady_clock::now().time_since_epoch().count();
  }

  /// Written by sockets of this loop.
  thread_histograms& histograms() noexcept { return histograms_; }

  /// Logs an exception that a handler let go. Call inside a `catch`.
  void report(const char* where) const noexcept;

  /// Memory for reads that are used up or copied before the next `recv`: one
  /// block for all sockets of the loop.
  static constexpr std::size_t scratch_bytes = std::size_t{16} * 1024;

  char* scratch() noexcept { return scratch_.get(); }

private:
  template <class F>
  class function_task final : public loop_task {
  public:
    explicit function_task(F f) : f_(std::move(f)) {}

    void run() override {
      std::unique_ptr<function_task> self{this};
      f_();
    }

    void drop() noexcept override { delete this; }

  private:
    F f_;
  };

  // Ends the list of who is marked.
  class unsent_list final : public sender {
    void send() override {}
  };

  struct task_queue {
    loop_task* head = nullptr;
    loop_task* tail = nullptr;
  };

  static void link_before(sender& x, sender& where) noexcept;
  static void append(task_queue& to, loop_task& x) noexcept;
  static loop_task* pop(task_queue& from) noexcept;

  void link(fd_watcher& x) noexcept;
  bool unlink(fd_watcher& x) noexcept;
  void flush_one_by_one(std::size_t budget);
  bool flush_batches(std::size_t budget);
  bool flush_batch(std::size_t budget, std::size_t& done);
  void push(loop_task& x) noexcept;
  void fetch(int timeout_ms) noexcept;
  std::size_t dispatch();
  std::size_t run_posted();
  std::size_t run_deferred();
  void run(loop_task& x) const noexcept;
  void forget_events(const fd_watcher& x) noexcept;
  void tell_tally() noexcept;

  metrics& counts_;
  log_port* log_;
  io_loop_options options_;
  timer_wheel timers_;
  int epoll_ = -1;
  int wake_fd_ = -1;
  // Events of one epoll_wait, told from `told_` on; null watchers are skipped.
  std::array<epoll_event, 256> events_;
  std::size_t told_ = 0;
  std::size_t fetched_ = 0;
  fd_watcher* watchers_ = nullptr;
  std::size_t watched_ = 0;
  unsent_list unsent_;
  bool ring_wanted_;
  std::unique_ptr<send_ring> ring_; // made by the first poll, on its thread
  task_queue deferred_;
  task_queue postponed_; // until the next poll
  std::uint32_t polls_ = 0;
  std::size_t bytes_read_ = 0; // in this poll
  std::unique_ptr<char[]> scratch_;
  traffic tally_;
  thread_histograms& histograms_;
  std::uint32_t ticks_ = 0;
  std::int64_t flushed_ns_ = 0;
  // What other threads touch, on a cache line of its own.
  enum state : std::uint8_t { awake, asleep, woken };
  alignas(64) std::atomic<state> state_{awake};
  std::atomic<loop_task*> posted_{nullptr};
};

} // namespace greenroom::net
