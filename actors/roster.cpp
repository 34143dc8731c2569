#include "actors/roster.hpp"

#include <algorithm>

#include "actors/messages.hpp"
#include "actors/runtime/actor.hpp"
#include "actors/runtime/unit.hpp"

namespace greenroom {

bool roster::add(member_ptr who, bool echo) {
  if (index_.contains(who->id))
    return false;
  std::uint32_t g = 0;
  const variant mine{who->dialect, who->compressed};
  while (g < groups_.size() && groups_[g].to != mine)
    ++g;
  if (g == groups_.size())
    groups_.push_back({mine, {}, head_});
  auto& seats = groups_[g].seats;
  if (seats.empty())
    groups_[g].head = head_; // no turn was for it while it was empty
  index_.emplace(who->id, place{g, static_cast<std::uint32_t>(seats.size())});
  seats.push_back({std::move(who), echo, nullptr, nullptr});
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
  if (seats[at].held)
    --holding_;
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

void sentence(member& who, errc why) {
  if (!who.doomed.exchange(true, std::memory_order_relaxed))
    tell(who.reader, evict{why});
}

namespace {

// Off the straight path: this member has more under way than it may.
// @returns whether it gets this nevertheless
bool overflow(member& who, const wire_ptr& what, overflow_policy policy,
              const member_options& limits, metrics& counts) {
  switch (policy) {
    case overflow_policy::disconnect:
      who.flow->sub(what->size());
      sentence(who, errc::slow_consumer);
      return false;
    case overflow_policy::conflate: // held back by the roster
    case overflow_policy::drop_newest:
      who.flow->sub(what->size());
      who.gaps.fetch_add(what->frames(), std::memory_order_relaxed);
      counts.dropped.add(what->frames());
      at(counts.dropped_by, policy).add(what->frames());
      return false;
    case overflow_policy::drop_oldest:
      tell(who.writer, trim{limits.outbound_bytes_max
                            - std::min<std::uint64_t>(
                              what->size(), limits.outbound_bytes_max)});
      tell(who.writer, deliver{what});
      return true;
  }
  return false;
}

} // namespace

bool roster::deliver(const broadcast& what, progress& at, std::size_t most,
                     const terms& how) {
  const auto& [policy, limits, counts] = how;
  const bool crowded =
    wire::live_bytes() > static_cast<std::int64_t>(limits.process_bytes_max);
  std::size_t deliveries = 0;
  std::uint64_t bytes_out = 0;
  auto highest = sums_.queue_max;
  if (at.group == 0 && at.seat == 0)
    ++turns_;
  for (; at.group < groups_.size(); ++at.group, at.seat = 0) {
    auto& g = groups_[at.group];
    auto portion = std::find_if(what.portions.begin(), what.portions.end(),
                                [&g](auto& x) { return x.to == g.to; });
    if (portion == what.portions.end())
      continue;
    g.head = what.last;
    auto p = static_cast<std::size_t>(portion - what.portions.begin());
    auto end = std::min(g.seats.size(), at.seat + most);
    most -= end - at.seat;
    for (; at.seat < end; ++at.seat) {
      auto& s = g.seats[at.seat];
      const auto* mine = &portion->bytes;
      auto events = what.events - portion->untold;
      if (!s.echo && !what.cuts.empty())
        if (auto i = what.cuts.find(s.who->id); i != what.cuts.end()) {
          mine = &i->second;
          if (auto n = what.cut_events.find(i->first);
              n != what.cut_events.end())
            events -= n->second;
        }
      if (!*mine)
        continue;
      if (s.who->doomed.load(std::memory_order_relaxed)) [[unlikely]] {
        end_at_head(s);
        continue;
      }
      if (crowded && s.who->flow->queued() > limits.lagging_bytes) {
        sentence(*s.who, errc::overloaded);
        end_at_head(s);
        continue;
      }
      if (s.held && !let_go(s, limits, counts)) {
        hold(s, what, p, limits, counts);
        continue;
      }
      auto size = (*mine)->size();
      auto queued = s.who->flow->add(size);
      highest = std::max(highest, queued);
      if (queued > limits.outbound_bytes_max) [[unlikely]] {
        if (policy == overflow_policy::conflate) {
          s.who->flow->sub(size);
          hold(s, what, p, limits, counts);
        } else if (overflow(*s.who, *mine, policy, limits, counts)) {
          deliveries += events;
          bytes_out += size;
        } else if (policy == overflow_policy::disconnect) {
          end_at_head(s);
        } else {
          lose(s, events);
        }
      } else {
        deliveries += events;
        bytes_out += size;
        tell(s.who->writer, greenroom::deliver{*mine});
      }
    }
    if (at.seat < g.seats.size())
      break;
  }
  counts.deliveries.add(static_cast<std::int64_t>(deliveries));
  sums_.deliveries += deliveries;
  sums_.bytes_out += bytes_out;
  sums_.queue_max = highest;
  if (at.group < groups_.size())
    return false;
  head_ = std::max(head_, what.last);
  return true;
}

// Of the turn under way.
void roster::lose(seat& whose, std::uint64_t events) {
  if (!whose.lost)
    whose.lost = std::make_unique<losses>();
  auto& x = *whose.lost;
  if (x.gaps == 0 || x.turn + 1 < turns_) {
    ++x.gaps;
    x.head = head_;
  }
  x.turn = turns_;
  x.drops += events;
  sums_.dropped += events;
}

// Of this turn and all later ones it gets nothing.
void roster::end_at_head(seat& whose) {
  if (!whose.lost)
    whose.lost = std::make_unique<losses>();
  auto& x = *whose.lost;
  if (x.over)
    return;
  x.over = true;
  if (x.gaps == 0 || x.turn + 1 < turns_)
    x.head = head_;
}

// -- conflation -------------------------------------------------------------------

// Of this turn only the latest of each publisher are kept, and they push out what
// was kept of earlier ones; then the oldest go, as far as a limit wants it.
void roster::hold(seat& to, const broadcast& what, std::size_t portion,
                  const member_options& limits, metrics& counts) {
  if (!to.held) {
    to.held = std::make_unique<backlog>();
    ++holding_;
  }
  auto& held = *to.held;
  auto fresh = [&](const broadcast::single& x) {
    return x.portions[portion].bytes && (to.echo || x.from != to.who->id);
  };
  auto dropped = std::erase_if(held.events, [&](auto& older) {
    auto i = what.latest_of.find(older.first);
    if (i == what.latest_of.end() || !fresh(what.latest[i->second]))
      return false;
    held.bytes -= older.second->size();
    return true;
  });
  for (auto& x : what.latest) {
    if (!fresh(x))
      continue;
    auto& its = x.portions[portion];
    held.bytes += its.bytes->size();
    held.events.emplace_back(x.from, its.bytes);
    dropped += its.events - 1;
  }
  while (held.events.size() > limits.held_events_max
         || held.bytes > limits.outbound_bytes_max) {
    held.bytes -= held.events.front().second->size();
    held.events.pop_front();
    ++dropped;
  }
  to.who->gaps.fetch_add(dropped, std::memory_order_relaxed);
  counts.dropped.add(static_cast<std::int64_t>(dropped));
  if (dropped != 0)
    lose(to, dropped);
  at(counts.dropped_by, overflow_policy::conflate)
    .add(static_cast<std::int64_t>(dropped));
}

bool roster::let_go(seat& to, const member_options& limits, metrics& counts) {
  if (to.who->flow->queued() > limits.outbound_bytes_max / 2)
    return false;
  for (auto& [from, what] : to.held->events) {
    to.who->flow->add(what->size());
    sums_.bytes_out += what->size();
    tell(to.who->writer, greenroom::deliver{std::move(what)});
  }
  counts.deliveries.add(static_cast<std::int64_t>(to.held->events.size()));
  sums_.deliveries += to.held->events.size();
  to.held.reset();
  --holding_;
  return true;
}

void roster::release(const member_options& limits, metrics& counts) {
  for (auto& g : groups_)
    for (auto& s : g.seats)
      if (s.held)
        let_go(s, limits, counts);
}

void note_last_offset(const roster& members, client_id who,
                      const std::string& room, unit& home) {
  auto* seat = members.find(who);
  if (seat == nullptr)
    return;
  lifecycle_event e;
  e.what = happening::seat_over;
  e.client = who;
  e.room = room;
  e.number = members.head_of(*seat);
  home.report(std::move(e));
}

// -- answers ------------------------------------------------------------------------

void deliver_to(member& who, wire_ptr what, const member_options& limits) {
  if (!what || who.doomed.load(std::memory_order_relaxed))
    return;
  auto queued = who.flow->add(what->size());
  auto why = errc::none;
  if (queued > 2 * limits.outbound_bytes_max)
    why = errc::slow_consumer;
  else if (queued > limits.lagging_bytes
           && wire::live_bytes()
                > static_cast<std::int64_t>(limits.process_bytes_max))
    why = errc::overloaded;
  if (why != errc::none) {
    who.flow->sub(what->size());
    sentence(who, why);
    return;
  }
  tell(who.writer, deliver{std::move(what), retention::kept});
}

void acknowledge(const acknowledgement& x) {
  tell(x.who->reader, posted{x.number, errc::none, x.offset});
}

void apologize(const acknowledgement& x) {
  tell(x.who->reader, posted{x.number, errc::fault, 0});
}

} // namespace greenroom
