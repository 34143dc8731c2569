#include "app/commands/join.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app/commands/client/args.hpp"
#include "app/commands/client/frame.hpp"
#include "app/commands/client/handshake.hpp"
#include "app/commands/client/socket.hpp"
#include "app/values.hpp"

namespace greenroom {

namespace client {

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto open_timeout = 10s;
constexpr auto goodbye_timeout = 5s;

/// While more than this waits for the other side, its source is not read.
constexpr std::size_t waiting_bytes_max = 256 * 1024;

/// Bigger messages end the session: each is held in memory.
constexpr std::size_t message_bytes_max = 64 * 1024 * 1024;

bool full(const byte_queue& x) {
  return x.waiting().size() >= waiting_bytes_max;
}

std::string words_of(int error) {
  return std::error_code{error, std::generic_category()}.message();
}

enum class phase : std::uint8_t {
  connecting,
  shaking, ///< the handshake is on its way
  open,
  closing,  ///< our close frame is sent, its answer is awaited
  flushing, ///< the connection is over, standard output lags
};

class session {
public:
  session(const join_request& what, const join_streams& streams,
          std::vector<endpoint> endpoints)
    : what_(what), streams_(streams), endpoints_(std::move(endpoints)),
      shake_(make_handshake(what.to)), due_(clock::now() + open_timeout) {
    if (what.timeout)
      leave_at_ = clock::now() + *what.timeout;
  }

  join_outcome run() {
    connect_next();
    while (!done_)
      turn();
    return outcome_;
  }

private:
  // -- the loop --

  void turn();
  clock::time_point deadline() const;
  int wait_span() const;
  void on_interrupt();
  void on_deadline();

  // -- ends --

  /// The connection is over; what waits for standard output still goes there.
  void over(int status, std::string words);
  /// Asks for a polite end.
  void leave(std::string words = {});
  bool counted_all() const { return what_.count && got_ >= *what_.count; }
  /// What is missing if this ended now, or nothing.
  std::string missing(std::string_view why) const;

  // -- the socket --

  void connect_next();
  void on_connected();
  void read_socket();
  void write_socket();
  void on_bytes(std::string_view bytes);
  void on_open();
  void on_message();
  void on_control();
  void lost(int error);

  // -- standard input and output --

  void read_input();
  void send_lines(bool ended);
  void write_output();

  const join_request& what_;
  const join_streams& streams_;
  std::vector<endpoint> endpoints_;
  std::size_t next_endpoint_ = 0;
  int connect_failure_ = 0;
  handshake shake_;
  unique_fd socket_;
  phase phase_ = phase::connecting;
  bool done_ = false;
  join_outcome outcome_;

  /// Of the opening, then of the goodbye.
  clock::time_point due_;
  clock::time_point leave_at_ = clock::time_point::max();

