#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/attachable.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/make_actor.hpp>
#include <caf/monitorable_actor.hpp>
#include <caf/resumable.hpp>
#include <caf/system_messages.hpp>

#include "actors/errc.hpp"
#include "actors/model.hpp"
#include "actors/runtime/lifecycle.hpp"

namespace greenroom {

class unit;

/// Makes the receiver throw: how tests crash an actor of the real engine. Only
/// code of this process can send it.
struct sabotage {};

/// What an actor counts about itself, always. Read on its own thread.
struct actor_stats {
  std::uint64_t received = 0;
  std::uint64_t handled = 0;
  std::uint64_t depth_max = 0;
  std::chrono::nanoseconds busy{0};
  std::chrono::nanoseconds wait_last{0}; ///< of the last resume
  std::chrono::nanoseconds wait_max{0};
  steady_time born{};
};

/// Who hears of an actor's end.
struct actor_ties {
  std::uint32_t links = 0;
  std::uint32_t monitors = 0;
};

/// Base of all our actors. A CAF actor like any other to the outside (handles,
/// links, monitors, exit and down messages), but *pinned*: whoever sends, it runs
/// on the thread of its unit. Lean: it has its own multi-producer mailbox and one
/// `receive`, where CAF's event-based actor brings behaviours, timeouts and
/// requests we do not use (a third of the instructions per message and a sixth of
/// the memory; see README.md).
class actor : public caf::monitorable_actor, public caf::resumable {
public:
  using signatures = caf::none_t;
  using behavior_type = caf::behavior;

  actor(caf::actor_config& cfg, unit& home, actor_kind kind);

  ~actor() override;

  actor_kind kind() const noexcept { return kind_; }

  unit& home() const noexcept { return home_; }

  const char* name() const override;

  /// Whether it has ended and discarded its mail. Any thread.
  bool ended() const noexcept { return getf(is_cleaned_up_flag); }

  /// A handle to it. Its own thread only.
  caf::actor self();

  /// Its own thread only.
  actor_stats stats() const noexcept;

  /// Its own thread only.
  actor_ties ties() const;

  /// Who it works for, for the inspector: a client or nobody.
  virtual client_id serves() const noexcept { return 0; }

  /// The room it works for, for the inspector.
  virtual std::string_view room_name() const noexcept { return {}; }

  /// The actor it stands under in the tree; 0: the top.
  virtual std::uint64_t parent() const { return 0; }

  // -- CAF's side ---------------------------------------------------------------

  using caf::abstract_actor::enqueue;

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) override;

  subtype_t subtype() const override;

  resume_result resume(caf::execution_unit*, std::size_t max) override;

  void intrusive_ptr_add_ref_impl() override;

  void intrusive_ptr_release_impl() override;

  void on_destroy() override;

  bool cleanup(caf::error&& why, caf::execution_unit* host) override;

protected:
  /// Whether `x` is attached to one of the actors this one is linked to: CAF
  /// does not tell links from monitors but by whom they go to.
  virtual bool linked_by(caf::attachable&) const { return false; }

  /// What `linked_by` asks: whether `x` tells `other` of the end, by a link.
  static bool is_link(caf::attachable& x, const caf::actor& other);

  /// Called once, first, on the actor's thread.
  virtual void started() {}

  /// Handles one message. @returns false if it has no use for it (counted)
  virtual bool receive(caf::mailbox_element& in) = 0;

  /// A linked actor ended. Ends this one too unless that was normal.
  virtual void link_down(const caf::exit_msg& x);

  /// A monitored actor ended.
  virtual void monitor_down(const caf::down_msg&) {}

  /// Called once, last, on the actor's thread: drop handles here, cycles are
  /// broken nowhere else.
  virtual void stopped(errc) {}

  /// Called for each message that the actor ended before it was handled, and for
  /// each that is sent to it afterwards. Any thread, also after `stopped`.
  virtual void lost(caf::mailbox_element&) {}

  /// How long the mail that is handled now had waited, in units of 1.024 us.
  std::uint32_t waited() const noexcept { return wait_last_; }

