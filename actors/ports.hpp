#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/errc.hpp"
#include "actors/model.hpp"
#include "actors/result.hpp"
#include "actors/wire.hpp"

namespace greenroom {

/// One wire dialect: translates between a client's messages and commands, events
/// and answers. Stateless: one object serves every connection and thread. Never
/// throws, touches no clock, socket or token.
class protocol {
public:
  virtual ~protocol() = default;

  /// For logs and metrics, for example `raw`.
  virtual std::string_view name() const noexcept = 0;

  /// The commands in one message, in order, appended to `out`. What a client did
  /// wrong becomes a `refuse` or `end` command, so that what came before it is
  /// still carried out.
  virtual void decode(inbound message, dialogue& state,
                      std::vector<command>& out) const = 0;

  /// The events of a turn as complete WebSocket frames, made once for all members
  /// that get the same; null if the dialect has no word for any of them.
  /// @param without leaves out what this client published itself; 0: nobody
  virtual wire_ptr encode(const turn& events, client_id without) const = 0;

  /// Whether the dialect has a word for an event; `encode` leaves out the others.
  virtual bool tells(const event&) const noexcept { return true; }

  /// The answer to a command as complete frames; null if there is none to give.
  virtual wire_ptr encode(const answer& what) const = 0;

  /// The answers to several commands of one client, in order; a frame each,
  /// unless the dialect joins them.
  virtual wire_ptr encode_all(std::span<const answer> all) const;

  /// How the dialect says goodbye for a reason.
  virtual farewell close_words(errc why) const;

  /// The dialect's own ping; null: WebSocket pings do (RFC 6455 §5.5.2).
  virtual wire_ptr ping() const;

  /// Whether a client has to greet before it does anything else, and soon.
  virtual bool greets() const noexcept { return false; }

  /// Whether a sender gets its own publications, where its join did not say.
  virtual bool echoes() const noexcept { return true; }
};

/// Whether an overflow policy may drop what waits to be sent.
enum class retention : std::uint8_t {
  droppable, ///< events of rooms
  kept,      ///< answers: who asked hears the outcome, whatever else is lost
};

/// How frames are made smaller for connections that agreed to it in their
/// handshake. Stateless: one object serves every connection that gets the same
/// bytes, on any thread, and outlives them all.
class compression {
public:
  virtual ~compression() = default;

  /// The same messages in the same order, smaller where that pays; `plain` itself
  /// if it pays for none, or is null.
  virtual wire_ptr compress(const wire_ptr& plain) const = 0;
};

/// What the operator sees of one connection's outbox. Snapshot.
struct socket_stats {
  std::uint64_t bytes_queued = 0;
  std::uint64_t frames_queued = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t frames_out = 0;
  std::uint32_t timers = 0;    ///< armed for it
  bool blocked = false;        ///< the kernel takes nothing more for now
  std::uint64_t queue_max = 0; ///< the most bytes that ever waited
  std::chrono::milliseconds queue_age{0}; ///< of the block that waits longest
  /// Given to the kernel and not acknowledged by the client's, and how long the
  /// first of these bytes has been there (right to 67 ms, later to a 64th).
  std::uint64_t kernel_bytes = 0;
  std::chrono::milliseconds kernel_age{0};
  /// Since the kernel last took something; -1: never.
  std::chrono::milliseconds last_flush{-1};
};

/// How far behind a connection's client is. Snapshot.
struct socket_lag {
  std::uint64_t bytes_queued = 0; ///< the rest as in `socket_stats`
  std::chrono::milliseconds queue_age{0};
  std::uint64_t kernel_bytes = 0;
  std::chrono::milliseconds kernel_age{0};
};

/// What waits in an outbox of one room's events.
struct queued_events {
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;          ///< not sent yet
  std::uint64_t first = 0;          ///< offset of the first one; 0: none waits
  std::chrono::milliseconds age{0}; ///< of the block that waits longest
};

/// Bytes under way to one member: mailbox and outbox together. The room adds
/// before it sends, the outbox subtracts what the kernel took or what it dropped.
/// Any thread.
class flow_counter {
public:
  /// @returns what is under way now
  std::uint64_t add(std::uint64_t n) noexcept {
    return queued_.fetch_add(n, std::memory_order_relaxed) + n;
  }

  void sub(std::uint64_t n) noexcept {
    queued_.fetch_sub(n, std::memory_order_relaxed);
  }

  std::uint64_t queued() const noexcept {
    return queued_.load(std::memory_order_relaxed);
  }

  /// Notes what the end of the connection threw away. It is subtracted as well.
  void discard(std::uint64_t bytes, std::uint64_t frames) noexcept {
    if (bytes == 0 && frames == 0)
      return;
    discarded_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    discarded_frames_.fetch_add(frames, std::memory_order_relaxed);
  }

