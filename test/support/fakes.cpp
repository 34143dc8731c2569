#include "test/support/fakes.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace greenroom::test {

namespace {

// Between a frame's text and its epoch.
constexpr char epoch_mark = '\t';

verb verb_of(std::string_view word) {
  if (word == "hello")
    return verb::hello;
  if (word == "join")
    return verb::join;
  if (word == "leave")
    return verb::leave;
  if (word == "pub")
    return verb::publish;
  if (word == "pong")
    return verb::pong;
  if (word == "end")
    return verb::end;
  return verb::refuse;
}

std::string_view word_of(verb x) {
  switch (x) {
    case verb::hello:
      return "hello";
    case verb::join:
      return "join";
    case verb::leave:
      return "leave";
    case verb::publish:
      return "pub";
    case verb::pong:
      return "pong";
    case verb::end:
      return "end";
    case verb::refuse:
      break;
  }
  return "refuse";
}

errc errc_of(std::string_view name) {
  for (auto& row : errc_table())
    if (row.name == name)
      return row.code;
  throw std::invalid_argument("no such errc: " + std::string{name});
}

void add_frame(wire_builder& out, std::string_view text,
               std::string_view epoch = {}) {
  out.append(text);
  if (!epoch.empty()) {
    out.append(std::string_view{&epoch_mark, 1});
    out.append(epoch);
  }
  out.append("\n");
  out.end_frame();
}

} // namespace

wire_ptr make_wire(const std::vector<std::string>& frames) {
  wire_builder out;
  for (auto& f : frames)
    add_frame(out, f);
  return out.finish();
}

// -- loop -----------------------------------------------------------------------

void fake_loop::post(std::function<void()> f) {
  std::lock_guard guard{mutex_};
  posted_.push_back(std::move(f));
  woken_ = true;
  awake_.notify_one();
}

std::size_t fake_loop::poll() {
  std::vector<std::function<void()>> work;
  {
    std::lock_guard guard{mutex_};
    work.swap(posted_);
  }
  for (auto& f : work)
    f();
  return work.size();
}

bool fake_loop::flush() {
  auto senders = std::exchange(marked_, {});
  for (auto& x : senders)
    x->send();
  return unsent;
}

void fake_loop::wait(steady_time until) {
  std::unique_lock lock{mutex_};
  auto woken = [this] { return woken_; };
  if (until == steady_time::max())
    awake_.wait(lock, woken);
  else
    awake_.wait_until(lock, until, woken);
  woken_ = false;
}

void fake_loop::wake() noexcept {
  std::lock_guard guard{mutex_};
  ++wakes_;
  woken_ = true;
  awake_.notify_one();
}

// -- socket: what a test does ---------------------------------------------------

fake_socket::fake_socket(fake_loop& loop) : loop_(loop), goodbye_(*this) {}

fake_socket::~fake_socket() {
  discard_waiting();
}

void fake_socket::emit(std::string text) {
  emit(inbound{std::move(text), true});
}

void fake_socket::emit(inbound message) {
  loop_.post([self = shared_from_this(), message = std::move(message)] {
    self->unread_.push_back(message);
    self->read_on();
  });
}

void fake_socket::hang_up(errc why, std::uint16_t code) {
  loop_.post([self = shared_from_this(), why, code] {
    if (self->gone || self->peer_done_)
      return;
    self->read_on();
    self->peer_done_ = true;
    self->note_end();
    self->unread_.clear();
    self->sink_->closed(why, code);
  });
}

void fake_socket::vanish() {
  loop_.post([self = shared_from_this()] { self->leave(); });
}

void fake_socket::recover() {
  loop_.post([self = shared_from_this()] {
    self->stuck = false;
    self->mark();
  });
}

std::vector<std::string> fake_socket::news() {
  std::vector<std::string> result(
    got.begin() + static_cast<std::ptrdiff_t>(news_from_), got.end());
  news_from_ = got.size();
  return result;
}

// -- socket: inside -------------------------------------------------------------

void fake_socket::attach(std::unique_ptr<socket_sink> sink) {
  sink_ = std::move(sink);
}

void fake_socket::mark() {
  if (std::exchange(marked_, true))
    return;
  loop_.mark(shared_from_this());
}

void fake_socket::read_on() {
  while (accepted && !gone && !closing_ && !peer_done_ && !unread_.empty()
         && not_taken_ < window) {
    auto next = std::move(unread_.front());
    unread_.pop_front();
    ++not_taken_;
    sink_->received(std::move(next));
  }
}

void fake_socket::note_end() {
  if (!at_end_)
    at_end_ = std::make_unique<socket_stats>(stats());
}

void fake_socket::discard_waiting() {
  for (auto& b : waiting_) {
    flow->sub(b.bytes->size());
    flow->discard(b.bytes->size(), b.bytes->frames());
    discarded += b.bytes->frames();
  }
  waiting_.clear();
  waiting_bytes_ = 0;
}

