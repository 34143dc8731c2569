#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace greenroom::net {

/// An IPv4 or IPv6 address. IPv4 is kept in its mapped form (RFC 4291 §2.5.5.2),
/// so a client that comes over a dual-stack socket is the same one as over an
/// IPv4 socket. A plain value.
class ip_address {
public:
  using bytes_type = std::array<std::uint8_t, 16>;

  /// The unspecified address `::`.
  ip_address() noexcept = default;

  /// From the bytes of the network, 4 or 16 of them.
  explicit ip_address(std::span<const std::uint8_t, 4> v4) noexcept;
  explicit ip_address(std::span<const std::uint8_t, 16> v6) noexcept;

  /// From what the kernel says of a socket; another family gives nothing.
  static std::optional<ip_address> of(const sockaddr_storage& from) noexcept;

  /// From text such as `192.0.2.1` or `2001:db8::1`: no brackets, port, zone or
  /// shortened IPv4.
  static std::optional<ip_address> parse(std::string_view text);

  bool is_v4() const noexcept;

  bool is_loopback() const noexcept;

  /// As RFC 5952 wants it; IPv4 as dotted quad.
  std::string text() const;

  /// In the order of the network.
  const bytes_type& bytes() const noexcept { return bytes_; }

  friend bool operator==(const ip_address&, const ip_address&) = default;

private:
  bytes_type bytes_{};
};

/// Addresses with a common prefix (CIDR, RFC 4632 and RFC 4291 §2.3). It holds
/// addresses of its own family only: `::/0` means no IPv4.
class network {
public:
  /// From text such as `10.0.0.0/8`, `fd00::/8`, or an address alone. Bits
  /// behind the prefix are ignored.
  static std::optional<network> parse(std::string_view text);

  bool contains(const ip_address& x) const noexcept;

  std::string text() const;

private:
  network(const ip_address& base, unsigned bits) : base_(base), bits_(bits) {}

  ip_address base_;
  unsigned bits_; // of the 128
};

/// Whether one of the networks holds the address.
bool contains(std::span<const network> networks, const ip_address& x) noexcept;

/// The address behind an entry of X-Forwarded-For, which some proxies write with
/// a port: `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`.
std::optional<ip_address> parse_forwarded(std::string_view entry);

/// Who is at the other end. The header is believed only as far as trusted
/// proxies wrote it: read from the right, the first address that is not such a
/// proxy is the client. If all are, it is the leftmost one.
/// @param peer the address of the connection
/// @param lines the values of all X-Forwarded-For lines in their order
/// @returns `peer` if it is not trusted, or if it vouches for something that is
/// no address
ip_address client_address(const ip_address& peer,
                          std::span<const network> trusted,
                          std::span<const std::string_view> lines);

} // namespace greenroom::net
