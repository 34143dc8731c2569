#include "app/commands/top/terminal.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace greenroom::client {

namespace {

// Another screen than the shell's, no cursor, and no wrapping: a line that is too
// long ends at the edge instead of moving all below it (xterm's control sequences:
// DECSET 1049, 25 and 7).
constexpr std::string_view enter_words = "\x1b[?1049h\x1b[?25l\x1b[?7l";
constexpr std::string_view leave_words = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";

// What a signal handler needs to give the terminal back.
std::atomic<int> entered_fd{-1};
termios entered_before;

constexpr std::array fatal{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

void restore(int fd, const termios& before) noexcept {
  // Ours is non-blocking: a terminal that takes nothing must not hold up an end.
  [[maybe_unused]] auto n = ::write(fd, leave_words.data(), leave_words.size());
  tcsetattr(fd, TCSANOW, &before);
}

/// Only calls that a handler may make (signal-safety(7)).
extern "C" void on_fatal(int number) {
  if (auto fd = entered_fd.exchange(-1); fd >= 0)
    restore(fd, entered_before);
  std::signal(number, SIG_DFL);
  std::raise(number);
}

} // namespace

top_terminal::top_terminal() {
  std::array<char, 256> name;
  if (ttyname_r(STDOUT_FILENO, name.data(), name.size()) != 0)
    throw std::system_error{errno, std::generic_category(), "no terminal"};
  fd_ =
    unique_fd{::open(name.data(), O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  if (!fd_ || tcgetattr(fd_.get(), &before_) != 0)
    throw std::system_error{errno, std::generic_category(), name.data()};
  for (auto number : fatal)
    std::signal(number, &on_fatal);
}

top_terminal::~top_terminal() {
  leave();
  for (auto number : fatal)
    std::signal(number, SIG_DFL);
}

void top_terminal::enter() {
  auto raw = before_;
  raw.c_iflag &= ~static_cast<tcflag_t>(ICRNL | IXON);
  raw.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON | IEXTEN);
  raw.c_oflag &= ~static_cast<tcflag_t>(OPOST);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  entered_before = before_;
  entered_fd = fd_.get();
  entered_ = true;
  tcsetattr(fd_.get(), TCSAFLUSH, &raw);
  out_.clear();
  write(enter_words);
}

void top_terminal::leave() noexcept {
  if (!std::exchange(entered_, false))
    return;
  entered_fd = -1;
  // Half a sequence on its way would swallow the begin of what follows: a moment
  // for the rest of it.
  constexpr int patience_ms = 200;
  pollfd ready{fd_.get(), POLLOUT, 0};
  while (!out_.empty() && ::poll(&ready, 1, patience_ms) > 0 && flush()) {
  }
  out_.clear();
  restore(fd_.get(), before_);
}

top_size top_terminal::size() const noexcept {
  winsize size{};
  if (ioctl(fd_.get(), TIOCGWINSZ, &size) != 0 || size.ws_row == 0
      || size.ws_col == 0)
    return {};
  return {size.ws_row, size.ws_col};
}

bool top_terminal::flush() {
  while (!out_.empty()) {
    auto bytes = out_.waiting();
    auto n = ::write(fd_.get(), bytes.data(), bytes.size());
    if (n > 0)
      out_.consume(static_cast<std::size_t>(n));
    else
      return n < 0 && (errno == EAGAIN || errno == EINTR);
  }
  return true;
}

} // namespace greenroom::client
