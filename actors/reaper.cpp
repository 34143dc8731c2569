#include "actors/reaper.hpp"

#include <algorithm>

namespace greenroom {

namespace {

// How often what was not answered is asked again.
constexpr std::chrono::milliseconds ask_every{50};

} // namespace

reaper::reaper(caf::actor_config& cfg, unit& home, const engine& env,
               order_ptr first, reap_target what)
  : actor(cfg, home, actor_kind::reaper), env_(env), target_(std::move(what)),
    pulse_(*this) {
  orders_.push_back(std::move(first));
}

void reaper::started() {
  begin_ = home().now();
  home().timers().arm_in(pulse_, ask_every);
  monitor(env_.supervisor);
  if (target_.who) {
    auto& who = *target_.who;
    bytes_before_ = who.flow->discarded_bytes();
    frames_before_ = who.flow->discarded_frames();
    monitor(who.reader);
    monitor(who.writer);
    strike();
  } else {
    monitor(target_.where);
  }
}

// A connection is told and sent what waits for it; an actor ends at once, and the
// other one with it.
void reaper::strike() {
  auto& who = *target_.who;
  auto kill = [this] {
    return caf::exit_msg{address(), caf::exit_reason::kill};
  };
  if (target_.what == "reader")
    tell(who.reader, kill());
  else if (target_.what == "writer")
    tell(who.writer, kill());
  else
    tell(who.reader, evict{errc::kicked});
}

// -- behaviour ------------------------------------------------------------------------

bool reaper::receive(caf::mailbox_element& in) {
  auto known = dispatch(
    in,
    [this](seats_left& x) {
      seats_left_ = true;
      for (auto& room : x.rooms)
        seats_.try_emplace(std::move(room), false);
    },
    [this](seat_answer& x) { seats_[x.room] = !x.known; },
    [](seat_unanswered&) {}, // asked again soon
    [this](descriptor_closed&) { target_.socket_gone = true; },
    [this](buried&) { buried_ = true; },
    [this](room_over& x) {
      room_over_ = true;
      actors_ = x.actors;
      members_ = x.members;
      moving_ = x.successor != nullptr;
    },
    [this](roster_size& x) {
      moving_ = false;
      moved_ = x.members;
    },
    [this](end_asked& x) { orders_.push_back(std::move(x.what)); },
    [this](tick&) { ask_again(); });
  if (known)
    look();
  return known;
}

void reaper::monitor_down(const caf::down_msg& x) {
  auto id = x.source.id();
  if (target_.who && id == target_.who->reader->id())
    reader_down_ = true;
  else if (target_.who && id == target_.who->writer->id())
    writer_down_ = true;
  else if (target_.where && id == target_.where->id())
    room_down_ = true;
  else
    supervisor_down_ = true; // and its books with it
  look();
}

void reaper::link_down(const caf::exit_msg&) {
  // Linked to nobody.
}

// What came too late for this receipt gets one of its own.
void reaper::lost(caf::mailbox_element& in) {
  dispatch(in, [this](end_asked& x) { tell(env_.supervisor, std::move(x)); });
}

void reaper::ask_again() {
  if (home().now() - begin_ >= env_.supervisor_limits.end_deadline) {
    answer(errc::none);
    return;
  }
  if (seats_left_)
    for (auto& [room, gone] : seats_)
      if (!gone)
        tell(env_.supervisor,
             confirm_seat{target_.who->id, target_.who->unit, room, self()});
  home().timers().arm_in(pulse_, ask_every);
}

void reaper::look() {
  if (!quitting() && left().empty())
    answer(errc::none);
}

// -- the receipt ------------------------------------------------------------------------

std::vector<std::string> reaper::left() const {
  std::vector<std::string> result;
  auto unless = [&result](bool gone, std::string_view what) {
    if (!gone)
      result.emplace_back(what);
  };
  if (target_.who) {
    unless(reader_down_, "reader");
    unless(writer_down_, "writer");
    // A supervisor that is no more keeps no books, nor do its rooms.
    unless(target_.socket_gone || supervisor_down_, "socket");
    unless(buried_ || supervisor_down_, "record");
    unless(seats_left_ || supervisor_down_, "memberships");
    for (auto& [room, gone] : seats_)
      unless(gone || supervisor_down_, "membership " + room);
    unless(target_.who->flow->queued() == 0, "bytes");
  } else {
    unless(room_down_, "room");
    unless(room_over_ || supervisor_down_, "outlets or members");
    unless(!moving_ || supervisor_down_, "roster");
    unless(!room_over_ || target_.what == "room" || moving_
             || moved_ == members_,
           "membership");
  }
  return result;
}

receipt reaper::result() const {
  receipt r;
  r.target = target_.what;
  r.actor = target_.actor;
  r.room = target_.room;
  if (target_.who) {
    auto& who = *target_.who;
    r.client = who.id;
    for (auto& [room, gone] : seats_)
      r.memberships += gone ? 1 : 0;
    r.timers = who.timers.load(std::memory_order_relaxed);
    r.bytes = who.flow->discarded_bytes() - bytes_before_;
    r.frames = who.flow->discarded_frames() - frames_before_;
    r.descriptors = target_.socket_gone ? 1 : 0;
    r.actors = (reader_down_ ? 1 : 0) + (writer_down_ ? 1 : 0);
  } else {
    (target_.what == "room" ? r.memberships : r.moved) =
      target_.what == "room" ? members_ : moved_;
    r.timers = target_.estate->timers;
    r.bytes = target_.estate->bytes;
    r.frames = target_.estate->posts;
    r.actors = actors_;
  }
  r.took_ms =
    std::chrono::duration_cast<std::chrono::milliseconds>(home().now() - begin_)
      .count();
  r.left = left();
  r.clean = r.left.empty();
  return r;
}

void reaper::answer(errc why) {
  auto r = result();
  r.why = why;
  r.clean = r.clean && why == errc::none;
  auto& counts = *env_.counts;
  for (auto& order : std::exchange(orders_, {})) {
    counts.receipts.add();
    if (!r.clean)
      counts.receipts_unclean.add();
    report_action(home(), order->what, r);
    order->answer(r);
  }
  quit(why);
}

void reaper::stopped(errc why) {
  // It crashed, or the unit was cut off: whoever asked is not left waiting.
  if (!orders_.empty())
    answer(why == errc::none ? errc::shutdown : why);
  pulse_.disarm();
  target_ = {};
}

void report_action(unit& home, const end_order& what, const receipt& r) {
  lifecycle_event e;
  e.what = happening::action;
  e.why = r.why;
  e.client = r.client != 0 ? r.client : what.client;
  e.actor = r.actor != 0 ? r.actor : what.actor;
  e.room = r.room.empty() ? what.room : r.room;
  e.text = what.by;
  e.more = std::string{r.target.empty() ? to_string(what.what) : r.target};
  e.clean = r.clean;
  e.number = r.memberships + r.moved;
  e.number2 = static_cast<std::uint64_t>(r.took_ms);
  for (auto& x : r.left)
    e.left += (e.left.empty() ? "" : ", ") + x;
  home.report(std::move(e));
}

} // namespace greenroom