  frame_reader reader_{message_bytes_max};
  std::string answer_; ///< of the handshake
  byte_queue to_socket_;
  byte_queue to_output_;
  std::string line_; ///< one that is not complete yet
  bool input_open_ = true;
  bool output_open_ = true;
  std::uint64_t got_ = 0;
  std::array<char, 64 * 1024> buffer_;
};

// -- the loop -------------------------------------------------------------------

clock::time_point session::deadline() const {
  switch (phase_) {
    case phase::connecting:
    case phase::shaking:
      return std::min(due_, leave_at_);
    case phase::open:
      return leave_at_;
    case phase::closing:
      return due_;
    case phase::flushing:
      break;
  }
  return clock::time_point::max();
}

int session::wait_span() const {
  auto until = deadline();
  if (until == clock::time_point::max())
    return -1;
  auto left =
    std::chrono::ceil<std::chrono::milliseconds>(until - clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT_MAX));
}

void session::turn() {
  enum { interrupt, socket, in, out };
  std::array<pollfd, 4> waits;
  waits[interrupt] = {streams_.interrupt, POLLIN, 0};
  waits[socket] = {socket_.get(), 0, 0};
  waits[in] = {-1, POLLIN, 0};
  waits[out] = {output_open_ ? streams_.out : -1, 0, 0};
  // Whoever cannot keep up is waited for, and in the end the broker notices.
  if (phase_ != phase::connecting && !full(to_output_))
    waits[socket].events |= POLLIN;
  if (phase_ == phase::connecting || !to_socket_.empty())
    waits[socket].events |= POLLOUT;
  if (phase_ == phase::open && input_open_ && !full(to_socket_))
    waits[in].fd = streams_.in;
  if (!to_output_.empty())
    waits[out].events |= POLLOUT;

  auto n = ::poll(waits.data(), waits.size(), wait_span());
  if (n < 0) {
    if (errno != EINTR)
      over(1, fmt::format("poll: {}", words_of(errno)));
    return;
  }
  if (n == 0) {
    on_deadline();
    return;
  }
  if (waits[out].revents != 0)
    write_output();
  if (waits[socket].revents != 0 && socket_) {
    if (phase_ == phase::connecting)
      on_connected();
    else if ((waits[socket].revents & ~POLLOUT) != 0)
      read_socket();
    if (socket_ && phase_ != phase::connecting)
      write_socket();
  }
  if (waits[in].revents != 0 && phase_ == phase::open)
    read_input();
  if (waits[interrupt].revents != 0)
    on_interrupt();
  if (phase_ == phase::flushing && to_output_.empty())
    done_ = true;
}

void session::on_interrupt() {
  std::array<char, sizeof(signalfd_siginfo)> signal;
  [[maybe_unused]] auto n =
    ::read(streams_.interrupt, signal.data(), signal.size());
  if (phase_ == phase::open) {
    leave(missing("interrupted"));
    return;
  }
  // Asked twice, or there is nobody to say goodbye to.
  if (outcome_.status == 0)
    outcome_ = {1, "interrupted"};
  done_ = true;
}

void session::on_deadline() {
  switch (phase_) {
    case phase::open:
      leave(missing("timed out"));
      break;
    case phase::connecting:
    case phase::shaking:
      over(1, fmt::format("{}: no answer", what_.to.authority));
      break;
    case phase::closing:
      if (full(to_output_)) // its answer may lie behind what is not read
        due_ = clock::now() + goodbye_timeout;
      else if (outcome_.words.empty())
        over(1, "the server did not answer our close frame");
      else
        over(1, std::move(outcome_.words));
      break;
    case phase::flushing:
      break;
  }
}

// -- ends -------------------------------------------------------------------------

std::string session::missing(std::string_view why) const {
  if (!what_.count || counted_all())
    return {};
  return fmt::format("{} with {} of {} messages", why, got_, *what_.count);
}

void session::over(int status, std::string words) {
  socket_.reset();
  outcome_ = {status, std::move(words)};
  phase_ = phase::flushing;
  done_ = to_output_.empty();
}

void session::leave(std::string words) {
  outcome_ = {words.empty() ? 0 : 1, std::move(words)};
  input_open_ = false;
  append_close(to_socket_.in(), 1000);
  phase_ = phase::closing;
  due_ = clock::now() + goodbye_timeout;
}

void session::lost(int error) {
  if (phase_ == phase::closing && error == 0) {
    // An end without a close frame is rude, but it is what was asked for.
    over(outcome_.status, std::move(outcome_.words));
    return;
  }
  over(1, fmt::format("{}: connection lost: {}", what_.to.authority,
                      error == 0 ? "closed without a close frame (1006)"
                                 : words_of(error)));
}

// -- the socket -------------------------------------------------------------------

void session::connect_next() {
  while (next_endpoint_ < endpoints_.size()) {
    socket_ = start_connect(endpoints_[next_endpoint_]);
    if (socket_)
      return;
    connect_failure_ = more_telling(connect_failure_, errno);
    ++next_endpoint_;
  }
  over(1,
       fmt::format("{}: {}", what_.to.authority, words_of(connect_failure_)));
}

void session::on_connected() {
  if (auto error = connect_error(socket_.get())) {
    connect_failure_ = more_telling(connect_failure_, error);
    ++next_endpoint_;
    connect_next();
    return;
  }
  phase_ = phase::shaking;
  to_socket_.in() = shake_.request;
}

void session::read_socket() {
  auto n = ::recv(socket_.get(), buffer_.data(), buffer_.size(), 0);
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR)
      lost(errno);
    return;
  }
  std::string_view bytes{buffer_.data(), static_cast<std::size_t>(n)};
  if (phase_ != phase::shaking) {
    if (n == 0)
      lost(0);
    else
      on_bytes(bytes);
    return;
  }
  answer_ += bytes;
  auto answer = read_answer(answer_, shake_.accept, n == 0);
  switch (answer.what) {
    case handshake_answer::kind::need_more:
      return;
    case handshake_answer::kind::accepted:
      on_open();
      // Messages may follow at once.
      on_bytes(std::string_view{answer_}.substr(answer.head_bytes));
      answer_ = {};
      return;
    case handshake_answer::kind::refused:
      over(1, fmt::format("refused: {}", answer.words));
      return;
    case handshake_answer::kind::broken:
      over(1, fmt::format("{}: {}", what_.to.authority, answer.words));
      return;
  }
}

