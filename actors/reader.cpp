#include "actors/reader.hpp"

#include <algorithm>
#include <cassert>

#include "actors/runtime/reason.hpp"

namespace greenroom {

namespace {

/// Whether a connection ends because it had or did more than it may.
bool is_limit(errc why) noexcept {
  return why == errc::slow_consumer || why == errc::write_stalled
         || why == errc::overloaded || why == errc::rate_limited
         || why == errc::message_too_big || why == errc::too_many_errors;
}

/// Whether a connection ends in a way that asks for its last messages.
bool tells_box(errc why) noexcept {
  return is_limit(why) || why == errc::fault || why == errc::out_of_step
         || why == errc::protocol_error || why == errc::bad_utf8
         || why == errc::bad_command;
}

} // namespace

reader::reader(caf::actor_config& cfg, unit& home, const engine& env,
               std::shared_ptr<socket_port> socket, member_ptr who,
               std::vector<command> implied)
  : actor(cfg, home, actor_kind::reader), env_(env), socket_(std::move(socket)),
    who_(std::move(who)) {
  dialogue_.client = who_->id;
  if (!implied.empty())
    waiting_ = std::make_unique<std::deque<command>>(
      std::make_move_iterator(implied.begin()),
      std::make_move_iterator(implied.end()));
}

void reader::started() {
  link_to(who_->writer);
  inflow_ = std::make_shared<inflow>();
  inflow_->reader = address();
  inflow_->posts_max = env_.reader.posts_max;
  inflow_->bytes_max = env_.reader.posts_bytes_max;
  run_commands();
  settle();
}

// -- behaviour ------------------------------------------------------------------------

bool reader::receive(caf::mailbox_element& in) {
  return dispatch(
    in,
    [this](received& x) {
      who_->open_box();
      note({.what = box_event::received, .bytes = x.what.bytes.size()});
      take(x.what);
    },
    [this](received_beside& x) { charge(x.bytes); },
    [this](posted& x) { outcome(x); },
    [this](give_answers&) {
      giving_ = false;
      give_replies();
      run_commands();
      settle();
      say_goodbye();
    },
    [this](joined& x) { entered(x); },
    [this](left& x) {
      forget(x.room);
      answered();
    },
    [this](refused& x) {
      note({.what = box_event::refused, .why = x.why});
      if (!who_->redeem(x.by))
        return;
      if (!open_) {
        quit(x.why); // an implied command: told as an HTTP status
        return;
      }
      refuse(x.what, x.by.id, x.by.kind, x.why, x.room);
      answered();
    },
    [this](resume_reading&) { settle(); }, //
    [this](tick&) { beat(); },
    [this](room_moved& x) {
      note({.what = box_event::moved});
      move_to(x);
    },
    [this](room_lost& x) {
      note({.what = box_event::lost, .why = x.why});
      lose(x);
    },
    [this](socket_closed& x) {
      note(
        {.what = box_event::socket_closed, .why = x.why, .code = x.peer_code});
      quit(x.why);
    },
    [this](evict& x) {
      note({.what = box_event::evict, .why = x.why});
      part(x.why);
    },
    [this](written& x) { quit(x.why); },
    [this](show_box& x) {
      x.told(who_->box ? who_->box->rows(home().now_ms())
                       : std::vector<box_row>{});
    },
    [this](attach_tap& x) {
      who_->open_box();
      who_->box->attach(std::move(x.tap));
    });
}

void reader::note(const box_note& x) {
  if (!who_->box)
    return;
  timed = true;
  who_->box->note(home().now_ms(), waited(), x);
}

void reader::took(std::chrono::nanoseconds run) {
  if (who_->box)
    who_->box->took(run);
}

std::uint64_t reader::parent() const {
  return env_.supervisor ? env_.supervisor->id() : 0;
}

bool reader::linked_by(caf::attachable& x) const {
  return who_ && is_link(x, who_->writer);
}

// Writer and socket make no sense without it, whatever the reason.
void reader::link_down(const caf::exit_msg& x) {
  quit(reason(x.reason));
}

// The last messages of a connection, where its end asks for them.
void reader::close_box(errc why) {
  if (!who_->box)
    return;
  note(
    {.what = box_event::ended, .why = why, .code = describe(why).close_code});
  if (tells_box(why)) {
    lifecycle_event e;
    e.what = happening::black_box;
    e.client = who_->id;
    e.why = why;
    e.text = who_->box->text(home().now_ms());
    home().report_box(std::move(e));
  }
  who_->box.reset();
}

void reader::stopped(errc why) {
  close_box(why);
  // The goodbye may take a while: the log says at once which limit was hit.
  if (is_limit(why)) {
    lifecycle_event e;
    e.what = happening::limit;
    e.client = who_->id;
    e.why = why;
    e.number = who_->flow->queued();
    home().report(std::move(e));
  }
  auto timers = std::uint32_t{heartbeat_ && heartbeat_->armed() ? 1U : 0U};
  if (socket_) {
    timers += socket_->stats().timers;
    who_->doomed.store(true, std::memory_order_relaxed);
    if (open_) {
      auto words = who_->dialect->close_words(why);
      // The socket fails broken clients itself, in its own words.
      auto by_socket = why == errc::protocol_error || why == errc::bad_utf8
                       || why == errc::message_too_big;
      leave_last_words(why == errc::peer_gone ? std::uint16_t{0}
                       : by_socket            ? describe(why).close_code
                                              : words.code);
      socket_->close(std::move(words));
    } else
      socket_->refuse(why);
  }
  who_->timers.store(timers, std::memory_order_relaxed);
  socket_.reset();
  rooms_.clear();
  asked_.reset();
  replies_.clear();
  waiting_.reset();
  inflow_.reset();
  heartbeat_.reset();
  who_.reset();
}

// Before what waits is discarded.
void reader::leave_last_words(std::uint16_t code) {
  using namespace std::chrono;
  auto queue = socket_->stats_at_end();
  auto row = std::make_shared<closed_row>();
  row->client = who_->id;
  row->address = who_->address;
  row->dialect = who_->dialect->name();
  row->lived_ms =
    duration_cast<milliseconds>(home().now() - stats().born).count();
  row->code = code;
  row->frames_queued = queue.frames_queued;
  row->bytes_queued = queue.bytes_queued;
  row->queue_age_ms = queue.queue_age.count();
  row->kernel_bytes = queue.kernel_bytes;
  row->kernel_age_ms = queue.kernel_age.count();
  who_->last = std::move(row);
}

// -- messages in ------------------------------------------------------------------------

bool reader::charge(std::uint64_t bytes) {
  auto& limits = env_.reader;
  if (parting_)
    return false;
  if (bytes_.take(home().now(), bytes, limits.bytes_per_second,
                  limits.burst_seconds))
    return true;
  part(errc::rate_limited);
  return false;
}

void reader::take(inbound& x) {
  auto& limits = env_.reader;
  auto now = home().now();
  ++not_taken_;
  ++messages_in_;
  if (!charge(std::max(x.bytes.size(), x.compressed_bytes)))
    return;
  // Decoding needs a list only for the moment: one per thread will do.
  thread_local std::vector<command> commands;
  commands.clear();
  who_->dialect->decode(std::move(x), dialogue_, commands);
  auto count = std::max<std::size_t>(commands.size(), 1);
  if (!messages_.take(now, count, limits.messages_per_second,
                      limits.burst_seconds)) {
    part(errc::rate_limited);
    return;
  }
  for (auto& c : commands) {
    if (quitting() || parting_)
      return;
    if (waiting_ || !may_run(c)) {
      if (!waiting_)
        waiting_ = std::make_unique<std::deque<command>>();
      waiting_->push_back(std::move(c));
    } else {
      run(c);
    }
  }
  settle();
}

void reader::run_commands() {
  while (waiting_ && !quitting() && !parting_) {
    if (waiting_->empty()) {
      waiting_.reset();
      return;
    }
    if (!may_run(waiting_->front()))
      return;
    auto next = std::move(waiting_->front());
    waiting_->pop_front();
    run(next);
  }
}

// Answers come in the order of the commands. Those of joins and leaves come from
// rooms, by the way of the publications, so nothing else is under way meanwhile; all
// others are this actor's, and wait in a list for those before them.
bool reader::may_run(const command& x) {
  if (asked_)
    return false;
  auto last =
    x.what == verb::join || x.what == verb::leave || x.what == verb::end;
  auto max = last ? 1 : env_.reader.posts_max;
  if (max > 0 && replies_.size() >= max)
    give_replies();
  auto may = max == 0 || replies_.size() < max;
  if (may)
    hastened_ = false;
  return may;
}

// Rooms may wait for more to send together, but nobody has to wait for that.
void reader::hasten() {
  if (asked_ || replies_.empty() || std::exchange(hastened_, true))
    return;
  for (auto& m : rooms_) {
    auto due = std::any_of(replies_.begin(), replies_.end(),
                           [&m](auto& x) { return x.due && x.room == m.room; });
    if (due)
      tell(m.where, flush{});
  }
}

// Gives the socket back what was taken, and opens the connection once everything
// implied by its handshake is done.
void reader::settle() {
  if (quitting() || parting_)
    return;
  give_replies();
  if (!open_ && !asked_ && replies_.empty() && !waiting_) {
    open_ = true;
    socket_->accept();
    const bool greets = who_->dialect->greets();
    if (greets || who_->dialect->ping())
      heartbeat_ = std::make_unique<alarm<tick>>(*this);
    if (greets)
      home().timers().arm_in(*heartbeat_, env_.reader.greeting_timeout);
    else
      start_beating();
  }
  if (waiting_) {
    hasten();
    return;
  }
  if (not_taken_ == 0)
    return;
  if (inflow_->full()) {
    inflow_->paused.store(true, std::memory_order_seq_cst);
    // The last one may have been passed on just before the flag was set.
    if (!inflow_->eased()
        || !inflow_->paused.exchange(false, std::memory_order_acq_rel))
      return;
  }
  socket_->taken(std::exchange(not_taken_, 0));
}

// Ends the connection behind what its writer was sent already, such as the answers
// to what came before a bad command; at once where that is of no use: to a client
// that is gone or does not read, or before there is a WebSocket.
void reader::part(errc why) {
  auto at_once = !open_ || why == errc::peer_gone || why == errc::peer_closed
                 || why == errc::slow_consumer || why == errc::overloaded
                 || why == errc::out_of_step;
  if (at_once) {
    quit(why);
  } else if (!std::exchange(parting_, true)) {
    parting_why_ = why;
    say_goodbye();
  }
}

// What was published before is answered first.
void reader::say_goodbye() {
  if (!parting_why_ || quitting())
    return;
  give_replies();
  if (replies_.empty())
    tell(who_->writer,
         ask_written{self(), *std::exchange(parting_why_, std::nullopt)});
  else
    hasten();
}

// The greeting must come in time; then a ping goes out every so often, and its
// answer must come in time too.
void reader::beat() {
  auto& limits = env_.reader;
  if (!beating_) {
    part(errc::stale);
  } else if (dialogue_.pings_out > 0 && not_taken_ > 0) {
    // It may have answered: the socket is not read while its rooms are behind.
    home().timers().arm_in(*heartbeat_, limits.pong_timeout);
  } else if (dialogue_.pings_out > 0) {
    part(errc::no_pong);
  } else if (!pinged_) {
    pinged_ = true;
    ++dialogue_.pings_out;
    deliver_to(*who_, who_->dialect->ping(), env_.member);
    home().timers().arm_in(*heartbeat_, limits.pong_timeout);
  } else {
    pinged_ = false;
    home().timers().arm_in(*heartbeat_,
                           limits.ping_every - limits.pong_timeout);
  }
}

// The first ping comes at a moment of its own between half an interval and a whole
// one: connections made at once do not beat together.
void reader::start_beating() {
  if (!heartbeat_ || beating_)
    return;
  beating_ = true;
  heartbeat_->disarm();
  if (!who_->dialect->ping())
    return;
  auto half = env_.reader.ping_every / 2;
  auto spread = (who_->id * 0x9E3779B97F4A7C15ULL) >> 54; // 10 bits
  home().timers().arm_in(*heartbeat_,
                         half + half * static_cast<int>(spread) / 1024);
}

// -- commands ---------------------------------------------------------------------------

void reader::run(command& x) {
  if (turned_away_ && x.what != verb::end)
    return;
  switch (x.what) {
    case verb::publish:
      publish(x);
      break;
    case verb::join:
      if (find(x.room) != nullptr) {
        refuse(x.what, x.id, x.kind, errc::already_joined, x.room);
        break;
      }
      tell(env_.supervisor, join_room{who_->id, x.room, x.options, ask(x)});
      break;
    case verb::leave:
      if (find(x.room) == nullptr) {
        // Leaving a room one is not in is fine everywhere.
        add_reply(x.what, x.id, x.kind, x.room);
        break;
      }
      tell(env_.supervisor, leave_room{who_->id, x.room, ask(x)});
      break;
    case verb::hello: {
      if (!env_.reader.anonymous) {
        // Nobody can show a token yet. Such a connection is of no use; a client
        // that does not see that itself becomes stale.
        refuse(x.what, x.id, x.kind, errc::unauthorized, {});
        turned_away_ = true;
        break;
      }
      start_beating();
      add_reply(x.what, x.id, x.kind, {});
      break;
    }
    case verb::pong:
      break;
    case verb::refuse:
      refuse(x.what, x.id, x.kind, x.why, x.room);
      break;
    case verb::end:
      part(x.why);
      break;
  }
}

// Notes that a join or leave is asked, and how its answer is known.
ticket reader::ask(const command& x) {
  if (++last_ticket_ == 0) // stands for none
    ++last_ticket_;
  ticket by{x.id, x.kind, last_ticket_};
  asked_ = std::make_unique<question>(question{x.what, by, x.room});
  who_->ticket_due = by.number;
  return by;
}

bool reader::asking(std::string_view room) const {
  return asked_ && asked_->room == room;
}

void reader::answered() {
  asked_.reset();
  run_commands();
  settle();
}

void reader::publish(command& x) {
  auto* m = x.room.empty() && !rooms_.empty() ? &rooms_.front() : find(x.room);
  if (m == nullptr) {
    // Raw relay: its room was closed under it.
    if (who_->raw)
      quit(errc::room_closed);
    else
      refuse(x.what, x.id, x.kind, errc::room_forbidden, x.room);
    return;
  }
  if (m->read_only) {
    if (who_->raw) // has no word for a refusal
      part(errc::read_only);
    else
      refuse(x.what, x.id, x.kind, errc::read_only, x.room);
    return;
  }
  member_ptr asker;
  auto number = first_reply_ + static_cast<std::uint32_t>(replies_.size());
  if (x.id != 0) {
    asker = who_;
    add_reply(x.what, x.id, x.kind, m->room).due = true;
  }
  inflow_token credit{inflow_, x.data.bytes.size()};
  tell(m->where, post{std::move(x.data), who_->id, std::move(asker), number,
                      std::move(credit), home().now()});
}

void reader::refuse(verb what, request_id id, std::uint16_t kind, errc why,
                    std::string_view room) {
  at(env_.counts->commands_refused, why).add();
  add_reply(what, id, kind, room).why = why;
}

reader::reply& reader::add_reply(verb what, request_id id, std::uint16_t kind,
                                 std::string_view room) {
  auto& x = replies_.emplace_back();
  x.what = what;
  x.id = id;
  x.kind = kind;
  x.room = room;
  return x;
}

// What became of a publication. Others are often known at the same time: they are
// given together, behind the messages that wait already.
void reader::outcome(const posted& x) {
  auto i = x.number - first_reply_;
  assert(i < replies_.size() && replies_[i].due);
  replies_[i].due = false;
  replies_[i].why = x.why;
  replies_[i].offset = x.offset;
  if (i == 0 && !std::exchange(giving_, true))
    tell(self(), give_answers{});
}

void reader::give_replies() {
  thread_local std::vector<answer> known;
  known.clear();
  for (auto& x : replies_) {
    if (x.due)
      break;
    auto& a = known.emplace_back();
    a.what = x.what;
    a.id = x.id;
    a.kind = x.kind;
    a.error = x.why;
    a.room = x.room;
    a.offset = x.offset;
    a.client = who_->id;
    a.ping_every = env_.reader.ping_every;
  }
  if (known.empty())
    return;
  deliver_to(*who_, who_->dialect->encode_all(known), env_.member);
  first_reply_ += static_cast<std::uint32_t>(known.size());
  if (known.size() == replies_.size() && replies_.capacity() > 16)
    std::vector<reply>{}.swap(replies_); // memory follows a burst down
  else
    replies_.erase(replies_.begin(),
                   replies_.begin()
                     + static_cast<std::ptrdiff_t>(known.size()));
}

// -- rooms ------------------------------------------------------------------------------

void reader::entered(joined& x) {
  note({.what = box_event::joined});
  rooms_.push_back({std::move(x.room), std::move(x.where), x.read_only});
  answered();
}

// The room crashed and was restarted with its members; the new one answers joins
// that the old one did not, and what that had not published is answered as lost. A
// leave that is not on its way to the new one has died.
void reader::move_to(const room_moved& x) {
  if (auto* m = find(x.room); m != nullptr && x.where)
    m->where = x.where;
  if (asking(x.room) && asked_->what == verb::leave && !x.seated)
    answer_own();
}

// The room is no more. A dialect with many rooms has a word for that, and what the
// room had not answered it never will.
void reader::lose(const room_lost& x) {
  if (!asking(x.room)) {
    if (find(x.room) != nullptr)
      tell_loss(x.why, x.room);
  } else if (asked_->what == verb::leave) {
    answer_own();
  } else if (x.seated && who_->redeem(asked_->by)) {
    if (!open_)
      quit(x.why);
    refuse(verb::join, asked_->by.id, asked_->by.kind, x.why, x.room);
    answered();
  }
}

// Nobody else is there to answer a leave: it is true.
void reader::answer_own() {
  if (!who_->redeem(asked_->by))
    return;
  forget(asked_->room);
  add_reply(verb::leave, asked_->by.id, asked_->by.kind, asked_->room);
  answered();
}

void reader::tell_loss(errc why, const std::string& room) {
  forget(room);
  if (who_->raw) {
    part(why); // a raw connection is its room
    return;
  }
  answer a;
  a.what = verb::leave;
  a.error = why;
  a.room = room;
  a.client = who_->id;
  deliver_to(*who_, who_->dialect->encode(a), env_.member);
}

void reader::forget(const std::string& room) {
  std::erase_if(rooms_, [&room](auto& m) { return m.room == room; });
}

reader::membership* reader::find(std::string_view room) {
  auto i = std::find_if(rooms_.begin(), rooms_.end(),
                        [room](auto& m) { return m.room == room; });
  return i == rooms_.end() ? nullptr : &*i;
}

} // namespace greenroom
