#include "test/support/process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <tuple>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace greenroom::test {

namespace {

[[noreturn]] void fail(int code, const std::string& what) {
  throw std::system_error(code, std::system_category(), what);
}

std::pair<unique_fd, unique_fd> make_pipe() {
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    fail(errno, "pipe2");
  return {unique_fd{ends[0]}, unique_fd{ends[1]}};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (auto& text : texts)
    result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

/// Our environment with some variables added or replaced.
std::vector<std::string> merged(const std::vector<std::string>& extra) {
  auto result = extra;
  for (auto** entry = environ; *entry != nullptr; ++entry) {
    std::string_view ours{*entry};
    auto name = ours.substr(0, ours.find('=') + 1);
    auto replaced = false;
    for (const auto& text : extra)
      replaced |= text.starts_with(name);
    if (!replaced)
      result.emplace_back(ours);
  }
  return result;
}

/// What the child has to do before it runs the program. Other threads may have
/// held locks at the fork, so only async-signal-safe calls are allowed here.
struct child_plan {
  char** argv;
  char** env;
  const char* directory;
  int in;
  int out;
  int err;
  const rlimit* files;
  const rlimit* memory;
  int report;
  pid_t parent;

  [[noreturn]] void run() const {
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto ok = ::getppid() == parent && ::dup2(in, STDIN_FILENO) >= 0
              && (out < 0 || ::dup2(out, STDOUT_FILENO) >= 0)
              && (err < 0 || ::dup2(err, STDERR_FILENO) >= 0)
              && (directory == nullptr || ::chdir(directory) == 0)
              && (files == nullptr || ::setrlimit(RLIMIT_NOFILE, files) == 0)
              && (memory == nullptr || ::setrlimit(RLIMIT_AS, memory) == 0);
    if (ok)
      ::execvpe(argv[0], argv, env);
    auto code = errno;
    [[maybe_unused]] auto written = ::write(report, &code, sizeof(code));
    ::_exit(127);
  }
};

} // namespace

std::string to_string(const exit_status& status) {
  return status.signal != 0 ? fmt::format("signal {}", status.signal)
                            : fmt::format("exit code {}", status.code);
}

// -- birth and death ----------------------------------------------------------

process::process(process_options options) {
  auto prepare = [](capture how, channel& stream) {
    unique_fd result;
    if (how != capture::inherit)
      std::tie(stream.pipe, result) = make_pipe();
    if (how == capture::unread)
      ::fcntl(stream.pipe.get(), F_SETPIPE_SZ, 4096);
    return result;
  };
  auto out = prepare(options.out, out_);
  auto err = prepare(options.err, err_);
  std::tie(stop_watch_, stop_) = make_pipe();
  unique_fd nothing{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  auto [report, report_in] = make_pipe();
  auto env = merged(options.env);
  auto argv_pointers = pointers(options.argv);
  auto env_pointers = pointers(env);
  auto to_limit = [](std::optional<std::size_t> value) {
    return rlimit{value.value_or(0), value.value_or(0)};
  };
  auto files = to_limit(options.files_max);
  auto memory = to_limit(options.memory_max);
  child_plan plan{
    .argv = argv_pointers.data(),
    .env = env_pointers.data(),
    .directory =
      options.directory.empty() ? nullptr : options.directory.c_str(),
    .in = nothing.get(),
    .out = out.get(),
    .err = err.get(),
    .files = options.files_max ? &files : nullptr,
    .memory = options.memory_max ? &memory : nullptr,
    .report = report_in.get(),
    .parent = ::getpid(),
  };
  pid_ = ::fork();
  if (pid_ < 0)
    fail(errno, "fork");
  if (pid_ == 0)
    plan.run();
  report_in.reset();
  out.reset();
  err.reset();
  // The exec closes the pipe; bytes in it are the error that prevented one.
  int code = 0;
  ssize_t count;
  do
    count = ::read(report.get(), &code, sizeof(code));
  while (count < 0 && errno == EINTR);
  if (count > 0) {
    ::waitpid(pid_, nullptr, 0);
    fail(code, "cannot start " + options.argv.at(0));
  }
  pidfd_ = unique_fd{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))};
  if (!pidfd_) {
    code = errno;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    fail(code, "pidfd_open");
  }
  if (options.out == capture::lines)
    start_reading(output::out);
  if (options.err == capture::lines)
    start_reading(output::err);
}