void session::write_socket() {
  // What the server said before it went is still there to be read.
  if (send_some(socket_.get(), to_socket_) != 0)
    to_socket_.clear();
}

void session::on_open() {
  phase_ = phase::open;
  if (streams_.hints)
    fmt::print(stderr, "Joined {}. A line is a message; Ctrl-D leaves.\n",
               printable(what_.to.target));
  if (counted_all() || !output_open_)
    leave();
}

void session::on_bytes(std::string_view bytes) {
  reader_.feed(bytes);
  while (socket_) {
    switch (reader_.next()) {
      case frame_reader::step::need_more:
        return;
      case frame_reader::step::message:
        on_message();
        break;
      case frame_reader::step::control:
        on_control();
        break;
      case frame_reader::step::broken:
        over(1, fmt::format("{}: the server sent {}", what_.to.authority,
                            reader_.error()));
        return;
    }
  }
}

void session::on_message() {
  if (counted_all() || !output_open_)
    return; // it came while we leave
  ++got_;
  if (streams_.out_is_terminal)
    to_output_.in() += printable(reader_.payload());
  else
    to_output_.in() += reader_.payload();
  to_output_.in() += '\n';
  if (counted_all() && phase_ == phase::open)
    leave();
}

void session::on_control() {
  if (reader_.opcode() == ws_opcode::ping) {
    append_masked(to_socket_.in(), ws_opcode::pong, reader_.payload());
    return;
  }
  if (reader_.opcode() != ws_opcode::close)
    return;
  auto words = read_close(reader_.payload());
  if (phase_ == phase::closing) {
    over(outcome_.status, std::move(outcome_.words));
    return;
  }
  // The answer repeats the code (RFC 6455 §5.5.1); whether it arrives is the
  // server's business.
  if (words.code == 1005)
    append_masked(to_socket_.in(), ws_opcode::close, {});
  else
    append_close(to_socket_.in(), words.code);
  write_socket();
  over(1, fmt::format("closed by the server: {}", to_string(words)));
}

// -- standard input and output ----------------------------------------------------

void session::read_input() {
  auto n = ::read(streams_.in, buffer_.data(), buffer_.size());
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR)
      return;
    leave(fmt::format("standard input: {}", words_of(errno)));
    return;
  }
  line_.append(buffer_.data(), static_cast<std::size_t>(n));
  send_lines(n == 0);
}

