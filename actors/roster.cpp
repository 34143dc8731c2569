#include "actors/roster.hpp"

#include "actors/messages.hpp"
#include "actors/runtime/actor.hpp"

namespace greenroom {

bool roster::add(member_ptr who, bool echo) {
  if (index_.contains(who->id))
    return false;
  std::uint32_t g = 0;
  while (g < groups_.size() && groups_[g].dialect != who->dialect)
    ++g;
  if (g == groups_.size())
    groups_.push_back({who->dialect, {}});
  auto& seats = groups_[g].seats;
  index_.emplace(who->id, place{g, static_cast<std::uint32_t>(seats.size())});
  seats.push_back({std::move(who), echo});
  return true;
}

member_ptr roster::remove(client_id who) {
  auto i = index_.find(who);
  if (i == index_.end())
    return {};
  auto [g, at] = i->second;
  index_.erase(i);
  auto& seats = groups_[g].seats;
  auto gone = std::move(seats[at].who);
  if (at + 1 != seats.size()) {
    seats[at] = std::move(seats.back());
    index_[seats[at].who->id].at = at;
  }
  seats.pop_back();
  // Memory follows the room down, not only up.
  if (seats.capacity() > 64 && seats.size() < seats.capacity() / 4)
    seats.shrink_to_fit();
  return gone;
}

const roster::seat* roster::find(client_id who) const noexcept {
  auto i = index_.find(who);
  if (i == index_.end())
    return nullptr;
  return &groups_[i->second.group].seats[i->second.at];
}

namespace {

void sentence(member& who, errc why) {
  if (!who.doomed.exchange(true, std::memory_order_relaxed))
    tell(who.reader, evict{why});
}

// Off the straight path: this member has more under way than it may.
void overflow(member& who, const wire_ptr& what, overflow_policy policy,
              const member_options& limits, metrics& counts) {
  switch (policy) {
    case overflow_policy::disconnect:
      who.flow->sub(what->size());
      sentence(who, errc::slow_consumer);
      break;
    case overflow_policy::drop_newest:
    case overflow_policy::conflate:
      who.flow->sub(what->size());
      who.gaps.fetch_add(what->frames(), std::memory_order_relaxed);
      counts.dropped.add(what->frames());
      break;
    case overflow_policy::drop_oldest:
      tell(who.writer, trim{limits.outbound_bytes_max
                            - std::min<std::uint64_t>(
                              what->size(), limits.outbound_bytes_max)});
      tell(who.writer, deliver{what});
      break;
  }
}

} // namespace

void roster::deliver_all(const broadcast& what, overflow_policy policy,
                         const member_options& limits, metrics& counts) const {
  const bool crowded =
    wire::live_bytes() > static_cast<std::int64_t>(limits.process_bytes_max);
  std::int64_t deliveries = 0;
  for (const auto& [dialect, bytes] : what.portions) {
    for (const auto& g : groups_) {
      if (g.dialect != dialect)
        continue;
      for (const auto& s : g.seats) {
        const auto* mine = &bytes;
        if (!s.echo && !what.cuts.empty())
          if (auto i = what.cuts.find(s.who->id); i != what.cuts.end())
            mine = &i->second;
        if (!*mine || s.who->doomed.load(std::memory_order_relaxed))
          continue;
        auto size = (*mine)->size();
        auto queued = s.who->flow->add(size);
        if (queued > limits.outbound_bytes_max) {
          overflow(*s.who, *mine, policy, limits, counts);
        } else if (crowded && queued > limits.lagging_bytes + size) {
          s.who->flow->sub(size);
          sentence(*s.who, errc::overloaded);
        } else {
          ++deliveries;
          tell(s.who->writer, deliver{*mine});
        }
      }
    }
  }
  counts.deliveries.add(deliveries * static_cast<std::int64_t>(what.events));
}

void deliver_to(member& who, wire_ptr what) {
  if (!what)
    return;
  who.flow->add(what->size());
  tell(who.writer, deliver{std::move(what)});
}

} // namespace greenroom
