#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "actors/errc.hpp"
#include "actors/model.hpp"

// What the inside looks like: the rows an operator sees, what can be asked and what
// can be done. Plain data, made by the actors, written as JSON by the HTTP API under
// exactly these names, and shown by `greenroom top` and the page. Never a payload or a
// token. Times: `_ms` and `_us` are durations, `_at` milliseconds of Unix time.
//
// Every row lists its fields once, in `each_field`, for whoever writes or shows it.

namespace greenroom {

// -- rows -------------------------------------------------------------------------

/// One unit, as of the latest sample.
struct unit_row {
  unit_id unit = 0;
  std::uint64_t actors = 0;
  std::uint64_t connections = 0;
  std::uint64_t turns = 0;
  std::uint64_t handled = 0;  ///< messages, since the start
  std::uint64_t depth = 0;    ///< messages that wait now
  std::int64_t cpu_us = 0;    ///< of its thread
  std::int64_t sample_us = 0; ///< what the inspection of it has cost so far

  template <class F>
  void each_field(F&& f) const {
    f("unit", unit);
    f("actors", actors);
    f("connections", connections);
    f("turns", turns);
    f("handled", handled);
    f("depth", depth);
    f("cpu_us", cpu_us);
    f("sample_us", sample_us);
  }
};

/// The whole process at a glance.
struct overview {
  std::string version;
  std::int64_t now_at = 0;
  std::int64_t started_at = 0;
  std::int64_t cpu_us = 0;        ///< of the process
  std::uint64_t memory_bytes = 0; ///< resident
  std::uint64_t descriptors = 0;
  std::uint64_t connections = 0;
  std::uint64_t rooms = 0;
  std::uint64_t memberships = 0;
  std::uint64_t quarantined = 0;
  std::uint64_t bytes_queued = 0; ///< under way to all members
  std::uint64_t bytes_live = 0;   ///< of shared blocks, each counted once
  std::uint64_t messages_in = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t frames_out = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t publications = 0;
  std::uint64_t deliveries = 0;
  std::uint64_t dropped = 0;
  std::uint64_t crashes = 0;
  std::uint64_t audit_faults = 0; ///< what the zombie audit found so far
  /// From publication to the kernel's acceptance, of the last second or so.
  std::int64_t latency_p50_us = 0;
  std::int64_t latency_p99_us = 0;
  std::int64_t latency_max_us = 0;
  std::vector<unit_row> units;

  template <class F>
  void each_field(F&& f) const {
    f("version", version);
    f("now_at", now_at);
    f("started_at", started_at);
    f("cpu_us", cpu_us);
    f("memory_bytes", memory_bytes);
    f("descriptors", descriptors);
    f("connections", connections);
    f("rooms", rooms);
    f("memberships", memberships);
    f("quarantined", quarantined);
    f("bytes_queued", bytes_queued);
    f("bytes_live", bytes_live);
    f("messages_in", messages_in);
    f("bytes_in", bytes_in);
    f("frames_out", frames_out);
    f("bytes_out", bytes_out);
    f("publications", publications);
    f("deliveries", deliveries);
    f("dropped", dropped);
    f("crashes", crashes);
    f("audit_faults", audit_faults);
    f("latency_p50_us", latency_p50_us);
    f("latency_p99_us", latency_p99_us);
    f("latency_max_us", latency_max_us);
    f("units", units);
  }
};

/// One actor: a line of the tree.
struct actor_row {
  std::uint64_t id = 0;
  std::string_view kind; ///< of `to_string(actor_kind)`
  /// The actor it stands under in the tree: supervisor above rooms and readers, room
  /// above its outlets, reader above its writer. 0: the top.
  std::uint64_t parent = 0;
  unit_id unit = 0;
  std::string_view state; ///< `running`, `ready` or `idle`
  client_id client = 0;
  std::string room;
  std::string user;
  std::uint32_t links = 0;
  std::uint32_t monitors = 0; ///< who hears of its end
  std::uint64_t depth = 0;    ///< messages that wait
  std::uint64_t depth_max = 0;
  std::uint64_t handled = 0;
  std::int64_t busy_us = 0;
  std::int64_t wait_last_us = 0; ///< from sent to handled, of the last resume
  std::int64_t wait_max_us = 0;
  std::int64_t age_ms = 0;

