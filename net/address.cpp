#include "net/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace greenroom::net {

namespace {

constexpr std::array<std::uint8_t, 12> mapped_prefix = {0, 0, 0, 0, 0,    0,
                                                        0, 0, 0, 0, 0xff, 0xff};

// Spaces and tabs (RFC 9110 §5.6.3).
std::string_view trimmed(std::string_view text) {
  auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  auto* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, port);
  return error == std::errc{} && at == end;
}

} // namespace

// -- ip_address -----------------------------------------------------------------

ip_address::ip_address(std::span<const std::uint8_t, 4> v4) noexcept {
  std::copy(mapped_prefix.begin(), mapped_prefix.end(), bytes_.begin());
  std::copy(v4.begin(), v4.end(), bytes_.begin() + mapped_prefix.size());
}

ip_address::ip_address(std::span<const std::uint8_t, 16> v6) noexcept {
  std::copy(v6.begin(), v6.end(), bytes_.begin());
}

std::optional<ip_address> ip_address::of(
  const sockaddr_storage& from) noexcept {
  if (from.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &from, sizeof(v4));
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &v4.sin_addr, bytes.size());
    return ip_address{std::span<const std::uint8_t, 4>{bytes}};
  }
  if (from.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &from, sizeof(v6));
    bytes_type bytes{};
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    return ip_address{std::span<const std::uint8_t, 16>{bytes}};
  }
  return std::nullopt;
}

std::optional<ip_address> ip_address::parse(std::string_view text) {
  // inet_pton wants a terminated string, and would not see bytes behind a NUL.
  std::array<char, INET6_ADDRSTRLEN> copy{};
  if (text.size() >= copy.size() || text.find('\0') != std::string_view::npos)
    return std::nullopt;
  std::copy(text.begin(), text.end(), copy.begin());
  std::array<std::uint8_t, 4> v4{};
  if (inet_pton(AF_INET, copy.data(), v4.data()) == 1)
    return ip_address{std::span<const std::uint8_t, 4>{v4}};
  bytes_type v6{};
  if (inet_pton(AF_INET6, copy.data(), v6.data()) == 1)
    return ip_address{std::span<const std::uint8_t, 16>{v6}};
  return std::nullopt;
}

bool ip_address::is_v4() const noexcept {
  return std::equal(mapped_prefix.begin(), mapped_prefix.end(), bytes_.begin());
}

bool ip_address::is_loopback() const noexcept {
  if (is_v4())
    return bytes_[mapped_prefix.size()] == 127;
  bytes_type loopback{};
  loopback.back() = 1;
  return bytes_ == loopback;
}

std::string ip_address::text() const {
  std::array<char, INET6_ADDRSTRLEN> out{};
  if (is_v4()) {
    // By hand: once a connection, and the C library prints it with sprintf.
    auto* end = out.data();
    for (auto i = mapped_prefix.size(); i < bytes_.size(); ++i) {
      if (end != out.data())
        *end++ = '.';
      end = std::to_chars(end, out.data() + out.size(),
                          static_cast<unsigned>(bytes_[i]))
              .ptr;
    }
    return {out.data(), end};
  }
  inet_ntop(AF_INET6, bytes_.data(), out.data(), out.size());
  return out.data();
}

// -- network --------------------------------------------------------------------

std::optional<network> network::parse(std::string_view text) {
  auto slash = text.find('/');
  auto base = ip_address::parse(text.substr(0, slash));
  if (!base)
    return std::nullopt;
  if (slash == std::string_view::npos)
    return network{*base, 128};
  auto digits = text.substr(slash + 1);
  unsigned bits = 0;
  auto* end = digits.data() + digits.size();
  auto [at, error] = std::from_chars(digits.data(), end, bits);
  if (error != std::errc{} || at != end)
    return std::nullopt;
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8; the text tells which was meant.
  if (base->is_v4()
      && text.substr(0, slash).find(':') == std::string_view::npos) {
    if (bits > 32)
      return std::nullopt;
    bits += 96;
  }
  if (bits > 128)
    return std::nullopt;
  return network{*base, bits};
}

bool network::contains(const ip_address& x) const noexcept {
  auto v4 = base_.is_v4() && bits_ >= 96;
  if (x.is_v4() != v4)
    return false;
  auto whole = bits_ / 8;
  auto& ours = base_.bytes();
  auto& theirs = x.bytes();
  if (!std::equal(ours.begin(), ours.begin() + whole, theirs.begin()))
    return false;
  auto rest = bits_ % 8;
  if (rest == 0)
    return true;
  auto mask = static_cast<std::uint8_t>(0xff << (8 - rest));
  return (ours[whole] & mask) == (theirs[whole] & mask);
}

std::string network::text() const {
  auto v4 = base_.is_v4() && bits_ >= 96;
  return base_.text() + '/' + std::to_string(v4 ? bits_ - 96 : bits_);
}

bool contains(std::span<const network> networks, const ip_address& x) noexcept {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const network& n) { return n.contains(x); });
}

// -- X-Forwarded-For --------------------------------------------------------------

std::optional<ip_address> parse_forwarded(std::string_view entry) {
  if (entry.starts_with('[')) {
    auto end = entry.find(']');
    if (end == std::string_view::npos)
      return std::nullopt;
    auto behind = entry.substr(end + 1);
    if (!behind.empty() && !(behind[0] == ':' && is_port(behind.substr(1))))
      return std::nullopt;
    auto inside = entry.substr(1, end - 1);
    if (inside.find(':') == std::string_view::npos)
      return std::nullopt;
    return ip_address::parse(inside);
  }
  auto colon = entry.find(':');
  if (colon != std::string_view::npos && entry.rfind(':') == colon) {
    if (!is_port(entry.substr(colon + 1)))
      return std::nullopt;
    entry = entry.substr(0, colon);
  }
  return ip_address::parse(entry);
}

ip_address client_address(const ip_address& peer,
                          std::span<const network> trusted,
                          std::span<const std::string_view> lines) {
  if (!contains(trusted, peer))
    return peer;
  auto client = peer;
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    auto rest = *line;
    for (;;) {
      auto comma = rest.rfind(',');
      auto entry = trimmed(
        comma == std::string_view::npos ? rest : rest.substr(comma + 1));
      if (!entry.empty()) { // lists may have empty elements (RFC 9110 §5.6.1)
        auto address = parse_forwarded(entry);
        if (!address)
          return peer;
        client = *address;
        if (!contains(trusted, client))
          return client;
      }
      if (comma == std::string_view::npos)
        break;
      rest = rest.substr(0, comma);
    }
  }
  return client;
}

} // namespace greenroom::net