  /// A resume that takes so long is told.
  static constexpr std::chrono::nanoseconds slow_resume{65'536};

  /// Called at the end of a slow resume in which `timed` was set.
  virtual void took(std::chrono::nanoseconds) {}

  bool timed = false;

  /// Ends the actor after the current message.
  void quit(errc why) noexcept;

  /// Handles nothing more in this turn of the unit: behind the current message
  /// everybody else is run, what they sent goes out, and sockets are looked at.
  /// Then `proceed` is called, first.
  void pause() noexcept { paused_ = true; }

  /// As `pause`, but does not keep the unit from sleeping: it goes on in the turn
  /// that a socket, a timer or somebody's mail brings.
  void rest() noexcept { paused_ = resting_ = true; }

  /// As `pause`, and handles the current message once more.
  /// @pre the handler has left it as it was
  void put_back() noexcept { paused_ = put_back_ = true; }

  /// Goes on with what the actor has begun. It may pause again.
  virtual void proceed() {}

  bool quitting() const noexcept { return quitting_; }

  /// Asks for a `down_msg` when `x` ends, also if it has already.
  void monitor(const caf::actor& x);

private:
  friend class unit;

  void handle(caf::mailbox_element& in);
  void lose(caf::mailbox_element& in) noexcept;
  caf::mailbox_element* next();
  void finish();

  unit& home_;
  std::atomic<caf::mailbox_element*> inbox_; // a stack: newest first
  caf::mailbox_element* fifo_ = nullptr;     // taken from it: oldest first
  // The unit's lists, guarded by its thread (next_ready_: by the ready queue).
  actor* next_ready_ = nullptr;
  actor* prev_live_ = nullptr;
  actor* next_live_ = nullptr;
  std::atomic<std::uint32_t> received_{0};
  std::uint32_t handled_ = 0;
  std::uint32_t depth_max_ = 0;
  std::uint32_t wait_max_ = 0;  // in units of 1.024 us
  std::uint32_t wait_last_ = 0; // the same
  std::uint64_t busy_ = 0;      // nanoseconds
  std::atomic<std::int64_t> ready_since_{0};
  steady_time born_{};
  actor_kind kind_;
  errc why_ = errc::none;
  bool started_ = false;
  bool quitting_ = false;
  bool paused_ = false;
  bool put_back_ = false;
  bool resting_ = false;
};

/// Whether one of our actors has ended. Any thread.
inline bool has_ended(const caf::actor& x) noexcept {
  return !x
         || static_cast<const actor*>(caf::actor_cast<caf::abstract_actor*>(x))
              ->ended();
}

/// Sends `what` to `to`; nobody answers. Any thread.
template <class T>
void tell(const caf::actor& to, T&& what) {
  if (to)
    to->enqueue(caf::make_mailbox_element(nullptr, caf::make_message_id(), {},
                                          std::forward<T>(what)),
                nullptr);
}

/// Runs the handler whose parameter has the type of the message: a table of
/// lambdas reads like an index. Every message is a struct of its own.
template <class... Handlers>
bool dispatch(caf::mailbox_element& in, Handlers&&... handlers);

namespace detail {

template <class F>
struct handled_type : handled_type<decltype(&F::operator())> {};

template <class C, class R, class A>
struct handled_type<R (C::*)(A)> {
  using type = std::remove_cv_t<std::remove_reference_t<A>>;
};

template <class C, class R, class A>
struct handled_type<R (C::*)(A) const> {
  using type = std::remove_cv_t<std::remove_reference_t<A>>;
};

template <class F>
bool try_handler(const std::type_info* type, caf::type_erased_tuple& xs,
                 F& handler) {
  using message = typename handled_type<F>::type;
  // One binary, so one type_info per type: comparing addresses will do.
  if (type != &typeid(message))
    return false;
  handler(*static_cast<message*>(xs.get_mutable(0)));
  return true;
}

} // namespace detail

template <class... Handlers>
bool dispatch(caf::mailbox_element& in, Handlers&&... handlers) {
  auto& xs = in.content();
  if (xs.empty())
    return false;
  auto* type = xs.type(0).second;
  return (detail::try_handler(type, xs, handlers) || ...);
}

/// Spawns a `T` that lives on `home`. Any thread.
template <class T, class... Ts>
caf::actor spawn_on(unit& home, Ts&&... xs);

} // namespace greenroom

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::sabotage)
