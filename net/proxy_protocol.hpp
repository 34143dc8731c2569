#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "net/address.hpp"

namespace greenroom::net {

/// What the first bytes of a connection from a trusted proxy say (HAProxy's
/// PROXY protocol, version 2; version 1 is not spoken).
struct proxy_header {
  enum class state : std::uint8_t {
    need_more, ///< it begins like one: read on
    absent,    ///< something else, such as an HTTP request
    malformed, ///< close the connection: nobody knows what follows
    complete,
  };

  state what = state::need_more;
  /// Whom the proxy speaks for. Nothing if it speaks for itself (LOCAL, a health
  /// check) or for an address that is not of the internet.
  std::optional<ip_address> source;
  /// Bytes of the header, the skipped TLVs included.
  std::size_t size = 0;
};

/// The longest header taken. The protocol promises that 536 bytes, the smallest
/// MSS, arrive in one piece; addresses need 52 of them, TLVs may have the rest.
inline constexpr std::size_t proxy_header_bytes_max = 536;

/// Reads from the start of a connection; call again with more bytes as long as
/// it needs more. Never throws.
proxy_header parse_proxy_header(std::string_view bytes) noexcept;

} // namespace greenroom::net
