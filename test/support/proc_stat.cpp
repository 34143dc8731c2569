#include "test/support/proc_stat.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

namespace greenroom::test {

namespace {

std::string read_text(pid_t pid, std::string_view name) {
  std::ifstream in{fmt::format("/proc/{}/{}", pid, name)};
  std::string result{std::istreambuf_iterator<char>{in}, {}};
  if (result.empty())
    throw std::runtime_error(fmt::format("no /proc/{}/{}", pid, name));
  return result;
}

} // namespace

proc_stat read_proc_stat(pid_t pid) {
  proc_stat result;
  std::istringstream rollup{read_text(pid, "smaps_rollup")};
  for (std::string line; std::getline(rollup, line);) {
    std::istringstream fields{line};
    std::string name;
    std::size_t kib = 0;
    if (!(fields >> name >> kib))
      continue;
    if (name == "Rss:")
      result.rss = kib * 1024;
    else if (name == "Pss:")
      result.pss = kib * 1024;
    else if (name == "Anonymous:")
      result.anonymous = kib * 1024;
  }
  // The second field is the program's name, which may contain anything.
  auto stat = read_text(pid, "stat");
  std::istringstream rest{stat.substr(stat.rfind(')') + 2)};
  std::vector<std::string> fields{std::istream_iterator<std::string>{rest}, {}};
  auto to_time = [](const std::string& ticks) {
    return std::chrono::milliseconds{std::stoll(ticks) * 1000
                                     / ::sysconf(_SC_CLK_TCK)};
  };
  result.user = to_time(fields.at(11));
  result.system = to_time(fields.at(12));
  result.threads = std::stoul(fields.at(17));
  result.fds = count_fds(pid);
  return result;
}

std::size_t peak_rss(pid_t pid) {
  std::istringstream status{read_text(pid, "status")};
  for (std::string word; status >> word;)
    if (word == "VmHWM:") {
      std::size_t kib = 0;
      status >> kib;
      return kib * 1024;
    }
  throw std::runtime_error(fmt::format("no VmHWM of {}", pid));
}

std::size_t count_fds(pid_t pid) {
  std::size_t result = 0;
  for (auto& x :
       std::filesystem::directory_iterator{fmt::format("/proc/{}/fd", pid)}) {
    std::error_code gone;
    auto what = std::filesystem::read_symlink(x.path(), gone);
    // A unit makes its ring when a turn first has use for it, and keeps it. One
    // that was closed since the listing is none.
    if (!gone && what != "anon_inode:[io_uring]")
      ++result;
  }
  return result;
}

} // namespace greenroom::test
