// The supervisor's half of the audit: its books against what the rooms know, both
// ways. Questions travel behind the joins and leaves they are about, and a join is
// known by its number, so what is under way is never taken for a fault.

#include <algorithm>
#include <unordered_map>

#include "actors/audit.hpp"
#include "actors/supervisor.hpp"

namespace greenroom {

void supervisor::compare_books() {
  if (draining_)
    return;
  if (to_audit_.empty()) {
    to_audit_.reserve(who_.clients().size());
    for (auto& [id, c] : who_.clients())
      to_audit_.push_back(id);
  }
  std::unordered_map<room_entry*, check_seats> questions;
  for (auto left = env_.audit.chunk; left > 0 && !to_audit_.empty(); --left) {
    if (auto* c = who_.client(to_audit_.back())) {
      look_for_dead(*c);
      if (!c->ending())
        for (auto& s : c->seats)
          questions[s.room].seats.push_back(
            {c->who->id, c->who->unit, s.by.number});
    }
    to_audit_.pop_back();
  }
  for (auto& [r, q] : questions)
    if (r->where && r->ending == room_end::none) {
      q.room = r->where->id();
      tell(r->where, std::move(q));
    }
  if (to_audit_.empty())
    home().timers().arm_in(audit_pulse_, env_.audit.every / 2);
  else
    tell(self(), books_due{});
}

// An end that nobody heard of.
void supervisor::look_for_dead(client_entry& who) {
  auto look = [&](const caf::actor& x, bool known, bool& seen,
                  actor_kind kind) {
    if (known || !has_ended(x)) {
      seen = false;
    } else if (std::exchange(seen, true)) {
      seen = false;
      report_fault(env_, home(), audit_fault::dead, who.who->id, {}, 1, 0,
                   "buried");
      who_.forget_actor(x->id());
      client_ended(who, kind, errc::fault);
    }
  };
  auto held = who.who; // the entry may go
  auto reader_known = who.reader_down;
  auto writer_known = who.writer_down;
  look(held->writer, writer_known, who.writer_suspect, actor_kind::writer);
  if (who_.client(held->id) != nullptr)
    look(held->reader, reader_known, who.reader_suspect, actor_kind::reader);
}

void supervisor::hear_missing(const seats_missing& x) {
  for (auto& note : x.seats) {
    auto* c = who_.client(note.who);
    if (c == nullptr || c->ending())
      continue;
    auto i = std::find_if(c->seats.begin(), c->seats.end(), [&](auto& s) {
      return s.room->name == x.room && s.by.number == note.number;
    });
    if (i == c->seats.end() || !i->room->where
        || i->room->where->id() != x.actor)
      continue;
    // It has missed messages: it is told so, and comes back.
    if (!c->who->doomed.exchange(true, std::memory_order_relaxed)) {
      report_fault(env_, home(), audit_fault::forgotten, note.who, x.room, 1, 0,
                   "disconnected");
      tell(c->who->reader, evict{errc::out_of_step});
    }
  }
}

void supervisor::hear_claims(const roster_claims& x) {
  auto* r = who_.room(x.room);
  if (r == nullptr || !r->where || r->where->id() != x.actor
      || r->ending != room_end::none)
    return;
  check_strangers strangers{x.unit, {}};
  for (auto id : x.who) {
    auto* c = who_.client(id);
    auto seated = c != nullptr
                  && std::any_of(c->seats.begin(), c->seats.end(),
                                 [r](auto& s) { return s.room == r; });
    if (!seated)
      strangers.who.push_back(id);
  }
  if (!strangers.who.empty())
    tell(r->where, std::move(strangers));
}

} // namespace greenroom
