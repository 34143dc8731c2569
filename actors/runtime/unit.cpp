#include "actors/runtime/unit.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace greenroom {

namespace {

thread_local unit* current_unit = nullptr;

} // namespace

unit::unit(caf::actor_system& sys, unit_id id, event_loop& loop,
           metrics& counts, unit_options options)
  : caf::execution_unit(&sys), id_(id), loop_(loop), counts_(counts),
    options_(options), histograms_(counts.add_thread()) {}

unit::~unit() {
  // Whoever is still ready is let go without another turn.
  take_remote();
  ready_paused();
  while (auto* x = ready_head_) {
    ready_head_ = x->next_ready_;
    x->intrusive_ptr_release_impl();
  }
  while (live_ != nullptr)
    disown(*live_);
  if (current_unit == this)
    current_unit = nullptr;
}

bool unit::is_current() const noexcept {
  return current_unit == this;
}

void unit::enter() noexcept {
  current_unit = this;
}

void unit::stop(std::chrono::milliseconds grace) noexcept {
  grace_.store(grace.count(), std::memory_order_relaxed);
  stopping_.store(true, std::memory_order_release);
  loop_.wake();
}

void unit::run() {
  enter();
  auto deadline = steady_time::max();
  for (;;) {
    const bool more = turn();
    auto until = loop_.timers().next_deadline();
    if (stopping_.load(std::memory_order_acquire)) {
      if (deadline == steady_time::max())
        deadline =
          now()
          + std::chrono::milliseconds{grace_.load(std::memory_order_relaxed)};
      if (live_count_ == 0 || now() >= deadline)
        break;
      until = std::min(until, now() + std::chrono::milliseconds{5});
    }
    if (!more)
      loop_.wait(until);
  }
  if (live_count_ != 0)
    cut_off();
  current_unit = nullptr;
}

// Ends whoever is left when the grace is over, on their own thread and while every
// other unit is there to be told. Later mail is refused by their mailboxes, so it
// does not matter when their sockets go.
void unit::cut_off() {
  while (live_ != nullptr) {
    caf::strong_actor_ptr held{live_->ctrl()};
    live_->quit(errc::shutdown);
    live_->finish();
  }
  loop_.flush(); // their last words
}

bool unit::turn() {
  ++turns_;
  loop_.timers().advance(options_.clock != nullptr
                           ? *options_.clock
                           : std::chrono::steady_clock::now());
  resume_started_ = now().time_since_epoch().count();
  now_ms_ = static_cast<std::uint32_t>(resume_started_ / 1'000'000);
  auto polled = loop_.poll();
  if (!next_turn_.empty()) {
    auto work = std::exchange(next_turn_, {});
    for (auto& f : work)
      f();
  }
  auto ran = run_ready(options_.resumes_per_turn);
  auto unsent = loop_.flush();
  if (!reported_.empty() && reporter_) {
    if (reports_lost_ != 0) {
      counts_.log_lost.add(static_cast<std::int64_t>(reports_lost_));
      reports_lost_ = 0;
    }
    lifecycle_batch batch;
    batch.swap(reported_);
    reporter_(std::move(batch));
  }
  return polled + ran != 0 || unsent || ready_head_ != nullptr
         || !paused_.empty() || !next_turn_.empty();
}

// -- the ready queue --------------------------------------------------------------

void unit::exec_later(caf::resumable* x) {
  // Only our own actors live here; anything else would migrate away anyhow.
  auto* ours = dynamic_cast<actor*>(x);
  if (ours == nullptr)
    throw std::logic_error("only pinned actors run on a unit");
  schedule(*ours);
}

