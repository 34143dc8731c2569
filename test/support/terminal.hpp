#pragma once

#include "test/support/process.hpp"
#include "test/support/tcp.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>
#include <termios.h>

namespace greenroom::test {

/// What a terminal shows after the bytes it was sent: the sequences of xterm that
/// our programs use and no others.
class screen {
public:
  screen(std::size_t rows, std::size_t columns);

  void feed(std::string_view bytes);
  void resize(std::size_t rows, std::size_t columns);

  /// One line, without the blanks at its end.
  std::string row(std::size_t index) const;
  std::string text() const;

  /// Whether any line contains it.
  bool shows(std::string_view what) const;

  bool alternate() const { return alternate_; }

  bool cursor_shown() const { return cursor_shown_; }

  bool wraps() const { return wraps_; }

  /// What no program of ours should have sent: other sequences, controls, text
  /// beyond the right edge.
  const std::vector<std::string>& strange() const { return strange_; }

private:
  using line = std::vector<std::string>;

  void control(char c);
  void sequence(std::string_view parameters, char final);
  void put(std::string_view character, int width);
  void clear();
  void note(std::string what);

  std::vector<line> lines_;
  std::vector<line> main_; ///< while the alternate one is shown
  std::size_t rows_;
  std::size_t columns_;
  std::size_t at_row_ = 0;
  std::size_t at_column_ = 0;
  bool alternate_ = false;
  bool cursor_shown_ = true;
  bool wraps_ = true;
  /// The size has changed and nobody has cleared the screen since: what comes may
  /// have been for the old one.
  bool settling_ = false;
  std::string rest_; ///< the begin of something
  std::vector<std::string> strange_;
};

/// A program on a pseudo-terminal.
class terminal {
public:
  /// @throws std::system_error
  explicit terminal(std::vector<std::string> argv,
                    std::vector<std::string> env = {}, std::size_t rows = 24,
                    std::size_t columns = 80);

  terminal(const terminal&) = delete;
  terminal& operator=(const terminal&) = delete;

  ~terminal();

  const screen& shown() const { return screen_; }

  /// Waits until the screen is as it should be.
  /// @throws timeout_error that shows the screen
  void wait(const std::function<bool(const screen&)>& what,
            std::chrono::milliseconds timeout = std::chrono::seconds{15});

  /// Waits until a line contains it.
  void wait_text(std::string_view what);

  void type(std::string_view keys);
  void resize(std::size_t rows, std::size_t columns);

  /// Sends a signal to the program.
  void signal(int number);

  /// Waits until the program has stopped (SIGSTOP), or goes on.
  void wait_stopped();
  /// @throws timeout_error
  exit_status wait_exit();

  /// The settings of the terminal, which outlives the program.
  termios settings() const;

  pid_t pid() const { return pid_; }

private:
  /// Reads what is there, or waits for more. @returns false at the deadline
  bool read_some(const deadline& until);

  screen screen_;
  unique_fd master_;
  unique_fd slave_;
  unique_fd pidfd_;
  pid_t pid_ = -1;
  bool ended_ = false;
};

} // namespace greenroom::test
