#include "actors/pacer.hpp"

#include <algorithm>

#include "actors/runtime/unit.hpp"

namespace greenroom {

pacer::pacer(const engine& env, unit& home)
  : home_(home), patience_(env.room.patience),
    much_(env.member.outbound_bytes_max / env.room.burst_share),
    credit_(patience_) {}

void pacer::has_much(const member_ptr& who) {
  if (home_.now() >= who->unheeded_until)
    behind_.push_back(who);
}

void pacer::sent(std::uint64_t bytes) noexcept {
  if (turn_ != home_.turns()) {
    turn_ = home_.turns();
    turn_bytes_ = 0;
  }
  turn_bytes_ += bytes;
  if (home_.now() - window_ > burst_window) {
    window_ = home_.now();
    window_bytes_ = 0;
  }
  window_bytes_ += bytes;
  if (window_bytes_ <= much_)
    behind_.clear(); // no burst: they are slow
}

pacer::verdict pacer::judge() {
  if (turn_ == home_.turns() && turn_bytes_ >= much_)
    return verdict::pause;
  if (behind_.empty())
    return verdict::go;
  const auto now = home_.now();
  if (!resting_) {
    credit_ =
      std::min(patience_, credit_ + (now - credit_at_) / regained_share);
    resting_ = true;
    since_ = looked_ = now;
    looked_bytes_ = under_way();
  }
  auto waited_for = [this](const member_ptr& x) {
    return x && x->flow->queued() > much_
           && !x->doomed.load(std::memory_order_relaxed);
  };
  while (!behind_.empty() && !waited_for(behind_.back().lock()))
    behind_.pop_back();
  if (behind_.empty() || now - since_ >= credit_)
    return end_rest();
  if (now - looked_ >= stalled_after) {
    auto left = under_way();
    if (left + progress_min > looked_bytes_) {
      for (auto& each : behind_)
        if (auto x = each.lock())
          x->unheeded_until = now + unheeded_for;
      return end_rest();
    }
    looked_ = now;
    looked_bytes_ = left;
  }
  home_.timers().arm_in(*this, look_every);
  return verdict::rest;
}

pacer::verdict pacer::end_rest() noexcept {
  credit_at_ = home_.now();
  credit_ -= std::min(credit_, credit_at_ - since_);
  resting_ = false;
  behind_.clear();
  disarm();
  return verdict::go;
}

std::uint64_t pacer::under_way() const noexcept {
  std::uint64_t sum = 0;
  for (auto& each : behind_)
    if (auto x = each.lock())
      sum += x->flow->queued();
  return sum;
}

void pacer::stop() noexcept {
  disarm();
  behind_.clear();
  behind_.shrink_to_fit();
}

} // namespace greenroom