void unit::schedule(actor& x) noexcept {
  x.intrusive_ptr_add_ref_impl(); // the queue's own reference
  if (current_unit == this) {
    x.ready_since_.store(resume_started_, std::memory_order_relaxed);
    push_ready(&x);
    return;
  }
  x.ready_since_.store(
    std::chrono::steady_clock::now().time_since_epoch().count(),
    std::memory_order_relaxed);
  auto* head = remote_.load(std::memory_order_relaxed);
  do {
    x.next_ready_ = head;
  } while (!remote_.compare_exchange_weak(head, &x, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
  if (head == nullptr)
    loop_.wake();
}

void unit::push_ready(actor* x) noexcept {
  x->next_ready_ = nullptr;
  if (ready_tail_ == nullptr)
    ready_head_ = x;
  else
    ready_tail_->next_ready_ = x;
  ready_tail_ = x;
}

void unit::take_remote() noexcept {
  if (remote_.load(std::memory_order_relaxed) == nullptr)
    return;
  auto* x = remote_.exchange(nullptr, std::memory_order_acquire);
  actor* oldest = nullptr;
  while (x != nullptr) {
    auto* older = x->next_ready_;
    x->next_ready_ = oldest;
    oldest = x;
    x = older;
  }
  while (oldest != nullptr) {
    auto* newer = oldest->next_ready_;
    push_ready(oldest);
    oldest = newer;
  }
}

void unit::ready_paused() noexcept {
  for (auto* waiting : {&paused_, &resting_}) {
    for (auto* x : *waiting)
      push_ready(x);
    waiting->clear();
  }
}

std::size_t unit::run_ready(std::size_t budget) {
  take_remote();
  ready_paused(); // behind those that only wanted to say something
  if (ready_head_ == nullptr)
    return 0;
  resume_started_ = std::chrono::steady_clock::now().time_since_epoch().count();
  std::size_t n = 0;
  std::size_t rested = 0;
  while (n < budget) {
    auto* x = ready_head_;
    if (x == nullptr) {
      take_remote();
      x = ready_head_;
      if (x == nullptr)
        break;
    }
    ready_head_ = x->next_ready_;
    if (ready_head_ == nullptr)
      ready_tail_ = nullptr;
    ++n;
    if (x->resume(this, options_.messages_per_resume)
        == caf::resumable::resume_later) {
      if (x->resting_) {
        x->ready_since_.store(0, std::memory_order_relaxed); // not ready at all
        resting_.push_back(x);
        ++rested;
      } else if (x->paused_) {
        x->ready_since_.store(resume_started_, std::memory_order_relaxed);
        paused_.push_back(x);
      } else
        push_ready(x);
    } else
      x->intrusive_ptr_release_impl();
  }
  return n - rested;
}

// -- inspection ---------------------------------------------------------------------

void unit::adopt(actor& x) noexcept {
  // A started actor lives until it quits: an exit nobody asked for would be a
  // death without a word.
  x.intrusive_ptr_add_ref_impl();
  x.next_live_ = live_;
  if (live_ != nullptr)
    live_->prev_live_ = &x;
  live_ = &x;
  ++live_count_;
}

void unit::disown(actor& x) noexcept {
  if (cursor_ == &x)
    cursor_ = x.next_live_;
  if (x.prev_live_ != nullptr)
    x.prev_live_->next_live_ = x.next_live_;
  else if (live_ == &x)
    live_ = x.next_live_;
  if (x.next_live_ != nullptr)
    x.next_live_->prev_live_ = x.prev_live_;
  x.prev_live_ = x.next_live_ = nullptr;
  --live_count_;
  x.intrusive_ptr_release_impl();
}

void unit::report_box(lifecycle_event what) {
  auto second =
    std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch());
  if (std::exchange(box_second_, second) != second)
    boxes_ = 0;
  if (++boxes_ > boxes_per_second)
    ++reports_lost_;
  else
    report(std::move(what));
}

void unit::report(lifecycle_event what) {
  if (reported_.size() >= options_.lifecycle_max) {
    ++reports_lost_;
    return;
  }
  what.unit = id_;
  reported_.push_back(std::move(what));
}

} // namespace greenroom
