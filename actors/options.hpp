#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace greenroom {

/// What one client may ask for in a while. 0: no limit.
struct reader_options {
  /// Over it: close 1008, or the dialect's "too many requests".
  std::uint64_t messages_per_second = 500;
  std::uint64_t bytes_per_second = std::uint64_t{4} * 1024 * 1024;
  /// How many seconds' worth may come at once after a pause.
  std::uint64_t burst_seconds = 2;
  /// Publications of one connection that its rooms have not passed on to all their
  /// members yet; its socket is not read beyond them.
  std::uint32_t posts_max = 256;
  /// The same in bytes of their payloads; one message may go over it. Enough for a
  /// room to have the next one at hand.
  std::uint64_t posts_bytes_max = std::uint64_t{256} * 1024;
  /// Of dialects with a ping of their own (WebSocket pings are the session's).
  std::chrono::milliseconds ping_every{25'000};
  /// From such a ping to its answer; must be shorter than `ping_every`.
  std::chrono::milliseconds pong_timeout{10'000};
  /// Whether a greeting without a token is taken. On as long as there are no
  /// tokens; raw clients greet nobody and need none either.
  bool anonymous = true;
  /// From the upgrade to the greeting, in dialects that have one.
  std::chrono::milliseconds greeting_timeout{10'000};
};

struct supervisor_options {
  /// Rooms a connection may be in; more are refused.
  std::size_t rooms_per_connection_max = 128;
  /// Whether joining may create a room that was not named at start.
  bool rooms_on_demand = false;
  /// Rooms of the process, named ones included.
  std::size_t rooms_max = 10'000;
  /// How long a room on demand stays when the last member has left: a page that is
  /// loaded again finds its room as it was, and connections that come and go do not
  /// build one each. Such rooms give way when there are `rooms_max`. 0: not at all.
  std::chrono::milliseconds linger{500};
  /// A room that crashes so often within the window is quarantined.
  std::size_t restarts_max = 5;
  std::chrono::milliseconds restart_window{10'000};
  /// Crashes of rooms in all within the window that end the process: the fault is
  /// not in one room.
  std::size_t crashes_max = 50;
  /// Members from which on a room's new connections spread over other units.
  std::size_t spread_members = 512;
  /// How many connections are told to go in one slice of a drain, one slice every
  /// 20 ms: reconnects arrive spread.
  std::size_t drain_slice = 500;
  /// A room announced by a handshake that nobody joined is forgotten after this.
  std::chrono::milliseconds placement_timeout{15'000};
  /// Orders to end something that are not answered yet; one more is refused as
  /// `overloaded`. Each is an actor of about 1 KiB.
  std::size_t ends_max = 64;
  /// Until then an order is answered, with what is left. Longer than the goodbye
  /// of a client that does not answer.
  std::chrono::milliseconds end_deadline{8'000};
};

struct member_options {
  /// Bytes under way to one member, mailbox and outbox together. Over it the
  /// room's overflow policy decides. Bigger tolerates longer stalls and costs
  /// memory per stalled member.
  std::size_t outbound_bytes_max = std::size_t{1024} * 1024;
  /// Live outbound bytes of the whole process, each block counted once. Over it
  /// members that lag by more than `lagging_bytes` are ended as `overloaded`.
  std::size_t process_bytes_max = std::size_t{1024} * 1024 * 1024;
  std::size_t lagging_bytes = std::size_t{64} * 1024;
  /// Publishers whose latest event is kept for a member that lags in a room that
  /// conflates; those of the oldest are dropped. Together they have no more than
  /// `outbound_bytes_max`.
  std::size_t held_events_max = 1024;
};

struct room_limits {
  /// Members that get a turn at once; the next ones get it in the next turn of the
  /// unit, so that a huge room does not keep others waiting. 512 sends take some
  /// 3 ms.
  std::size_t members_per_slice = 512;
  /// A member is waited for in a burst when it has this share of its limit under way
  /// (1: all). A burst is more than that within 20 ms, of all rooms of a unit.
  std::size_t burst_share = 4;
  /// So long a room rests for such members in all; a hundredth of the time that
  /// passes is given back. Then its overflow policy decides. 0: it never rests.
  std::chrono::milliseconds patience{300};

  /// A turn buffer is sent when it holds so much: one slow member keeps at most
  /// this much alive per pointer.
  std::size_t turn_bytes_max = std::size_t{64} * 1024;
  std::size_t turn_events_max = 1024;
};

struct audit_options {
  /// What one half of the broker thinks of a member that the other does not is found
  /// and repaired within this time: everybody is looked at two or three times in it. 0: never.
  std::chrono::milliseconds every{60'000};
  /// Members that are looked at before others get their turn.
  std::size_t chunk = 256;
};

struct inspector_options {
  /// Traces at the same time; one more ends at once as `overloaded`. Each may hold
  /// some 200 KiB of rows for a moment.
  std::size_t traces_max = 16;
  /// A trace ends after this, whatever was asked for.
  std::chrono::milliseconds trace_longest{600'000};
  /// Time between two snapshot lines; 0: none.
  std::chrono::milliseconds every{60'000};
  /// Between two walks over the actors for those who look inside: what is asked
  /// meanwhile waits and shares the next one. Shorter is fresher and costs more.
  std::chrono::milliseconds sample_every{1000};
  /// Walks that may follow each other at once after a quiet time, so that whoever
  /// clicks around does not wait.
  std::size_t burst = 3;
  /// Questions that wait at the same time; more are refused as `overloaded`.
  std::size_t questions_max = 256;
  /// Different questions that one walk answers; more wait for the next one.
  std::size_t questions_per_walk = 16;
  /// Actors or members a unit looks at in one of its turns.
  std::size_t chunk = 512;
  /// Closed connections that are remembered, about 0.5 KiB each.
  std::size_t closed_max = 10'000;
};

} // namespace greenroom