process::~process() {
  if (!status_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  // A grandchild may hold the pipes open; its output is not waited for.
  stop_.reset();
  for (auto* stream : {&out_, &err_}) {
    if (stream->reader.joinable())
      stream->reader.join();
  }
}

void process::signal(int number) {
  if (!status_ && ::kill(pid_, number) != 0)
    fail(errno, "kill");
}

bool process::running() {
  if (status_)
    return false;
  pollfd entry{pidfd_.get(), POLLIN, 0};
  return ::poll(&entry, 1, 0) == 0;
}

exit_status process::wait_exit(std::chrono::milliseconds timeout) {
  deadline until{timeout};
  while (!status_) {
    pollfd entry{pidfd_.get(), POLLIN, 0};
    auto count = ::poll(&entry, 1, until.remaining());
    if (count < 0 && errno != EINTR)
      fail(errno, "poll");
    if (count == 0 && until.passed())
      throw timeout_error(fmt::format("process {} has not ended within {} ms{}",
                                      pid_, timeout.count(), last_lines()));
    if (count <= 0)
      continue;
    int raw = 0;
    if (::waitpid(pid_, &raw, 0) != pid_)
      fail(errno, "waitpid");
    status_ = WIFSIGNALED(raw) ? exit_status{-1, WTERMSIG(raw)}
                               : exit_status{WEXITSTATUS(raw), 0};
  }
  std::unique_lock guard{mutex_};
  if (!changed_.wait_until(guard, until.at(),
                           [this] { return !out_.open && !err_.open; }))
    throw timeout_error("the child has ended, but somebody holds its output");
  return *status_;
}

// -- output -------------------------------------------------------------------

process::channel& process::at(output which) {
  return which == output::out ? out_ : err_;
}

void process::start_reading(output which) {
  auto& stream = at(which);
  if (!stream.pipe || stream.reader.joinable())
    throw std::logic_error("this stream is not left unread");
  {
    std::lock_guard guard{mutex_};
    stream.open = true;
  }
  stream.reader = std::thread{[this, which] { read_lines(which); }};
}

void process::close_unread(output which) {
  if (at(which).reader.joinable())
    throw std::logic_error("this stream is read by a thread");
  at(which).pipe.reset();
}

void process::read_lines(output which) {
  auto& stream = at(which);
  std::string rest;
  std::array<char, 16'384> chunk;
  for (;;) {
    std::array<pollfd, 2> entries{
      {{stream.pipe.get(), POLLIN, 0}, {stop_watch_.get(), POLLIN, 0}}};
    if (::poll(entries.data(), entries.size(), -1) < 0)
      continue;
    // What has been written is read first, then the end is looked at.
    if (entries[0].revents == 0)
      break;
    auto count = ::read(stream.pipe.get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      break;
    rest.append(chunk.data(), static_cast<std::size_t>(count));
    std::lock_guard guard{mutex_};
    std::size_t start = 0;
    for (auto end = rest.find('\n'); end != std::string::npos;
         end = rest.find('\n', start)) {
      lines_.push_back({which, rest.substr(start, end - start)});
      start = end + 1;
    }
    rest.erase(0, start);
    changed_.notify_all();
  }
  std::lock_guard guard{mutex_};
  if (!rest.empty())
    lines_.push_back({which, std::move(rest)});
  stream.open = false;
  changed_.notify_all();
}

output_line process::wait_line(const std::string& pattern,
                               std::chrono::milliseconds timeout,
                               std::size_t from) {
  std::regex expression{pattern};
  auto result = wait_line_if(
    [&](std::string_view text) {
      return std::regex_search(text.begin(), text.end(), expression);
    },
    pattern, timeout, from);
  std::smatch match;
  std::regex_search(result.text, match, expression);
  for (const auto& group : match)
    result.groups.push_back(group.str());
  return result;
}

output_line process::wait_line_if(
  const std::function<bool(std::string_view)>& accept, const std::string& what,
  std::chrono::milliseconds timeout, std::size_t from) {
  deadline until{timeout};
  std::unique_lock guard{mutex_};
  for (;;) {
    for (; from < lines_.size(); ++from) {
      const auto& [stream, text] = lines_[from];
      if (accept(text))
        return {from + 1, stream, text, {}};
    }
    auto ended = !out_.open && !err_.open;
    if (ended || until.passed()) {
      guard.unlock();
      auto text = fmt::format("no line with '{}'{}", what, last_lines());
      if (ended)
        throw std::runtime_error("the output has ended: " + text);
      throw timeout_error(
        fmt::format("{} ms are over: {}", timeout.count(), text));
    }
    changed_.wait_until(guard, until.at());
  }
}

std::uint16_t process::wait_port(std::chrono::milliseconds timeout,
                                 const std::string& pattern) {
  auto found = wait_line(pattern, timeout);
  return static_cast<std::uint16_t>(std::stoul(found.groups.at(1)));
}

std::vector<std::string> process::lines(output which) const {
  std::lock_guard guard{mutex_};
  std::vector<std::string> result;
  for (const auto& [from, text] : lines_) {
    if (from == which)
      result.push_back(text);
  }
  return result;
}

std::string process::text(output which) const {
  std::string result;
  for (const auto& one : lines(which))
    result += one + '\n';
  return result;
}

std::string process::last_lines() const {
  constexpr std::size_t shown = 15;
  std::lock_guard guard{mutex_};
  std::string result = "; its last lines:";
  auto first = lines_.size() > shown ? lines_.size() - shown : 0;
  for (auto i = first; i < lines_.size(); ++i)
    result += "\n  " + lines_[i].text;
  return result;
}

} // namespace greenroom::test
