#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "actors/errc.hpp"
#include "actors/wire.hpp"

namespace greenroom {

/// Names a connection for the life of the process; 0 is nobody (the server).
using client_id = std::uint64_t;

/// Names a unit: a thread with its event loop and its actors.
using unit_id = std::uint16_t;

/// Chosen by a client for a command; 0 means that no answer is wanted.
using request_id = std::uint32_t;

using steady_time = std::chrono::steady_clock::time_point;

// -- payloads -------------------------------------------------------------------

/// What the bytes of a publication are, as its publisher's dialect knows.
enum class payload_form : std::uint8_t {
  text,   ///< UTF-8 text (a raw text frame)
  binary, ///< any bytes (a raw binary frame)
  json,   ///< one JSON value, kept as the publisher wrote it
};

struct payload {
  std::string bytes;
  payload_form form = payload_form::text;
};

/// One complete message as it came from a client's socket, unmasked and
/// reassembled.
struct inbound {
  std::string bytes;
  bool text = true;
  /// What it took on the wire if it was compressed there, else 0. Its client is
  /// charged for the larger of both.
  std::size_t compressed_bytes = 0;
};

// -- rooms ------------------------------------------------------------------------

/// What a raw relay connection may do in a room.
enum class raw_access : std::uint8_t { on, read_only, off };

/// What happens to a member that has more bytes under way than it may.
enum class overflow_policy : std::uint8_t {
  disconnect,
  drop_newest,
  drop_oldest,
  conflate,
};

struct room_options {
  /// Whether a sender gets its own raw messages unless it says otherwise.
  bool echo = true;
  /// Whether members may publish, whatever their dialect. Off: they listen.
  bool publish = true;
  raw_access raw = raw_access::on;
  /// Joins beyond this are refused (503, or the dialect's "limit exceeded").
  std::size_t members_max = 100'000;
  overflow_policy overflow = overflow_policy::disconnect;
  /// Whether what it sends is compressed for members that can take it.
  bool compressed = false;
  /// Extra time a turn waits for more publications; 0: none.
  std::chrono::milliseconds write_delay{0};
};

/// A room that exists from the start.
struct named_room {
  std::string name;
  room_options options;
};

struct join_options {
  /// Whether the member gets what it published itself.
  bool echo = true;
  /// Whether it said so, which is more than what a room says of raw members.
  bool echo_asked = false;
};

/// Whether `name` may not be joined without a token by raw or anonymous members
/// (Pusher's `private-` and `presence-`, Centrifuge's `$`).
inline bool protected_name(std::string_view name) noexcept {
  return name.starts_with('$') || name.starts_with("private-")
         || name.starts_with("presence-");
}

// -- commands: what a client asks ------------------------------------------------

enum class verb : std::uint8_t {
  hello,   ///< the dialect's greeting (raw relay has none)
  join,    ///< become a member of `room`
  leave,   ///< stop being one
  publish, ///< broadcast `data` to `room`
  pong,    ///< the answer to the dialect's own ping
  refuse,  ///< the dialect itself refuses the command with `why`
  end,     ///< the dialect ends the connection with `why`
};

/// One command of a client, as its dialect decoded it. `room` is empty where the
/// dialect knows only one room per connection: the reader fills it in.
struct command {
  verb what = verb::refuse;
  request_id id = 0;
  /// Which kind of command it was on the wire, for the answer to a refused one;
  /// the dialect's own number.
  std::uint16_t kind = 0;
  errc why = errc::none;
  std::string room;
  payload data;
  join_options options;
};

/// What the reader remembers of one dialogue on behalf of its stateless dialect.
struct dialogue {
  client_id client = 0;
  bool greeted = false;
  /// Pings of the dialect that were sent and not answered yet.
  std::uint32_t pings_out = 0;
};

// -- events and answers: what a client is told -------------------------------------

enum class event_kind : std::uint8_t {
  publication,
};

/// Something that happened in a room. Offsets are contiguous from 1 for the life
/// of an epoch.
struct event {
  event_kind kind = event_kind::publication;
  client_id from = 0;
  std::uint64_t offset = 0;
  payload what;
};

/// The events of one turn of one room, in order.
struct turn {
  std::string_view room;
  std::string_view epoch;
  std::span<const event> events;
};

/// The outcome of one command, for the client that sent it.
struct answer {
  verb what = verb::refuse;
  request_id id = 0;
  std::uint16_t kind = 0;
  errc error = errc::none;
  std::string_view room;
  /// Position of the room's stream: the member misses nothing behind it.
  std::uint64_t offset = 0;
  std::string_view epoch;
  client_id client = 0;
  /// To a greeting: time between the dialect's own pings.
  std::chrono::milliseconds ping_every{0};
};

/// The last words of a connection. `last` goes out before the close frame in
/// dialects that say goodbye in a frame of their own.
struct farewell {
  errc why = errc::none;
  std::uint16_t code = 1000;
  /// At most 123 bytes (RFC 6455 §5.5), short ASCII, never JSON.
  std::string reason;
  wire_ptr last;
};

} // namespace greenroom