void session::send_lines(bool ended) {
  auto op = what_.binary ? ws_opcode::binary : ws_opcode::text;
  std::string_view rest = line_;
  for (;;) {
    auto end = rest.find('\n');
    if (end == std::string_view::npos)
      break;
    append_masked(to_socket_.in(), op, rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  if (ended && !rest.empty()) {
    append_masked(to_socket_.in(), op, rest); // the last line may lack its end
    rest = {};
  }
  line_.erase(0, line_.size() - rest.size());
  if (line_.size() > line_bytes_max) {
    leave(fmt::format("a line of the input is longer than {}",
                      format_size(line_bytes_max)));
    return;
  }
  if (ended) {
    input_open_ = false;
    if (!what_.linger && !what_.count)
      leave();
  }
  write_socket();
}

void session::write_output() {
  if (to_output_.empty()) {
    // Only an error is reported to those who ask for nothing: the reader left.
    output_open_ = false;
  } else {
    // A pipe with room takes this much without blocking; the descriptor is not
    // ours to make it non-blocking.
    auto bytes = to_output_.waiting().substr(0, PIPE_BUF);
    auto n = ::write(streams_.out, bytes.data(), bytes.size());
    if (n >= 0) {
      to_output_.consume(static_cast<std::size_t>(n));
      return;
    }
    if (errno == EAGAIN || errno == EINTR)
      return;
    output_open_ = false;
    to_output_.clear();
    if (errno != EPIPE && phase_ != phase::flushing) {
      leave(fmt::format("standard output: {}", words_of(errno)));
      return;
    }
  }
  // `| head` has seen enough: that is no failure.
  if (phase_ == phase::open)
    leave();
  else if (phase_ == phase::flushing)
    done_ = true;
}

// -- the command line -------------------------------------------------------------

manual page_of(join_request& what, std::string& echo) {
  manual page;
  page.name = "join";
  page.about =
    "Joins a room: every line of standard input becomes a message, every "
    "message "
    "of the room a line of standard output. Leaves when the input ends.";
  page.arguments = {
    {"URL", "", "", "The room: ws://HOST[:PORT]/room/NAME.",
     [&what](std::string_view text) -> std::string {
       auto to = parse_url(text);
       if (!to)
         return to.error().detail;
       what.to = *to;
       return {};
     },
     true},
    {"--echo", "", "",
     "Gets its own messages, too, whatever the room's default.",
     [&echo](std::string_view) -> std::string {
       echo = "echo=1";
       return {};
     }},
    {"--no-echo", "", "", "Does not get its own messages.",
     [&echo](std::string_view) -> std::string {
       echo = "echo=0";
       return {};
     }},
    {"--binary", "", "", "Sends binary messages instead of text.",
     [&what](std::string_view) -> std::string {
       what.binary = true;
       return {};
     }},
    {"--count", "N", "",
     "Leaves after N messages have come, also when the input has ended before.",
     [&what](std::string_view text) -> std::string {
       what.count = parse_count(text);
       return what.count ? "" : "expected a number";
     }},
    {"--linger", "", "", "Stays when the input has ended, until Ctrl-C.",
     [&what](std::string_view) -> std::string {
       what.linger = true;
       return {};
     }},
    {"--timeout", "S", "",
     "Leaves after S seconds. Fewer messages than --count by then are a "
     "failure.",
     [&what](std::string_view text) -> std::string {
       what.timeout = parse_seconds(text);
       return what.timeout && *what.timeout > 0ms
                ? ""
                : "expected a time such as 5, 0.5 or 500ms";
     }},
  };
  page.closing =
    "Examples:\n"
    "  greenroom join ws://127.0.0.1:8000/room/lobby\n"
    "  echo hello | greenroom join ws://127.0.0.1:8000/room/lobby --count 1\n"
    "  greenroom join ws://127.0.0.1:8000/room/lobby --linger </dev/null >log\n"
    "\n"
    "Exit status: 0 it ended as asked, 1 it was refused or lost (one line on\n"
    "standard error says why), 2 the command line is not understood.\n";
  return page;
}

} // namespace

join_outcome run_join(const join_request& what, std::vector<endpoint> endpoints,
                      const join_streams& streams) {
  return session{what, streams, std::move(endpoints)}.run();
}

} // namespace client

int join_command(std::span<const std::string> args) {
  client::join_request what;
  std::string echo;
  if (auto status = client::understand(client::page_of(what, echo), args))
    return *status;
  if (!echo.empty())
    client::add_parameter(what.to.target, echo);
  // Resolving a name may take long, and Ctrl-C ends that at once; from then on it
  // means: say goodbye.
  auto endpoints = client::resolve(what.to);
  if (!endpoints) {
    fmt::print(stderr, "greenroom join: {}\n", endpoints.error().detail);
    return 1;
  }
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  client::unique_fd signals{signalfd(-1, &set, SFD_CLOEXEC)};

  client::join_streams streams;
  streams.interrupt = signals.get();
  streams.out_is_terminal = ::isatty(streams.out) != 0;
  streams.hints = ::isatty(streams.in) != 0 && ::isatty(STDERR_FILENO) != 0;
  auto outcome = client::run_join(what, std::move(*endpoints), streams);
  if (!outcome.words.empty())
    fmt::print(stderr, "greenroom join: {}\n", outcome.words);
  return outcome.status;
}

} // namespace greenroom
