#include "actors/runtime/actor.hpp"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <mutex>
#include <stdexcept>

#include <caf/default_attachable.hpp>
#include <caf/detail/sync_request_bouncer.hpp>
#include <caf/sec.hpp>

#include "actors/runtime/reason.hpp"
#include "actors/runtime/unit.hpp"

namespace greenroom {

namespace {

// Marks in the place of the newest message: nothing waits and the actor is idle,
// or the actor has ended. Addresses no message can have.
caf::mailbox_element* idle_mark() noexcept {
  static std::max_align_t place;
  return reinterpret_cast<caf::mailbox_element*>(&place);
}

caf::mailbox_element* closed_mark() noexcept {
  static std::max_align_t place;
  return reinterpret_cast<caf::mailbox_element*>(&place);
}

void dispose(caf::mailbox_element* x) {
  // A request from an ordinary CAF actor must not wait for ever.
  if (x->mid.is_request()) {
    caf::detail::sync_request_bouncer bounce{caf::sec::request_receiver_down};
    bounce(*x);
  }
  caf::mailbox_element_ptr{x}.reset();
}

std::int64_t nanoseconds_now() noexcept {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

caf::mailbox_element* next_of(caf::mailbox_element* x) noexcept {
  return static_cast<caf::mailbox_element*>(x->next);
}

// A stack of messages, newest first, as a list with the oldest first.
caf::mailbox_element* reversed(caf::mailbox_element* x) noexcept {
  caf::mailbox_element* oldest = nullptr;
  while (x != nullptr) {
    auto* older = next_of(x);
    x->next = oldest;
    oldest = x;
    x = older;
  }
  return oldest;
}

} // namespace

actor::actor(caf::actor_config& cfg, unit& home, actor_kind kind)
  : caf::monitorable_actor(cfg), home_(home), inbox_(nullptr), kind_(kind) {}

actor::~actor() {
  while (auto* x = fifo_) {
    fifo_ = next_of(x);
    dispose(x);
  }
}

const char* actor::name() const {
  return to_string(kind_).data();
}

actor_stats actor::stats() const noexcept {
  actor_stats result;
  result.received = received_.load(std::memory_order_relaxed);
  result.handled = handled_;
  result.depth_max = depth_max_;
  result.busy = std::chrono::nanoseconds{static_cast<std::int64_t>(busy_)};
  result.wait_last =
    std::chrono::nanoseconds{static_cast<std::int64_t>(wait_last_) * 1024};
  result.born = born_;
  result.wait_max =
    std::chrono::nanoseconds{static_cast<std::int64_t>(wait_max_) * 1024};
  return result;
}

actor_ties actor::ties() const {
  actor_ties result;
  // Others may be about to monitor it.
  std::lock_guard guard{mtx_};
  for (auto* x = attachables_head_.get(); x != nullptr; x = x->next.get())
    ++(linked_by(*x) ? result.links : result.monitors);
  return result;
}

bool actor::is_link(caf::attachable& x, const caf::actor& other) {
  return other
         && x.matches(caf::default_attachable::observe_token{
           other.address(), caf::default_attachable::link});
}

// -- mailbox --------------------------------------------------------------------

void actor::enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) {
  auto* x = what.release();
  // Counted first: the depth may look larger for a moment, never negative.
  received_.fetch_add(1, std::memory_order_relaxed);
  auto* head = inbox_.load(std::memory_order_acquire);
  for (;;) {
    if (head == closed_mark()) {
      received_.fetch_sub(1, std::memory_order_relaxed);
      lose(*x);
      dispose(x);
      return;
    }
    x->next = head == idle_mark() ? nullptr : head;
    if (inbox_.compare_exchange_weak(head, x, std::memory_order_acq_rel,
                                     std::memory_order_acquire))
      break;
  }
  if (head == idle_mark())
    home_.schedule(*this);
}

caf::mailbox_element* actor::next() {
  if (fifo_ == nullptr) {
    if (inbox_.load(std::memory_order_relaxed) == nullptr)
      return nullptr;
    fifo_ = reversed(inbox_.exchange(nullptr, std::memory_order_acquire));
  }
  auto* first = fifo_;
  fifo_ = next_of(first);
  return first;
}

// -- running --------------------------------------------------------------------

caf::resumable::subtype_t actor::subtype() const {
  return unspecified;
}

caf::resumable::resume_result actor::resume(caf::execution_unit*,
                                            std::size_t max) {
  auto begin = home_.resume_started_;
  auto depth = received_.load(std::memory_order_relaxed) - handled_;
  depth_max_ = std::max(depth_max_, depth);
  auto ready = ready_since_.load(std::memory_order_relaxed);
  wait_last_ = 0;
  if (ready != 0 && begin > ready) {
    auto waited = static_cast<std::uint64_t>(begin - ready) / 1024;
    wait_last_ =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(waited, 0xFFFFFFFFu));
    wait_max_ = std::max(wait_max_, wait_last_);
  }
  auto result = resume_later;
  const auto handled_before = handled_;
  try {
    if (!started_) {
      started_ = true;
      born_ = home_.now();
      home_.adopt(*this);
      started();
    }
    resting_ = false;
    if (std::exchange(paused_, false))
      proceed();
    for (std::size_t n = 0; n < max && !quitting_ && !paused_;) {
      auto* x = next();
      if (x == nullptr) {
        caf::mailbox_element* empty = nullptr;
        if (inbox_.compare_exchange_strong(empty, idle_mark(),
                                           std::memory_order_acq_rel)) {
          result = awaiting_message;
          break;
        }
        continue;
      }
      caf::mailbox_element_ptr in{x};
      ++handled_;
      ++n;
      handle(*in);
      if (std::exchange(put_back_, false)) {
        --handled_;
        in.release();
        x->next = fifo_;
        fifo_ = x;
      }
    }
  } catch (const std::exception& e) {
    home_.counts().crashes.add();
    lifecycle_event what;
    what.what = happening::actor_crashed;
    what.kind = kind_;
    what.client = serves();
    what.room = room_name();
    what.actor = id();
    what.why = errc::fault;
    what.text = e.what();
    home_.report(std::move(what));
    quit(errc::fault);
    result = resume_later;
  }
  auto end = nanoseconds_now();
  home_.resume_started_ = end;
  home_.handled_ += handled_ - handled_before;
  busy_ += static_cast<std::uint64_t>(end - begin);
  if (std::exchange(timed, false) && end - begin >= slow_resume.count())
    took(std::chrono::nanoseconds{end - begin});
  if (!quitting_)
    return result;
  finish();
  return done;
}

