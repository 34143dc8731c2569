#include "actors/member.hpp"

#include <caf/actor_cast.hpp>

#include "actors/messages.hpp"
#include "actors/runtime/actor.hpp"

namespace greenroom {

void inflow_token::release() noexcept {
  if (!flow_)
    return;
  // Pairs with the reader, which sets the flag and then looks at the count: one of
  // the two sees the other.
  auto before = flow_->pending.fetch_sub(1, std::memory_order_seq_cst);
  if (before - 1 <= flow_->resume_below
      && flow_->paused.load(std::memory_order_seq_cst)
      && flow_->paused.exchange(false, std::memory_order_acq_rel))
    tell(caf::actor_cast<caf::actor>(flow_->reader), resume_reading{});
  flow_.reset();
}

} // namespace greenroom
