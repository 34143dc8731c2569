#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <termios.h>

#include "app/commands/client/socket.hpp"
#include "app/commands/top/paint.hpp"

namespace greenroom::client {

/// The terminal of this process while it shows a screen of ours: keys come one by
/// one, and what was there before comes back, however the process ends (but by
/// SIGKILL). One at a time.
class top_terminal {
public:
  /// Opens the terminal that standard output is. @throws std::system_error
  top_terminal();

  top_terminal(const top_terminal&) = delete;
  top_terminal& operator=(const top_terminal&) = delete;

  /// As `leave`.
  ~top_terminal();

  /// Takes the screen over.
  void enter();

  /// Gives it back, as it was. Twice does no harm.
  void leave() noexcept;

  /// Non-blocking and our own: nobody else's reads and writes change.
  int fd() const noexcept { return fd_.get(); }

  top_size size() const noexcept;

  // -- what is on its way to the terminal --

  void write(std::string_view bytes) { out_.in() += bytes; }

  bool writes() const noexcept { return !out_.empty(); }

  /// Sends what it takes now. @returns false if it is gone
  bool flush();

private:
  unique_fd fd_;
  termios before_{};
  bool entered_ = false;
  byte_queue out_;
};

} // namespace greenroom::client