void actor::handle(caf::mailbox_element& in) {
  if (receive(in))
    return;
  auto& xs = in.content();
  if (xs.match_elements<caf::exit_msg>()) {
    auto& x = xs.get_mutable_as<caf::exit_msg>(0);
    if (x.reason == caf::exit_reason::kill)
      quit(errc::kicked);
    else
      link_down(x);
  } else if (xs.match_elements<caf::down_msg>()) {
    monitor_down(xs.get_mutable_as<caf::down_msg>(0));
  } else if (xs.match_elements<sabotage>()) {
    throw std::runtime_error("sabotage");
  }
}

void actor::link_down(const caf::exit_msg& x) {
  if (auto why = reason(x.reason); why != errc::none)
    quit(why);
}

void actor::quit(errc why) noexcept {
  if (quitting_)
    return;
  quitting_ = true;
  why_ = why;
}

// The actor has ended, and its sender has nothing to do with it: an exception has
// nobody to end.
void actor::lose(caf::mailbox_element& in) noexcept {
  try {
    lost(in);
  } catch (const std::exception&) {
    home_.counts().crashes.add();
  }
}

void actor::finish() {
  // A second exception on the way out must not take the unit with it.
  try {
    stopped(why_);
  } catch (const std::exception& e) {
    home_.counts().crashes.add();
    lifecycle_event what;
    what.what = happening::actor_crashed;
    what.kind = kind_;
    what.actor = id();
    what.why = errc::fault;
    what.text = e.what();
    home_.report(std::move(what));
  }
  home_.disown(*this);
  cleanup(make_reason(why_), &home_);
}

bool actor::cleanup(caf::error&& why, caf::execution_unit* host) {
  auto* x = inbox_.exchange(closed_mark(), std::memory_order_acq_rel);
  if (x == idle_mark() || x == closed_mark())
    x = nullptr;
  auto discard = [this](caf::mailbox_element* first) {
    while (first != nullptr) {
      auto* following = next_of(first);
      lose(*first);
      dispose(first);
      first = following;
    }
  };
  discard(std::exchange(fifo_, nullptr));
  discard(reversed(x));
  unregister_from_system(); // CAF does this in a base that we do not have
  return caf::monitorable_actor::cleanup(std::move(why), host);
}

void actor::on_destroy() {
  // Only an actor whose unit never ran it gets here alive: a unit holds what it
  // has started.
  if (!getf(is_cleaned_up_flag))
    cleanup(caf::exit_reason::unreachable, nullptr);
  caf::monitorable_actor::on_destroy();
}

void actor::intrusive_ptr_add_ref_impl() {
  caf::intrusive_ptr_add_ref(ctrl());
}

void actor::intrusive_ptr_release_impl() {
  caf::intrusive_ptr_release(ctrl());
}

void actor::monitor(const caf::actor& x) {
  if (!x)
    return;
  auto* other = caf::actor_cast<caf::abstract_actor*>(x);
  other->attach(
    caf::default_attachable::make_monitor(other->address(), address()));
}

caf::actor actor::self() {
  return caf::actor_cast<caf::actor>(
    caf::strong_actor_ptr{static_cast<caf::abstract_actor*>(this)->ctrl()});
}

} // namespace greenroom
