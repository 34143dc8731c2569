#include "net/io_loop.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <limits>
#include <system_error>

namespace greenroom::net {

namespace {

int checked(int result, const char* what) {
  if (result < 0)
    throw std::system_error(errno, std::generic_category(), what);
  return result;
}

} // namespace

io_loop::io_loop(metrics& counts, log_port* log, io_loop_options options)
  : counts_(counts), log_(log), options_(options), timers_(options.start),
    ring_wanted_(options.io_uring),
    scratch_(std::make_unique_for_overwrite<char[]>(scratch_bytes)),
    histograms_(counts.add_thread()) {
  epoll_ = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  try {
    wake_fd_ = checked(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
    // Edge-triggered: each write is an event, so the counter is never read.
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.ptr = nullptr;
    checked(epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_fd_, &event), "epoll_ctl");
  } catch (...) {
    if (wake_fd_ >= 0)
      ::close(wake_fd_);
    ::close(epoll_);
    throw;
  }
}

io_loop::~io_loop() {
  abandon_all();
  ::close(wake_fd_);
  ::close(epoll_);
}

void io_loop::abandon_all() noexcept {
  // Ending one connection may defer work or end another one.
  for (;;) {
    if (auto* x = watchers_) {
      x->abandoned();
      if (watchers_ == x) // it kept its descriptor open
        unlink(*x);
    } else if (auto* task = pop(deferred_)) {
      task->drop();
    } else if (auto* later = pop(postponed_)) {
      later->drop();
    } else if (auto* posted = posted_.exchange(nullptr)) {
      while (posted != nullptr)
        std::exchange(posted, posted->next_)->drop();
    } else {
      break;
    }
  }
  while (unsent_.marked())
    unsent_.next_->unmark();
  told_ = fetched_ = 0;
  tell_tally();
}

// -- turns ----------------------------------------------------------------------

std::size_t io_loop::poll() {
  ticks_ = send_marks::ticks_of(timers_.now().time_since_epoch().count());
  // By its first turn, so that it belongs to the loop's thread and no descriptor
  // appears later.
  if (ring_wanted_ && !ring_) {
    ring_ = send_ring::make();
    ring_wanted_ = ring_ != nullptr;
  }
  // Whatever a wake was for is looked at in the turn that begins here.
  if (state_.load(std::memory_order_relaxed) != awake)
    state_.exchange(awake);
  ++polls_;
  bytes_read_ = 0;
  while (auto* x = pop(postponed_))
    append(deferred_, *x);
  if (told_ == fetched_)
    fetch(0);
  auto n = dispatch();
  n += run_posted();
  n += run_deferred();
  tell_tally();
  return n;
}

bool io_loop::flush() {
  if (!unsent_.marked())
    return false;
  if (!flush_batches(options_.sends_per_flush))
    flush_one_by_one(options_.sends_per_flush);
  tell_tally();
  return unsent_.marked();
}

void io_loop::flush_one_by_one(std::size_t budget) {
  for (std::size_t n = 0; n < budget && unsent_.marked(); ++n) {
    // One look at the clock for a few sends, which take microseconds each.
    if (n % 8 == 0)
      note_flush_time();
    auto& x = *unsent_.next_;
    x.unmark();
    try {
      x.send();
    } catch (...) {
      report("send");
    }
  }
}

// Whether there is a ring that did it.
bool io_loop::flush_batches(std::size_t budget) {
  // One send costs as much in the ring as without; an idle loop needs none.
  if (unsent_.next_ == unsent_.prev_)
    return false;
  if (!ring_)
    return false;
  std::size_t done = 0;
  while (done < budget && unsent_.marked())
    if (!flush_batch(budget, done)) {
      ring_wanted_ = false;
      ring_.reset();
      return true;
    }
  return true;
}

// Sends of as many as fit into one submission. Their results are told when all
// of them are there: whoever ends meanwhile takes itself out.
bool io_loop::flush_batch(std::size_t budget, std::size_t& done) {
  std::array<sender*, send_ring::sends_max> batch;
  std::size_t n = 0;
  while (n < batch.size() && done < budget && unsent_.marked()) {
    auto& x = *unsent_.next_;
    x.unmark();
    ++done;
    auto fd = x.batch_fd();
    if (fd < 0) {
      try {
        x.send();
      } catch (...) {
        report("send");
      }
      continue;
    }
    auto& job = ring_->add(fd);
    x.gather(job);
    if (job.count == 0) {
      ring_->take_back();
      continue;
    }
    batch[n] = &x;
    x.batch_ = &batch[n];
    ++n;
  }
  const bool good = ring_->submit();
  note_flush_time();
  for (std::size_t i = 0; i < n; ++i) {
    auto* x = batch[i];
    if (x == nullptr)
      continue;
    x->batch_ = nullptr;
    auto result = ring_->result(i);
    if (result == send_ring::unsent) {
      mark(*x); // the ring broke before it was its turn
      continue;
    }
    try {
      x->took(result, ring_->job(i).bytes);
    } catch (...) {
      report("send");
    }
  }
  ring_->clear();
  return good;
}

void io_loop::tell_tally() noexcept {
  auto x = std::exchange(tally_, {});
  if ((x.bytes_in | x.messages_in) != 0) {
    counts_.bytes_in.add(x.bytes_in);
    counts_.messages_in.add(x.messages_in);
  }
  if (x.sends != 0) {
    counts_.sends.add(x.sends);
    counts_.bytes_out.add(x.bytes_out);
    counts_.frames_out.add(x.frames_out);
  }
}

void io_loop::wait(steady_time until) {
  if (told_ != fetched_ || deferred_.head != nullptr
      || postponed_.head != nullptr || unsent_.marked())
    return;
  int timeout = -1;
  if (until != steady_time::max()) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(
      until - std::chrono::steady_clock::now());
    if (left.count() <= 0)
      return;
    constexpr auto longest = std::numeric_limits<int>::max();
    timeout = left.count() < longest ? static_cast<int>(left.count()) : longest;
  }
  // Whoever posts or wakes exchanges the state behind its work: either the work
  // was there before we fell asleep, then this fails, or it sees us asleep and
  // writes to the eventfd.
  auto expected = awake;
  if (state_.compare_exchange_strong(expected, asleep))
    fetch(timeout);
  state_.exchange(awake);
}

