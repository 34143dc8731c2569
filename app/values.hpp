#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace greenroom {

// How settings are written. Every `parse_x` refuses what is not wholly an x, and
// reads what `format_x` writes.

/// Decimal digits only.
std::optional<std::uint64_t> parse_count(std::string_view text);

/// Bytes: a number, alone or with `B`, `k`, `KiB`, `M`, `MiB`, `G`, `GiB` and the
/// like, in either case, all of them powers of 1024.
std::optional<std::uint64_t> parse_size(std::string_view text);

/// The largest unit that keeps it whole: `64KiB`.
std::string format_size(std::uint64_t bytes);

/// A number with `ms`, `s`, `m` or `h`. Only 0 may go without a unit.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// In seconds where they are whole, else in milliseconds.
std::string format_duration(std::chrono::milliseconds span);

/// `on`, `off` and their usual synonyms.
std::optional<bool> parse_switch(std::string_view text);

/// An IP address as the kernel would write it. `localhost` and brackets around
/// IPv6 are understood.
std::optional<std::string> parse_address(std::string_view text);

/// An address or a network in CIDR notation.
std::optional<std::string> parse_network(std::string_view text);

/// Whether an address reaches this machine only.
bool loopback(const std::string& address);

/// Whether an address means every address of this machine.
bool unspecified(const std::string& address);

/// Where a server that listens on `address` is reached from this machine.
std::string url_of(std::string_view scheme, const std::string& address,
                   std::uint16_t port);

/// What is wrong with the name of a room, or nothing.
std::string room_name_error(std::string_view name, std::size_t bytes_max);

/// Processors this process may keep busy: its affinity or the quota of its cgroup,
/// whichever is less. At least 1.
std::size_t usable_cores();

/// Memory this process may use in bytes: of the machine or of its cgroup,
/// whichever is less.
std::uint64_t usable_memory();

} // namespace greenroom