  std::uint64_t discarded_bytes() const noexcept {
    return discarded_bytes_.load(std::memory_order_relaxed);
  }

  std::uint64_t discarded_frames() const noexcept {
    return discarded_frames_.load(std::memory_order_relaxed);
  }

private:
  std::atomic<std::uint64_t> queued_{0};
  std::atomic<std::uint64_t> discarded_bytes_{0};
  std::atomic<std::uint64_t> discarded_frames_{0};
};

using flow_ptr = std::shared_ptr<flow_counter>;

/// One client connection, as its reader and writer see it. On its unit only.
class socket_port {
public:
  virtual ~socket_port() = default;

  /// Answers the upgrade request with 101 and begins to read. What was appended
  /// before goes out right behind the response.
  virtual void accept() = 0;

  /// Answers the upgrade request with the HTTP status of `why` and closes.
  /// @pre `accept` was not called
  virtual void refuse(errc why) = 0;

  /// Puts whole frames behind what waits already; sent at the end of the turn.
  /// They must have been added to the flow counter; the socket subtracts them
  /// when the kernel took them or when they are discarded. Nothing is accepted
  /// after a close frame.
  virtual void append(wire_ptr what, retention how) = 0;

  /// Drops what is droppable and has not begun, from the oldest, until at most
  /// `keep` bytes wait.
  /// @param gone gets the marks of what was dropped; may be null
  /// @returns dropped frames
  virtual std::uint64_t drop_oldest(std::uint64_t keep,
                                    std::vector<wire_mark>* gone) = 0;

  /// Says that `messages` received ones were taken: the socket reads on only
  /// while fewer than its window are not.
  virtual void taken(std::size_t messages) = 0;

  /// Ends the connection: what waits is sent first (`slow_consumer`,
  /// `write_stalled` and `overloaded`: finished frame by frame no more, only
  /// the frame in flight, the rest is discarded), then the close frame, then a
  /// deadline, then RST. `peer_*` reasons close at once. Later calls do nothing.
  virtual void close(farewell words) = 0;

  /// May cost a system call.
  virtual socket_stats stats() const = 0;

  /// For those who look at everybody: the kernel is asked about a client only if it
  /// was late when last asked, or may be late by a second. What was sent to others
  /// is taken as acknowledged.
  virtual socket_lag lag() const = 0;

  /// As they were when it began to end, before anything was discarded; as they are
  /// if it has not.
  virtual socket_stats stats_at_end() const = 0;

  /// @param room the id of its actor, as in the mark of a block
  virtual queued_events queued_of(std::uint64_t room) const = 0;
};

/// The actors of one connection, as its socket sees them. On its unit only.
/// Destroyed with the socket: that is how the broker learns that the descriptor
/// is gone.
class socket_sink {
public:
  virtual ~socket_sink() = default;

  /// One complete data message. The socket counts it until it is taken.
  virtual void received(inbound message) = 0;

  /// Bytes came that are no part of a message: pings, pongs, empty fragments. Told
  /// when they are many.
  virtual void received_beside(std::uint64_t bytes) = 0;

  /// The client's last sign: its close frame came (at once, not when TCP ends),
  /// it is gone, or it broke a rule. Nothing is received afterwards.
  virtual void closed(errc why, std::uint16_t peer_code) = 0;
};

/// A connection whose handshake was understood and waits for its answer.
struct upgrade {
  const protocol* dialect = nullptr;
  /// What the request implies: raw relay joins the room of its path. Every one
  /// must succeed before the 101; a refused one is told as an HTTP status.
  std::vector<command> implied;
  /// Whether the implied join must obey `room_options::raw`.
  bool raw = false;
  /// How what it is sent may be compressed; null: not at all.
  const compression* compressed = nullptr;
  std::string address; ///< of the client, behind trusted proxies
  std::string origin;
  flow_ptr flow;
};

/// The broker, as net sees it.
class front_desk {
public:
  virtual ~front_desk() = default;

  /// Asks where a connection for `room` (empty: for no room in particular) is to
  /// live. Any thread.
  /// @param told called once, on any thread, must not block
  virtual void place(std::string room, std::function<void(unit_id)> told) = 0;

  /// Gives a connection its reader and writer. On thread of unit `home`, where
  /// the socket lives already. They call `accept` or `refuse`.
  virtual std::unique_ptr<socket_sink> open(unit_id home,
                                            std::shared_ptr<socket_port> socket,
                                            upgrade request) = 0;

  /// Whether `room` compresses what it sends (empty: whether some room does), so
  /// that it is worth agreeing on it. Any thread.
  virtual bool compresses(std::string_view) const noexcept { return false; }

  /// Whether connections may come in: false while the broker drains. Any thread.
  virtual bool ready() const noexcept = 0;
};

} // namespace greenroom
