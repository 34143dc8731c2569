#include "actors/supervisor.hpp"

#include <algorithm>

#include "actors/inspector.hpp"
#include "actors/probe.hpp"
#include "actors/runtime/reason.hpp"

namespace greenroom {

namespace {

constexpr std::chrono::milliseconds idle_beat{1000};
constexpr std::chrono::milliseconds drain_beat{20};

} // namespace

supervisor::supervisor(caf::actor_config& cfg, unit& home, engine& env,
                       std::vector<named_room> rooms, room_options on_demand)
  : actor(cfg, home, actor_kind::supervisor), env_(env),
    named_(std::move(rooms)), on_demand_(on_demand),
    closed_(std::make_shared<closed_memory>(env.inspection.closed_max)),
    load_(env.units.size(), 0), pulse_(*this), audit_pulse_(*this),
    linger_(*this) {}

void supervisor::started() {
  for (auto* u : env_.units) {
    probes_.push_back(spawn_on<probe>(*u, env_));
    monitor(probes_.back());
  }
  start_inspector();
  for (auto& x : named_) {
    auto& entry = who_.add_room(x.name);
    entry.options = x.options;
    entry.named = true;
    entry.home = least_loaded();
    load_[entry.home] += room_weight;
    open(entry);
  }
  named_.clear();
  home().timers().arm_in(pulse_, idle_beat);
  if (env_.audit.every.count() > 0)
    home().timers().arm_in(audit_pulse_, env_.audit.every / 2);
}

// -- behaviour ------------------------------------------------------------------------

bool supervisor::receive(caf::mailbox_element& in) {
  return dispatch(
    in, [this](client_up& x) { admit(x); }, //
    [this](join_room& x) { seat(x); }, [this](leave_room& x) { unseat(x); },
    [this](place& x) { answer_place(x); },
    [this](outlet_up& x) { add_outlet(x); },
    [this](socket_gone& x) {
      if (auto* c = who_.client(x.who)) {
        c->socket_gone = true;
        c->peer_code = x.peer_code;
        tell(reaper_of_client(x.who), descriptor_closed{});
        if (c->over())
          bury(*c);
        else if (!c->reader_down)
          tell(c->who->reader, evict{errc::peer_gone});
      }
    },
    [this](end_client& x) {
      if (auto* c = who_.client(x.who))
        tell(c->who->reader, evict{x.why});
    },
    [this](ask_books& x) {
      auto* r = x.room.empty() ? nullptr : who_.room(x.room);
      auto* c = x.client == 0 ? nullptr : who_.client(x.client);
      x.told(count(), r != nullptr ? r->where : caf::actor{},
             c != nullptr ? c->who : member_ptr{});
    },
    [this](ask_idle_rooms& x) {
      tell(x.whom, idle_rooms{x.number, rooms_without_actor()});
    },
    [this](looked& x) { tell(inspector_, std::move(x)); },
    [this](end_asked& x) { order(x.what); },
    [this](follow_asked& x) { follow(x); },
    [this](confirm_seat& x) { ask_room(x); }, //
    [this](books_due&) { compare_books(); },  //
    [this](seats_missing& x) { hear_missing(x); },
    [this](roster_claims& x) { hear_claims(x); }, [this](tick&) { beat(); },
    [this](linger_over&) { close_lingering(); }, [this](stop_all&) { drain(); },
    [this](cut_off&) { cut_drain(); });
}

void supervisor::link_down(const caf::exit_msg&) {
  // Survives every exit: that is its job.
}

void supervisor::stopped(errc) {
  pulse_.disarm();
  audit_pulse_.disarm();
  linger_.disarm();
  who_ = {};
  troupes_.clear();
  room_of_outlet_.clear();
  reapers_.clear(); // they see this end
  tracers_.clear();
  for (auto& p : probes_)
    tell(p, retire{errc::none});
  probes_.clear();
  tell(inspector_, retire{errc::none});
  inspector_ = nullptr;
}

// -- births ----------------------------------------------------------------------------

void supervisor::admit(client_up& x) {
  auto& entry = who_.add_client(std::move(x.who));
  auto& who = *entry.who;
  ++load_[who.unit % load_.size()];
  lifecycle_event e;
  e.what = happening::client_up;
  e.client = who.id;
  e.text = who.dialect->name();
  e.room = who.address;
  home().report(std::move(e));
  monitor(who.reader);
  monitor(who.writer);
  if (draining_)
    tell(who.reader, evict{errc::draining});
  entry.socket_gone = cut_off_;
}

// -- directions ------------------------------------------------------------------------

void supervisor::refuse(const join_room& x, const client_entry& who, errc why) {
  lifecycle_event e;
  e.what = happening::refused;
  e.client = x.who;
  e.room = x.room;
  e.why = why;
  home().report(std::move(e));
  tell(who.who->reader, refused{verb::join, x.by, why, x.room});
}

room_entry* supervisor::find_or_announce(const std::string& name, errc& why) {
  if (auto* known = who_.room(name)) {
    why = errc::room_quarantined;
    return known->quarantined ? nullptr : known;
  }
  why = errc::room_unknown;
  if (!env_.supervisor_limits.rooms_on_demand)
    return nullptr;
  why = errc::too_many_rooms;
  if (who_.rooms().size() >= env_.supervisor_limits.rooms_max) {
    auto* empty = who_.longest_empty();
    if (empty == nullptr)
      return nullptr;
    close(*empty, errc::none);
  }
  auto& fresh = who_.add_room(name);
  fresh.options = on_demand_;
  fresh.home = least_loaded();
  fresh.placed_at = home().now();
  load_[fresh.home] += room_weight;
  return &fresh;
}

void supervisor::seat(join_room& x) {
  auto* c = who_.client(x.who);
  if (c == nullptr || c->ending())
    return;
  if (draining_)
    return refuse(x, *c, errc::draining);
  // No token can be shown yet, so protected names stay closed to everybody.
  if (protected_name(x.room))
    return refuse(x, *c, errc::room_forbidden);
  if (c->seats.size() >= env_.supervisor_limits.rooms_per_connection_max)
    return refuse(x, *c, errc::too_many_rooms_joined);
  auto why = errc::none;
  auto* r = find_or_announce(x.room, why);
  if (r == nullptr)
    return refuse(x, *c, why);
  if (r->ending == room_end::close) {
    r->parked.push_back(std::move(x));
    return;
  }
  if (std::any_of(c->seats.begin(), c->seats.end(),
                  [r](auto& s) { return s.room == r; }))
    return refuse(x, *c, errc::already_joined);
  if (c->who->raw && r->options.raw == raw_access::off)
    return refuse(x, *c, errc::room_forbidden);
  if (r->members >= r->options.members_max)
    return refuse(x, *c, errc::room_full);
  if (!r->where)
    open(*r);
  ++r->members;
  who_.end_linger(*r);
  auto options = x.options;
  // What a room says of echo is for raw members that do not say themselves; dialects
  // have rules of their own.
  if (c->who->raw && !options.echo_asked)
    options.echo = options.echo && r->options.echo;
  c->seats.push_back({r, options, x.by});
  tell(r->where, join{c->who, options, x.by});
  lifecycle_event e;
  e.what = happening::joined;
  e.client = x.who;
  e.room = x.room;
  e.number = r->members;
  home().report(std::move(e));
}

void supervisor::unseat(const leave_room& x) {
  auto* c = who_.client(x.who);
  if (c == nullptr || c->ending())
    return;
  auto i = std::find_if(c->seats.begin(), c->seats.end(),
                        [&x](auto& s) { return s.room->name == x.room; });
  if (i == c->seats.end()) {
    tell(c->who->reader, refused{verb::leave, x.by, errc::not_joined, x.room});
    return;
  }
  auto* r = i->room;
  c->seats.erase(i);
  tell(r->where, leave{x.who, x.by});
  lifecycle_event e;
  e.what = happening::left;
  e.client = x.who;
  e.room = x.room;
  e.number = r->members - 1;
  home().report(std::move(e));
  member_left(*r);
}

void supervisor::answer_place(place& x) {
  auto why = errc::none;
  auto* r = x.room.empty() || protected_name(x.room)
              ? nullptr
              : find_or_announce(x.room, why);
  if (r != nullptr && r->lingers) // until the join comes
    who_.begin_linger(*r, home().now());
  if (r == nullptr || r->members >= env_.supervisor_limits.spread_members)
    x.told(least_loaded());
  else
    x.told(r->home);
}

unit_id supervisor::least_loaded() const noexcept {
  auto i = std::min_element(load_.begin(), load_.end());
  return static_cast<unit_id>(i - load_.begin());
}

// -- deaths ----------------------------------------------------------------------------

void supervisor::monitor_down(const caf::down_msg& x) {
  auto id = x.source.id();
  auto why = reason(x.reason);
  if (auto client = who_.owner_of(id); client != 0) {
    who_.forget_actor(id);
    if (auto* c = who_.client(client))
      client_ended(*c,
                   c->who->reader->id() == id ? actor_kind::reader
                                              : actor_kind::writer,
                   why);
    return;
  }
  if (troupe_member_down(id, why)) {
    if (draining_)
      finish_drain();
    return;
  }
  if (reaper_down(id))
    return;
  if (std::erase_if(tracers_, [id](auto& t) { return t->id() == id; }) > 0)
    return;
  if (!draining_)
    inspection_crashed(id);
}

// An inspector is replaced, and so is a probe, with the inspector that knows it.
void supervisor::inspection_crashed(std::uint64_t id) {
  auto is_it = [id](const caf::actor& x) { return x && x->id() == id; };
  auto p = std::find_if(probes_.begin(), probes_.end(), is_it);
  if (p == probes_.end() && !is_it(inspector_))
    return;
  note_crash(inspector_crashes_);
  env_.counts->inspection_restarts.add();
  tell(inspector_, retire{errc::none});
  inspector_ = nullptr;
  if (inspector_crashes_.size() >= env_.supervisor_limits.restarts_max)
    return; // the broker works blind, but it works
  if (p != probes_.end()) {
    auto& where = *env_.units[static_cast<std::size_t>(p - probes_.begin())];
    *p = spawn_on<probe>(where, env_);
    monitor(*p);
  }
  start_inspector();
}

void supervisor::start_inspector() {
  inspector_ = spawn_on<inspector>(home(), env_, probes_, closed_);
  monitor(inspector_);
}

void supervisor::client_ended(client_entry& who, actor_kind which, errc why) {
  const bool first = !who.reader_down && !who.writer_down;
  (which == actor_kind::reader ? who.reader_down : who.writer_down) = true;
  if (first) {
    who.why = why;
    leave_all(who);
  }
  if (!who.chain.empty())
    who.chain += " > ";
  who.chain += to_string(which);
  who.chain += ' ';
  who.chain += to_string(why);
  if (who.over())
    bury(who);
}

void supervisor::leave_all(client_entry& who) {
  auto seats = std::move(who.seats);
  who.seats.clear();
  auto reaper = reaper_of_client(who.who->id);
  for (auto& s : seats) {
    tell(s.room->where, leave{who.who->id, {}, reaper});
    who.left.push_back(s.room->name);
    lifecycle_event e;
    e.what = happening::left;
    e.client = who.who->id;
    e.room = s.room->name;
    e.number = s.room->members - 1;
    home().report(std::move(e));
    member_left(*s.room);
  }
  who.rooms_left = seats.size();
  tell(reaper, seats_left{who.left});
}

// What its reader has left, and what only the supervisor knows.
std::shared_ptr<closed_row> supervisor::last_words(
  const client_entry& who) const {
  auto row = std::move(who.who->last);
  if (!row)
    return row;
  using namespace std::chrono;
  row->closed_at =
    duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  row->peer_code = who.peer_code;
  if (who.why == errc::peer_closed)
    row->code = who.peer_code; // a close frame is answered by its like
  row->reason = to_string(who.why);
  row->first = to_string(who.chain.starts_with("writer") ? actor_kind::writer
                                                         : actor_kind::reader);
  row->chain = who.chain;
  row->gaps = who.who->gaps.load(std::memory_order_relaxed);
  row->rooms = who.rooms_left;
  for (auto& room : who.left)
    if (row->seats.size() < closed_row::seats_max)
      row->seats.push_back({room, 0}); // the room says how far it had come
  return row;
}

void supervisor::bury(client_entry& who) {
  auto& load = load_[who.who->unit % load_.size()];
  load -= std::min<std::size_t>(load, 1);
  lifecycle_event e;
  e.what = happening::client_down;
  e.client = who.who->id;
  e.why = who.why;
  e.kind =
    who.chain.starts_with("writer") ? actor_kind::writer : actor_kind::reader;
  e.closed = last_words(who);
  e.text = std::move(who.chain);
  e.number = who.rooms_left;
  e.number2 = who.who->gaps.load(std::memory_order_relaxed);
  home().report(std::move(e));
  tell(reaper_of_client(who.who->id), buried{});
  who_.erase_client(who.who->id);
  if (draining_)
    finish_drain();
}

// -- books -----------------------------------------------------------------------------

books supervisor::count() const {
  books result;
  result.clients = who_.clients().size();
  for (auto& [id, c] : who_.clients()) {
    result.readers += c.reader_down ? 0 : 1;
    result.writers += c.writer_down ? 0 : 1;
    result.sockets += c.socket_gone ? 0 : 1;
    result.memberships += c.seats.size();
    result.bytes_queued += c.who->flow->queued();
  }
  for (auto& [name, r] : who_.rooms()) {
    result.rooms += r.where ? 1 : 0;
    result.quarantined += r.quarantined ? 1 : 0;
  }
  return result;
}

// Announced or quarantined ones; those that run are seen by the probes.
std::vector<room_row> supervisor::rooms_without_actor() const {
  std::vector<room_row> result;
  for (auto& [name, r] : who_.rooms()) {
    if (r.where)
      continue;
    room_row row;
    row.room = name;
    row.unit = r.home;
    row.named = r.named;
    row.quarantined = r.quarantined;
    row.restarts = r.restarts;
    result.push_back(std::move(row));
    if (result.size() == inspect_query::depth_max)
      break;
  }
  return result;
}

// -- the pulse ---------------------------------------------------------------------------

void supervisor::beat() {
  home().timers().arm_in(pulse_, draining_ ? drain_beat : idle_beat);
  if (draining_) {
    for (std::size_t n = 0;
         n < env_.supervisor_limits.drain_slice && !to_tell_.empty(); ++n) {
      if (auto* c = who_.client(to_tell_.back()))
        tell(c->who->reader, evict{errc::shutdown});
      to_tell_.pop_back();
    }
    finish_drain();
    return;
  }
  // Rooms that a handshake announced and nobody joined.
  auto old = home().now() - env_.supervisor_limits.placement_timeout;
  auto& rooms = who_.rooms();
  for (auto i = rooms.begin(); i != rooms.end();) {
    auto& r = i->second;
    if (!r.where && !r.quarantined && !r.named && r.placed_at < old) {
      load_[r.home] -= std::min(load_[r.home], room_weight);
      i = rooms.erase(i);
    } else {
      ++i;
    }
  }
}

// -- drain ------------------------------------------------------------------------------

void supervisor::drain() {
  if (draining_)
    return;
  draining_ = true;
  env_.draining.store(true, std::memory_order_release);
  lifecycle_event e;
  e.what = happening::draining;
  e.number = who_.clients().size();
  home().report(std::move(e));
  for (auto& [name, r] : who_.rooms())
    tell(r.where, flush{});
  for (auto& [id, c] : who_.clients())
    to_tell_.push_back(id);
  home().timers().arm_in(pulse_, drain_beat);
  finish_drain();
}

// Whoever was told already may still owe its answer; its actors have ended, and its
// socket is closed by who owns the loops.
void supervisor::cut_drain() {
  if (!draining_ || cut_off_)
    return;
  cut_off_ = true;
  to_tell_.clear();
  std::vector<client_id> over;
  for (auto& [id, c] : who_.clients()) {
    c.socket_gone = true;
    if (c.over())
      over.push_back(id);
    else
      tell(c.who->reader, evict{errc::shutdown});
  }
  for (auto id : over)
    bury(*who_.client(id));
}

void supervisor::finish_drain() {
  if (!who_.clients().empty())
    return;
  if (!rooms_told_) {
    rooms_told_ = true;
    for (auto& [name, r] : who_.rooms())
      tell(std::exchange(r.where, nullptr), retire{errc::none});
  }
  if (troupes_.empty())
    quit(errc::none);
}

} // namespace greenroom
