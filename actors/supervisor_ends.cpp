// What the supervisor does about orders to end something: finds it, starts a reaper
// that sees it through, and tells that what only the supervisor knows.

#include <algorithm>

#include "actors/reaper.hpp"
#include "actors/supervisor.hpp"
#include "actors/tracer.hpp"

namespace greenroom {

namespace {

receipt refusal_of(const end_order& x, errc why) {
  receipt no;
  no.why = why;
  no.target = to_string(x.what);
  no.actor = x.actor;
  no.client = x.client;
  no.room = x.room;
  return no;
}

} // namespace

void supervisor::order(order_ptr& x) {
  if (draining_)
    return turn_down(x, errc::draining);
  switch (x->what.what) {
    case end_target::actor:
      return end_actor(x);
    case end_target::connection:
      return end_connection(x, who_.client(x->what.client), "connection");
    case end_target::room:
      return end_room(x, who_.room(x->what.room), "room");
    case end_target::restart:
      return end_room(x, who_.room(x->what.room), "restart");
  }
  turn_down(x, errc::bad_request);
}

// A room that is ended by its actor ends as by its name. An outlet has no life of
// its own: its room restarts.
void supervisor::end_actor(order_ptr& x) {
  auto id = x->what.actor;
  auto is_it = [id](const caf::actor& y) { return y && y->id() == id; };
  if (auto client = who_.owner_of(id); client != 0) {
    auto* c = who_.client(client);
    return end_connection(
      x, c, c != nullptr && is_it(c->who->writer) ? "writer" : "reader");
  }
  auto cast = troupes_.find(id);
  auto target = std::string_view{"room"};
  if (auto o = room_of_outlet_.find(id); o != room_of_outlet_.end()) {
    cast = troupes_.find(o->second);
    target = "outlet";
  }
  if (cast != troupes_.end()) {
    auto* r = who_.room(cast->second.room);
    // What was replaced already is about to end.
    auto current = r != nullptr && r->where && r->where->id() == cast->first;
    return end_room(x, current ? r : nullptr, target);
  }
  auto ours = id == this->id() || is_it(inspector_)
              || std::any_of(probes_.begin(), probes_.end(), is_it)
              || std::any_of(tracers_.begin(), tracers_.end(), is_it)
              || std::any_of(reapers_.begin(), reapers_.end(),
                             [&](const reaping& y) { return is_it(y.reaper); });
  turn_down(x, ours ? errc::not_available : errc::not_found);
}

void supervisor::end_connection(order_ptr& x, client_entry* who,
                                std::string_view target) {
  if (who == nullptr)
    return turn_down(x, errc::not_found);
  auto client = who->who->id;
  if (auto already = reaper_of_client(client))
    return tell(already, end_asked{std::move(x)});
  reap_target what;
  what.what = target;
  what.actor = x->what.actor;
  what.who = who->who;
  what.socket_gone = who->socket_gone;
  if (!start_reaper(x, std::move(what)))
    return;
  auto& reaper = reapers_.back();
  reaper.client = client;
  if (who->reader_down || who->writer_down) {
    // It was ending already: the rooms are asked now.
    tell(reaper.reaper, seats_left{who->left});
    for (auto& room : who->left)
      ask_room({client, who->who->unit, room, reaper.reaper});
  }
}

void supervisor::end_room(order_ptr& x, room_entry* which,
                          std::string_view target) {
  if (which == nullptr)
    return turn_down(x, errc::not_found);
  auto& r = *which;
  auto how = target == "room" ? room_end::close : room_end::restart;
  if (r.quarantined && how == room_end::restart) {
    // Its next join opens it; nothing is left of it to wait for.
    r.quarantined = false;
    env_.counts->quarantined_now.sub();
    r.crashes.clear();
    r.placed_at = home().now();
    receipt yes;
    yes.target = target;
    yes.room = r.name;
    yes.clean = true;
    env_.counts->receipts.add();
    report_action(home(), x->what, yes);
    return x->answer(std::move(yes));
  }
  if (!r.where)
    return turn_down(x, errc::not_found);
  auto where = r.where->id();
  if (r.ending != room_end::none) {
    auto already = reaper_of_room(where);
    if (r.ending != how || !already)
      return turn_down(x, errc::overloaded);
    return tell(already, end_asked{std::move(x)});
  }
  reap_target what;
  what.what = target;
  what.actor = target == "outlet" ? x->what.actor : where;
  what.room = r.name;
  what.where = r.where;
  what.estate = std::make_shared<remains>();
  auto estate = what.estate;
  if (!start_reaper(x, std::move(what)))
    return;
  reapers_.back().room = where;
  r.ending = how;
  who_.end_linger(r); // it ends or begins anew, by the order
  tell(r.where, retire{errc::kicked, std::move(estate)});
}

bool supervisor::start_reaper(order_ptr& x, reap_target what) {
  if (reapers_.size() >= env_.supervisor_limits.ends_max) {
    turn_down(x, errc::overloaded);
    return false;
  }
  reapers_.push_back(
    {spawn_on<reaper>(home(), env_, std::move(x), std::move(what))});
  monitor(reapers_.back().reaper);
  return true;
}

// Somebody wants to see live what a room or a connection does.
void supervisor::follow(follow_asked& x) {
  auto to = x.to.lock();
  if (!to)
    return;
  caf::actor target;
  auto why = errc::none;
  if (draining_) {
    why = errc::draining;
  } else if (x.what.client != 0) {
    auto* c = who_.client(x.what.client);
    if (c == nullptr || c->ending())
      why = errc::not_found;
    else
      target = c->who->reader;
    x.what.room.clear();
  } else if (auto* r = who_.room(x.what.room); r != nullptr) {
    target = r->where;
  } else {
    why = x.what.room.empty() ? errc::bad_request : errc::not_found;
  }
  if (why == errc::none && tracers_.size() >= env_.inspection.traces_max)
    why = errc::overloaded;
  if (why != errc::none)
    return to->ended(why);
  tracers_.push_back(spawn_on<tracer>(home(), env_, std::move(x.what),
                                      std::move(x.to), std::move(target)));
  monitor(tracers_.back());
}

void supervisor::turn_down(order_ptr& x, errc why) {
  auto no = refusal_of(x->what, why);
  report_action(home(), x->what, no);
  x->answer(std::move(no));
}

caf::actor supervisor::reaper_of_client(client_id who) const {
  for (auto& x : reapers_)
    if (x.client == who)
      return x.reaper;
  return {};
}

caf::actor supervisor::reaper_of_room(std::uint64_t which) const {
  for (auto& x : reapers_)
    if (x.room == which)
      return x.reaper;
  return {};
}

bool supervisor::reaper_down(std::uint64_t id) {
  return std::erase_if(reapers_, [id](auto& x) { return x.reaper->id() == id; })
         > 0;
}

// Behind the leave, since that went the same way. Where nobody has the room's name
// any more, nobody is a member.
void supervisor::ask_room(const confirm_seat& x) {
  auto* r = who_.room(x.room);
  if (r != nullptr && r->where) {
    tell(r->where, ask_seat{x.who, x.unit, x.whom});
    return;
  }
  auto ends = std::any_of(troupes_.begin(), troupes_.end(),
                          [&](auto& t) { return t.second.room == x.room; });
  if (ends)
    tell(x.whom, seat_unanswered{x.room});
  else
    tell(x.whom, seat_answer{x.room, false});
}

void supervisor::room_closed_on_demand(room_entry& x, std::size_t actors) {
  x.ending = room_end::none;
  auto reaper = reaper_of_room(x.where->id());
  auto parked = std::exchange(x.parked, {});
  std::size_t members = 0;
  for (auto& [id, c] : who_.clients()) {
    auto n = std::erase_if(c.seats, [&x](auto& s) { return s.room == &x; });
    members += n;
    tell(c.who->reader, room_lost{x.name, errc::room_closed, n > 0});
  }
  x.members = 0;
  x.where = nullptr;
  lifecycle_event e;
  e.what = happening::room_closed;
  e.room = x.name;
  e.number = members;
  e.why = errc::kicked;
  home().report(std::move(e));
  tell(reaper, room_over{actors, members, nullptr});
  if (!x.named) {
    load_[x.home] -= std::min(load_[x.home], room_weight);
    who_.erase_room(std::string{x.name});
  }
  for (auto& j : parked)
    seat(j);
}

void supervisor::room_restarted_on_demand(room_entry& x, std::size_t actors) {
  x.ending = room_end::none;
  auto reaper = reaper_of_room(x.where->id());
  auto members = replace(x);
  lifecycle_event e;
  e.what = happening::room_restarted;
  e.room = x.name;
  e.number = members;
  e.why = errc::kicked;
  home().report(std::move(e));
  tell(reaper, room_over{actors, members, x.where});
  tell(x.where, count_members{reaper});
  linger_if_empty(x);
}

// Orders to a supervisor that is no more.
void supervisor::lost(caf::mailbox_element& in) {
  dispatch(in, [](end_asked& x) {
    x.what->answer(refusal_of(x.what->what, errc::draining));
  });
}

} // namespace greenroom