  template <class F>
  void each_field(F&& f) const {
    f("id", id);
    f("kind", kind);
    f("parent", parent);
    f("unit", unit);
    f("state", state);
    f("client", client);
    f("room", room);
    f("user", user);
    f("links", links);
    f("monitors", monitors);
    f("depth", depth);
    f("depth_max", depth_max);
    f("handled", handled);
    f("busy_us", busy_us);
    f("wait_last_us", wait_last_us);
    f("wait_max_us", wait_max_us);
    f("age_ms", age_ms);
  }
};

/// One room with all its outlets.
struct room_row {
  std::string room;
  std::uint64_t actor = 0; ///< 0: announced or quarantined, nobody runs it
  unit_id unit = 0;
  bool named = false; ///< by the command line
  bool quarantined = false;
  std::uint64_t members = 0;
  std::uint64_t outlets = 0;
  std::string epoch;
  std::uint64_t offset = 0;
  std::uint64_t publications = 0;
  std::uint64_t bytes_in = 0;  ///< payload of its publications
  std::uint64_t bytes_out = 0; ///< frames enqueued for its members
  std::uint64_t deliveries = 0;
  std::uint64_t dropped = 0;
  std::uint64_t bytes_queued = 0; ///< of this room, at its members, now
  std::uint64_t queue_max = 0;    ///< the most bytes of one member so far
  std::int64_t lag_ms = 0;        ///< of its slowest member
  std::int64_t cpu_us = 0;        ///< of the room and its outlets
  std::uint64_t restarts = 0;
  std::int64_t age_ms = 0;

  template <class F>
  void each_field(F&& f) const {
    f("room", room);
    f("actor", actor);
    f("unit", unit);
    f("named", named);
    f("quarantined", quarantined);
    f("members", members);
    f("outlets", outlets);
    f("epoch", epoch);
    f("offset", offset);
    f("publications", publications);
    f("bytes_in", bytes_in);
    f("bytes_out", bytes_out);
    f("deliveries", deliveries);
    f("dropped", dropped);
    f("bytes_queued", bytes_queued);
    f("queue_max", queue_max);
    f("lag_ms", lag_ms);
    f("cpu_us", cpu_us);
    f("restarts", restarts);
    f("age_ms", age_ms);
  }
};

/// One connection.
struct connection_row {
  client_id client = 0;
  std::string user;
  std::string address;
  std::string_view dialect;
  unit_id unit = 0;
  std::uint64_t reader = 0;
  std::uint64_t writer = 0;
  std::uint64_t rooms = 0;
  std::uint64_t messages_in = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t frames_out = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t frames_queued = 0; ///< in its outbox
  std::uint64_t bytes_queued = 0;
  std::uint64_t queue_max = 0;
  std::int64_t queue_age_ms = 0;  ///< of the oldest frame in the outbox
  std::uint64_t kernel_bytes = 0; ///< given to the kernel, not acknowledged
  std::int64_t kernel_age_ms = 0; ///< of the first of them
  std::int64_t lag_ms = 0;        ///< the larger of both ages
  std::int64_t last_flush_ms =
    0;                     ///< since the kernel last took something; -1: never
  std::uint64_t gaps = 0;  ///< deliveries dropped by a policy
  std::int64_t cpu_us = 0; ///< of reader and writer
  std::int64_t age_ms = 0;

  template <class F>
  void each_field(F&& f) const {
    f("client", client);
    f("user", user);
    f("address", address);
    f("dialect", dialect);
    f("unit", unit);
    f("reader", reader);
    f("writer", writer);
    f("rooms", rooms);
    f("messages_in", messages_in);
    f("bytes_in", bytes_in);
    f("frames_out", frames_out);
    f("bytes_out", bytes_out);
    f("frames_queued", frames_queued);
    f("bytes_queued", bytes_queued);
    f("queue_max", queue_max);
    f("queue_age_ms", queue_age_ms);
    f("kernel_bytes", kernel_bytes);
    f("kernel_age_ms", kernel_age_ms);
    f("lag_ms", lag_ms);
    f("last_flush_ms", last_flush_ms);
    f("gaps", gaps);
    f("cpu_us", cpu_us);
    f("age_ms", age_ms);
  }
};

/// One member of one room: what lags, and by how much.
struct edge_row {
  std::string room;
  client_id client = 0;
  std::string user;
  std::string address;
  std::string_view dialect;
  unit_id unit = 0;
  std::uint64_t head = 0;    ///< offset of the last event enqueued for it
  std::uint64_t flushed = 0; ///< offset of the last event the kernel took whole
  std::uint64_t messages_queued = 0; ///< events of this room in its outbox
  std::uint64_t bytes_queued = 0;
  std::int64_t queue_age_ms = 0;  ///< of the oldest of them
  std::uint64_t kernel_bytes = 0; ///< of the connection, all rooms
  std::int64_t kernel_age_ms = 0;
  std::int64_t lag_ms = 0; ///< the larger of both ages
  std::int64_t last_flush_ms = 0;
  std::uint64_t drops = 0; ///< events a policy dropped for it in this room
  std::uint64_t gaps = 0;  ///< times that happened without a break

