#include "actors/errc.hpp"

namespace greenroom {

namespace {

using table_type = std::array<errc_row, static_cast<std::size_t>(errc::last_)>;

// Close codes: RFC 6455 §7.4.1 and the IANA registry (1013: try again later).
constexpr table_type table = {{
  {errc::none, "none", 1000, 200, level::debug},
  {errc::peer_closed, "peer_closed", 1000, 400, level::debug},
  {errc::peer_gone, "peer_gone", 1006, 400, level::debug},
  {errc::no_sign_of_life, "no_sign_of_life", 1008, 408, level::info},
  {errc::no_pong, "no_pong", 1008, 408, level::info},
  {errc::write_stalled, "write_stalled", 1013, 503, level::warn},
  {errc::slow_consumer, "slow_consumer", 1013, 503, level::warn},
  {errc::overloaded, "overloaded", 1013, 503, level::warn},
  {errc::rate_limited, "rate_limited", 1008, 429, level::warn},
  {errc::message_too_big, "message_too_big", 1009, 413, level::warn},
  {errc::protocol_error, "protocol_error", 1002, 400, level::info},
  {errc::bad_deflate, "bad_deflate", 1007, 400, level::info},
  {errc::bad_utf8, "bad_utf8", 1007, 400, level::info},
  {errc::unsupported_data, "unsupported_data", 1003, 400, level::info},
  {errc::bad_command, "bad_command", 1008, 400, level::info},
  {errc::too_many_errors, "too_many_errors", 1008, 400, level::warn},
  {errc::read_only, "read_only", 1008, 403, level::info},
  {errc::kicked, "kicked", 1008, 403, level::info},
  {errc::shutdown, "shutdown", 1001, 503, level::debug},
  {errc::room_closed, "room_closed", 1011, 503, level::warn},
  {errc::fault, "fault", 1011, 500, level::error},
  {errc::stale, "stale", 1008, 408, level::info},
  {errc::out_of_step, "out_of_step", 1012, 503, level::error},
  {errc::bad_request, "bad_request", 1008, 400, level::info},
  {errc::reserved_parameter, "reserved_parameter", 1008, 400, level::info},
  {errc::bad_room_name, "bad_room_name", 1008, 400, level::info},
  {errc::room_unknown, "room_unknown", 1008, 404, level::info},
  {errc::room_forbidden, "room_forbidden", 1008, 403, level::info},
  {errc::room_full, "room_full", 1013, 503, level::warn},
  {errc::too_many_rooms, "too_many_rooms", 1013, 503, level::warn},
  {errc::too_many_rooms_joined, "too_many_rooms_joined", 1008, 503,
   level::warn},
  {errc::room_quarantined, "room_quarantined", 1011, 503, level::warn},
  {errc::already_joined, "already_joined", 1008, 400, level::info},
  {errc::not_joined, "not_joined", 1008, 400, level::info},
  {errc::not_available, "not_available", 1008, 501, level::info},
  {errc::unrecoverable, "unrecoverable", 1008, 416, level::info},
  {errc::unknown_command, "unknown_command", 1008, 400, level::info},
  {errc::unauthorized, "unauthorized", 1008, 401, level::info},
  {errc::origin_refused, "origin_refused", 1008, 403, level::warn},
  {errc::connection_limit, "connection_limit", 1013, 503, level::warn},
  {errc::address_limit, "address_limit", 1013, 503, level::warn},
  {errc::draining, "draining", 1001, 503, level::info},
  {errc::handshake_timeout, "handshake_timeout", 1008, 408, level::info},
  {errc::header_too_big, "header_too_big", 1008, 431, level::info},
  {errc::not_found, "not_found", 1008, 404, level::debug},
  {errc::method_not_allowed, "method_not_allowed", 1008, 405, level::debug},
  {errc::upgrade_required, "upgrade_required", 1002, 426, level::info},
  {errc::host_refused, "host_refused", 1008, 421, level::warn},
  {errc::forbidden, "forbidden", 1008, 403, level::warn},
  {errc::answer_timeout, "answer_timeout", 1011, 504, level::error},
}};

constexpr bool in_order() {
  for (std::size_t i = 0; i < table.size(); ++i)
    if (static_cast<std::size_t>(table[i].code) != i)
      return false;
  return true;
}

static_assert(in_order(), "the table follows the order of the enumeration");

} // namespace

const errc_row& describe(errc code) noexcept {
  auto i = static_cast<std::size_t>(code);
  return table[i < table.size() ? i : static_cast<std::size_t>(errc::fault)];
}

const table_type& errc_table() noexcept {
  return table;
}

std::string_view to_string(level x) noexcept {
  switch (x) {
    case level::trace:
      return "trace";
    case level::debug:
      return "debug";
    case level::info:
      return "info";
    case level::warn:
      return "warn";
    case level::error:
      return "error";
  }
  return "error";
}

} // namespace greenroom
