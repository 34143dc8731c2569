#pragma once

#include "test/support/tcp.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace greenroom::test {

enum class output { out, err };

/// What happens to a stream of the child.
enum class capture {
  /// A thread reads it, line by line.
  lines,
  /// It is a pipe of one page that nobody reads, so it fills up soon.
  unread,
  /// It goes where ours goes.
  inherit,
};

struct process_options {
  /// Program and arguments; without a slash the program is looked up in PATH.
  std::vector<std::string> argv = {};
  /// Variables ("NAME=value") to add to ours.
  std::vector<std::string> env = {};
  capture out = capture::lines;
  capture err = capture::lines;
  /// RLIMIT_NOFILE, soft and hard.
  std::optional<std::size_t> files_max = {};
  /// RLIMIT_AS in bytes.
  std::optional<std::size_t> memory_max = {};
  /// The child's working directory; empty: ours.
  std::string directory = {};
};

/// How a child ended.
struct exit_status {
  /// The exit code, or -1 after a signal.
  int code = -1;
  /// The signal that ended it, or 0.
  int signal = 0;

  bool operator==(const exit_status&) const = default;
};

std::string to_string(const exit_status& status);

/// A line that was waited for.
struct output_line {
  /// The place behind it among the lines of both streams: start of a search
  /// for the next one.
  std::size_t next = 0;
  output from = output::out;
  std::string text = {};
  /// The match and its groups.
  std::vector<std::string> groups = {};
};

/// A child program, its input empty. It is killed when the object goes, and by
/// the kernel when the thread that started it ends before. Not movable, as
/// threads read into it.
class process {
public:
  /// @throws std::system_error if the program cannot be started
  explicit process(process_options options);

  process(const process&) = delete;
  process& operator=(const process&) = delete;

  ~process();

  pid_t pid() const { return pid_; }

  /// Waits for a line that contains a match, on either stream.
  /// @param from the line to start with: 0, or `next` of an earlier one
  /// @throws timeout_error, or std::runtime_error if the child ends before;
  /// both quote the last lines
  output_line wait_line(
    const std::string& pattern,
    std::chrono::milliseconds timeout = std::chrono::seconds{10},
    std::size_t from = 0);

  /// As `wait_line`, for what a pattern cannot say or would take too long to find
  /// among very many lines; `groups` stays empty.
  /// @param what is quoted if there is no such line
  output_line wait_line_if(
    const std::function<bool(std::string_view)>& accept,
    const std::string& what,
    std::chrono::milliseconds timeout = std::chrono::seconds{10},
    std::size_t from = 0);

  /// Waits for the line that tells the port. @returns its first group
  std::uint16_t wait_port(
    std::chrono::milliseconds timeout = std::chrono::seconds{10},
    const std::string& pattern = R"(127\.0\.0\.1:(\d+))");

  /// Sends a signal. Nothing happens if the child has been waited for.
  void signal(int number);

  /// Waits until the child has ended and its streams are read to the end.
  /// @throws timeout_error
  exit_status wait_exit(
    std::chrono::milliseconds timeout = std::chrono::seconds{10});

  bool running();

  /// Starts reading a stream that was left unread.
  void start_reading(output which);

  /// Closes our end of a stream that is left unread: the child gets EPIPE.
  void close_unread(output which);

  /// What was read so far.
  std::string text(output which) const;
  std::vector<std::string> lines(output which) const;

private:
  struct line {
    output from;
    std::string text;
  };

  /// One stream of the child.
  struct channel {
    unique_fd pipe;
    std::thread reader;
    bool open = false;
  };

  void read_lines(output which);
  channel& at(output which);
  std::string last_lines() const;

  pid_t pid_ = -1;
  unique_fd pidfd_;
  /// Closing `stop_` ends the readers, which watch the other end.
  unique_fd stop_;
  unique_fd stop_watch_;
  std::optional<exit_status> status_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<line> lines_;
  channel out_;
  channel err_;
};

} // namespace greenroom::test
