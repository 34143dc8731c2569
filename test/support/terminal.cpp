#include "test/support/terminal.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cwchar>
#include <system_error>

#include <clocale>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace greenroom::test {

namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

/// How wide a terminal draws a character, whatever the locale of the test.
int width_of(char32_t x) {
  static auto* locale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  auto* before = ::uselocale(locale);
  auto width = ::wcwidth(static_cast<wchar_t>(x));
  ::uselocale(before);
  return width;
}

std::string quoted(std::string_view bytes) {
  std::string result;
  for (unsigned char c : bytes)
    result += c < 0x20 || c >= 0x7f ? fmt::format("\\x{:02x}", c)
                                    : std::string(1, static_cast<char>(c));
  return result;
}

} // namespace

// -- screen ---------------------------------------------------------------------------

screen::screen(std::size_t rows, std::size_t columns)
  : rows_(rows), columns_(columns) {
  clear();
}

void screen::clear() {
  lines_.assign(rows_, line(columns_, " "));
}

void screen::note(std::string what) {
  if (!settling_)
    strange_.push_back(std::move(what));
}

void screen::resize(std::size_t rows, std::size_t columns) {
  rows_ = rows;
  columns_ = columns;
  settling_ = true;
  for (auto* lines : {&lines_, &main_}) {
    lines->resize(rows);
    for (auto& x : *lines)
      x.resize(columns, " ");
  }
  at_row_ = std::min(at_row_, rows - 1);
  at_column_ = std::min(at_column_, columns - 1);
}

std::string screen::row(std::size_t index) const {
  std::string result;
  for (const auto& cell : lines_.at(index))
    result += cell;
  result.erase(result.find_last_not_of(' ') + 1);
  return result;
}

std::string screen::text() const {
  std::string result;
  for (std::size_t i = 0; i < lines_.size(); ++i)
    result += row(i) + '\n';
  return result;
}

bool screen::shows(std::string_view what) const {
  for (std::size_t i = 0; i < lines_.size(); ++i)
    if (row(i).find(what) != std::string::npos)
      return true;
  return false;
}

void screen::feed(std::string_view bytes) {
  rest_ += bytes;
  std::string_view left = rest_;
  while (!left.empty()) {
    auto first = static_cast<unsigned char>(left.front());
    if (first == 0x1b) {
      if (left.size() < 2)
        break;
      if (left[1] != '[') {
        note(quoted(left.substr(0, 2)));
        left.remove_prefix(2);
        continue;
      }
      auto final = left.find_first_not_of("0123456789;?", 2);
      if (final == std::string_view::npos)
        break;
      sequence(left.substr(2, final - 2), left[final]);
      left.remove_prefix(final + 1);
    } else if (first < 0x20 || first == 0x7f) {
      control(left.front());
      left.remove_prefix(1);
    } else {
      std::size_t size = first < 0x80   ? 1
                         : first < 0xe0 ? 2
                         : first < 0xf0 ? 3
                                        : 4;
      if (left.size() < size)
        break;
      char32_t value = first;
      if (size > 1) {
        value = first & (0xffU >> (size + 1));
        for (std::size_t i = 1; i < size; ++i)
          value = (value << 6) | (static_cast<unsigned char>(left[i]) & 0x3f);
      }
      auto width = width_of(value);
      if (width <= 0)
        note(quoted(left.substr(0, size)));
      else
        put(left.substr(0, size), width);
      left.remove_prefix(size);
    }
  }
  rest_ = std::string{left};
}

void screen::control(char c) {
  if (c == '\r') {
    at_column_ = 0;
  } else if (c == '\n') {
    if (at_row_ + 1 < rows_) {
      ++at_row_;
    } else {
      lines_.erase(lines_.begin());
      lines_.emplace_back(columns_, " ");
    }
  } else {
    note(quoted({&c, 1}));
  }
}

void screen::put(std::string_view character, int width) {
  auto wide = static_cast<std::size_t>(width);
  if (at_column_ + wide > columns_) {
    if (!wraps_) {
      note(fmt::format("beyond the edge: {}", quoted(character)));
      return;
    }
    at_column_ = 0;
    control('\n');
  }
  lines_[at_row_][at_column_++] = character;
  for (std::size_t i = 1; i < wide; ++i)
    lines_[at_row_][at_column_++] = "";
}

