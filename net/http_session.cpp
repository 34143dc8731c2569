#include "net/http_session.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <optional>
#include <utility>

#include "net/api/inspect_service.hpp"
#include "net/deflater.hpp"

namespace greenroom::net {

namespace {

// What a lingering connection may still send before it is cut off.
constexpr std::size_t thrown_away_max = 256 * 1024;

} // namespace

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
  // A reset ends everything; who merely stops sending may want its answer, but not
  // for ever.
  if ((events & EPOLLERR) != 0 || (hung_up_ && phase_ == phase::streaming))
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
      // The client does not take its answers: what the kernel holds of them would
      // stay for as long.
      const struct ::linger now_or_never = {1, 0};
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now_or_never,
                   sizeof(now_or_never));
      count(errc::write_stalled, {}, {});
      phase_ = phase::over;
    } else if (phase_ == phase::placing) {
      // Our own actors are too slow, or gone.
      refuse(fault{errc::overloaded, "no home was found in time"});
    } else if (phase_ == phase::asking) {
      refuse(fault{errc::answer_timeout, {}}, path_);
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
  if (phase_ == phase::streaming) {
    stream_->stop();
    pump();
    return;
  }
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
  feed();
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
  auto room = std::max(context().http.header_bytes_max
                         + (proxy_expected_ ? proxy_header_bytes_max : 0),
                       wanted_);
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
  if (wanted_ == 0 && !take_head())
    return false;
  if (in_.size() < wanted_ || phase_ != phase::reading || last_answer_)
    return wanted_ == 0;              // without a head it was refused
  std::string whole{in_, 0, wanted_}; // the request's texts point into it
  in_.erase(0, wanted_);
  wanted_ = 0;
  scanner_ = {};
  blank_line_ = false;
  fresh_ = false;
  std::string_view text{whole};
  auto request = parse_head(text.substr(0, head_));
  if (request)
    serve(*request, text.substr(head_));
  else
    refuse(request.error());
  return true;
}

// Finds the end of the head, and of a body that belongs to it.
// @returns false if more bytes are needed; else it is known, or refused
bool http_session::take_head() {
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
  head_ = wanted_ = known;
  if (context().serves.inspect != nullptr) // only there are routes with bodies
    expect_body();
  return true;
}

void http_session::expect_body() {
  auto request = parse_head(std::string_view{in_}.substr(0, head_));
  if (!request || request->transfer_coded
      || request->content_length > http_sessions::body_bytes_max)
    return; // refused in a moment
  wanted_ += request->content_length;
  // RFC 9110 §10.1.1.
  if (in_.size() < wanted_ && request->version_1_1
      && request->lists("Expect", "100-continue"))
    put("HTTP/1.1 100 Continue\r\n\r\n");
}

// Whether whoever asks may. If not, it has been told.
bool http_session::let_in(const http_request& in, const http_target& target,
                          const way& found) {
  auto* inspect = context().serves.inspect;
  if (inspect == nullptr)
    return true;
  auto no = refusal_ != errc::none ? std::optional{refusal(refusal_)}
                                   : inspect->refuse(in, target, found.to);
  if (!no)
    return true;
  count(no->why, no->detail, target.path);
  respond(*no,
          in.has_body() ? connection_use::close : use_after(in.keep_alive));
  return false;
}

void http_session::serve(const http_request& in, std::string_view body) {
  head_only_ = in.method == "HEAD";
  client_ =
    client_address(peer_, context().trusted, in.values("X-Forwarded-For"));
  auto target = parse_target(in.target);
  if (!target) {
    refuse(target.error());
    return;
  }
  auto& serves = context().serves;
  auto found =
    find_way(in, *target, context().http.room_name_bytes_max, serves.table);
  if (!let_in(in, *target, found))
    return;
  if (found.upgrades && found.refusal == errc::none) {
    enter(in, *target, std::move(found));
    return;
  }
  auto takes_body = found.to != nullptr && found.to->posts;
  // A body that is not read may hide a request, so the connection ends with it.
  if (found.refusal != errc::none) {
    count(found.refusal, found.detail, target->path);
    respond(refusal(found.refusal,
                    found.to != nullptr ? allowed_methods(*found.to) : ""),
            in.has_body() ? connection_use::close : use_after(in.keep_alive));
  } else if (in.transfer_coded) {
    refuse(fault{errc::bad_request, "a body of unknown length"}, target->path);
  } else if (in.has_body()
             && (!takes_body
                 || in.content_length > http_sessions::body_bytes_max)) {
    refuse(fault{errc::message_too_big, "a body"}, target->path);
  } else {
    auto client = client_.text();
    http_call call{in, *target, context().desk, body, client, serves.inspect};
    if (found.to->ask != nullptr)
      ask(call, found.to->ask);
    else
      respond(found.to->answer(call), use_after(in.keep_alive));
  }
}

