#include "net/protocols/centrifuge_codes.hpp"

namespace greenroom::net {

// No defaults below: the compiler names a reason without a row.

centrifuge_error centrifuge_error_of(errc why) noexcept {
  switch (why) {
    // What will pass: the client tries the same again.
    case errc::fault:
    case errc::overloaded:
    case errc::draining:
    case errc::shutdown:
    case errc::answer_timeout:
      return {100, "internal server error", true};
    case errc::unauthorized:
      return {101, "unauthorized", false};
    case errc::room_unknown:
    case errc::not_found:
      return {102, "unknown channel", false};
    case errc::room_forbidden:
    case errc::not_joined:
    case errc::read_only:
    case errc::kicked:
    case errc::forbidden:
    case errc::origin_refused:
    case errc::host_refused:
      return {103, "permission denied", false};
    case errc::unknown_command:
    case errc::method_not_allowed:
      return {104, "method not found", false};
    case errc::already_joined:
      return {105, "already subscribed", false};
    case errc::too_many_rooms_joined:
    case errc::too_many_rooms:
    case errc::room_full:
    case errc::connection_limit:
    case errc::address_limit:
    case errc::too_many_errors:
      return {106, "limit exceeded", false};
    case errc::bad_request:
    case errc::bad_command:
    case errc::bad_room_name:
    case errc::reserved_parameter:
    case errc::message_too_big:
    case errc::header_too_big:
    case errc::protocol_error:
    case errc::bad_utf8:
    case errc::bad_deflate:
    case errc::unsupported_data:
    case errc::upgrade_required:
    case errc::handshake_timeout:
      return {107, "bad request", false};
    // A room in quarantine stays there: trying again would be for ever.
    case errc::not_available:
    case errc::room_quarantined:
    case errc::room_closed:
      return {108, "not available", false};
    case errc::rate_limited:
      return {111, "too many requests", true};
    case errc::unrecoverable:
      return {112, "unrecoverable position", false};
    // Ends of connections, and no reason at all: no command is refused for them.
    case errc::none:
    case errc::peer_closed:
    case errc::peer_gone:
    case errc::no_sign_of_life:
    case errc::no_pong:
    case errc::write_stalled:
    case errc::slow_consumer:
    case errc::stale:
    case errc::out_of_step:
    case errc::last_:
      break;
  }
  return {108, "not available", false};
}

centrifuge_end centrifuge_disconnect_of(errc why) noexcept {
  switch (why) {
    case errc::shutdown:
    case errc::draining:
      return {3001, "shutdown"};
    case errc::fault:
      return {3004, "internal server error"};
    case errc::slow_consumer:
    case errc::overloaded:
      return {3008, "slow"};
    case errc::write_stalled:
      return {3009, "write error"};
    case errc::out_of_step:
      return {3010, "insufficient state"};
    case errc::no_pong:
    case errc::no_sign_of_life:
      return {3012, "no pong"};
    case errc::rate_limited:
      return {3013, "too many requests"};
    case errc::unauthorized:
      return {3500, "invalid token"};
    case errc::bad_command:
    case errc::bad_request:
    case errc::unsupported_data:
    case errc::unknown_command:
      return {3501, "bad request"};
    case errc::stale:
      return {3502, "stale"};
    case errc::kicked:
      return {3503, "force disconnect"};
    case errc::connection_limit:
    case errc::address_limit:
      return {3504, "connection limit"};
    case errc::too_many_rooms_joined:
      return {3505, "channel limit"};
    case errc::room_forbidden:
    case errc::read_only:
      return {3507, "permission denied"};
    case errc::not_available:
      return {3508, "not available"};
    case errc::too_many_errors:
      return {3509, "too many errors"};
    // Broken WebSocket has WebSocket's own codes (RFC 6455 §7.4.1).
    case errc::protocol_error:
      return {1002, "protocol error"};
    case errc::bad_deflate:
      return {1007, "not deflated"};
    case errc::bad_utf8:
      return {1007, "not UTF-8"};
    case errc::message_too_big:
      return {1009, "message too big"};
    default:
      return {3000, "connection closed"};
  }
}

centrifuge_end centrifuge_unsubscribe_of(errc why) noexcept {
  // Only a room whose stream was lost is worth another try at once.
  if (why == errc::fault)
    return {2500, "insufficient state"};
  return {2000, "server unsubscribe"};
}

} // namespace greenroom::net
