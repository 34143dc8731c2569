#include "actors/room.hpp"

#include <algorithm>

#include "actors/epoch.hpp"
#include "actors/outlet.hpp"

namespace greenroom {

room::room(caf::actor_config& cfg, unit& home, const engine& env,
           std::string name, room_options options, room_past past)
  : actor(cfg, home, actor_kind::room), env_(env), name_(std::move(name)),
    options_(options), past_(past), epoch_(make_epoch()),
    here_(env, home, address(), options.overflow),
    auditor_(env, home, address()), delay_(*this) {}

// -- behaviour ------------------------------------------------------------------------

bool room::receive(caf::mailbox_element& in) {
  return dispatch(
    in, [this](post& x) { take(x); },
    [this](flush&) {
      flush_asked_ = false;
      end_turn();
    },
    // The membership of a turn is constant: first everybody gets what was posted.
    [this](join& x) {
      if (end_turn()) {
        note({.what = box_event::join, .from = x.who->id, .offset = offset_});
        add(x);
      } else {
        put_back();
      }
    },
    [this](leave& x) {
      if (end_turn()) {
        note({.what = box_event::leave, .from = x.who, .offset = offset_});
        drop(x);
      } else {
        put_back();
      }
    },
    [this](show_box& x) {
      x.told(box_ ? box_->rows(home().now_ms()) : std::vector<box_row>{});
    },
    [this](attach_tap& x) {
      open_box();
      box_->attach(std::move(x.tap));
    },
    [this](audit_due&) {
      // Nobody lacks what is still being sent.
      if (end_turn())
        for (auto id : auditor_.look(here_.members(), name_, this->id()))
          drop({id, {}});
      else
        put_back();
    },
    [this](flush_state& x) { auditor_.note(x, here_.members(), name_); },
    [this](check_seats& x) { find_missing(x); },
    [this](check_strangers& x) {
      if (end_turn())
        drop_strangers(x);
      else
        put_back();
    },
    [this](ask_seat& x) { look_for(x); },
    [this](count_members& x) { tell(x.whom, roster_size{members()}); },
    [this](adopt& x) {
      for (auto& m : x.members)
        add(m);
    },
    [this](tick&) { here_.release(); },
    [this](retire& x) {
      if (!end_turn()) {
        put_back();
        return;
      }
      note({.what = box_event::retire, .why = x.why});
      estate_ = std::move(x.estate);
      quit(x.why);
    });
}

void room::open_box() {
  if (box_)
    return;
  box_ = std::make_unique<recorder>(recorder::of_room);
  box_->belongs_to(0, name_);
}

void room::note(const box_note& x) {
  if (!box_)
    return;
  timed = true;
  box_->note(home().now_ms(), waited(), x);
}

void room::took(std::chrono::nanoseconds run) {
  if (box_)
    box_->took(run);
}

void room::proceed() {
  send_on();
}

void room::stopped(errc why) {
  auto timers = here_.stop() + (delay_.armed() ? 1 : 0);
  if (estate_)
    estate_->timers = timers;
  delay_.disarm();
  auditor_.disarm();
  if (box_) {
    note({.what = box_event::ended, .why = why});
    if (why == errc::fault) {
      lifecycle_event e;
      e.what = happening::black_box;
      e.room = name_;
      e.why = why;
      e.text = box_->text(home().now_ms());
      home().report_box(std::move(e));
    }
    box_.reset();
  }
  // A crash reaches the outlets through their links.
  for (auto& [where, entry] : outlets_)
    tell(entry.first, retire{why});
  outlets_.clear();
  elsewhere_.clear();
  env_.counts->posts_lost.add(static_cast<std::int64_t>(turn_.size()));
  // A publication without its place in the stream is answered as well: its sender
  // may try again.
  for (auto& x : due_)
    apologize(x);
  due_.clear();
  turn_.clear();
  credits_.clear();
}

std::uint64_t room::parent() const {
  return env_.supervisor ? env_.supervisor->id() : 0;
}

bool room::linked_by(caf::attachable& x) const {
  return std::any_of(outlets_.begin(), outlets_.end(),
                     [&x](auto& o) { return is_link(x, o.second.first); });
}

void room::lost(caf::mailbox_element& in) {
  dispatch(
    in,
    [this](post& x) {
      env_.counts->posts_lost.add();
      if (estate_) {
        estate_->bytes += x.what.bytes.size();
        estate_->posts += 1;
      }
      if (x.asker)
        apologize({x.asker, x.number});
    },
    [this](leave& x) { tell(x.confirm, seat_unanswered{name_}); },
    [this](ask_seat& x) { tell(x.whom, seat_unanswered{name_}); });
}

// -- membership ------------------------------------------------------------------------

void room::add(join& x) {
  auto who = x.who;
  const bool read_only =
    !options_.publish || (who->raw && options_.raw == raw_access::read_only);
  if (who->unit == home().id()) {
    here_.members().begin_at(offset_);
    if (here_.members().add(who, x.options.echo))
      use_variant({who->dialect, who->compressed}, 1);
    auditor_.begin(name_);
    if (who->redeem(x.by)) {
      deliver_to(*who, answer_to(who->id, *who->dialect, verb::join, x.by),
                 env_.member);
      tell(who->reader, joined{name_, self(), read_only});
    }
    return;
  }
  auto answer = answer_to(who->id, *who->dialect, verb::join, x.by);
  auto [i, fresh] = elsewhere_.try_emplace(
    who->id, remote_seat{who->unit, x.options.echo,
                         variant{who->dialect, who->compressed}});
  auto& out = outlet_on(who->unit);
  if (fresh) {
    use_variant(i->second.gets, 1);
    ++outlets_[who->unit].second;
  }
  tell(out, outlet_join{std::move(x), std::move(answer), read_only, offset_});
}

void room::drop(const leave& x) {
  if (x.by.number == 0)
    note_last_offset(here_.members(), x.who, name_, home());
  if (auto who = here_.members().remove(x.who)) {
    use_variant({who->dialect, who->compressed}, -1);
    if (who->redeem(x.by)) {
      deliver_to(*who, answer_to(who->id, *who->dialect, verb::leave, x.by),
                 env_.member);
      tell(who->reader, left{name_});
    }
    tell(x.confirm, seat_answer{name_, here_.members().find(x.who) != nullptr});
    return;
  }
  auto i = elsewhere_.find(x.who);
  if (i == elsewhere_.end()) {
    tell(x.confirm, seat_unanswered{name_}); // an outlet may know it
    return;
  }
  auto seat = i->second;
  elsewhere_.erase(i);
  use_variant(seat.gets, -1);
  auto& entry = outlets_[seat.unit];
  tell(entry.first,
       outlet_leave{x, x.by.number != 0 ? answer_to(x.who, *seat.gets.dialect,
                                                    verb::leave, x.by)
                                        : wire_ptr{}});
  if (--entry.second == 0) {
    // It ends behind the leave: same sender, same receiver.
    unlink_from(entry.first);
    tell(entry.first, retire{errc::none});
    outlets_.erase(seat.unit);
  }
}

void room::look_for(const ask_seat& x) {
  auto i = outlets_.find(x.unit);
  if (here_.members().find(x.who) != nullptr || elsewhere_.contains(x.who))
    tell(x.whom, seat_answer{name_, true});
  else if (i != outlets_.end())
    tell(i->second.first, x);
  else
    tell(x.whom, seat_answer{name_, false});
}

// Whoever should be on another unit is asked for there.
void room::find_missing(check_seats& x) {
  seats_missing missing{name_, id(), {}};
  std::unordered_map<unit_id, check_seats> elsewhere;
  for (auto& s : x.seats) {
    auto i = elsewhere_.find(s.who);
    if (i != elsewhere_.end() && outlets_.contains(i->second.unit))
      elsewhere[i->second.unit].seats.push_back(s);
    else if (here_.members().find(s.who) == nullptr)
      missing.seats.push_back(s);
  }
  for (auto& [where, q] : elsewhere) {
    q.room = id();
    tell(outlets_[where].first, std::move(q));
  }
  if (!missing.seats.empty())
    tell(env_.supervisor, std::move(missing));
}

void room::drop_strangers(check_strangers& x) {
  check_strangers rest{x.unit, {}};
  for (auto who : x.who) {
    if (here_.members().find(who) == nullptr && !elsewhere_.contains(who)) {
      rest.who.push_back(who);
      continue;
    }
    report_fault(env_, home(), audit_fault::unseated, who, name_, 0, 1,
                 "dropped and disconnected");
    drop({who, {}});
    tell(env_.supervisor, end_client{who, errc::out_of_step});
  }
  auto i = outlets_.find(x.unit);
  if (!rest.who.empty() && i != outlets_.end())
    tell(i->second.first, std::move(rest));
}

caf::actor& room::outlet_on(unit_id where) {
  auto& entry = outlets_[where];
  if (!entry.first) {
    entry.first =
      spawn_on<outlet>(env_.at(where), env_, self(), name_, options_.overflow);
    tell(env_.supervisor, outlet_up{id(), entry.first});
  }
  return entry.first;
}

void room::use_variant(const variant& which, int by) {
  auto i = std::find_if(variants_.begin(), variants_.end(),
                        [&](auto& x) { return x.first == which; });
  if (i == variants_.end()) {
    i = std::find_if(variants_.begin(), variants_.end(),
                     [&](auto& x) { return x.first.dialect == which.dialect; });
    i = variants_.insert(i, {which, 0});
  }
  i->second += static_cast<std::size_t>(by);
  if (i->second == 0)
    variants_.erase(i);
}

wire_ptr room::answer_to(client_id who, const protocol& dialect, verb what,
                         const ticket& by) const {
  answer a;
  a.what = what;
  a.id = by.id;
  a.kind = by.kind;
  a.room = name_;
  a.offset = offset_;
  a.epoch = epoch_;
  a.client = who;
  return dialect.encode(a);
}

// -- broadcast -------------------------------------------------------------------------

void room::take(post& x) {
  if (turn_.empty())
    turn_began_ = x.at != steady_time{} ? x.at : home().now();
  event e;
  e.from = x.from;
  e.offset = ++offset_;
  turn_bytes_ += x.what.bytes.size();
  open_box();
  note({.what = box_event::post,
        .from = x.from,
        .bytes = x.what.bytes.size(),
        .offset = offset_});
  bytes_in_ += x.what.bytes.size();
  ++publications_;
  e.what = std::move(x.what);
  turn_.push_back(std::move(e));
  credits_.push_back(std::move(x.credit));
  env_.counts->publications.add();
  if (x.asker)
    due_.push_back({std::move(x.asker), x.number});
  if (turn_bytes_ >= env_.room.turn_bytes_max
      || turn_.size() >= env_.room.turn_events_max) {
    end_turn();
  } else if (options_.write_delay.count() > 0) {
    if (!delay_.armed())
      home().timers().arm_in(delay_, options_.write_delay);
  } else if (!flush_asked_) {
    // Runs behind everything that came in the same turn.
    flush_asked_ = true;
    tell(self(), flush{});
  }
}

bool room::sees_itself(client_id who) const {
  if (auto* seat = here_.members().find(who))
    return seat->echo;
  auto i = elsewhere_.find(who);
  return i == elsewhere_.end() || i->second.echo;
}

const protocol* room::dialect_of(client_id who) const {
  if (auto* seat = here_.members().find(who))
    return seat->who->dialect;
  auto i = elsewhere_.find(who);
  return i == elsewhere_.end() ? nullptr : i->second.gets.dialect;
}

// Members that lag keep only each publisher's last event: alone, so that the next
// one can take its place. Plain, since most of them are thrown away.
void room::encode_latest(broadcast& out) const {
  for (auto i = turn_.rbegin(); i != turn_.rend(); ++i) {
    auto [known, fresh] = out.latest_of.try_emplace(i->from, out.latest.size());
    if (fresh)
      out.latest.push_back({i->from, std::vector<broadcast::single::portion>(
                                       out.portions.size())});
    auto& its = out.latest[known->second].portions;
    for (std::size_t p = 0; p < its.size(); ++p) {
      auto* dialect = out.portions[p].to.dialect;
      if (!dialect->tells(*i) || its[p].events++ != 0)
        continue;
      if (p > 0 && out.portions[p - 1].to.dialect == dialect) {
        its[p].bytes = its[p - 1].bytes; // variants of a dialect stand together
        continue;
      }
      its[p].bytes = dialect->encode(turn{name_, epoch_, {&*i, 1}}, 0);
      if (its[p].bytes)
        its[p].bytes.mark({id(), i->offset, i->offset, 1,
                           turn_began_.time_since_epoch().count()});
    }
  }
  std::reverse(out.latest.begin(), out.latest.end());
  for (auto& [from, at] : out.latest_of)
    at = out.latest.size() - 1 - at;
}

// Whoever looks into an outbox sees whose events wait there.
void room::mark(const wire_ptr& block, std::size_t events) const {
  if (block)
    block.mark({id(), turn_.front().offset, turn_.back().offset, events,
                turn_began_.time_since_epoch().count()});
}

// Once per dialect, and once more for each compression that a member agreed to.
std::shared_ptr<broadcast> room::encode_turn() {
  auto out = std::make_shared<broadcast>();
  turn all{name_, epoch_, turn_};
  out->events = turn_.size();
  out->last = offset_;
  note({.what = box_event::turn, .bytes = turn_bytes_, .offset = offset_});
  home().histograms().batch.add(turn_.size());
  out->portions.reserve(variants_.size());
  const protocol* dialect = nullptr;
  wire_ptr plain;
  std::size_t untold = 0;
  for (auto& [to, members] : variants_) {
    if (to.dialect != dialect) {
      dialect = to.dialect;
      plain = dialect->encode(all, 0);
      untold = static_cast<std::size_t>(
        std::count_if(turn_.begin(), turn_.end(),
                      [dialect](auto& e) { return !dialect->tells(e); }));
      mark(plain, turn_.size() - untold);
    }
    auto packed = to.compressed != nullptr && options_.compressed
                    ? to.compressed->compress(plain)
                    : plain;
    if (packed != plain)
      mark(packed, turn_.size() - untold);
    out->portions.push_back({to, std::move(packed), untold});
    env_.counts->untold.add(static_cast<std::int64_t>(members * untold));
  }
  client_id last = 0;
  for (auto& e : turn_) {
    if (e.from == 0 || e.from == last)
      continue;
    last = e.from;
    if (sees_itself(e.from) || out->cuts.contains(e.from))
      continue;
    if (auto* its = dialect_of(e.from)) {
      std::size_t told = 0; // to it
      std::size_t own = 0;
      for (auto& x : turn_)
        if (its->tells(x))
          ++(x.from == e.from ? own : told);
      auto rest = its->encode(all, e.from);
      mark(rest, told);
      out->cuts.emplace(e.from, std::move(rest));
      out->cut_events.emplace(e.from, own);
    }
  }
  if (options_.overflow == overflow_policy::conflate)
    encode_latest(*out);
  return out;
}

// @returns whether every member here has all that was posted; if not, the room
// pauses or rests, and goes on later
bool room::end_turn() {
  if (turn_.empty())
    return send_on();
  auto encoded = encode_turn();
  encoded->credits = std::exchange(credits_, {});
  std::shared_ptr<const broadcast> out = std::move(encoded);
  turn_.clear();
  turn_bytes_ = 0;
  delay_.disarm();
  for (auto& x : due_)
    x.offset = offset_;
  for (auto& [where, entry] : outlets_) {
    // Their answers go behind the turn, by the same way.
    turn_out there{out, {}};
    for (auto& x : due_)
      if (x.who->unit == where)
        there.due.push_back(std::move(x));
    std::erase_if(due_, [](auto& x) { return !x.who; });
    tell(entry.first, std::move(there));
  }
  here_.begin(std::move(out));
  return send_on();
}

bool room::send_on() {
  if (here_.done())
    return true;
  if (auto x = here_.go_on(); x == pacer::verdict::rest)
    rest();
  else if (x == pacer::verdict::pause)
    pause();
  if (!here_.done())
    return false;
  acknowledge();
  return true;
}

// Only now: what is acknowledged is on its way to everybody.
void room::acknowledge() {
  for (auto& x : due_)
    greenroom::acknowledge(x);
  due_.clear();
}

} // namespace greenroom