void screen::sequence(std::string_view parameters, char final) {
  auto known = true;
  if (final == 'H') {
    std::size_t row = 1;
    std::size_t column = 1;
    std::sscanf(std::string{parameters}.c_str(), "%zu;%zu", &row, &column);
    known = row >= 1 && row <= rows_ && column >= 1 && column <= columns_;
    at_row_ = std::min(row, rows_) - 1;
    at_column_ = std::min(column, columns_) - 1;
  } else if (final == 'J' && parameters == "2") {
    settling_ = false;
    clear();
  } else if (final == 'K' && parameters == "2") {
    lines_[at_row_].assign(columns_, " ");
  } else if (final == 'm') {
    known = parameters.find('?') == std::string_view::npos;
  } else if (final == 'h' || final == 'l') {
    auto on = final == 'h';
    if (parameters == "?1049") {
      if (on && !alternate_) {
        main_ = lines_;
        clear();
      } else if (!on && alternate_) {
        lines_ = main_;
      }
      alternate_ = on;
    } else if (parameters == "?25") {
      cursor_shown_ = on;
    } else if (parameters == "?7") {
      wraps_ = on;
    } else {
      known = false;
    }
  } else {
    known = false;
  }
  if (!known)
    note(fmt::format("\\x1b[{}{}", parameters, final));
}

// -- terminal -------------------------------------------------------------------------

terminal::terminal(std::vector<std::string> argv, std::vector<std::string> env,
                   std::size_t rows, std::size_t columns)
  : screen_(rows, columns) {
  winsize size{};
  size.ws_row = static_cast<unsigned short>(rows);
  size.ws_col = static_cast<unsigned short>(columns);
  int master = -1;
  int slave = -1;
  if (::openpty(&master, &slave, nullptr, nullptr, &size) != 0)
    fail("openpty");
  master_ = unique_fd{master};
  slave_ = unique_fd{slave};
  for (int fd : {master, slave})
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  ::fcntl(master, F_SETFL, O_NONBLOCK);
  // All memory is asked for before the fork: other threads may hold its lock.
  std::vector<char*> words;
  for (auto& x : argv)
    words.push_back(x.data());
  words.push_back(nullptr);
  env.insert(env.begin(), "TERM=xterm");
  for (char** x = environ; *x != nullptr; ++x)
    env.emplace_back(*x); // the first of a name counts
  std::vector<char*> variables;
  for (auto& x : env)
    variables.push_back(x.data());
  variables.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0)
    fail("fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setsid();
    ::ioctl(slave, TIOCSCTTY, 0);
    for (int fd : {0, 1, 2})
      ::dup2(slave, fd);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execve(words.front(), words.data(), variables.data());
    ::_exit(127);
  }
  pidfd_ = unique_fd{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))};
}

terminal::~terminal() {
  if (ended_)
    return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool terminal::read_some(const deadline& until) {
  std::array<pollfd, 2> waits{
    {{master_.get(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0}}};
  if (::poll(waits.data(), waits.size(), until.remaining()) <= 0)
    return false;
  std::array<char, 16 * 1024> buffer;
  auto n = ::read(master_.get(), buffer.data(), buffer.size());
  if (n > 0) {
    screen_.feed({buffer.data(), static_cast<std::size_t>(n)});
    return true;
  }
  return waits[1].revents == 0; // it has ended, and all it said is read
}

void terminal::wait(const std::function<bool(const screen&)>& what,
                    std::chrono::milliseconds timeout) {
  deadline until{timeout};
  while (!what(screen_))
    if (!read_some(until))
      throw timeout_error{"the screen is\n" + screen_.text()};
}

void terminal::wait_text(std::string_view what) {
  try {
    wait([&](const screen& x) { return x.shows(what); });
  } catch (const timeout_error& error) {
    throw timeout_error{fmt::format("no '{}': {}", what, error.what())};
  }
}

void terminal::type(std::string_view keys) {
  if (::write(master_.get(), keys.data(), keys.size())
      != static_cast<ssize_t>(keys.size()))
    fail("write");
}

void terminal::resize(std::size_t rows, std::size_t columns) {
  winsize size{};
  size.ws_row = static_cast<unsigned short>(rows);
  size.ws_col = static_cast<unsigned short>(columns);
  screen_.resize(rows, columns);
  if (::ioctl(master_.get(), TIOCSWINSZ, &size) != 0)
    fail("TIOCSWINSZ");
}

void terminal::signal(int number) {
  ::kill(pid_, number);
}

void terminal::wait_stopped() {
  int status = 0;
  if (::waitpid(pid_, &status, WUNTRACED) != pid_ || !WIFSTOPPED(status))
    throw timeout_error{"it did not stop"};
  // What it said before.
  for (deadline now{std::chrono::milliseconds{0}}; read_some(now);) {
  }
}

exit_status terminal::wait_exit() {
  deadline until{std::chrono::seconds{15}};
  while (read_some(until)) {
  }
  pollfd ended{pidfd_.get(), POLLIN, 0};
  if (::poll(&ended, 1, 0) <= 0)
    throw timeout_error{"it goes on: the screen is\n" + screen_.text()};
  int status = 0;
  ::waitpid(pid_, &status, 0);
  ended_ = true;
  if (WIFSIGNALED(status))
    return {-1, WTERMSIG(status)};
  return {WEXITSTATUS(status), 0};
}

termios terminal::settings() const {
  termios result{};
  if (::tcgetattr(slave_.get(), &result) != 0)
    fail("tcgetattr");
  return result;
}

} // namespace greenroom::test
