#include "app/log_sink.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <mutex>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "app/utf8.hpp"

namespace greenroom {

namespace {

/// Of one text in a line: what clients say of themselves must not fill the disk.
constexpr std::size_t text_bytes_max = 1024;

/// Lines formatted and written at once.
constexpr std::size_t batch_lines_max = 256;

/// `text` as UTF-8, and not too long.
std::string clean(std::string_view text) {
  bool cut = text.size() > text_bytes_max;
  std::string result;
  result.reserve(std::min(text.size(), text_bytes_max) + 3);
  while (!text.empty() && result.size() < text_bytes_max) {
    auto next = first_code_point(text);
    if (next.bytes == 0)
      result += "\ufffd";
    else
      result += text.substr(0, next.bytes);
    text.remove_prefix(std::max<std::size_t>(next.bytes, 1));
  }
  if (cut || !text.empty())
    result += "\u2026";
  return result;
}

std::string number(double x) {
  return std::isfinite(x) ? fmt::format("{}", x) : "null";
}

std::string to_json(const log_record::value& x) {
  return std::visit(
    [](const auto& value) -> std::string {
      using type = std::decay_t<decltype(value)>;
      if constexpr (std::is_same_v<type, std::string>)
        return boost::json::serialize(boost::json::string_view{clean(value)});
      else if constexpr (std::is_same_v<type, double>)
        return number(value);
      else
        return fmt::format("{}", value);
    },
    x);
}

/// A word as it is, anything else in quotes with escapes.
std::string quoted(std::string_view raw) {
  auto text = clean(raw);
  auto plain =
    !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
      return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
    });
  if (plain)
    return text;
  std::string result{'"'};
  for (std::string_view rest = text; !rest.empty();) {
    auto next = first_code_point(rest);
    if (control(next.value))
      result += fmt::format("\\x{:02x}", static_cast<unsigned>(next.value));
    else if (next.value == '"' || next.value == '\\')
      result += fmt::format("\\{}", static_cast<char>(next.value));
    else
      result += rest.substr(0, next.bytes);
    rest.remove_prefix(next.bytes);
  }
  return result + '"';
}

std::string to_text(const log_record::value& x) {
  return std::visit(
    [](const auto& value) -> std::string {
      using type = std::decay_t<decltype(value)>;
      if constexpr (std::is_same_v<type, std::string>)
        return quoted(value);
      else if constexpr (std::is_same_v<type, double>)
        return number(value);
      else
        return fmt::format("{}", value);
    },
    x);
}

/// A point in time as UTC.
struct civil_time {
  std::tm parts{};
  int milliseconds = 0;

  explicit civil_time(wall_time when) {
    using namespace std::chrono;
    auto seconds_part = floor<seconds>(when);
    auto seconds_count = system_clock::to_time_t(seconds_part);
    gmtime_r(&seconds_count, &parts);
    milliseconds = static_cast<int>(
      duration_cast<std::chrono::milliseconds>(when - seconds_part).count());
  }
};

/// What a waiting line costs, roughly.
std::size_t weight(const log_record& x) {
  auto result = sizeof(x) + x.message.size();
  for (const auto& [key, value] : x.fields) {
    result += sizeof(x.fields.front()) + key.size();
    if (const auto* text = std::get_if<std::string>(&value))
      result += text->size();
  }
  return result;
}

/// How long to wait before what could not be written is tried again.
constexpr auto retry_after = std::chrono::milliseconds{500};

/// Takes from `bytes` what was written.
/// @returns 0, or the error that kept the rest
int write_all(int fd, std::string_view& bytes) {
  while (!bytes.empty()) {
    auto n = ::write(fd, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR)
      continue;
    if (errno != EAGAIN)
      return errno;
    // Somebody who shares the descriptor made it non-blocking.
    pollfd waits{fd, POLLOUT, 0};
    poll(&waits, 1, -1);
  }
  return 0;
}

/// Nobody reads, and nobody ever will. Other errors may pass: a disk is full.
bool for_good(int error) {
  return error == EPIPE || error == EBADF;
}

} // namespace

// -- lines ------------------------------------------------------------------------

std::string json_line(const log_record& what, wall_time when) {
  civil_time t{when};
  auto result = fmt::format(
    R"({{"level":"{}","time":"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",)"
    R"("message":{})",
    to_string(what.loudness), t.parts.tm_year + 1900, t.parts.tm_mon + 1,
    t.parts.tm_mday, t.parts.tm_hour, t.parts.tm_min, t.parts.tm_sec,
    t.milliseconds, to_json(what.message));
  for (const auto& [key, value] : what.fields)
    result += fmt::format(",{}:{}", to_json(key), to_json(value));
  result += "}\n";
  return result;
}