void fake_socket::leave() {
  if (gone || immortal)
    return;
  note_end();
  gone = true;
  closing_ = true;
  discard_waiting();
  last_ = {};
  goodbye_.disarm();
  sink_.reset();
}

void fake_socket::record(std::string_view bytes) {
  ++blocks;
  while (!bytes.empty()) {
    auto frame = bytes.substr(0, bytes.find('\n'));
    bytes.remove_prefix(frame.size() + 1);
    auto mark = frame.find(epoch_mark);
    got.emplace_back(frame.substr(0, mark));
    epochs.emplace_back(
      mark == std::string_view::npos ? "" : frame.substr(mark + 1));
  }
}

void fake_socket::send() {
  marked_ = false;
  if (stuck || lame || gone || !(accepted || closing_))
    return;
  for (auto& b : waiting_) {
    flow->sub(b.bytes->size());
    sent_ += b.bytes->size();
    record(b.bytes->bytes());
    sums_.frames_out += b.bytes->frames();
    sent_at_ = loop_.timers().now();
  }
  waiting_.clear();
  waiting_bytes_ = 0;
  if (closing_) {
    if (last_)
      record(last_->bytes());
    loop_.post([self = shared_from_this()] { self->leave(); });
  }
}

// -- socket_port ----------------------------------------------------------------

void fake_socket::accept() {
  if (accepted || refused != errc::none)
    throw std::logic_error("the upgrade was answered twice");
  accepted = true;
  mark();
  loop_.post([self = shared_from_this()] { self->read_on(); });
}

void fake_socket::refuse(errc why) {
  if (accepted || refused != errc::none)
    throw std::logic_error("the upgrade was answered twice");
  refused = why;
  closing_ = true;
  discard_waiting();
  mark();
}

void fake_socket::append(wire_ptr what, retention how) {
  if (!what)
    throw std::logic_error("nothing was appended");
  if (closing_ || gone) {
    flow->sub(what->size());
    flow->discard(what->size(), what->frames());
    discarded += what->frames();
    return;
  }
  waiting_bytes_ += what->size();
  sums_.queue_max = std::max(sums_.queue_max, waiting_bytes_);
  waiting_.push_back({std::move(what), how, loop_.timers().now()});
  mark();
}

std::uint64_t fake_socket::drop_oldest(std::uint64_t keep,
                                       std::vector<wire_mark>* marks) {
  std::uint64_t frames = 0;
  for (auto i = waiting_.begin();
       i != waiting_.end() && waiting_bytes_ > keep;) {
    auto& x = i->bytes;
    if (i->how == retention::kept) {
      ++i;
      continue;
    }
    if (marks != nullptr && x->mark().room != 0)
      marks->push_back(x->mark());
    flow->sub(x->size());
    waiting_bytes_ -= x->size();
    frames += x->frames();
    i = waiting_.erase(i);
  }
  dropped += frames;
  return frames;
}

void fake_socket::taken(std::size_t messages) {
  if (messages > not_taken_)
    throw std::logic_error("more was taken than was received");
  not_taken_ -= messages;
  loop_.post([self = shared_from_this()] { self->read_on(); });
}

void fake_socket::close(farewell words) {
  if (!accepted)
    throw std::logic_error("an unanswered upgrade was closed");
  if (std::exchange(closing_, true))
    return;
  note_end();
  last_words = std::move(words.reason);
  last_code = words.code;
  last_ = std::move(words.last);
  switch (words.why) {
    case errc::peer_closed:
    case errc::peer_gone:
      discard_waiting();
      loop_.post([self = shared_from_this()] { self->leave(); });
      return;
    case errc::slow_consumer:
    case errc::write_stalled:
    case errc::overloaded:
      discard_waiting();
      break;
    default:
      break;
  }
  loop_.timers().arm_in(goodbye_, goodbye_timeout);
  mark();
}

socket_stats fake_socket::stats_at_end() const {
  return at_end_ ? *at_end_ : stats();
}

socket_lag fake_socket::lag() const {
  auto x = stats();
  // Who is late by less is not asked about.
  if (x.kernel_age < std::chrono::seconds{1}) {
    x.kernel_bytes = 0;
    x.kernel_age = {};
  }
  return {x.bytes_queued, x.queue_age, x.kernel_bytes, x.kernel_age};
}

socket_stats fake_socket::stats() const {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  auto now = loop_.timers().now();
  auto result = sums_;
  result.bytes_queued = waiting_bytes_;
  result.frames_queued = waiting_.size();
  result.timers = goodbye_.armed() ? 1 : 0;
  result.blocked = stuck;
  result.bytes_out = sent_;
  if (!waiting_.empty())
    result.queue_age = duration_cast<milliseconds>(now - waiting_[0].since);
  result.kernel_bytes = kernel_bytes;
  result.kernel_age = kernel_age;
  if (sent_at_)
    result.last_flush = duration_cast<milliseconds>(now - *sent_at_);
  return result;
}

