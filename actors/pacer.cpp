#include "actors/pacer.hpp"

#include <algorithm>

#include "actors/roster.hpp"
#include "actors/runtime/unit.hpp"

namespace greenroom {

pacer::pacer(const engine& env, unit& home, overflow_policy overflow)
  : home_(home), patience_(env.room.patience),
    much_(env.member.outbound_bytes_max / env.room.burst_share),
    rests_(overflow == overflow_policy::disconnect), credit_(patience_) {}

void pacer::sent(std::uint64_t bytes) noexcept {
  home_.sent_lately().add(home_.now(), home_.turns(), bytes);
}

bool pacer::has_much(const member_ptr& x) const noexcept {
  return x && x->flow->queued() > much_
         && !x->doomed.load(std::memory_order_relaxed);
}

// Reads the flow of every member, so only in a burst.
void pacer::collect(const roster& members) {
  const auto now = home_.now();
  for (auto& g : members.groups())
    for (auto& s : g.seats)
      if (has_much(s.who) && now >= s.who->unheeded_until)
        behind_.emplace_back(s.who);
}

pacer::verdict pacer::judge(const roster& members) {
  if (behind_.empty()) {
    auto& sent = home_.sent_lately();
    if (sent.in_turn(home_.turns()) > much_)
      return verdict::pause;
    if (sent.at(home_.now()) <= much_)
      return verdict::go;
    collect(members);
    // First they get what the kernel takes at the end of this turn.
    return behind_.empty() ? verdict::go : verdict::pause;
  }
  while (!behind_.empty() && !has_much(behind_.back().lock()))
    behind_.pop_back();
  if (behind_.empty() || !rests_)
    return end_rest(false);
  const auto now = home_.now();
  if (!resting_) {
    credit_ =
      std::min(patience_, credit_ + (now - credit_at_) / regained_share);
    credit_at_ = now;
    if (credit_ < look_every)
      return end_rest(true);
    resting_ = true;
    since_ = now;
  }
  if (now - since_
      >= std::min<std::chrono::steady_clock::duration>(rest_max, credit_))
    return end_rest(true);
  home_.timers().arm_in(*this, look_every);
  return verdict::rest;
}

pacer::verdict pacer::end_rest(bool in_vain) noexcept {
  const auto now = home_.now();
  if (resting_) {
    credit_at_ = now;
    credit_ -= std::min(credit_, now - since_);
    resting_ = false;
  }
  if (in_vain)
    for (auto& each : behind_)
      if (auto x = each.lock(); has_much(x))
        x->unheeded_until = now + unheeded_for;
  behind_.clear();
  disarm();
  return verdict::go;
}

void pacer::stop() noexcept {
  disarm();
  behind_.clear();
  behind_.shrink_to_fit();
}

} // namespace greenroom
