#include "actors/process_facts.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <ctime>
#include <string_view>

namespace greenroom {

namespace {

std::uint64_t resident_bytes() noexcept {
  auto fd = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return 0;
  std::array<char, 128> text{};
  auto n = ::read(fd, text.data(), text.size());
  ::close(fd);
  if (n <= 0)
    return 0;
  // Pages: the program's size, then what of it is resident.
  std::string_view words{text.data(), static_cast<std::size_t>(n)};
  auto blank = words.find(' ');
  if (blank == std::string_view::npos)
    return 0;
  words.remove_prefix(blank + 1);
  std::uint64_t pages = 0;
  std::from_chars(words.data(), words.data() + words.size(), pages);
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t open_descriptors() noexcept {
  struct stat x {};
  if (::stat("/proc/self/fd", &x) == 0 && x.st_size > 0)
    return static_cast<std::uint64_t>(x.st_size);
  auto* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr)
    return 0;
  std::uint64_t n = 0;
  while (::readdir(folder) != nullptr)
    ++n;
  ::closedir(folder);
  return n > 3 ? n - 3 : 0; // `.`, `..` and the folder's own
}

std::chrono::nanoseconds time_of(clockid_t clock) noexcept {
  timespec x{};
  ::clock_gettime(clock, &x);
  return std::chrono::seconds{x.tv_sec} + std::chrono::nanoseconds{x.tv_nsec};
}

} // namespace

std::chrono::nanoseconds thread_time() noexcept {
  return time_of(CLOCK_THREAD_CPUTIME_ID);
}

process_facts look_at_process() noexcept {
  process_facts result;
  result.cpu = time_of(CLOCK_PROCESS_CPUTIME_ID);
  result.memory_bytes = resident_bytes();
  result.descriptors = open_descriptors();
  return result;
}

} // namespace greenroom
