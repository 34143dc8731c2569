#include "app/values.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <system_error>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "net/address.hpp"
#include "net/room_name.hpp"

namespace greenroom {

namespace {

std::string lower(std::string_view text) {
  std::string result{text};
  for (auto& c : result)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return result;
}

/// A number and what stands behind it.
struct quantity {
  std::uint64_t number = 0;
  std::string unit; ///< in lower case
};

std::optional<quantity> split(std::string_view text) {
  quantity result;
  auto end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, result.number);
  if (error != std::errc{} || text.starts_with('-'))
    return std::nullopt;
  result.unit = lower({rest, static_cast<std::size_t>(end - rest)});
  return result;
}

std::optional<std::uint64_t> times(std::uint64_t a, std::uint64_t b) {
  std::uint64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result))
    return std::nullopt;
  return result;
}

std::optional<net::ip_address> read_address(std::string_view text) {
  if (text == "localhost")
    text = "127.0.0.1";
  if (text.size() > 2 && text.front() == '[' && text.back() == ']')
    text = text.substr(1, text.size() - 2);
  return net::ip_address::parse(text);
}

} // namespace

// -- numbers --------------------------------------------------------------------

std::optional<std::uint64_t> parse_count(std::string_view text) {
  auto parts = split(text);
  if (!parts || !parts->unit.empty())
    return std::nullopt;
  return parts->number;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  auto parts = split(text);
  if (!parts)
    return std::nullopt;
  auto unit = std::string_view{parts->unit};
  if (unit.empty() || unit == "b")
    return parts->number;
  auto power = std::string_view{"kmgt"}.find(unit.front());
  auto tail = unit.substr(1);
  if (power == std::string_view::npos
      || (!tail.empty() && tail != "b" && tail != "ib"))
    return std::nullopt;
  return times(parts->number, std::uint64_t{1024} << (10 * power));
}

std::string format_size(std::uint64_t bytes) {
  static constexpr std::array units{"", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{}{}", bytes, units[unit]);
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  auto parts = split(text);
  if (!parts)
    return std::nullopt;
  std::uint64_t factor = 0;
  if (parts->unit == "ms")
    factor = 1;
  else if (parts->unit == "s")
    factor = 1000;
  else if (parts->unit == "m" || parts->unit == "min")
    factor = 60'000;
  else if (parts->unit == "h")
    factor = 3'600'000;
  else if (!parts->unit.empty() || parts->number != 0)
    return std::nullopt;
  // Far from the end of the clock: timers add durations to points in time.
  constexpr std::uint64_t year = 366ULL * 24 * 3'600'000;
  auto total = times(parts->number, factor);
  if (!total || *total > year)
    return std::nullopt;
  return std::chrono::milliseconds{static_cast<std::int64_t>(*total)};
}

std::string format_duration(std::chrono::milliseconds span) {
  if (span.count() == 0)
    return "0";
  if (span.count() % 1000 == 0)
    return fmt::format("{}s", span.count() / 1000);
  return fmt::format("{}ms", span.count());
}

std::optional<bool> parse_switch(std::string_view text) {
  auto word = lower(text);
  if (word == "on" || word == "true" || word == "yes" || word == "1")
    return true;
  if (word == "off" || word == "false" || word == "no" || word == "0")
    return false;
  return std::nullopt;
}

// -- addresses ------------------------------------------------------------------

std::optional<std::string> parse_address(std::string_view text) {
  auto address = read_address(text);
  if (!address)
    return std::nullopt;
  return address->text();
}

std::optional<std::string> parse_network(std::string_view text) {
  auto network = net::network::parse(text);
  if (!network)
    return std::nullopt;
  return network->text();
}

bool loopback(const std::string& address) {
  auto x = read_address(address);
  return x && x->is_loopback();
}

bool unspecified(const std::string& address) {
  return address == "0.0.0.0" || address == "::";
}

std::string url_of(std::string_view scheme, const std::string& address,
                   std::uint16_t port) {
  std::string host = address;
  if (address == "0.0.0.0")
    host = "127.0.0.1";
  else if (address == "::")
    host = "::1";
  if (host.find(':') != std::string::npos)
    return fmt::format("{}://[{}]:{}", scheme, host, port);
  return fmt::format("{}://{}:{}", scheme, host, port);
}

// -- rooms ------------------------------------------------------------------------

std::string room_name_error(std::string_view name, std::size_t bytes_max) {
  if (net::valid_room_name(name, bytes_max))
    return {};
  if (name.empty())
    return "a room needs a name";
  if (name.size() > bytes_max)
    return fmt::format("the name of a room has at most {} bytes, this one {}",
                       bytes_max, name.size());
  if (name.find('/') != std::string_view::npos)
    return "the name of a room has no /";
  if (name == "." || name == "..")
    return "clients remove . and .. from URLs";
  return "the name of a room is UTF-8 without control characters";
}

// -- the machine ----------------------------------------------------------------

std::size_t usable_cores() {
  // hardware_concurrency() respects the affinity, but no quota.
  std::uint64_t cores = std::max(1U, std::thread::hardware_concurrency());
  std::string quota; // "max", or microseconds of each period
  std::string period;
  std::ifstream file{"/sys/fs/cgroup/cpu.max"};
  file >> quota >> period;
  auto used = parse_count(quota);
  auto of = parse_count(period);
  if (used && of && *of != 0)
    cores = std::min(cores, std::max<std::uint64_t>(1, *used / *of));
  return static_cast<std::size_t>(cores);
}

std::uint64_t usable_memory() {
  auto result = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES))
                * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  // In a container these are its own; "max" does not parse and means no limit.
  for (auto path : {"/sys/fs/cgroup/memory.max",
                    "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::string line;
    if (std::getline(std::ifstream{path}, line))
      if (auto limit = parse_count(line); limit && *limit != 0)
        result = std::min(result, *limit);
  }
  return result;
}

} // namespace greenroom