  template <class F>
  void each_field(F&& f) const {
    f("room", room);
    f("client", client);
    f("user", user);
    f("address", address);
    f("dialect", dialect);
    f("unit", unit);
    f("head", head);
    f("flushed", flushed);
    f("messages_queued", messages_queued);
    f("bytes_queued", bytes_queued);
    f("queue_age_ms", queue_age_ms);
    f("kernel_bytes", kernel_bytes);
    f("kernel_age_ms", kernel_age_ms);
    f("lag_ms", lag_ms);
    f("last_flush_ms", last_flush_ms);
    f("drops", drops);
    f("gaps", gaps);
  }
};

/// A room a closed connection was in, and how far it had come.
struct closed_seat {
  std::string room;
  std::uint64_t offset = 0; ///< of the last event enqueued for it

  template <class F>
  void each_field(F&& f) const {
    f("room", room);
    f("offset", offset);
  }
};

/// One connection that is no more: why was I disconnected?
struct closed_row {
  /// Rooms that are listed by name; more are only counted.
  static constexpr std::size_t seats_max = 8;

  client_id client = 0;
  std::string user;
  std::string address;
  std::string_view dialect;
  std::int64_t closed_at = 0;
  std::int64_t lived_ms = 0;
  std::uint16_t code = 0;      ///< the close code we sent; 0: none
  std::uint16_t peer_code = 0; ///< the one that came; 0: none
  std::string_view reason;     ///< of `to_string(errc)`
  std::string_view first;      ///< kind of the actor that ended first
  std::string chain; ///< what followed: `reader peer_gone > writer peer_gone`
  std::uint64_t frames_queued = 0; ///< at death
  std::uint64_t bytes_queued = 0;
  std::int64_t queue_age_ms = 0;
  std::uint64_t kernel_bytes = 0;
  std::int64_t kernel_age_ms = 0;
  std::uint64_t gaps = 0;
  std::uint64_t rooms = 0;
  std::vector<closed_seat> seats;

  template <class F>
  void each_field(F&& f) const {
    f("client", client);
    f("user", user);
    f("address", address);
    f("dialect", dialect);
    f("closed_at", closed_at);
    f("lived_ms", lived_ms);
    f("code", code);
    f("peer_code", peer_code);
    f("reason", reason);
    f("first", first);
    f("chain", chain);
    f("frames_queued", frames_queued);
    f("bytes_queued", bytes_queued);
    f("queue_age_ms", queue_age_ms);
    f("kernel_bytes", kernel_bytes);
    f("kernel_age_ms", kernel_age_ms);
    f("gaps", gaps);
    f("rooms", rooms);
    f("seats", seats);
  }
};

/// One entry of a black box, or of a trace: the metadata of one message.
struct box_row {
  std::int64_t at = 0; ///< Unix time
  std::string_view
    what; ///< kind of the message: `received`, `post`, `deliver`, ...
  std::string room;
  client_id client = 0; ///< whose box, or who is traced
  client_id from = 0;   ///< who sent it, where somebody did
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;
  std::uint16_t code = 0; ///< of a close
  std::string_view reason;
  std::int64_t wait_us = 0;
  std::int64_t run_us = 0;

  template <class F>
  void each_field(F&& f) const {
    f("at", at);
    f("what", what);
    f("room", room);
    f("client", client);
    f("from", from);
    f("bytes", bytes);
    f("offset", offset);
    f("code", code);
    f("reason", reason);
    f("wait_us", wait_us);
    f("run_us", run_us);
  }
};

// -- asking -----------------------------------------------------------------------

enum class view : std::uint8_t {
  overview,    ///< one `overview`
  actors,      ///< `actor_row`; the tree is made of `parent`
  rooms,       ///< `room_row`
  connections, ///< `connection_row`
  edges,       ///< `edge_row`: the lag list
  closed,      ///< `closed_row`, newest first
  box,         ///< `box_row` of one room or client, oldest first
};

/// What somebody wants to see. Rows are filtered, sorted, and one page of them is
/// returned.
struct inspect_query {
  /// Rows that may be asked for at once.
  static constexpr std::size_t limit_max = 1000;
  /// Rows that are kept while sorting: pages end here.
  static constexpr std::size_t depth_max = 10'000;

