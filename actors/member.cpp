#include "actors/member.hpp"

#include <caf/actor_cast.hpp>

#include "actors/messages.hpp"
#include "actors/runtime/actor.hpp"

namespace greenroom {

void inflow_token::release() noexcept {
  if (!flow_)
    return;
  // Pairs with the reader, which sets the flag and then looks at the counts: one of
  // the two sees the other.
  flow_->bytes.fetch_sub(bytes_, std::memory_order_seq_cst);
  flow_->pending.fetch_sub(1, std::memory_order_seq_cst);
  if (flow_->paused.load(std::memory_order_seq_cst) && flow_->eased()
      && flow_->paused.exchange(false, std::memory_order_acq_rel))
    tell(caf::actor_cast<caf::actor>(flow_->reader), resume_reading{});
  flow_.reset();
}

} // namespace greenroom
