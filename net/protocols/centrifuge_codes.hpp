#pragma once

#include <cstdint>
#include <string_view>

#include "actors/errc.hpp"

namespace greenroom::net {

// What the Centrifuge protocol calls our reasons, in both of its encodings. By
// these numbers a client decides whether it tries again.

/// An error in a reply (§7.1).
struct centrifuge_error {
  std::uint32_t code;
  std::string_view message;
  bool temporary; ///< the client tries the same again
};

/// The error of a refused command.
centrifuge_error centrifuge_error_of(errc why) noexcept;

/// How a connection (§7.2) or a subscription (§7.3) ends.
struct centrifuge_end {
  std::uint16_t code;
  std::string_view reason;
};

/// The close code of an ended connection. Clients stay away after 3500 to 3999
/// and after 1009, and come back after everything else.
centrifuge_end centrifuge_disconnect_of(errc why) noexcept;

/// The code of a subscription that the broker ended: below 2500 it stays ended.
centrifuge_end centrifuge_unsubscribe_of(errc why) noexcept;

} // namespace greenroom::net