std::string text_line(const log_record& what, wall_time when, bool colour) {
  civil_time t{when};
  std::string_view before;
  if (colour && what.loudness == level::warn)
    before = "\x1b[33m";
  else if (colour && what.loudness == level::error)
    before = "\x1b[31m";
  auto result = fmt::format(
    "{:02}:{:02}:{:02}.{:03}Z {}{:5}{} {}", t.parts.tm_hour, t.parts.tm_min,
    t.parts.tm_sec, t.milliseconds, before, to_string(what.loudness),
    before.empty() ? "" : "\x1b[0m", quoted(what.message));
  for (const auto& [key, value] : what.fields)
    result += fmt::format(" {}={}", quoted(key), to_text(value));
  result += '\n';
  return result;
}

// -- queue ------------------------------------------------------------------------

struct log_sink::state {
  struct entry {
    log_record line;
    wall_time when;
    std::size_t bytes = 0;
  };

  // Constant after construction.
  int fd = 1;
  bool json = true;
  bool colour = false;
  std::size_t lines_max = 0;
  std::size_t bytes_max = 0;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<entry> queue;
  // What waits and what is being written.
  std::size_t lines = 0;
  std::size_t bytes = 0;
  std::int64_t lost = 0; // since the last `log_lost`
  bool closing = false;
  bool done = false;   // the thread has ended
  bool broken = false; // nobody reads

  /// Tells of lost lines, in their place among the others. @pre locked
  void tell_lost(wall_time when) {
    auto line = log_record{level::warn, "log_lost"}.with("lines", lost);
    lost = 0;
    auto size = weight(line);
    ++lines;
    bytes += size;
    queue.push_back({std::move(line), when, size});
  }

  /// @returns whether there was room @pre locked
  bool push(entry x) {
    // One line that is bigger than all the room is a line nevertheless.
    auto full =
      lines >= lines_max || (bytes != 0 && bytes + x.bytes > bytes_max);
    if (closing || broken || full) {
      ++lost;
      return false;
    }
    if (lost != 0)
      tell_lost(x.when);
    ++lines;
    bytes += x.bytes;
    queue.push_back(std::move(x));
    return true;
  }

  std::string format(const entry& x) const {
    return json ? json_line(x.line, x.when) : text_line(x.line, x.when, colour);
  }

  void run() {
    std::deque<entry> batch;
    std::string text;
    std::unique_lock lock{mutex};
    for (;;) {
      changed.wait(lock,
                   [this] { return closing || !queue.empty() || lost != 0; });
      if (queue.empty() && lost != 0 && !broken)
        tell_lost(std::chrono::system_clock::now());
      if (queue.empty() || broken)
        break;
      auto n = std::min(queue.size(), batch_lines_max);
      auto end = queue.begin() + static_cast<std::ptrdiff_t>(n);
      batch.assign(std::move_iterator{queue.begin()}, std::move_iterator{end});
      queue.erase(queue.begin(), end);
      lock.unlock();
      text.clear();
      std::size_t size = 0;
      for (const auto& x : batch) {
        text += format(x);
        size += x.bytes;
      }
      // From where it stopped, or a line would be torn. The others wait meanwhile,
      // up to their limits.
      std::string_view rest{text};
      auto error = write_all(fd, rest);
      for (bool last = false; error != 0 && !for_good(error) && !last;) {
        lock.lock();
        last = changed.wait_for(lock, retry_after, [this] { return closing; });
        lock.unlock();
        error = write_all(fd, rest);
      }
      lock.lock();
      lines -= n;
      bytes -= size;
      broken = error != 0;
    }
    done = true;
    changed.notify_all();
  }
};

log_sink::log_sink(const log_options& options, int fd, metrics* counts)
  : loudness_(options.loudness), counts_(counts),
    state_(std::make_shared<state>()) {
  bool terminal = isatty(fd) == 1;
  state_->fd = fd;
  state_->json = options.format == log_format::json
                 || (options.format == log_format::automatic && !terminal);
  state_->colour = terminal && std::getenv("NO_COLOR") == nullptr;
  state_->lines_max = options.lines_max;
  state_->bytes_max = options.bytes_max;
  std::thread writer{[s = state_] { s->run(); }};
  pthread_setname_np(writer.native_handle(), "log");
  writer.detach();
}

log_sink::~log_sink() {
  close(std::chrono::seconds{1});
}

void log_sink::write(log_record line) noexcept {
  if (!wants(line.loudness))
    return;
  bool taken = false;
  try {
    auto size = weight(line);
    std::lock_guard guard{state_->mutex};
    taken =
      state_->push({std::move(line), std::chrono::system_clock::now(), size});
  } catch (...) {
    // Out of memory: a lost line like any other.
  }
  if (taken)
    state_->changed.notify_all();
  else if (counts_ != nullptr)
    counts_->log_lost.add();
}

bool log_sink::wants(level x) const noexcept {
  return x >= loudness_;
}

bool log_sink::close(std::chrono::milliseconds deadline) {
  std::unique_lock lock{state_->mutex};
  state_->closing = true;
  state_->changed.notify_all();
  state_->changed.wait_for(lock, deadline, [this] { return state_->done; });
  return state_->done && !state_->broken;
}

} // namespace greenroom
