#include "app/commands/bench/crowd.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace greenroom::client {

namespace {

/// Big enough for what a server joins for one connection; read at once.
constexpr std::size_t buffer_bytes = 256 * 1024;

constexpr std::size_t complaints_max = 8;

constexpr std::uint64_t wait_max = 50'000'000;

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

std::string words_of(int error) {
  return std::error_code{error, std::generic_category()}.message();
}

/// Waits with the precision of the clock where the kernel can (5.11), else with
/// that of milliseconds, and does not sleep at all below one.
int wait_for(int epoll, std::array<epoll_event, 256>& events,
             std::uint64_t span) {
  static bool precise = true;
  if (precise) {
    timespec t{0, static_cast<long>(span)};
    auto n = epoll_pwait2(epoll, events.data(), static_cast<int>(events.size()),
                          &t, nullptr);
    if (n >= 0 || (errno != ENOSYS && errno != EPERM))
      return n;
    precise = false;
  }
  return epoll_wait(epoll, events.data(), static_cast<int>(events.size()),
                    static_cast<int>(span / 1'000'000));
}

} // namespace

std::uint64_t now_ns() noexcept {
  return static_cast<std::uint64_t>(
    std::chrono::steady_clock::now().time_since_epoch().count());
}

crowd::crowd(crowd_options options, std::uint32_t size, crowd_events& events)
  : options_(std::move(options)), events_(events),
    epoll_(epoll_create1(EPOLL_CLOEXEC)), buffer_(buffer_bytes) {
  if (!epoll_)
    fail("epoll_create1");
  // One key for all: it proves to each connection that a WebSocket answers.
  auto shake = make_handshake(options_.to);
  constexpr std::string_view name = "Sec-WebSocket-Key: ";
  auto at = shake.request.find(name) + name.size();
  key_ = shake.request.substr(at, shake.request.find("\r\n", at) - at);
  accept_ = shake.accept;
  peers_.reserve(size);
  for (std::uint32_t i = 0; i < size; ++i)
    peers_.emplace_back(options_.message_bytes_max);
}

crowd::~crowd() = default;

// -- states -----------------------------------------------------------------------

void crowd::enter(peer& x, stage state) {
  auto count = [&](int by) {
    auto step = static_cast<std::size_t>(by);
    if (x.state == stage::connecting || x.state == stage::shaking)
      opening_count_ += step;
    else if (x.state == stage::open)
      open_count_ += step;
  };
  count(-1);
  x.state = state;
  count(1);
}

void crowd::complain(std::string words) {
  if (complaints_.size() >= complaints_max && !complaints_.contains(words))
    words = "other reasons";
  ++complaints_[words];
}

void crowd::end(std::uint32_t who, ending how) {
  auto& x = peers_[who];
  x.fd.reset();
  ++x.turn;
  x.out.clear();
  x.answer = {};
  enter(x, stage::gone);
  events_.on_end(who, how);
}

// -- one connection ---------------------------------------------------------------

void crowd::open(std::uint32_t who) {
  auto& x = peers_[who];
  x.since = now_ns();
  x.reader = frame_reader{options_.message_bytes_max};
  const endpoint* from = nullptr;
  if (!options_.sources.empty())
    from = &options_.sources[next_source_++ % options_.sources.size()];
  x.fd = start_connect(options_.address, from);
  enter(x, stage::connecting);
  if (!x.fd) {
    complain(words_of(errno));
    end(who, ending::refused);
    return;
  }
  // Edges spare a call each time that something begins or ends to wait for
  // writability.
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = std::uint64_t{x.turn} << 32 | who;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, x.fd.get(), &event) != 0)
    fail("epoll_ctl");
  auto limit = static_cast<std::uint64_t>(options_.open_timeout.count());
  opening_.push_back({x.since + limit, who, x.turn});
}

void crowd::send(std::uint32_t who, ws_opcode op, std::string_view payload) {
  auto& x = peers_[who];
  if (!x.fd)
    return;
  if (!x.out.empty()) {
    append_masked(x.out.in(), op, payload);
    return;
  }
  // The usual case: nothing waits, so nothing is kept.
  frame_.clear();
  append_masked(frame_, op, payload);
  auto n = ::send(x.fd.get(), frame_.data(), frame_.size(),
                  MSG_NOSIGNAL | MSG_DONTWAIT);
  auto sent = static_cast<std::size_t>(std::max<ssize_t>(n, 0));
  if (sent < frame_.size() && (n >= 0 || errno == EAGAIN))
    x.out.in().assign(frame_, sent);
  // Any other error is read from the socket, too.
}

void crowd::close(std::uint32_t who) {
  auto& x = peers_[who];
  enter(x, stage::closing);
  auto limit = static_cast<std::uint64_t>(options_.close_timeout.count());
  closing_.push_back({now_ns() + limit, who, x.turn});
  std::string frame;
  append_close(frame, 1000);
  if (x.out.empty()) {
    x.out.in() = std::move(frame);
    flush(who);
  } else {
    x.out.in() += frame;
  }
}

void crowd::flush(std::uint32_t who) {
  auto& x = peers_[who];
  if (send_some(x.fd.get(), x.out) != 0)
    x.out.clear(); // the end is read from the socket
}

// -- the loop ---------------------------------------------------------------------

void crowd::poll(std::uint64_t until) {
  std::array<epoll_event, 256> ready;
  auto now = now_ns();
  auto span = until > now ? std::min(until - now, wait_max) : 0;
  auto n = wait_for(epoll_.get(), ready, span);
  if (n < 0 && errno != EINTR)
    fail("epoll");
  for (int i = 0; i < n; ++i) {
    auto who = static_cast<std::uint32_t>(ready[i].data.u64);
    if (peers_[who].turn == ready[i].data.u64 >> 32 && peers_[who].fd)
      on_ready(who, ready[i].events);
  }
  expire();
}

