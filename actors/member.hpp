#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>

#include "actors/model.hpp"
#include "actors/ports.hpp"
#include "actors/recorder.hpp"

namespace greenroom {

/// Which command of a client an answer belongs to: a join or leave, numbered by its
/// reader. When a room crashes, the old one, the new one and the reader itself may
/// all be about to answer; the first does.
struct ticket {
  request_id id = 0;
  std::uint16_t kind = 0;
  std::uint32_t number = 0; ///< 0: no answer is wanted
};

struct closed_row;

/// One connection, as rooms and the supervisor know it: one object however many
/// rooms it is in. Constant after its birth but for the counters.
struct member {
  client_id id = 0;
  unit_id unit = 0;
  const protocol* dialect = nullptr;
  /// What it agreed on; null: it gets plain frames.
  const compression* compressed = nullptr;
  bool raw = false;
  flow_ptr flow;
  std::string address;
  /// Strong: who must see deaths is held. The actors drop their own reference to
  /// this object when they stop, so no cycle outlives them.
  caf::actor reader;
  caf::actor writer;
  /// Sentenced: it is about to end and gets nothing more.
  std::atomic<bool> doomed{false};
  /// Deliveries it did not get because of an overflow policy.
  std::atomic<std::uint64_t> gaps{0};
  /// Timers that were armed for it when its reader ended, and went with it.
  std::atomic<std::uint32_t> timers{0};
  /// What its reader leaves behind to be remembered when it ends, for the
  /// supervisor, which hears of the end; null: it was never open.
  std::shared_ptr<closed_row> last;
  /// The ticket whose answer is due; 0: none. On its unit only: the reader sets
  /// it, whoever answers takes it.
  std::uint32_t ticket_due = 0;

  /// Until then no room rests for it: the last one did so in vain. On its unit only.
  steady_time unheeded_until{};

  /// The connection's black box, from the first message on. On its unit only:
  /// reader and writer share it.
  std::unique_ptr<recorder> box;

  void open_box() {
    if (box)
      return;
    box = std::make_unique<recorder>(recorder::of_connection);
    box->belongs_to(id, {});
  }

  /// Whether whoever asks is the first to answer `x`. On its unit only.
  bool redeem(const ticket& x) noexcept {
    if (x.number == 0 || x.number != ticket_due)
      return false;
    ticket_due = 0;
    return true;
  }
};

using member_ptr = std::shared_ptr<member>;

/// Counts what one reader has sent and its rooms have not passed on to all members,
/// on every unit, so that a client cannot run ahead of them.
struct inflow {
  std::atomic<std::uint32_t> pending{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<bool> paused{false};
  std::uint32_t posts_max = 0; ///< 0: no limit
  std::uint64_t bytes_max = 0; ///< 0: no limit
  caf::actor_addr reader;      // weak: a message under way keeps nobody alive

  bool full() const noexcept {
    return (posts_max != 0
            && pending.load(std::memory_order_seq_cst) >= posts_max)
           || (bytes_max != 0
               && bytes.load(std::memory_order_seq_cst) >= bytes_max);
  }

  /// Half of it is free again.
  bool eased() const noexcept {
    return (posts_max == 0
            || pending.load(std::memory_order_seq_cst) <= posts_max / 2)
           && (bytes_max == 0
               || bytes.load(std::memory_order_seq_cst) <= bytes_max / 2);
  }
};

using inflow_ptr = std::shared_ptr<inflow>;

/// Travels with a publication: counts as long as it lives, so what dies unread in
/// a crashed room's mailbox is given back too. Any thread.
class inflow_token {
public:
  inflow_token() noexcept = default;

  inflow_token(inflow_ptr x, std::uint64_t bytes) noexcept
    : flow_(std::move(x)), bytes_(bytes) {
    acquire();
  }

  inflow_token(const inflow_token& x) noexcept
    : flow_(x.flow_), bytes_(x.bytes_) {
    acquire();
  }

  inflow_token(inflow_token&& x) noexcept = default;

  inflow_token& operator=(inflow_token x) noexcept {
    flow_.swap(x.flow_);
    std::swap(bytes_, x.bytes_);
    return *this;
  }

  ~inflow_token() { release(); }

private:
  void acquire() noexcept {
    if (!flow_)
      return;
    flow_->pending.fetch_add(1, std::memory_order_relaxed);
    flow_->bytes.fetch_add(bytes_, std::memory_order_relaxed);
  }

  void release() noexcept;

  inflow_ptr flow_;
  std::uint64_t bytes_ = 0;
};

} // namespace greenroom