void io_loop::wake() noexcept {
  if (state_.exchange(woken) != asleep)
    return;
  std::uint64_t one = 1;
  [[maybe_unused]] auto n = ::write(wake_fd_, &one, sizeof(one));
}

void io_loop::fetch(int timeout_ms) noexcept {
  auto n = epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()),
                      timeout_ms);
  told_ = 0;
  fetched_ = n > 0 ? static_cast<std::size_t>(n) : 0; // else: a signal
}

std::size_t io_loop::dispatch() {
  std::size_t n = 0;
  while (told_ != fetched_) {
    auto& event = events_[told_++];
    auto* x = static_cast<fd_watcher*>(event.data.ptr);
    if (x == nullptr)
      continue;
    ++n;
    try {
      x->ready(event.events);
    } catch (...) {
      report("ready");
      // It may be gone already: only who is still watched is abandoned.
      for (auto* y = watchers_; y != nullptr; y = y->next_)
        if (y == x) {
          x->abandoned();
          break;
        }
    }
  }
  return n;
}

// -- descriptors ----------------------------------------------------------------

void io_loop::watch(int fd, fd_watcher& x, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &x;
  checked(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  link(x);
}

void io_loop::hand_over(int fd, fd_watcher& from, fd_watcher& to,
                        std::uint32_t events) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &to;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
  forget_events(from);
  unlink(from);
  link(to);
}

void io_loop::forget(int fd, fd_watcher& x) noexcept {
  if (unlink(x)) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    forget_events(x);
  }
}

void io_loop::close(int fd, fd_watcher& x) noexcept {
  if (unlink(x))
    forget_events(x);
  ::close(fd); // ends the registration, too
}

void io_loop::link(fd_watcher& x) noexcept {
  x.prev_ = nullptr;
  x.next_ = watchers_;
  if (watchers_ != nullptr)
    watchers_->prev_ = &x;
  watchers_ = &x;
  ++watched_;
}

// Returns whether it was watched.
bool io_loop::unlink(fd_watcher& x) noexcept {
  if (x.prev_ != nullptr)
    x.prev_->next_ = x.next_;
  else if (watchers_ == &x)
    watchers_ = x.next_;
  else
    return false;
  if (x.next_ != nullptr)
    x.next_->prev_ = x.prev_;
  x.prev_ = x.next_ = nullptr;
  --watched_;
  return true;
}

void io_loop::forget_events(const fd_watcher& x) noexcept {
  for (auto i = told_; i != fetched_; ++i)
    if (events_[i].data.ptr == &x)
      events_[i].data.ptr = nullptr;
}

void io_loop::link_before(sender& x, sender& where) noexcept {
  x.prev_ = where.prev_;
  x.next_ = &where;
  where.prev_->next_ = &x;
  where.prev_ = &x;
}

// -- work -----------------------------------------------------------------------

void io_loop::append(task_queue& to, loop_task& x) noexcept {
  x.next_ = nullptr;
  if (to.tail == nullptr)
    to.head = &x;
  else
    to.tail->next_ = &x;
  to.tail = &x;
}

loop_task* io_loop::pop(task_queue& from) noexcept {
  auto* x = from.head;
  if (x != nullptr) {
    from.head = x->next_;
    if (from.head == nullptr)
      from.tail = nullptr;
  }
  return x;
}

void io_loop::defer_task(loop_task& x) noexcept {
  append(deferred_, x);
}

void io_loop::push(loop_task& x) noexcept {
  auto* head = posted_.load(std::memory_order_relaxed);
  do {
    x.next_ = head;
  } while (!posted_.compare_exchange_weak(head, &x, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
  // Whoever found work in front of its own relies on that one's wake.
  if (head == nullptr)
    wake();
}

std::size_t io_loop::run_posted() {
  if (posted_.load(std::memory_order_relaxed) == nullptr)
    return 0;
  auto* x = posted_.exchange(nullptr, std::memory_order_acquire);
  loop_task* oldest = nullptr;
  while (x != nullptr) {
    auto* older = x->next_;
    x->next_ = oldest;
    oldest = x;
    x = older;
  }
  std::size_t n = 0;
  while (oldest != nullptr) {
    run(*std::exchange(oldest, oldest->next_));
    ++n;
  }
  return n;
}

std::size_t io_loop::run_deferred() {
  std::size_t n = 0;
  while (n < options_.tasks_per_poll) {
    auto* x = pop(deferred_);
    if (x == nullptr)
      break;
    run(*x);
    ++n;
  }
  return n;
}

void io_loop::run(loop_task& x) const noexcept {
  try {
    x.run();
  } catch (...) {
    report("task");
  }
}

void io_loop::report(const char* where) const noexcept {
  if (log_ == nullptr)
    return;
  try {
    auto line = log_record{level::error, "handler_failed"}.with("where", where);
    try {
      throw;
    } catch (const std::exception& x) {
      line = std::move(line).with("what", x.what());
    } catch (...) {
      line = std::move(line).with("what", "not an exception");
    }
    log_->write(std::move(line));
  } catch (...) {
    // Out of memory for a line about it: there is nothing left to say.
  }
}

} // namespace greenroom::net
