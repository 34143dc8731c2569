// The supervisor's rooms: how they open, what is left of them while nobody is in, and
// what follows a crash.

#include "actors/supervisor.hpp"

#include <algorithm>

#include "actors/room.hpp"

namespace greenroom {

void supervisor::open(room_entry& x) {
  start_room(x);
  lifecycle_event e;
  e.what = happening::room_opened;
  e.room = x.name;
  home().report(std::move(e));
}

void supervisor::start_room(room_entry& x) {
  x.where = spawn_on<room>(env_.at(x.home), env_, x.name, x.options,
                           room_past{x.named, x.restarts});
  troupes_[x.where->id()].room = x.name;
  monitor(x.where);
}

void supervisor::add_outlet(const outlet_up& x) {
  auto i = troupes_.find(x.of);
  if (i == troupes_.end())
    return;
  ++i->second.outlets;
  ++i->second.outlets_all;
  room_of_outlet_.emplace(x.outlet->id(), x.of);
  monitor(x.outlet);
}

// @returns false if it is neither a room nor an outlet
bool supervisor::troupe_member_down(std::uint64_t who, errc why) {
  auto i = troupes_.find(who);
  if (i != troupes_.end()) {
    i->second.room_down = true;
    i->second.why = why;
  } else if (auto o = room_of_outlet_.find(who); o != room_of_outlet_.end()) {
    i = troupes_.find(o->second);
    --i->second.outlets;
    room_of_outlet_.erase(o);
  } else {
    return false;
  }
  if (!i->second.room_down || i->second.outlets > 0)
    return true;
  auto id = i->first;
  auto gone = std::move(i->second);
  troupes_.erase(i);
  auto* r = who_.room(gone.room);
  if (r != nullptr && r->where && r->where->id() == id) {
    if (r->ending == room_end::close)
      room_closed_on_demand(*r, 1 + gone.outlets_all);
    else if (r->ending == room_end::restart)
      room_restarted_on_demand(*r, 1 + gone.outlets_all);
    else
      room_crashed(*r);
  } else { // it was about to end anyway
    if (gone.why != errc::none)
      tell_of_move(gone.room, r != nullptr ? r->where : caf::actor{});
    tell(reaper_of_room(id), room_over{1 + gone.outlets_all, 0, nullptr});
  }
  return true;
}

void supervisor::member_left(room_entry& x) {
  --x.members;
  linger_if_empty(x);
}

void supervisor::linger_if_empty(room_entry& x) {
  if (x.members != 0 || x.named || x.quarantined || x.ending == room_end::close)
    return;
  auto span = env_.supervisor_limits.linger;
  if (span.count() == 0 || draining_)
    return close(x, errc::none);
  who_.begin_linger(x, home().now());
  if (!linger_.armed())
    home().timers().arm_in(linger_, span);
}

void supervisor::close_lingering() {
  auto over = home().now() - env_.supervisor_limits.linger;
  while (auto* x = who_.longest_empty()) {
    if (x->empty_since > over) {
      home().timers().arm_in(
        linger_,
        std::chrono::ceil<std::chrono::milliseconds>(x->empty_since - over));
      return;
    }
    close(*x, errc::none);
  }
}

// Forgets the room at once; its actor ends behind what it has still to do.
void supervisor::close(room_entry& x, errc why) {
  tell(x.where, retire{why});
  if (!x.named)
    load_[x.home] -= std::min(load_[x.home], room_weight);
  lifecycle_event e;
  e.what = happening::room_closed;
  e.room = x.name;
  home().report(std::move(e));
  who_.erase_room(std::string{x.name});
}

// Only those of the last window count.
void supervisor::note_crash(std::deque<steady_time>& times) const {
  auto now = home().now();
  auto before = now - env_.supervisor_limits.restart_window;
  while (!times.empty() && times.front() <= before)
    times.pop_front();
  times.push_back(now);
}

void supervisor::room_crashed(room_entry& x) {
  auto& limits = env_.supervisor_limits;
  note_crash(x.crashes);
  note_crash(crashes_);
  if (crashes_.size() >= limits.crashes_max) {
    // The fault is not in one room: end, and be restarted from outside.
    quit(errc::fault);
    return;
  }
  lifecycle_event e;
  e.room = x.name;
  e.number = x.members;
  e.why = errc::fault;
  if (x.crashes.size() >= limits.restarts_max) {
    e.what = happening::room_quarantined;
    home().report(std::move(e));
    env_.counts->rooms_quarantined.add();
    env_.counts->quarantined_now.add();
    x.quarantined = true;
    who_.end_linger(x);
    x.where = nullptr;
    x.members = 0;
    for (auto& [id, c] : who_.clients()) {
      auto n = std::erase_if(c.seats, [&x](auto& s) { return s.room == &x; });
      tell(c.who->reader, room_lost{x.name, errc::room_closed, n > 0});
    }
    return;
  }
  e.what = happening::room_restarted;
  home().report(std::move(e));
  env_.counts->rooms_restarted.add();
  replace(x);
}

// Starts the successor of a room that has ended, with its members.
// @returns how many there are
std::size_t supervisor::replace(room_entry& x) {
  ++x.restarts;
  start_room(x);
  adopt members;
  for (auto& [id, c] : who_.clients())
    for (auto& s : c.seats)
      if (s.room == &x)
        members.members.push_back({c.who, s.options, s.by});
  auto count = members.members.size();
  tell(x.where, std::move(members));
  tell_of_move(x.name, x.where);
  return count;
}

// Also to those that are not members any more: a leave may have died with the old
// room.
void supervisor::tell_of_move(const std::string& name,
                              const caf::actor& where) {
  for (auto& [id, c] : who_.clients()) {
    auto seated = std::any_of(c.seats.begin(), c.seats.end(),
                              [&](auto& s) { return s.room->name == name; });
    tell(c.who->reader, room_moved{name, where, seated});
  }
}

} // namespace greenroom