// -- answers that come later ----------------------------------------------------

void http_session::ask(const http_call& in, http_asker whom) {
  phase_ = phase::asking;
  keep_alive_ = in.request.keep_alive;
  version_1_1_ = in.request.version_1_1;
  path_ = in.target.path;
  answer_until_ = now() + context().http.answer_timeout;
  if (out_.empty()) // else once earlier answers are out
    all_.loop_.timers().arm(*this, answer_until_);
  whom(in, http_reply{[&loop = all_.loop_, session = handle(),
                       question = ++question_](http_answer what) {
         loop.post([session, question, x = std::move(what)]() mutable {
           if (*session != nullptr)
             (*session)->answered(question, std::move(x));
         });
       }});
}

void http_session::answered(std::uint64_t question, http_answer what) {
  if (phase_ != phase::asking || question != question_)
    return; // it has been told that this took too long
  phase_ = phase::reading;
  if (auto* stream = std::get_if<std::unique_ptr<http_stream>>(&what)) {
    start_stream(std::move(*stream));
  } else {
    auto& x = std::get<http_response>(what);
    if (x.why != errc::none)
      count(x.why, x.detail, path_);
    respond(x, use_after(keep_alive_));
  }
  work(); // goes on with the stream, or with what came behind the request
  settle();
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
  auto entered = found.to->enter({std::move(found.names), target.query,
                                  checked->subprotocols,
                                  context().http.room_name_bytes_max});
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
  if (context().desk.compresses(entered->room)) {
    auto& settings = context().session.deflate;
    request_->deflate =
      agree_on_deflate(in.values("Sec-WebSocket-Extensions"), settings);
    if (auto& terms = request_->deflate)
      request_->what.compressed =
        &deflater_of(settings, terms->server_window_bits);
  }
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

connection_use http_session::use_after(bool keep_alive) {
  auto stays = keep_alive && refusal_ == errc::none && !ended_
               && !all_.stopping() && context().desk.ready()
               && (!in_.empty() || take_idle_place());
  return stays ? connection_use::keep : connection_use::close;
}

void http_session::respond(const http_response& what, connection_use then) {
  last_answer_ = then == connection_use::close;
  since_ = now(); // of the request behind it, if its bytes are here already
  ++answers_;
  put(to_text(what, then, head_only_));
}

// Puts bytes behind those that wait.
void http_session::put(std::string_view bytes) {
  if (out_.empty())
    all_.loop_.timers().arm_in(*this, context().session.write_progress_timeout);
  out_ += bytes;
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
  if (phase_ == phase::streaming)
    disarm();
  else if (phase_ == phase::asking)
    all_.loop_.timers().arm(*this, answer_until_);
  else if (last_answer_)
    linger();
  else if (phase_ == phase::placing)
    place();
  else
    wait_for_request();
}

// -- answers that go on -----------------------------------------------------------

void http_session::start_stream(std::unique_ptr<http_stream> what) {
  phase_ = phase::streaming;
  stream_ = std::move(what);
  ++answers_;
  put(stream_head(stream_->content_type(), version_1_1_));
  stream_->begin(all_.loop_, [&loop = all_.loop_, session = handle()] {
    loop.post([session] {
      if (*session != nullptr)
        (*session)->pump();
    });
  });
  if (all_.stopping())
    stream_->stop();
}

void http_session::pump() {
  feed();
  settle();
}

// Sends what the stream has, once the client has taken what came before.
void http_session::feed() {
  // A stream that has something all the time must not keep the others waiting.
  for (int left = 8; phase_ == phase::streaming && out_.empty(); --left) {
    if (left == 0) {
      all_.loop_.post([session = handle()] {
        if (*session != nullptr)
          (*session)->pump();
      });
      return;
    }
    std::string lines;
    auto goes_on = stream_->next(lines);
    std::string bytes;
    if (version_1_1_)
      append_chunk(bytes, lines);
    else
      bytes = std::move(lines);
    if (!goes_on) {
      if (version_1_1_)
        append_last_chunk(bytes);
      stream_.reset();
      phase_ = phase::reading;
      last_answer_ = true;
    }
    if (!bytes.empty())
      put(bytes);
    else if (!goes_on)
      linger();
    else
      return;
  }
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
