#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/model.hpp"

namespace greenroom::net {

/// What a Centrifuge dialect is made with. Whatever an operator may choose (the
/// time between pings, whether clients need a token) is the reader's and comes
/// with its answers.
struct centrifuge_settings {
  /// Whether the dialect pings by empty replies (§6); else WebSocket pings do.
  bool pings = true;
  /// Over it: error 107 (§4.1). The protocol's own number, which clients
  /// expect; an operator may choose a smaller one.
  std::size_t channel_bytes_max = 255;
  /// Objects and arrays within each other in one command, its own two included:
  /// 62 are left for the data of a publication, which is refused (107) if it is
  /// deeper. More costs stack here and in every receiver.
  std::size_t depth_max = 64;
  /// Pushes are joined into one message up to this; a longer one goes alone.
  /// Bigger saves headers and makes a slow client wait longer for the first.
  std::size_t frame_bytes_max = 64UL * 1024;
  /// Told to clients, which do nothing with it; empty: not told.
  std::string server_version = {};
};

/// What a client may ask, by the field numbers of the schema (§2.1).
enum class centrifuge_ask : std::uint8_t {
  nothing = 0,
  connect = 4,
  subscribe = 5,
  unsubscribe = 6,
  publish = 7,
  presence = 8,
  presence_stats = 9,
  history = 10,
  ping = 11,
  send = 12,
  rpc = 13,
  refresh = 14,
  sub_refresh = 15,
};

/// The member of a command, and of its answer, in JSON; empty for `nothing`.
std::string_view centrifuge_word(centrifuge_ask what) noexcept;

/// One command as either encoding carries it: what this broker looks at. The
/// texts live as long as the message.
struct centrifuge_request {
  request_id id = 0;
  centrifuge_ask what = centrifuge_ask::nothing;
  std::string_view channel;
  std::string_view token;
  /// As it was written; empty only if it was left out.
  std::string_view data;
  std::int64_t type = 0;
  std::int64_t flag = 0;
  bool recover = false;
  /// Whether a filter of tags came along.
  bool filtered = false;
  /// Whether the data is nested deeper than it may be.
  bool too_deep = false;
};

/// Marks the `command::kind` of a subscription that wanted to recover; the rest
/// of a kind is its `centrifuge_ask`.
inline constexpr std::uint16_t centrifuge_recovering = 0x100;

/// Turns a request into commands for the reader, or into the reason why not.
/// @param form what the data of publications is in this encoding
/// @returns whether the next command is to be looked at
bool apply_centrifuge_rules(const centrifuge_request& in, payload_form form,
                            const centrifuge_settings& settings,
                            dialogue& state, std::vector<command>& out);

/// Ends the dialogue because of what the client sent.
void end_centrifuge(errc why, std::vector<command>& out);

} // namespace greenroom::net
