#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/result.hpp"
#include "net/http_request.hpp"
#include "net/http_target.hpp"
#include "net/options.hpp"
#include "net/origin.hpp"
#include "net/routes.hpp"

namespace greenroom::net {

/// A token as we keep it, so that comparing takes the same time whatever is
/// compared, and so that it cannot be shown by mistake.
class sealed_token {
public:
  /// None: nothing is like it.
  sealed_token() = default;

  /// @param text empty: none
  explicit sealed_token(std::string_view text);

  explicit operator bool() const noexcept { return digest_.has_value(); }

  bool is(std::string_view text) const;

private:
  using digest = std::array<unsigned char, 32>; // SHA-256

  static digest of(std::string_view text);

  std::optional<digest> digest_;
};

/// Who may ask what of the inspection listener.
class inspect_access {
public:
  explicit inspect_access(const inspect_options& options);

  /// What a request's token, or the lack of one, allows.
  struct rights {
    bool read = false;
    bool act = false;
  };

  rights of(const http_request& in) const;

  bool needs_token_to_read() const noexcept { return static_cast<bool>(read_); }

  bool anybody_acts() const noexcept { return static_cast<bool>(act_); }

  /// @param to where it leads; null: nowhere
  /// @returns why not: `host_refused`, `origin_refused`, `unauthorized`,
  /// `forbidden`, or `bad_request`; code `none` if it may
  fault refuse(const http_request& in, const http_target& target,
               const route* to) const;

private:
  bool our_host(std::string_view host) const;

  sealed_token read_;
  sealed_token act_;
  std::vector<std::string> hosts_; // lower case
};

} // namespace greenroom::net
