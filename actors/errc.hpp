#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace greenroom {

/// Every reason to refuse something or to end somebody. One table says what the
/// world is told of each: add a row, never a string.
enum class errc : std::uint8_t {
  none,
  // -- how a connection ends ---------------------------------------------------
  peer_closed,      ///< the client sent a close frame
  peer_gone,        ///< end of file or reset without a close frame
  no_sign_of_life,  ///< nothing was read for the idle limit
  no_pong,          ///< a dialect's own ping was not answered
  write_stalled,    ///< no byte was taken by the kernel for the progress limit
  slow_consumer,    ///< more bytes under way to it than it may hold
  overloaded,       ///< the process holds more outbound bytes than it may
  rate_limited,     ///< more messages or bytes a second than it may send
  message_too_big,  ///< a message over the size limit (RFC 6455 §7.4.1)
  protocol_error,   ///< broken WebSocket framing (RFC 6455 §7.4.1)
  bad_deflate,      ///< a compressed message that is none (RFC 7692 §7.2.2)
  bad_utf8,         ///< a text message that is not UTF-8 (RFC 6455 §8.1)
  unsupported_data, ///< a kind of message the dialect has no use for
  bad_command,      ///< a command the dialect does not allow
  too_many_errors,  ///< a dialog of nothing but refused commands
  read_only,        ///< a member that may only listen sent something
  kicked,           ///< an operator or the application ended it
  shutdown,         ///< the broker drains
  room_closed,      ///< the room was closed or quarantined
  fault,            ///< an exception in a handler: our own mistake
  stale,            ///< the dialect's greeting did not come in time
  out_of_step,      ///< the audit found that it may miss messages
  // -- why a handshake or a command is refused ---------------------------------
  bad_request,
  reserved_parameter,
  bad_room_name,
  room_unknown,
  room_forbidden,
  room_full,
  too_many_rooms,        ///< the process holds as many rooms as it may
  too_many_rooms_joined, ///< the connection is in as many rooms as it may
  room_quarantined,      ///< it crashed again and again
  already_joined,
  not_joined,
  not_available, ///< a feature that this broker or room does not offer
  unrecoverable, ///< a stream position that cannot be continued from
  unknown_command,
  unauthorized,
  origin_refused,
  connection_limit,
  address_limit,
  draining,
  handshake_timeout,
  header_too_big,
  not_found,
  method_not_allowed,
  upgrade_required, ///< not a WebSocket request, or not version 13
  host_refused,     ///< a Host that is not ours: DNS rebinding
  forbidden,        ///< this token, or nobody, may do that
  answer_timeout,   ///< our own actors did not answer in time
  last_,            // keep last
};

/// How loud a reason is in the log: peers that leave are debug, limits are
/// warnings, our own mistakes are errors.
enum class level : std::uint8_t { trace, debug, info, warn, error };

/// What the world is told of a reason.
struct errc_row {
  errc code;
  std::string_view name;    ///< stable: logs, metrics and close reasons show it
  std::uint16_t close_code; ///< raw relay and the default of other dialects
  std::uint16_t http;       ///< status when the handshake is refused
  level loudness;
};

/// The row of `code`. Constant time, any thread.
const errc_row& describe(errc code) noexcept;

/// The whole table in the order of the enumeration, for documents and tests.
const std::array<errc_row, static_cast<std::size_t>(errc::last_)>&
errc_table() noexcept;

inline std::string_view to_string(errc code) noexcept {
  return describe(code).name;
}

std::string_view to_string(level x) noexcept;

} // namespace greenroom