queued_events fake_socket::queued_of(std::uint64_t room) const {
  queued_events result;
  for (auto& b : waiting_) {
    const auto& mark = b.bytes->mark();
    if (mark.room != room)
      continue;
    if (result.events == 0) {
      result.first = mark.first;
      result.age = std::chrono::duration_cast<std::chrono::milliseconds>(
        loop_.timers().now() - b.since);
    }
    result.events += mark.events;
    result.bytes += b.bytes->size();
  }
  return result;
}

// -- dialects -------------------------------------------------------------------

void relay_dialect::decode(inbound message, dialogue&,
                           std::vector<command>& out) const {
  command c;
  c.what = verb::publish;
  c.data = {std::move(message.bytes),
            message.text ? payload_form::text : payload_form::binary};
  out.push_back(std::move(c));
}

wire_ptr relay_dialect::encode(const turn& events, client_id without) const {
  wire_builder out;
  for (auto& e : events.events)
    if (without == 0 || e.from != without)
      add_frame(out, e.what.bytes);
  return out.finish();
}

wire_ptr relay_dialect::encode(const answer&) const {
  return {};
}

wire_ptr mark_compression::compress(const wire_ptr& plain) const {
  ++calls;
  std::istringstream lines{std::string{plain->bytes()}};
  wire_builder out;
  for (std::string line; std::getline(lines, line);)
    add_frame(out, "~" + line);
  return out.finish();
}

void talk_dialect::decode(inbound message, dialogue& state,
                          std::vector<command>& out) const {
  std::istringstream lines{message.bytes};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words{line};
    std::string word;
    words >> word;
    command c;
    c.what = verb_of(word);
    c.kind = static_cast<std::uint16_t>(c.what);
    switch (c.what) {
      case verb::pong:
        state.pings_out = 0;
        break;
      case verb::end:
        words >> word;
        c.why = errc_of(word);
        break;
      case verb::refuse:
        words >> c.id >> word;
        c.why = errc_of(word);
        break;
      case verb::hello:
        words >> c.id;
        state.greeted = true;
        break;
      default:
        words >> c.id >> c.room >> std::ws;
        std::getline(words, c.data.bytes);
        c.options.echo = c.data.bytes != "quiet";
        break;
    }
    out.push_back(std::move(c));
  }
}

wire_ptr talk_dialect::encode(const turn& events, client_id without) const {
  wire_builder out;
  for (auto& e : events.events)
    if (without == 0 || e.from != without)
      add_frame(out,
                fmt::format("{} {} {}", events.room, e.offset, e.what.bytes),
                events.epoch);
  return out.finish();
}

wire_ptr talk_dialect::encode(const answer& what) const {
  wire_builder out;
  if (what.id == 0) {
    if (what.what == verb::leave && what.error != errc::none)
      add_frame(out,
                fmt::format("lost {} {}", what.room, to_string(what.error)));
    return out.finish();
  }
  auto verb = word_of(what.what);
  if (what.error != errc::none)
    add_frame(out, fmt::format("no {} {} {} {}", verb, what.id, what.room,
                               to_string(what.error)));
  else if (what.room.empty())
    add_frame(out, fmt::format("ok {} {}", verb, what.id));
  else
    add_frame(
      out, fmt::format("ok {} {} {} {}", verb, what.id, what.room, what.offset),
      what.epoch);
  return out.finish();
}

wire_ptr talk_dialect::ping() const {
  return strict_ ? make_wire({"ping"}) : wire_ptr{};
}

// -- log ------------------------------------------------------------------------

void fake_log::write(log_record line) noexcept {
  std::lock_guard guard{mutex_};
  records_.push_back(std::move(line));
}

bool fake_log::wants(level x) const noexcept {
  return x >= threshold;
}

namespace {

std::string text_of(const log_record::value& x) {
  struct visitor {
    std::string operator()(std::int64_t n) const { return std::to_string(n); }
    std::string operator()(double n) const { return fmt::format("{}", n); }
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(const std::string& text) const { return text; }
  };
  return std::visit(visitor{}, x);
}

} // namespace

std::vector<std::string> fake_log::lines(std::string_view message) const {
  std::lock_guard guard{mutex_};
  std::vector<std::string> result;
  for (auto& r : records_) {
    if (r.message != message)
      continue;
    std::string text;
    for (auto& [key, value] : r.fields)
      text +=
        fmt::format("{}{}={}", text.empty() ? "" : " ", key, text_of(value));
    result.push_back(std::move(text));
  }
  return result;
}

std::vector<log_record> fake_log::records() const {
  std::lock_guard guard{mutex_};
  return records_;
}

std::string field(const log_record& line, std::string_view key) {
  for (auto& [k, value] : line.fields)
    if (k == key)
      return text_of(value);
  return {};
}

} // namespace greenroom::test
