#include "app/commands/bench/process.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace greenroom::client {

namespace {

namespace fs = std::filesystem;

std::optional<std::string> content(const std::string& path) {
  std::ifstream in{path};
  if (!in)
    return std::nullopt;
  return std::string{std::istreambuf_iterator<char>{in}, {}};
}

/// Names of a folder's entries, as far as it lets us look: processes and threads
/// may end meanwhile.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> result;
  std::error_code error;
  for (fs::directory_iterator x{folder, error}, end; !error && x != end;
       x.increment(error))
    result.push_back(x->path().filename().string());
  return result;
}

/// The number behind a key at the start of a line, 0 if there is none.
std::uint64_t number(std::string_view text, std::string_view key) {
  auto at = text.find(key);
  while (at != std::string_view::npos && at != 0 && text[at - 1] != '\n')
    at = text.find(key, at + 1);
  if (at == std::string_view::npos)
    return 0;
  text.remove_prefix(at + key.size());
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  std::uint64_t result = 0;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

/// What we use of /proc/PID/stat.
struct stat_line {
  pid_t parent = 0;
  double user = 0;
  double system = 0;
  double children = 0; ///< that have ended
  std::uint64_t threads = 0;
};

std::optional<stat_line> read_stat(pid_t pid) {
  auto text = content(fmt::format("/proc/{}/stat", pid));
  if (!text)
    return std::nullopt;
  // The name before the bracket may contain anything.
  auto bracket = text->rfind(')');
  if (bracket == std::string::npos)
    return std::nullopt;
  std::istringstream fields{text->substr(bracket + 1)};
  std::string state;
  stat_line result;
  long skipped = 0;
  long user = 0;
  long system = 0;
  long child_user = 0;
  long child_system = 0;
  fields >> state >> result.parent;
  for (int i = 5; i <= 13; ++i)
    fields >> skipped;
  fields >> user >> system >> child_user >> child_system >> skipped >> skipped
    >> result.threads;
  auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  result.user = static_cast<double>(user) / ticks;
  result.system = static_cast<double>(system) / ticks;
  result.children = static_cast<double>(child_user + child_system) / ticks;
  return result;
}

double seconds_of(clockid_t clock) {
  timespec t{};
  if (clock_gettime(clock, &t) != 0)
    return -1;
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

/// The roots and all that descends from them.
std::vector<pid_t> tree_of(std::vector<pid_t> pids) {
  std::vector<std::pair<pid_t, pid_t>> children;
  for (const auto& name : names_in("/proc")) {
    pid_t pid = 0;
    auto [rest, error] =
      std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc{} || *rest != '\0')
      continue;
    if (auto stat = read_stat(pid))
      children.emplace_back(stat->parent, pid);
  }
  for (std::size_t i = 0; i < pids.size(); ++i)
    for (auto [parent, child] : children)
      if (parent == pids[i])
        pids.push_back(child);
  return pids;
}

std::uint64_t switches_of(pid_t pid) {
  std::uint64_t result = 0;
  auto tasks = fmt::format("/proc/{}/task/", pid);
  for (const auto& task : names_in(tasks))
    if (auto status = content(tasks + task + "/status"))
      result += number(*status, "voluntary_ctxt_switches:")
                + number(*status, "nonvoluntary_ctxt_switches:");
  return result;
}

bool add(pid_t pid, process_sample& to) {
  auto stat = read_stat(pid);
  auto status = content(fmt::format("/proc/{}/status", pid));
  if (!stat || !status)
    return false;
  to.user += stat->user;
  to.system += stat->system;
  // The process clock counts nanoseconds where /proc counts ticks.
  clockid_t clock{};
  double exact = clock_getcpuclockid(pid, &clock) == 0 ? seconds_of(clock) : -1;
  to.cpu += (exact >= 0 ? exact : stat->user + stat->system) + stat->children;
  to.rss += number(*status, "VmRSS:") * 1024;
  to.threads += stat->threads;
  if (auto rollup = content(fmt::format("/proc/{}/smaps_rollup", pid)))
    to.pss += number(*rollup, "Pss:") * 1024;
  to.fds += names_in(fmt::format("/proc/{}/fd", pid)).size();
  to.switches += switches_of(pid);
  return true;
}

} // namespace

std::optional<process_sample> sample_processes(
  const std::vector<pid_t>& roots) {
  process_sample result;
  auto pids = tree_of(roots);
  for (std::size_t i = 0; i < pids.size(); ++i)
    if (!add(pids[i], result) && i < roots.size())
      return std::nullopt; // a child may end while we look, a root may not
  return result;
}

double own_cpu() {
  return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

} // namespace greenroom::client
