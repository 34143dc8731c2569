#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/result.hpp"

namespace greenroom::net {

/// `host[:port]` as in a Host header (RFC 9110 §7.2).
struct authority {
  std::string host; ///< lower case; IPv6 in brackets
  std::optional<std::uint16_t> port;

  /// Nothing for what has no host, or anything beside host and port.
  static std::optional<authority> parse(std::string_view text);
};

/// Which names are the broker's own, when a page says it comes from there. Where
/// only this machine can connect, a name that leads here may be anybody's: DNS
/// rebinding makes a foreign page one of "the same host".
enum class own_names : std::uint8_t {
  any,      ///< whatever the Host header says
  loopback, ///< localhost and addresses of this machine only
};

/// Which web pages may connect (RFC 6455 §10.2). A browser says in Origin which
/// page it runs (RFC 6454 §7); other clients say nothing and pass.
class origin_rules {
public:
  /// Only pages of the broker's own host.
  origin_rules() = default;

  /// @param listed `scheme://host[:port]` each, or `*` for every page
  /// @returns a fault whose detail names the malformed one
  static result<origin_rules> make(const std::vector<std::string>& listed,
                                   own_names ours = own_names::any);

  /// @param origin what the browser says
  /// @param host the broker as the client calls it: the Host header
  bool allow(std::string_view origin, std::string_view host) const;

private:
  bool any_ = false;
  own_names ours_ = own_names::any;
  std::vector<std::string> listed_; // scheme://host:port, lower case
};

} // namespace greenroom::net
