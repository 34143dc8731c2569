#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "actors/errc.hpp"

namespace greenroom {

/// A relaxed counter: cheap on its own thread, exact when read at rest.
class counter {
public:
  void add(std::int64_t n = 1) noexcept {
    value_.fetch_add(n, std::memory_order_relaxed);
  }

  void sub(std::int64_t n = 1) noexcept {
    value_.fetch_sub(n, std::memory_order_relaxed);
  }

  std::int64_t get() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

private:
  std::atomic<std::int64_t> value_{0};
};

using errc_counters =
  std::array<counter, static_cast<std::size_t>(errc::last_)>;

/// What the whole process counts. Written from any thread. Names follow the
/// metrics they end up in.
struct metrics {
  // -- sockets, written by net ---------------------------------------------------
  counter connections_opened; ///< sockets accepted
  counter connections_open;   ///< sockets that live now, any phase
  counter sessions_open;      ///< WebSocket sessions that live now
  errc_counters refused;      ///< handshakes and requests refused, by reason
  errc_counters closed;       ///< WebSocket sessions ended, by reason
  counter accept_backoffs;    ///< pauses of the listener (out of descriptors)
  counter messages_in;
  counter bytes_in;
  counter frames_out; ///< frames the kernel took
  counter bytes_out;
  counter sends; ///< system calls or ring entries that carried them
  // -- rooms, written by actors ----------------------------------------------------
  counter publications;
  counter deliveries; ///< publication to one member, enqueued
  counter dropped;    ///< deliveries dropped by an overflow policy
  counter discarded;  ///< frames a dead connection never sent
  counter untold;     ///< deliveries left out: no word in the member's dialect
  counter posts_lost; ///< publications lost in a crashed room
  counter crashes;    ///< exceptions in handlers
  counter rooms_restarted;
  counter rooms_quarantined;
  errc_counters commands_refused;
  counter log_lost; ///< lifecycle events and log lines that found no room
};

inline counter& at(errc_counters& xs, errc code) noexcept {
  return xs[static_cast<std::size_t>(code)];
}

inline const counter& at(const errc_counters& xs, errc code) noexcept {
  return xs[static_cast<std::size_t>(code)];
}

} // namespace greenroom