void crowd::expire() {
  if (opening_.empty() && closing_.empty())
    return;
  auto now = now_ns();
  auto next = [&](std::deque<due>& from, auto matches, auto act) {
    while (!from.empty()) {
      auto x = from.front();
      auto& it = peers_[x.who];
      bool current = it.turn == x.turn && matches(it.state);
      if (current && x.at > now)
        return;
      from.pop_front();
      if (current)
        act(x.who);
    }
  };
  next(
    opening_,
    [](stage s) { return s == stage::connecting || s == stage::shaking; },
    [&](std::uint32_t who) {
      complain("no answer to the handshake in time");
      end(who, ending::refused);
    });
  next(
    closing_, [](stage s) { return s == stage::closing; },
    [&](std::uint32_t who) { end(who, ending::unanswered); });
}

void crowd::close_all(std::uint64_t until) {
  for (std::uint32_t who = 0; who < peers_.size(); ++who) {
    if (is_open(who))
      close(who);
    else if (peers_[who].fd && peers_[who].state != stage::closing)
      end(who, ending::refused);
  }
  auto any = [&] {
    return std::any_of(peers_.begin(), peers_.end(),
                       [](const peer& x) { return x.state == stage::closing; });
  };
  while (any() && now_ns() < until)
    poll(until);
}

void crowd::on_ready(std::uint32_t who, std::uint32_t events) {
  auto& x = peers_[who];
  if (x.state == stage::connecting) {
    on_connected(who);
    return;
  }
  if ((events & EPOLLOUT) != 0 && !x.out.empty())
    flush(who);
  if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0)
    on_readable(who, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
}

void crowd::on_connected(std::uint32_t who) {
  auto& x = peers_[who];
  if (auto error = connect_error(x.fd.get())) {
    complain(words_of(error));
    end(who, ending::refused);
    return;
  }
  enter(x, stage::shaking);
  auto to = options_.to;
  to.target = events_.target_of(who);
  x.out.in() = make_handshake(to, key_).request;
  flush(who);
}

void crowd::on_readable(std::uint32_t who, bool to_the_end) {
  auto& x = peers_[who];
  auto turn = x.turn;
  for (;;) {
    auto n = ::recv(x.fd.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    ++reads_;
    read_at_ = now_ns();
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno == EAGAIN)
      return;
    if (n <= 0 && x.state == stage::closing) {
      end(who, ending::closed);
      return;
    }
    if (n < 0) {
      complain(words_of(errno));
      end(who, x.state == stage::open ? ending::dropped : ending::refused);
      return;
    }
    std::string_view bytes{buffer_.data(), static_cast<std::size_t>(n)};
    if (x.state == stage::shaking) {
      on_answer(who, bytes, n == 0);
    } else if (n == 0) {
      complain("closed without a close frame");
      end(who, ending::dropped);
    } else {
      on_frames(who, bytes);
    }
    // A short read has emptied the socket; more is another edge.
    if (x.turn != turn || (!to_the_end && bytes.size() < buffer_.size()))
      return;
  }
}

void crowd::on_answer(std::uint32_t who, std::string_view bytes, bool ended) {
  auto& x = peers_[who];
  // Nearly always it comes in one piece.
  bool whole = x.answer.empty();
  if (!whole)
    x.answer += bytes;
  auto all = whole ? bytes : std::string_view{x.answer};
  auto answer = read_answer(all, accept_, ended);
  switch (answer.what) {
    case handshake_answer::kind::need_more:
      if (whole)
        x.answer = bytes;
      return;
    case handshake_answer::kind::refused:
    case handshake_answer::kind::broken:
      complain(std::move(answer.words));
      end(who, ending::refused);
      return;
    case handshake_answer::kind::accepted:
      break;
  }
  auto held = std::move(x.answer);
  x.answer = {};
  auto rest =
    (whole ? bytes : std::string_view{held}).substr(answer.head_bytes);
  auto turn = x.turn;
  enter(x, stage::open);
  events_.on_open(who, read_at_ - x.since);
  if (x.turn == turn && x.fd && !rest.empty())
    on_frames(who, rest);
}

void crowd::on_frames(std::uint32_t who, std::string_view bytes) {
  auto& x = peers_[who];
  auto turn = x.turn;
  x.reader.feed(bytes);
  while (x.turn == turn) {
    switch (x.reader.next()) {
      case frame_reader::step::need_more:
        return;
      case frame_reader::step::message:
        events_.on_message(who, x.reader.opcode(), x.reader.payload());
        break;
      case frame_reader::step::control:
        on_control(x, who);
        break;
      case frame_reader::step::broken:
        complain(fmt::format("the server sent {}", x.reader.error()));
        end(who, ending::dropped);
        return;
    }
  }
}

void crowd::on_control(peer& x, std::uint32_t who) {
  switch (x.reader.opcode()) {
    case ws_opcode::ping:
      if (x.state == stage::open)
        send(who, ws_opcode::pong, x.reader.payload());
      return;
    case ws_opcode::pong:
      events_.on_pong(who);
      return;
    default:
      break;
  }
  if (x.state == stage::closing)
    return; // the answer to ours; the end of the stream follows
  complain(fmt::format("closed by the server: {}",
                       to_string(read_close(x.reader.payload()))));
  close(who);
  end(who, ending::dropped);
}

} // namespace greenroom::client