  view what = view::overview;
  std::string room;        ///< only of this room; empty: any
  client_id client = 0;    ///< only of this connection; 0: any
  std::uint64_t actor = 0; ///< only this actor
  std::string_view kind;   ///< only actors of this kind
  std::string text; ///< a search: part of a room, address, user; or an id
  /// A field of the row; empty: the view's own order (`lag_ms` of edges and
  /// connections, `members` of rooms, `closed_at`, `id` of actors).
  std::string sort;
  bool descending = true;
  std::size_t offset = 0;
  std::size_t limit = 100;
};

using inspect_rows =
  std::variant<std::vector<overview>, std::vector<actor_row>,
               std::vector<room_row>, std::vector<connection_row>,
               std::vector<edge_row>, std::vector<closed_row>,
               std::vector<box_row>>;

struct inspect_page {
  errc why = errc::none; ///< `overloaded`: too many ask at once; `bad_request`
  std::size_t total = 0; ///< rows that fit the filter, on all pages
  std::int64_t sampled_at = 0;
  inspect_rows rows;
};

// -- acting -----------------------------------------------------------------------

enum class end_target : std::uint8_t {
  actor,      ///< a reader, a writer, a room or an outlet, by its id
  connection, ///< by client
  room,       ///< by name: its members are told
  restart,    ///< a room by name: its members stay
};

constexpr std::string_view to_string(end_target x) noexcept {
  switch (x) {
    case end_target::actor:
      return "actor";
    case end_target::connection:
      return "connection";
    case end_target::room:
      return "room";
    case end_target::restart:
      return "restart";
  }
  return "unknown";
}

struct end_order {
  end_target what = end_target::connection;
  std::uint64_t actor = 0;
  client_id client = 0;
  std::string room;
  /// Of the caller, for the log.
  std::string by;
};

/// What became of an order to end something: all that was released, and what was
/// still there at the deadline.
struct receipt {
  /// `not_found`: there is none such; `not_available`: it may not be ended
  /// (supervisor, inspector, probes, reapers); `overloaded`: too many orders are under
  /// way, or another kind of end of this room is; `draining`: everything ends anyway.
  errc why = errc::none;
  std::string_view
    target; ///< `reader`, `writer`, `connection`, `room`, `restart`
  std::uint64_t actor = 0;
  client_id client = 0;
  std::string room;
  std::uint64_t memberships = 0; ///< given up, each confirmed by its room
  std::uint64_t presence = 0;
  std::uint64_t timers = 0;
  std::uint64_t bytes = 0; ///< that waited and were discarded
  std::uint64_t frames = 0;
  std::uint64_t descriptors = 0;
  std::uint64_t actors = 0; ///< ended, linked ones included
  std::uint64_t moved = 0;  ///< members of a restarted room that went on
  std::int64_t took_ms = 0;
  bool clean = false; ///< nothing was left
  /// What was left, in words: `socket`, `membership lobby`, `writer`, ...
  std::vector<std::string> left;

  template <class F>
  void each_field(F&& f) const {
    f("target", target);
    f("actor", actor);
    f("client", client);
    f("room", room);
    f("memberships", memberships);
    f("presence", presence);
    f("timers", timers);
    f("bytes", bytes);
    f("frames", frames);
    f("descriptors", descriptors);
    f("actors", actors);
    f("moved", moved);
    f("took_ms", took_ms);
    f("clean", clean);
    f("left", left);
  }
};

struct trace_order {
  std::string room;     ///< either this
  client_id client = 0; ///< or this
  std::chrono::milliseconds lasts{30'000};
};

/// Who follows a trace. Called on any thread, must not block.
class trace_sink {
public:
  virtual ~trace_sink() = default;

  /// @param lost events since the last call that found no room
  virtual void traced(std::vector<box_row> what, std::uint64_t lost) = 0;

  /// The last call: `none` when the time is over, or why it ended before.
  virtual void ended(errc why) = 0;
};

/// The inspector as net and app see it. Any thread; answers come once, on any
/// thread, and whoever gets them must not block. Queries that come faster than the
/// sampling period are answered from one walk over the actors.
class inspection_port {
public:
  virtual ~inspection_port() = default;

  virtual void look(inspect_query what,
                    std::function<void(inspect_page)> told) = 0;

  virtual void end(end_order what, std::function<void(receipt)> told) = 0;

  /// Ends when the time is over or `to` is no more.
  virtual void follow(trace_order what, std::weak_ptr<trace_sink> to) = 0;
};

} // namespace greenroom
