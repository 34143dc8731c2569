#include "net/http_session.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

namespace greenroom::net {

namespace {

// What a lingering connection may still send before it is cut off.
constexpr std::size_t thrown_away_max = 256 * 1024;

// What a client sent, in a log line.
constexpr std::size_t quoted_bytes_max = 200;

} // namespace

// -- refusal_log ------------------------------------------------------------------

void refusal_log::write(errc why, std::string_view detail,
                        const ip_address& client,
                        std::string_view path) noexcept {
  auto& what = describe(why);
  if (!to_.wants(what.loudness))
    return;
  auto& seen = rows_[static_cast<std::size_t>(why)];
  auto second =
    std::chrono::floor<std::chrono::seconds>(std::chrono::steady_clock::now())
      .time_since_epoch()
      .count();
  if (seen.last_second.exchange(second, std::memory_order_relaxed) == second) {
    seen.unsaid.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  auto unsaid = seen.unsaid.exchange(0, std::memory_order_relaxed);
  auto line = log_record{what.loudness, "request_refused"}
                .with("reason", what.name)
                .with("status", what.http)
                .with("address", client.text());
  if (!path.empty())
    line = std::move(line).with("path", path.substr(0, quoted_bytes_max));
  if (!detail.empty())
    line = std::move(line).with("detail", detail.substr(0, quoted_bytes_max));
  if (unsaid != 0)
    line = std::move(line).with("more_before", unsaid);
  to_.write(std::move(line));
}

// -- http_sessions ----------------------------------------------------------------

http_sessions::http_sessions(http_context& context, io_loop& loop)
  : context_(context), loop_(loop) {}

http_sessions::~http_sessions() = default;

void http_sessions::open(arrival what) {
  auto self = all_.emplace(all_.end(), *this, std::move(what));
  self->self_ = self;
  self->begin();
}

void http_sessions::stop() {
  stopping_ = true;
  for (auto i = all_.begin(); i != all_.end();)
    (i++)->stop(); // which may erase it
}

std::size_t http_sessions::size() const noexcept {
  return all_.size();
}

// -- what calls in ----------------------------------------------------------------

http_session::http_session(http_sessions& all, arrival what)
  : all_(all), fd_(std::move(what.fd)), peer_(what.peer), client_(what.peer),
    place_(std::move(what.place)), refusal_(place_.refusal()), since_(what.at),
    proxy_expected_(contains(all.context_.trusted, what.peer)) {}

http_session::~http_session() {
  if (handle_)
    *handle_ = nullptr;
  leave_idle_place();
  if (watched_ && fd_)
    all_.loop_.close(fd_.release(), *this);
  else if (watched_)
    all_.loop_.forget(-1, *this);
}

void http_session::begin() {
  try {
    all_.loop_.watch(fd_.get(), *this);
    watched_ = true;
    all_.loop_.timers().arm(*this, since_ + patience());
  } catch (...) { // the kernel has no memory for one more
    all_.loop_.report("watch");
    phase_ = phase::over;
    settle();
  }
}

void http_session::ready(std::uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
    hung_up_ = true;
  if ((events & EPOLLIN) != 0 || hung_up_)
    readable_ = true;
  // A reset ends everything; who merely stops sending may want its answer.
  if ((events & EPOLLERR) != 0)
    phase_ = phase::over;
  else
    work();
  settle();
}

void http_session::fired() {
  try {
    if (phase_ == phase::lingering || phase_ == phase::over) {
      phase_ = phase::over;
    } else if (!out_.empty()) {
      // The client does not take its answers.
      count(errc::write_stalled, {}, {});
      phase_ = phase::over;
    } else if (phase_ == phase::placing) {
      // Our own actors are too slow, or gone.
      refuse(fault{errc::overloaded, "no home was found in time"});
    } else if (idle_) {
      phase_ = phase::over;
    } else if (refusal_ != errc::none) {
      refuse(fault{refusal_, {}});
    } else {
      refuse(fault{errc::handshake_timeout, {}});
    }
  } catch (...) {
    all_.loop_.report("timer");
    phase_ = phase::over;
  }
  settle();
}

void http_session::abandoned() noexcept {
  phase_ = phase::over;
  settle();
}

void http_session::go_on() {
  work();
  settle();
}

void http_session::stop() {
  // What has arrived before is answered.
  if (phase_ == phase::reading)
    work();
  if (phase_ == phase::reading && out_.empty()) {
    if (in_.empty())
      phase_ = phase::over;
    else
      wait_for_request();
  }
  settle();
}

void http_session::settle() noexcept {
  if (phase_ == phase::over)
    all_.all_.erase(self_);
}

// -- reading ----------------------------------------------------------------------

void http_session::work() {
  send();
  // A client that has many requests must not keep the others waiting.
  auto left = context().http.pipelined_max;
  while (phase_ == phase::reading && !last_answer_) {
    if (answers_ >= context().http.pipelined_max)
      return; // until the client takes some
    auto taken = proxy_expected_ ? take_proxy_header() : take_request();
    if (taken && --left == 0 && phase_ == phase::reading) {
      all_.loop_.post([session = handle()] {
        if (*session != nullptr)
          (*session)->go_on();
      });
      return;
    }
    if (!taken && !receive())
      break;
  }
  if (phase_ == phase::lingering)
    throw_input_away();
  // All that was asked for has been answered, and nothing more will come.
  if (phase_ == phase::reading && ended_) {
    last_answer_ = true;
    if (out_.empty())
      phase_ = phase::over;
  }
}

// Reads once. @returns whether anything came
bool http_session::receive() {
  auto room = context().http.header_bytes_max
              + (proxy_expected_ ? proxy_header_bytes_max : 0);
  if (!readable_ || ended_ || in_.size() >= room)
    return false;
  auto asked = std::min(room - in_.size(), io_loop::scratch_bytes);
  auto* to = all_.loop_.scratch();
  auto n = ::recv(fd_.get(), to, asked, MSG_DONTWAIT);
  if (n < 0) {
    readable_ = false;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
      phase_ = phase::over;
    return false;
  }
  if (n == 0) {
    ended_ = true;
    return false;
  }
  // After less than was asked for, more is a new edge; but an end that was seen
  // already is none.
  if (static_cast<std::size_t>(n) < asked && !hung_up_)
    readable_ = false;
  auto first = in_.empty() && !fresh_;
  in_.append(to, static_cast<std::size_t>(n));
  if (first) {
    since_ = now();
    leave_idle_place();
    if (out_.empty())
      wait_for_request();
  }
  return true;
}

// @returns false if more bytes are needed to know
bool http_session::take_proxy_header() {
  auto header = parse_proxy_header(in_);
  if (header.what == proxy_header::state::need_more)
    return false;
  proxy_expected_ = false;
  if (header.what == proxy_header::state::malformed) {
    // Whatever we said would be for somebody who speaks another language.
    count(errc::bad_request, "malformed PROXY header", {});
    phase_ = phase::over;
  }
  if (header.what != proxy_header::state::complete)
    return true;
  in_.erase(0, header.size);
  if (!header.source)
    return true;
  client_ = peer_ = *header.source;
  // Behind several trusted proxies only the request will name the client.
  if (refusal_ == errc::none && !contains(context().trusted, peer_)
      && !place_.assign(peer_))
    refusal_ = errc::address_limit;
  return true;
}

// @returns false if more bytes are needed
bool http_session::take_request() {
  // One empty line in front is to be ignored (RFC 9112 §2.2).
  if (!blank_line_ && in_.starts_with("\r\n")) {
    blank_line_ = true;
    scanner_ = {};
    in_.erase(0, 2);
  }
  head_only_ = false;
  auto state = scanner_.scan(in_);
  auto known = state == head_state::complete ? scanner_.size() : in_.size();
  auto most = context().http.header_bytes_max;
  if (state == head_state::broken) {
    refuse(fault{errc::bad_request, "malformed head"});
    return true;
  }
  if (known > most || (known == most && state == head_state::need_more)) {
    refuse(fault{errc::header_too_big, {}});
    return true;
  }
  if (state == head_state::need_more)
    return false;
  std::string head{in_, 0, known}; // the request's texts point into it
  in_.erase(0, known);
  scanner_ = {};
  blank_line_ = false;
  fresh_ = false;
  auto request = parse_head(head);
  if (request)
    serve(*request);
  else
    refuse(request.error());
  return true;
}

void http_session::serve(const http_request& in) {
  head_only_ = in.method == "HEAD";
  client_ =
    client_address(peer_, context().trusted, in.values("X-Forwarded-For"));
  auto target = parse_target(in.target);
  if (!target) {
    refuse(target.error());
    return;
  }
  auto found = find_way(in, *target, context().http.room_name_bytes_max);
  if (found.upgrades && found.refusal == errc::none) {
    enter(in, *target, std::move(found));
    return;
  }
  // Nothing here takes a body. One that is not read may hide a request, so the
  // connection ends with it.
  if (found.refusal != errc::none) {
    count(found.refusal, found.detail, target->path);
    respond(refusal(found.refusal,
                    found.to != nullptr ? allowed_methods(*found.to) : ""),
            in.has_body() ? connection_use::close : use_after(in));
  } else if (in.transfer_coded) {
    refuse(fault{errc::bad_request, "a body of unknown length"}, target->path);
  } else if (in.has_body()) {
    refuse(fault{errc::message_too_big, "a body"}, target->path);
  } else {
    respond(found.to->answer({in, *target, context().desk}), use_after(in));
  }
}

// -- upgrades ---------------------------------------------------------------------

void http_session::enter(const http_request& in, const http_target& target,
                         way found) {
  auto checked = check_handshake(in, context().origins,
                                 target.authority.empty()
                                   ? in.header("Host")
                                   : std::string_view{target.authority});
  if (!checked) {
    refuse(checked.error(), target.path);
    return;
  }
  auto entered = found.to->enter(
    {std::move(found.names), target.query, checked->subprotocols});
  if (!entered) {
    refuse(entered.error(), target.path);
    return;
  }
  if (refusal_ == errc::none && !place_.assign(client_))
    refusal_ = errc::address_limit;
  if (refusal_ == errc::none && !context().desk.ready())
    refusal_ = errc::draining;
  if (refusal_ != errc::none) {
    refuse(fault{refusal_, {}}, target.path);
    return;
  }
  request_ = std::make_unique<ws_request>();
  request_->accepted = since_;
  request_->key = checked->key;
  request_->subprotocol = std::move(entered->subprotocol);
  request_->what.dialect = entered->dialect;
  request_->what.implied = std::move(entered->implied);
  request_->what.raw = entered->raw;
  request_->what.address = client_.text();
  request_->what.origin = checked->origin;
  request_->what.flow = std::make_shared<flow_counter>();
  room_ = std::move(entered->room);
  phase_ = phase::placing;
  if (out_.empty()) // else once earlier answers are out
    place();
}

void http_session::place() {
  // The client has done its part; this limits us.
  all_.loop_.timers().arm_in(*this, context().session.handshake_timeout);
  auto told = [&loop = all_.loop_, session = handle()](unit_id home) {
    loop.post([session, home] {
      if (*session != nullptr)
        (*session)->placed(home);
    });
  };
  context().desk.place(std::move(room_), std::move(told));
}

void http_session::placed(unit_id home) {
  if (phase_ != phase::placing || !request_)
    return;
  phase_ = phase::over;
  assert(home < context().homes.size());
  auto& where = *context().homes[home];
  auto request = std::move(*request_);
  request.fd = std::move(fd_);
  request.place = std::move(place_);
  request.read_ahead = std::move(in_);
  try {
    if (&where.loop == &all_.loop_) {
      open_ws_session(where, std::move(request), this);
      watched_ = false;
    } else {
      all_.loop_.forget(request.fd.get(), *this);
      watched_ = false;
      where.loop.post([&where, x = std::move(request)]() mutable {
        open_ws_session(where, std::move(x));
      });
    }
  } catch (...) { // the descriptor is closed
    all_.loop_.report("upgrade");
  }
  settle();
}

// -- answering --------------------------------------------------------------------

void http_session::refuse(const fault& why, std::string_view path) {
  count(why.code, why.detail, path);
  phase_ = phase::reading;
  request_.reset();
  respond(refusal(why.code), connection_use::close);
}

void http_session::count(errc why, std::string_view detail,
                         std::string_view path) {
  at(context().counts.refused, why).add();
  context().log.write(why, detail, client_, path);
}

connection_use http_session::use_after(const http_request& in) {
  auto stays = in.keep_alive && refusal_ == errc::none && !ended_
               && !all_.stopping() && context().desk.ready()
               && (!in_.empty() || take_idle_place());
  return stays ? connection_use::keep : connection_use::close;
}

void http_session::respond(const http_response& what, connection_use then) {
  auto waits = !out_.empty();
  out_ += to_text(what, then, head_only_);
  ++answers_;
  last_answer_ = then == connection_use::close;
  since_ = now(); // of the request behind it, if its bytes are here already
  if (!waits)
    all_.loop_.timers().arm_in(*this, context().session.write_progress_timeout);
  send();
}

void http_session::send() {
  if (out_.empty())
    return;
  while (sent_ < out_.size()) {
    auto n = ::send(fd_.get(), out_.data() + sent_, out_.size() - sent_,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
      if (errno != EAGAIN && errno != EWOULDBLOCK)
        phase_ = phase::over;
      return;
    }
    sent_ += static_cast<std::size_t>(n);
    all_.loop_.timers().arm_in(*this, context().session.write_progress_timeout);
  }
  out_.clear();
  sent_ = 0;
  answers_ = 0;
  if (last_answer_)
    linger();
  else if (phase_ == phase::placing)
    place();
  else
    wait_for_request();
}

// Closing a socket with unread bytes resets it, and a reset may overtake the last
// answer (RFC 9112 §9.6). So we end our direction and read on for a while.
void http_session::linger() {
  if (ended_) {
    phase_ = phase::over;
    return;
  }
  phase_ = phase::lingering;
  ::shutdown(fd_.get(), SHUT_WR);
  all_.loop_.timers().arm_in(*this, http_sessions::linger_timeout);
  throw_input_away();
}

void http_session::throw_input_away() {
  in_ = {};
  while (readable_) {
    auto n = ::recv(fd_.get(), all_.loop_.scratch(), io_loop::scratch_bytes,
                    MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      readable_ = false;
      return;
    }
    thrown_away_ += n > 0 ? static_cast<std::size_t>(n) : 0;
    if (n <= 0 || thrown_away_ > thrown_away_max) {
      phase_ = phase::over;
      return;
    }
  }
}

// -- the rest ---------------------------------------------------------------------

std::chrono::milliseconds http_session::patience() const noexcept {
  auto span = context().session.handshake_timeout;
  if (refusal_ != errc::none || all_.stopping())
    span = std::min(span, http_sessions::refused_timeout);
  return span;
}

void http_session::wait_for_request() {
  if (idle_ && !all_.stopping())
    all_.loop_.timers().arm_in(*this, context().http.keep_alive_timeout);
  else
    all_.loop_.timers().arm(*this, since_ + patience());
}

bool http_session::take_idle_place() {
  auto& idle = context().idle;
  if (idle.fetch_add(1, std::memory_order_relaxed)
      >= context().http.keep_alive_max) {
    idle.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  idle_ = true;
  return true;
}

void http_session::leave_idle_place() noexcept {
  if (std::exchange(idle_, false))
    context().idle.fetch_sub(1, std::memory_order_relaxed);
}

std::shared_ptr<http_session*> http_session::handle() {
  if (!handle_)
    handle_ = std::make_shared<http_session*>(this);
  return handle_;
}

} // namespace greenroom::net
