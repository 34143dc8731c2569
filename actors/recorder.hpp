#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/errc.hpp"
#include "actors/inspection.hpp"
#include "actors/model.hpp"

namespace greenroom {

/// What a black box remembers a message as.
enum class box_event : std::uint8_t {
  received,      ///< a message of the client
  deliver,       ///< frames for the client
  trim,          ///< what waited longest was dropped
  joined,        ///< it is in a room
  left,          ///< it is not any more
  refused,       ///< a join or leave of it was
  moved,         ///< its room goes on as another actor
  lost,          ///< its room is no more
  evict,         ///< somebody ends it
  socket_closed, ///< its socket said the last word
  ended,         ///< its reader, or the room, has
  post,          ///< a publication
  turn,          ///< what was published since the last turn goes out
  join,          ///< somebody comes
  leave,         ///< somebody goes
  retire,        ///< the room is to end
  last_,         // keep last
};

std::string_view to_string(box_event x) noexcept;

/// One message, as those who handle it describe it: never its payload.
struct box_note {
  box_event what = box_event::received;
  client_id from = 0;
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;
  errc why = errc::none;
  std::uint16_t code = 0; ///< of a close
};

/// Between somebody who is traced and the tracer: a bounded buffer. Any thread.
class trace_tap {
public:
  /// Rows that wait for the tracer; more are counted and lost.
  static constexpr std::size_t rows_max = 1024;

  void push(box_row row) noexcept;

  /// What came since the last call. @returns rows that found no room
  std::uint64_t take(std::vector<box_row>& rows);

  void end() noexcept { over_.store(true, std::memory_order_relaxed); }

  bool over() const noexcept { return over_.load(std::memory_order_relaxed); }

private:
  std::mutex mutex_;
  std::vector<box_row> rows_;
  std::uint64_t lost_ = 0;
  std::atomic<bool> over_{false};
};

/// The last messages of one actor or connection, in a ring of fixed size, and a way
/// out for those who follow it. Costs its memory from the first note on, then a few
/// instructions a note; following costs nothing while nobody does. One thread.
class recorder {
public:
  /// Entries of a connection's box, and of a room's.
  static constexpr std::size_t of_connection = 32;
  static constexpr std::size_t of_room = 64;

  /// @param size a power of two
  explicit recorder(std::size_t size)
    : ring_(std::make_unique<entry[]>(size)),
      mask_(static_cast<std::uint32_t>(size - 1)) {}

  /// @param now the unit's clock in milliseconds, its lower half
  /// @param waited how long the message had waited, in units of 1.024 us
  void note(std::uint32_t now, std::uint32_t waited,
            const box_note& x) noexcept {
    auto& e = ring_[next_++ & mask_];
    auto has_reason = x.why != errc::none;
    e.who = (x.from & who_mask) | (static_cast<std::uint64_t>(x.what) << 56)
            | (has_reason ? reason_flag : 0);
    e.at = now;
    e.bytes =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(x.bytes, 0xFFFFFFFFU));
    // What ends has a reason, what is published an offset.
    e.offset = has_reason ? (static_cast<std::uint32_t>(x.code) << 8)
                              | static_cast<std::uint32_t>(x.why)
                          : static_cast<std::uint32_t>(x.offset);
    e.wait =
      static_cast<std::uint16_t>(std::min<std::uint32_t>(waited >> 4, 0xFFFF));
    e.run = 0;
    if (taps_ != nullptr) [[unlikely]]
      follow(e);
  }

  /// Says of the last message how long it, and what was handled with it, took.
  void took(std::chrono::nanoseconds run) noexcept;

  /// Whose box it is, for the rows.
  void belongs_to(client_id client, std::string room) {
    client_ = client;
    room_ = std::move(room);
  }

  /// Oldest first.
  std::vector<box_row> rows(std::uint32_t now) const;

  /// As one line for the log.
  std::string text(std::uint32_t now) const;

  void attach(std::shared_ptr<trace_tap> tap);

private:
  static constexpr std::uint64_t who_mask = (std::uint64_t{1} << 56) - 1;
  static constexpr std::uint64_t reason_flag = std::uint64_t{1} << 63;

  struct entry {
    std::uint64_t who; // 56 bits, then 7 of the event and the reason's flag
    std::uint32_t at;  // milliseconds of the steady clock, the lower half
    std::uint32_t bytes;
    std::uint32_t offset; // its lower half, or code and reason
    std::uint16_t wait;   // in units of 16.384 us, as is
    std::uint16_t run;
  };

  static_assert(sizeof(entry) == 24);

  void follow(const entry& e) noexcept;
  box_row row_of(const entry& e, std::uint32_t now) const;

  std::unique_ptr<entry[]> ring_;
  std::uint32_t mask_;
  std::uint32_t next_ = 0;
  client_id client_ = 0;
  std::string room_;
  std::unique_ptr<std::vector<std::shared_ptr<trace_tap>>> taps_;
};

} // namespace greenroom
