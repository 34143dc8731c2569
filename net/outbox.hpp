#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/metrics.hpp"
#include "actors/ports.hpp"
#include "actors/wire.hpp"
#include "net/send_job.hpp"

namespace greenroom::net {

/// What waits to be sent to one connection, in order: blocks of whole frames, and
/// how far the first one is out. It subtracts every byte that was counted in the
/// member's flow exactly once: when the kernel took it, when it is dropped, or at
/// the end. Takes no memory while it is empty. One thread.
class outbox {
public:
  explicit outbox(flow_ptr flow) noexcept : flow_(std::move(flow)) {}

  outbox(const outbox&) = delete;
  outbox& operator=(const outbox&) = delete;

  ~outbox() { clear(); }

  /// Puts a block behind the others.
  /// @param counted whether its bytes were added to the flow counter
  /// @param now the time, in ticks of `send_marks`
  /// @returns false, and gives the bytes back, behind a close frame
  bool append(wire_ptr what, bool counted, retention how = retention::droppable,
              std::uint32_t now = 0);

  /// Puts a block that is not counted in front: the answer of the handshake
  /// goes before all frames. @pre nothing of the outbox was sent
  void put_first(wire_ptr what, std::uint32_t now = 0);

  /// Gives the bytes of a counted block back that nobody will send.
  void reject(const wire& what) noexcept {
    give_back(what.size());
    note_discard(what.size(), what.frames());
  }

  bool empty() const noexcept { return count_ == 0; }

  /// Whether the last block ends with a close frame: nothing more is accepted.
  bool closing() const noexcept { return closing_; }

  /// Bytes that wait.
  std::uint64_t bytes() const noexcept { return bytes_; }

  /// Bytes that wait and are not counted in the flow: pongs and the like.
  std::uint64_t control_bytes() const noexcept { return control_bytes_; }

  /// Frames that wait; one that has begun is among them.
  std::uint64_t frames() const noexcept { return frames_; }

  /// Adds what waits to `job`, until it is full.
  void gather(send_job& job) const noexcept;

  /// The most bytes that ever waited.
  std::uint64_t bytes_most() const noexcept { return bytes_most_; }

  /// When the first block that waits was appended. @pre not empty
  std::uint32_t oldest() const noexcept { return at(0).since; }

  /// What waits of a room's events.
  /// @param now as for `append`
  queued_events of(std::uint64_t room, std::uint32_t now) const noexcept;

  /// The kernel took this many bytes.
  /// @param latency gets the microseconds from its publication to `now_ns` of each
  /// turn that is wholly out; may be null
  /// @returns frames of the blocks that are wholly out now
  std::uint64_t sent(std::size_t bytes, histogram* latency = nullptr,
                     std::int64_t now_ns = 0) noexcept;

  /// Drops counted, droppable blocks that have not begun, from the oldest, until
  /// at most `keep` bytes wait. A close frame stays, and so do all others.
  /// @param gone gets the marks of what was dropped; may be null
  /// @returns dropped frames
  std::uint64_t drop_oldest(std::uint64_t keep,
                            std::vector<wire_mark>* gone = nullptr);

  /// Drops all but the rest of the frame that has begun (RFC 6455 §5.2: a frame
  /// is sent whole) and an answer to the handshake. Frames may follow.
  /// @returns dropped frames
  std::uint64_t discard_unsent() noexcept;

  /// Drops everything. @returns dropped frames, a torn one among them
  std::uint64_t clear() noexcept;

private:
  struct entry {
    wire_ptr block;
    bool counted = false;
    bool kept = false;
    std::uint32_t since = 0; // when it was appended
  };

  entry& at(std::size_t i) noexcept {
    return capacity_ == 0 ? single_ : ring_[(head_ + i) & (capacity_ - 1)];
  }

  const entry& at(std::size_t i) const noexcept {
    return capacity_ == 0 ? single_ : ring_[(head_ + i) & (capacity_ - 1)];
  }

  /// What is left of the block at `i`.
  std::string_view rest(std::size_t i) const noexcept;

  std::uint64_t frames_at(std::size_t i) const noexcept {
    return i == 0 && cut_ != 0 ? cut_frames_ : at(i).block->frames();
  }

  void count(const entry& x) noexcept;
  void grow();
  void pop_first() noexcept;
  void shorten(std::size_t n) noexcept;
  void give_back(std::uint64_t bytes) noexcept;
  void note_discard(std::uint64_t bytes, std::uint64_t frames) noexcept;
  std::uint64_t cut_unsent() noexcept;
  void take_off(std::size_t i) noexcept;

  flow_ptr flow_;
  // One entry needs no allocation; more live in a ring, a power of two.
  entry single_;
  std::unique_ptr<entry[]> ring_;
  std::uint32_t capacity_ = 0;
  std::uint32_t head_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t offset_ = 0;     // bytes of the first block that are out
  std::uint32_t cut_ = 0;        // where the first block ends now; 0: whole
  std::uint32_t cut_frames_ = 0; // frames in front of the cut
  std::uint64_t bytes_ = 0;
  std::uint64_t bytes_most_ = 0;
  std::uint64_t frames_ = 0;
  std::uint64_t control_bytes_ = 0;
  bool closing_ = false;
};

} // namespace greenroom::net
