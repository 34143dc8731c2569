#include "net/ws_session.hpp"

#define GREENROOM_BEAST_WEBSOCKET
#include "net/beast.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <simdjson.h>

#include "net/channel.hpp"
#include "net/frame_marks.hpp"
#include "net/http_response.hpp"
#include "net/inflater.hpp"
#include "net/outbox_stream.hpp"
#include "net/ws_accept.hpp"
#include "net/ws_frame.hpp"

namespace greenroom::net {

namespace {

namespace websocket = beast::websocket;

constexpr auto far_future = steady_time::max();

// How many bytes beside messages a client may send before it is charged for them:
// above what a message in the making may look like.
constexpr std::uint64_t overhead_told = 64 * 1024;

// The answer to a request that will not be upgraded.
wire_ptr make_refusal(errc why) {
  auto text = to_text(refusal(why), connection_use::close);
  wire_builder out{text.size()};
  out.append(text);
  return out.finish();
}

// For these nothing is worth waiting for: the client does not take what it has.
bool discards(errc why) noexcept {
  return why == errc::slow_consumer || why == errc::write_stalled
         || why == errc::overloaded;
}

// Whether a text ends with the first bytes of a character that has more.
// @pre it is UTF-8 but for that
bool ends_amid_character(std::string_view text) noexcept {
  for (std::size_t behind = 1; behind <= std::min<std::size_t>(3, text.size());
       ++behind) {
    auto c = static_cast<unsigned char>(text[text.size() - behind]);
    if (c < 0x80)
      return false;
    if (c >= 0xc0) // it begins a character of 2, 3 or 4 bytes
      return behind < (c < 0xe0 ? 2u : c < 0xf0 ? 3u : 4u);
  }
  return false;
}

using stream_type = websocket::stream<outbox_stream<channel>, false>;

// Beast answers a handshake or takes part in none: it has no way to adopt a
// connection whose handshake was answered. Its own answer costs 21 000 instructions
// (a fifth of what a connection costs in all), because it is composed of fields and
// written piece by piece, and what the request says it has been told already. So we
// answer and open the stream behind its back: an explicit instantiation may name a
// private member. A Beast without it does not compile; see README.md.
template <auto Member>
struct behind_the_back {
  friend void open_as_server(stream_type& x) {
    (x.*Member)->open(beast::role_type::server);
  }
};

void open_as_server(stream_type& x);

template struct behind_the_back<&stream_type::impl_>;

/// One connection: Beast's stream over a channel, and the deadlines of its life.
class ws_session final : public socket_port,
                         public channel,
                         public std::enable_shared_from_this<ws_session>,
                         private timer {
public:
  ws_session(ws_home& home, ws_request& request)
    : channel(home.loop, request.what.flow), home_(home),
      place_(std::move(request.place)),
      pings_(request.what.dialect == nullptr || !request.what.dialect->ping()),
      plan_(std::make_unique<plan>(plan{std::move(request.key),
                                        std::move(request.subprotocol),
                                        std::move(request.deflate)})),
      deadline_(request.accepted + home.limits.handshake_timeout) {}

  void begin(ws_request& request, net::fd_watcher* former);

  // -- socket_port --------------------------------------------------------------

  void accept() override;
  void refuse(errc why) override;
  void append(wire_ptr what, retention how) override;
  std::uint64_t drop_oldest(std::uint64_t keep,
                            std::vector<wire_mark>* gone) override;
  void taken(std::size_t messages) override;
  void close(farewell words) override;
  socket_stats stats() const override;
  socket_lag lag() const override;
  socket_stats stats_at_end() const override;
  queued_events queued_of(std::uint64_t room) const override;

private:
  enum class phase : std::uint8_t {
    asked, // the broker has not answered the handshake
    open,
    goodbye, // our close frame is in the outbox
    ending,  // nothing more will be said: what waits goes out
    closed,  // the descriptor is gone
  };

  // What is needed until the handshake is answered.
  struct plan {
    std::string key;
    std::string subprotocol;
    std::optional<deflate_terms> deflate;
  };

  // What reading compressed messages takes, where that was agreed on.
  struct unpacking {
    explicit unpacking(const deflate_terms& terms)
      : inflate(terms.client_window_bits, terms.client_context) {}

    frame_marks marks;
    frame_marks::kind kind = frame_marks::kind::plain; // of the current message
    inflater inflate;
  };

  // Calls back into the session, and keeps it alive until then.
  struct read_handler {
    std::shared_ptr<ws_session> self;

    void operator()(beast::error_code ec, std::size_t n) {
      self->guarded([&] { self->on_read(ec, n); });
    }
  };

  template <class F>
  void guarded(F&& f) noexcept;

  bool talking() const noexcept { return phase_ == phase::open; }

  void read();
  void on_read(beast::error_code ec, std::size_t n);
  void on_read_error(beast::error_code ec);
  bool window_open() const noexcept;
  void begin_message() noexcept;
  bool exceeds(std::size_t bytes) const noexcept;
  void end_message(std::string bytes);
  void deliver(inbound what);

  template <class F>
  void call_sink(F&& f);

  void tell(errc why, std::uint16_t peer_code);
  void wind_up(bool both_said_goodbye);
  void note_end();
  void drop(bool reset);
  void end_sink();

  void on_input() noexcept override;
  void pass(std::span<char> bytes) override { unpacks_->marks.pass(bytes); }
  void on_blocked() noexcept override;
  void on_progress() noexcept override { stalled_ = false; }
  void over(int error) noexcept override;
  void abandoned() noexcept override;

  steady_time now() const noexcept { return loop().timers().now(); }

  void fired() override;
  void on_time();
  void expire(errc why);
  void judge_stall();
  steady_time next_deadline() const noexcept;
  void arm_timer();

  ws_home& home_;
  std::shared_ptr<ws_session> self_; // until the descriptor is closed
  std::unique_ptr<socket_sink> sink_;
  quota::ticket place_;
  std::optional<stream_type> ws_;
  phase phase_ = phase::asked;
  errc why_ = errc::none; // the first reason, whoever had it
  bool accepted_ = false; // it became a WebSocket
  bool told_ = false;     // the sink knows that it is over
  bool in_sink_ = false;
  bool in_message_ = false; // parts of a message are in `partial_`
  bool paused_ = false;     // nothing is read until messages were taken
  bool stalled_ = false;    // the kernel has taken nothing since `stalled_at_`
  bool pings_;              // not left to the dialect
  std::unique_ptr<plan> plan_;
  std::unique_ptr<unpacking> unpacks_;
  std::unique_ptr<socket_stats> at_end_; // as they were when it began to end
  // A message that was longer than the small buffer, and how much of it is there.
  std::string partial_;
  std::size_t partial_size_ = 0;
  // Sizes of the messages that were not taken yet, from `first_size_` on.
  std::vector<std::uint32_t> sizes_;
  std::size_t first_size_ = 0;
  std::size_t bytes_not_taken_ = 0;
  std::uint64_t bytes_charged_ = 0; // received ones that the broker was told of
  steady_time deadline_;            // of the handshake or the goodbye
  steady_time last_read_{};
  steady_time stalled_at_{};
  std::uint64_t stalled_bytes_ = 0; // unacknowledged then
  steady_time ping_at_ = far_future;
  std::array<char, 256> small_; // last: only touched where messages come
};

// -- beginning ------------------------------------------------------------------

void ws_session::begin(ws_request& request, net::fd_watcher* former) {
  adopt(request.fd.get(), former, request.read_ahead,
        home_.limits.control_bytes_max);
  request.fd.release();
  self_ = shared_from_this();
  last_read_ = now();
  arm_timer();
  in_sink_ = true; // it may be called back before there is a sink
  sink_ = home_.desk.open(home_.unit, self_, std::move(request.what));
  in_sink_ = false;
  if (phase_ == phase::closed)
    end_sink();
}

void ws_session::accept() {
  if (phase_ != phase::asked)
    return;
  phase_ = phase::open;
  accepted_ = true;
  home_.counts.sessions_open.add();
  auto largest = home_.limits.message_bytes_max;
  std::string_view extensions;
  if (auto& terms = plan_->deflate) {
    extensions = terms->answer;
    unpacks_ = std::make_unique<unpacking>(*terms);
    look_at_input();
    // What it is inflated to is known when it is.
    largest = deflated_bytes_max(largest);
  }
  answer(make_upgrade_answer({plan_->key, plan_->subprotocol, extensions}));
  plan_.reset();
  ws_.emplace(outbox_stream<channel>{*this});
  websocket::stream_base::timeout never{websocket::stream_base::none(),
                                        websocket::stream_base::none(), false};
  ws_->set_option(never);
  ws_->read_message_max(largest);
  open_as_server(*ws_);
  deadline_ = far_future;
  last_read_ = now();
  if (pings_) {
    // Connections that come together do not ping together.
    auto half = home_.limits.ping_every / 2;
    auto spread = (reinterpret_cast<std::uintptr_t>(this) >> 6) % 1024;
    ping_at_ = now() + half + half * static_cast<int>(spread) / 1024;
  }
  arm_timer();
  guarded([this] { read(); });
}

void ws_session::refuse(errc why) {
  if (phase_ != phase::asked)
    return;
  phase_ = phase::ending;
  why_ = why;
  plan_.reset();
  at(home_.counts.refused, why).add();
  deadline_ = now() + home_.limits.goodbye_timeout;
  arm_timer();
  discard_unsent();
  answer(make_refusal(why));
  finish();
}

// -- reading --------------------------------------------------------------------

void ws_session::read() {
  asio::mutable_buffer into{small_.data(), small_.size()};
  if (in_message_) {
    // Straight into the message, but not all that a header promises at once: it
    // costs the client nothing to promise.
    auto n = std::min(ws_->read_size_hint(),
                      std::max<std::size_t>(4096, partial_size_));
    partial_.resize(partial_size_ + n);
    into = {partial_.data() + partial_size_, n};
  }
  ws_->async_read_some(into, read_handler{shared_from_this()});
}

void ws_session::on_read(beast::error_code ec, std::size_t n) {
  if (phase_ == phase::closed)
    return;
  if (ec) {
    on_read_error(ec);
    return;
  }
  if (phase_ != phase::open || told_) {
    in_message_ = false; // whatever still comes is for nobody
    if (unpacks_)
      unpacks_->marks.forget();
    read();
    return;
  }
  if (!in_message_) {
    begin_message();
    if (ws_->is_message_done()) {
      end_message({small_.data(), n});
    } else {
      in_message_ = true;
      partial_.assign(small_.data(), n);
      partial_size_ = n;
    }
  } else {
    partial_size_ += n;
    if (ws_->is_message_done()) {
      in_message_ = false;
      partial_.resize(std::exchange(partial_size_, 0));
      // Behind an empty last fragment Beast does not look whether the text has
      // ended (RFC 6455 §8.1). A browser in the room would, and leave.
      if (n == 0 && ws_->got_text() && ends_amid_character(partial_)) {
        partial_ = {};
        expire(errc::bad_utf8);
      } else {
        end_message(std::exchange(partial_, {}));
      }
    } else if (exceeds(partial_size_)) {
      in_message_ = false;
      partial_ = {};
      partial_size_ = 0;
      expire(errc::message_too_big);
    }
  }
  if (phase_ == phase::closed || phase_ == phase::ending)
    return;
  if (in_message_ || phase_ == phase::goodbye || window_open())
    read();
  else
    paused_ = true;
}

void ws_session::on_read_error(beast::error_code ec) {
  static const auto& broken =
    websocket::make_error_code(websocket::error::closed).category();
  auto both_said_goodbye = ec == websocket::error::closed;
  if (both_said_goodbye)
    tell(errc::peer_closed, ws_->reason().code);
  else if (ec == websocket::error::message_too_big)
    tell(errc::message_too_big, 0);
  else if (ec == websocket::error::bad_frame_payload)
    tell(errc::bad_utf8, 0);
  else if (ec.category() == broken)
    tell(errc::protocol_error, 0);
  else {
    tell(errc::peer_gone, 0);
    drop(false);
    return;
  }
  wind_up(both_said_goodbye);
}

bool ws_session::window_open() const noexcept {
  return sizes_.size() - first_size_ < home_.limits.inbound_messages_max
         && bytes_not_taken_ < home_.limits.inbound_bytes_max;
}

void ws_session::begin_message() noexcept {
  if (unpacks_)
    unpacks_->kind = unpacks_->marks.next();
}

// Where compression was agreed on, Beast lets plain messages be a little too long.
bool ws_session::exceeds(std::size_t bytes) const noexcept {
  return unpacks_ && unpacks_->kind == frame_marks::kind::plain
         && bytes > home_.limits.message_bytes_max;
}

// The payload of a message is there.
void ws_session::end_message(std::string bytes) {
  using kind = frame_marks::kind;
  if (!unpacks_ || unpacks_->kind == kind::plain) {
    if (exceeds(bytes.size()))
      expire(errc::message_too_big);
    else
      deliver({std::move(bytes), ws_->got_text()});
    return;
  }
  inbound message;
  message.text = unpacks_->kind == kind::deflated_text;
  message.compressed_bytes = bytes.size();
  switch (unpacks_->inflate.inflate(bytes, home_.limits.message_bytes_max,
                                    message.bytes)) {
    case inflater::outcome::too_big:
      expire(errc::message_too_big);
      return;
    case inflater::outcome::broken:
      expire(errc::bad_deflate);
      return;
    case inflater::outcome::done:
      break;
  }
  if (message.text
      && !simdjson::validate_utf8(message.bytes.data(), message.bytes.size()))
    expire(errc::bad_utf8);
  else
    deliver(std::move(message));
}

void ws_session::deliver(inbound what) {
  ++loop().tally().messages_in;
  sizes_.push_back(static_cast<std::uint32_t>(what.bytes.size()));
  bytes_not_taken_ += what.bytes.size();
  bytes_charged_ +=
    what.compressed_bytes != 0 ? what.compressed_bytes : what.bytes.size();
  call_sink([&](socket_sink& sink) { sink.received(std::move(what)); });
}

void ws_session::taken(std::size_t messages) {
  for (; messages > 0 && first_size_ < sizes_.size(); --messages)
    bytes_not_taken_ -= sizes_[first_size_++];
  if (first_size_ == sizes_.size()) {
    sizes_.clear();
    first_size_ = 0;
  } else if (first_size_ >= home_.limits.inbound_messages_max) {
    sizes_.erase(sizes_.begin(),
                 sizes_.begin() + static_cast<std::ptrdiff_t>(first_size_));
    first_size_ = 0;
  }
  if (!paused_ || !window_open())
    return;
  paused_ = false;
  // The client could not show any life meanwhile.
  last_read_ = now();
  arm_timer();
  guarded([this] { read(); });
}

// -- writing --------------------------------------------------------------------

void ws_session::append(wire_ptr what, retention how) {
  if (!what)
    return;
  auto frames = what->frames();
  if (!channel::append(std::move(what), true, how))
    home_.counts.discarded.add(frames);
}

std::uint64_t ws_session::drop_oldest(std::uint64_t keep,
                                      std::vector<wire_mark>* gone) {
  return channel::drop_oldest(keep, gone);
}

socket_stats ws_session::stats() const {
  auto result = look();
  result.timers = armed() ? 1 : 0;
  result.blocked = blocked();
  return result;
}

socket_lag ws_session::lag() const {
  return look_for_lag();
}

socket_stats ws_session::stats_at_end() const {
  return at_end_ ? *at_end_ : stats();
}

queued_events ws_session::queued_of(std::uint64_t room) const {
  return channel::queued_of(room);
}

// What waits will be sent or discarded from here on: who asks later what was there
// is told.
void ws_session::note_end() {
  if (!at_end_)
    at_end_ = std::make_unique<socket_stats>(stats());
}

void ws_session::on_blocked() noexcept {
  if (std::exchange(stalled_, true))
    return;
  stalled_at_ = now();
  stalled_bytes_ = unacknowledged();
  arm_timer();
}

// What is no part of a message costs as well: frames' headers, pings and pongs,
// fragments without end.
void ws_session::on_input() noexcept {
  last_read_ = now();
  auto known = bytes_charged_ + partial_size_;
  if (bytes_in() < known + overhead_told)
    return;
  auto more = bytes_in() - known;
  bytes_charged_ += more;
  guarded([&] {
    call_sink([more](socket_sink& sink) { sink.received_beside(more); });
  });
}

// -- ending ---------------------------------------------------------------------

void ws_session::close(farewell words) {
  if (phase_ == phase::asked) {
    refuse(words.why);
    return;
  }
  // Behind a close frame, Beast's or our own, there is nothing left to say.
  if (!talking() || waiting().closing())
    return;
  if (why_ == errc::none)
    why_ = words.why;
  note_end();
  if (words.why == errc::peer_gone || words.why == errc::peer_closed) {
    drop(false);
    return;
  }
  if (discards(words.why))
    discard_unsent();
  phase_ = phase::goodbye;
  deadline_ = now() + home_.limits.goodbye_timeout;
  arm_timer();
  if (words.last)
    channel::append(std::move(words.last), false);
  channel::append(make_ws_close(words.code, words.reason), false);
  if (phase_ == phase::goodbye && std::exchange(paused_, false))
    guarded([this] { read(); }); // for the answer to it
}

// Beast is done: it has answered the client's close frame, found ours answered, or
// failed the connection. After close frames both ways it is ours to end TCP, at once
// (RFC 6455 §7.1.1).
void ws_session::wind_up(bool both_said_goodbye) {
  phase_ = phase::ending;
  ws_.reset();
  partial_ = {};
  if (deadline_ == far_future)
    deadline_ = now() + home_.limits.goodbye_timeout;
  arm_timer();
  finish(both_said_goodbye);
}

void ws_session::over(int error) noexcept {
  if (phase_ != phase::ending || error != 0)
    tell(errc::peer_gone, 0);
  drop(false);
}

void ws_session::abandoned() noexcept {
  if (why_ == errc::none)
    why_ = errc::shutdown;
  drop(false);
}

void ws_session::drop(bool reset) {
  if (phase_ == phase::closed)
    return;
  note_end();
  phase_ = phase::closed;
  paused_ = false;
  disarm();
  channel::close(reset);
  ws_.reset();
  plan_.reset();
  partial_ = {};
  sizes_ = {};
  place_ = {};
  auto& counts = home_.counts;
  counts.discarded.add(static_cast<std::int64_t>(frames_discarded()));
  if (accepted_) {
    counts.sessions_open.sub();
    at(counts.closed, why_ == errc::none ? errc::peer_gone : why_).add();
  }
  end_sink();
  // Whoever called is still inside.
  loop().defer([self = std::move(self_)] {});
}

// Calls the sink, which may close the connection and so end itself: that waits
// until the call is over.
template <class F>
void ws_session::call_sink(F&& f) {
  if (!sink_)
    return;
  struct scope {
    ws_session& self;
    bool outer = std::exchange(self.in_sink_, true);

    ~scope() { self.in_sink_ = outer; }
  };
  {
    scope inside{*this};
    f(*sink_);
  }
  if (phase_ == phase::closed)
    end_sink();
}

void ws_session::tell(errc why, std::uint16_t peer_code) {
  if (why_ == errc::none)
    why_ = why;
  note_end();
  if (!sink_ || std::exchange(told_, true))
    return;
  call_sink([&](socket_sink& sink) { sink.closed(why, peer_code); });
}

void ws_session::end_sink() {
  if (in_sink_ || !sink_)
    return;
  tell(why_ == errc::none ? errc::peer_gone : why_, 0);
  sink_.reset();
}

template <class F>
void ws_session::guarded(F&& f) noexcept {
  try {
    f();
  } catch (...) {
    loop().report("session");
    tell(errc::fault, 0);
    drop(true);
  }
}

// -- time -----------------------------------------------------------------------

void ws_session::fired() {
  guarded([this] { on_time(); });
}

void ws_session::on_time() {
  if (now() >= deadline_) {
    if (phase_ == phase::asked) {
      tell(errc::handshake_timeout, 0);
      refuse(errc::handshake_timeout);
    } else {
      // Whoever said goodbye to us and left nothing behind gets no reset.
      drop(!finished());
    }
    return;
  }
  if (talking() && !told_) {
    auto& limits = home_.limits;
    if (!paused_ && now() >= last_read_ + limits.idle_timeout)
      expire(errc::no_sign_of_life);
    else if (stalled_ && now() >= stalled_at_ + limits.write_progress_timeout)
      judge_stall();
    else if (now() >= ping_at_) {
      ping_at_ = now() + limits.ping_every;
      channel::append(ws_ping(), false);
    }
  }
  if (phase_ != phase::closed)
    arm_timer();
}

// The kernel takes nothing until a third of its buffer is free, which takes a slow
// reader long: it is not stalled while it acknowledges anything.
void ws_session::judge_stall() {
  auto bytes = unacknowledged();
  if (bytes >= stalled_bytes_) {
    expire(errc::write_stalled);
    return;
  }
  stalled_at_ = now();
  stalled_bytes_ = bytes;
}

// The actors say goodbye in the words of the dialect. Should they not, it ends all
// the same.
void ws_session::expire(errc why) {
  deadline_ = now() + home_.limits.goodbye_timeout;
  tell(why, 0);
}

steady_time ws_session::next_deadline() const noexcept {
  auto at = deadline_;
  if (talking() && !told_) {
    at = std::min(at, ping_at_);
    if (!paused_)
      at = std::min(at, last_read_ + home_.limits.idle_timeout);
    if (stalled_)
      at = std::min(at, stalled_at_ + home_.limits.write_progress_timeout);
  }
  return at;
}

// Only ever moves the timer forward: what is due later is found when it fires, so
// reading and writing do not touch the wheel.
void ws_session::arm_timer() {
  auto at = next_deadline();
  if (at == far_future || (armed() && timer::deadline() <= at))
    return;
  loop().timers().arm(*this, at);
}

} // namespace

void open_ws_session(ws_home& home, ws_request request, fd_watcher* former) {
  auto session = std::make_shared<ws_session>(home, request);
  session->begin(request, former);
}

} // namespace greenroom::net
