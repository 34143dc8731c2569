#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "actors/wire.hpp"
#include "net/io_loop.hpp"
#include "net/outbox.hpp"
#include "net/send_marks.hpp"

namespace greenroom::net {

class channel;

/// A read or write somebody waits for: the channel fills in the result and lets
/// it run, or drops it when the channel closes.
class stream_op : public loop_task {
public:
  /// As `error`: the peer sends nothing more.
  static constexpr int end_of_stream = -1;

  int error = 0; ///< an errno value, `end_of_stream`, or 0
  std::size_t bytes = 0;

protected:
  stream_op() = default;
  ~stream_op() = default;

  /// Call first in `run`. @returns whether there is a result to hand on; if not,
  /// the operation waits for its socket and runs again
  bool ready();

private:
  friend class channel;

  channel* reads_ = nullptr; // whom it reads from, until there is a result
  bool queued_ = false;      // in the loop's queue
  std::array<iovec, 2> into_{};
};

/// A connected socket with an outbox: reads on demand, sends once a turn. Beast
/// reads and writes through `outbox_stream`, the session appends ready-made
/// frames, and both meet in one outbox. On the loop's thread.
///
/// `receive` and `transmit` are all it asks of the transport.
class channel : private fd_watcher, private sender {
public:
  /// An outbox that holds more than this is not kept until the end of the turn.
  static constexpr std::size_t send_early_bytes = std::size_t{128} * 1024;

  channel(io_loop& loop, flow_ptr flow) noexcept;

  io_loop& loop() const noexcept { return loop_; }

  // -- for Beast ----------------------------------------------------------------

  /// Reads at least one byte into `first`, then `second`. One at a time; never
  /// runs `op` at once.
  void read(stream_op& op, iovec first, iovec second);

  /// Sends a block behind what waits. Behind a close frame blocks are swallowed.
  /// Runs `op` at once, or, when too many such bytes wait, once the peer has taken
  /// some: so Beast stops reading a client that asks for pongs and does not read
  /// them. Never runs `op` within the call.
  void write(wire_ptr block, stream_op& op);

protected:
  ~channel() = default;

  /// Adopts the descriptor. Nothing is sent before the handshake is answered.
  /// @param former as for `open_ws_session`
  /// @param ahead bytes that were read before
  /// @throws std::system_error
  void adopt(int fd, fd_watcher* former, std::string_view ahead,
             std::size_t control_bytes_max);

  bool is_open() const noexcept { return fd_ >= 0; }

  /// Answers the handshake: in front of all that waits already.
  /// @pre it was not answered
  void answer(wire_ptr block);

  /// From now on `pass` sees what is read.
  void look_at_input() noexcept { looked_at_ = true; }

  /// Puts frames behind what waits; many bytes are sent at once.
  /// @returns false if they were refused, behind a close frame or at the end
  bool append(wire_ptr what, bool counted,
              retention how = retention::droppable);

  /// Drops what waits behind the frame in flight, and counts it.
  void discard_unsent() noexcept;

  /// Once everything is out, ends our direction (FIN); what still comes is thrown
  /// away until the peer ends its own: then `over`.
  /// @param peer_is_done whether it has promised to send nothing more: then nobody
  /// waits for its FIN
  void finish(bool peer_is_done = false);

  /// Closes the descriptor and drops the operations that wait.
  /// @param reset with RST: what the kernel still holds is thrown away
  void close(bool reset) noexcept;

  /// Whether the kernel takes nothing more for now.
  bool blocked() const noexcept { return blocked_; }

  const outbox& waiting() const noexcept { return out_; }

  /// Bytes the peer has not acknowledged (SIOCOUTQ): how the kernel gets on, which
  /// says that there is room again only when a third of its buffer is. One system
  /// call.
  std::uint64_t unacknowledged() const noexcept;

  /// Whether `finish` has ended our direction.
  bool finished() const noexcept { return finished_; }

  std::uint64_t drop_oldest(std::uint64_t keep, std::vector<wire_mark>* gone) {
    return out_.drop_oldest(keep, gone);
  }

  /// All of `socket_stats`. A system call where the peer may owe an
  /// acknowledgement, at most one in 67 ms.
  socket_stats look() const;

  /// As for `socket_port`.
  socket_lag look_for_lag() const;

  queued_events queued_of(std::uint64_t room) const {
    return out_.of(room, loop_.ticks());
  }

  std::uint64_t bytes_in() const noexcept { return bytes_in_; }
  std::uint64_t bytes_out() const noexcept { return bytes_out_; }
  std::uint64_t frames_out() const noexcept { return frames_out_; }
  std::uint64_t frames_discarded() const noexcept { return discarded_; }

private:
  friend class stream_op;

  /// Bytes have come.
  virtual void on_input() noexcept = 0;

  /// Bytes are about to be handed to whoever reads, in the order of the stream.
  /// May change them. Called only after `look_at_input`.
  virtual void pass(std::span<char>) {}

  /// The kernel takes nothing more for now.
  virtual void on_blocked() noexcept = 0;

  /// The kernel took something.
  virtual void on_progress() noexcept = 0;

  /// Both directions have ended after `finish`, or the connection broke.
  /// @param error an errno value, 0 if all went well
  virtual void over(int error) noexcept = 0;

  void ready(std::uint32_t events) final;
  void send() final;
  int batch_fd() const noexcept final { return fd_; }
  void gather(send_job& job) const noexcept final;
  void took(std::ptrdiff_t result, std::size_t offered) final;

  bool read_now(stream_op& op);
  std::size_t read_ahead(stream_op& op) noexcept;
  void pass_read(const stream_op& op, std::size_t bytes);
  void throw_input_away();
  void end_direction();
  void mark_unsent() noexcept;

  void note_sent() noexcept;
  void ask_kernel() const noexcept;
  bool asked_lately() const noexcept {
    return loop_.ticks() - asked_at_ < send_marks::first_spacing;
  }
  socket_lag known_lag() const noexcept;

  static ssize_t receive(int fd, const iovec* parts,
                         std::size_t count) noexcept;
  static ssize_t transmit(int fd, const send_job& job) noexcept;

  io_loop& loop_;
  outbox out_;
  stream_op* reader_ = nullptr;
  stream_op* writer_ = nullptr; // waits for room
  // Bytes that were received and not asked for yet, from `ahead_at_` on.
  std::unique_ptr<char[]> ahead_;
  std::uint32_t ahead_at_ = 0;
  std::uint32_t ahead_end_ = 0;
  std::uint32_t control_bytes_max_ = 0;
  int fd_ = -1;
  bool readable_ = false; // the kernel may have something
  bool hung_up_ = false;  // the peer's end was seen: read until it comes
  bool much_ = false;     // the last read was filled
  bool looked_at_ = false;
  bool held_ = true; // until the answer to the handshake is there
  bool blocked_ = false;
  bool finishing_ = false;
  bool finished_ = false;
  bool peer_ended_ = false;
  io_loop::share share_;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  std::uint64_t frames_out_ = 0;
  std::uint64_t discarded_ = 0;
  std::uint32_t sent_at_ = 0; // when the kernel last took something, in ticks
  // What is known of the peer's acknowledgements: looking learns more.
  mutable std::uint32_t asked_at_ = 0;
  mutable std::uint32_t unacknowledged_ = 0;
  mutable send_marks marks_;
};

} // namespace greenroom::net
