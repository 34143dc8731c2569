#include "net/channel.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace greenroom::net {

bool stream_op::ready() {
  queued_ = false;
  return reads_ == nullptr || reads_->read_now(*this);
}

channel::channel(io_loop& loop, flow_ptr flow) noexcept
  : loop_(loop), out_(std::move(flow)) {}

void channel::adopt(int fd, fd_watcher* former, std::string_view ahead,
                    std::size_t control_bytes_max) {
  if (!ahead.empty()) {
    ahead_ = std::make_unique_for_overwrite<char[]>(ahead.size());
    std::memcpy(ahead_.get(), ahead.data(), ahead.size());
    ahead_end_ = static_cast<std::uint32_t>(ahead.size());
    bytes_in_ += ahead.size();
    loop_.tally().bytes_in += static_cast<std::int64_t>(ahead.size());
  }
  control_bytes_max_ = static_cast<std::uint32_t>(control_bytes_max);
  if (former != nullptr)
    loop_.hand_over(fd, *former, *this);
  else
    loop_.watch(fd, *this);
  fd_ = fd;
}

void channel::close(bool reset) noexcept {
  if (fd_ < 0)
    return;
  if (reset) {
    linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  }
  unmark();
  loop_.close(std::exchange(fd_, -1), *this);
  discarded_ += out_.clear();
  ahead_.reset();
  ahead_at_ = ahead_end_ = 0;
  // What is queued already runs into a closed socket; what waits is dropped.
  if (auto* op = std::exchange(reader_, nullptr)) {
    op->reads_ = nullptr;
    op->error = ECANCELED;
    if (!op->queued_)
      op->drop();
  }
  if (auto* op = std::exchange(writer_, nullptr))
    op->drop();
}

// -- events ---------------------------------------------------------------------

void channel::ready(std::uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
    readable_ = hung_up_ = true;
  if ((events & EPOLLIN) != 0)
    readable_ = true;
  if ((events & EPOLLOUT) != 0 && blocked_) {
    blocked_ = false;
    mark_unsent();
  }
  if (!readable_)
    return;
  if (finishing_) {
    throw_input_away();
  } else if (reader_ != nullptr) {
    if (!reader_->queued_)
      reader_->run();
  } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    over(ECONNRESET); // nobody reads, so nobody else would notice
  }
}

// -- reading --------------------------------------------------------------------

void channel::read(stream_op& op, iovec first, iovec second) {
  assert(reader_ == nullptr);
  op.reads_ = this;
  op.into_ = {first, second};
  reader_ = &op;
  if (fd_ >= 0 && !readable_ && ahead_at_ == ahead_end_)
    return;
  op.queued_ = true;
  loop_.defer_task(op);
}

// Tries to finish the read that waits. Returns whether there is a result.
bool channel::read_now(stream_op& op) {
  auto done = [&](int error, std::size_t bytes) {
    op.reads_ = nullptr;
    op.error = error;
    op.bytes = bytes;
    reader_ = nullptr;
    if (looked_at_)
      pass_read(op, bytes);
    return true;
  };
  if (fd_ < 0)
    return done(ECANCELED, 0);
  if (ahead_at_ != ahead_end_)
    return done(0, read_ahead(op));
  if (!readable_)
    return false;
  if (!loop_.may_read(share_)) {
    op.queued_ = true;
    loop_.postpone_task(op);
    return false;
  }
  std::array<iovec, 3> parts{op.into_[0], op.into_[1], {}};
  std::size_t count = parts[1].iov_len != 0 ? 2 : 1;
  auto wanted = parts[0].iov_len + parts[1].iov_len;
  auto offered = wanted;
  // A sender of much is read with more than Beast's small buffer.
  if (much_) {
    parts[count++] = {loop_.scratch(), io_loop::scratch_bytes};
    offered += io_loop::scratch_bytes;
  }
  ssize_t n = 0;
  do {
    n = receive(fd_, parts.data(), count);
  } while (n < 0 && errno == EINTR);
  if (n == 0)
    return done(stream_op::end_of_stream, 0);
  if (n < 0) {
    if (errno != EAGAIN)
      return done(errno, 0);
    readable_ = false;
    return false;
  }
  auto got = static_cast<std::size_t>(n);
  // Less than was asked for: the rest will be an edge of its own.
  if (got < offered && !hung_up_)
    readable_ = false;
  much_ = got >= wanted;
  if (got > wanted) {
    ahead_end_ = static_cast<std::uint32_t>(got - wanted);
    ahead_ = std::make_unique_for_overwrite<char[]>(ahead_end_);
    std::memcpy(ahead_.get(), loop_.scratch(), ahead_end_);
  }
  bytes_in_ += got;
  loop_.has_read(share_, got);
  loop_.tally().bytes_in += n;
  on_input();
  return done(0, std::min(got, wanted));
}

std::size_t channel::read_ahead(stream_op& op) noexcept {
  std::size_t taken = 0;
  for (auto& part : op.into_) {
    auto n = std::min<std::size_t>(part.iov_len, ahead_end_ - ahead_at_);
    if (n == 0)
      break;
    std::memcpy(part.iov_base, ahead_.get() + ahead_at_, n);
    ahead_at_ += static_cast<std::uint32_t>(n);
    taken += n;
  }
  if (ahead_at_ == ahead_end_) {
    ahead_.reset();
    ahead_at_ = ahead_end_ = 0;
  }
  return taken;
}

void channel::pass_read(const stream_op& op, std::size_t bytes) {
  for (const auto& part : op.into_) {
    auto n = std::min(part.iov_len, bytes);
    pass({static_cast<char*>(part.iov_base), n});
    bytes -= n;
  }
}

ssize_t channel::receive(int fd, const iovec* parts,
                         std::size_t count) noexcept {
  if (count == 1)
    return ::recv(fd, parts->iov_base, parts->iov_len, MSG_DONTWAIT);
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts);
  message.msg_iovlen = count;
  return ::recvmsg(fd, &message, MSG_DONTWAIT);
}

// -- writing --------------------------------------------------------------------

void channel::write(wire_ptr block, stream_op& op) {
  assert(block);
  op.bytes = block->size();
  if (fd_ < 0) {
    op.error = ECANCELED;
  } else {
    auto control = !block->closes();
    if (out_.append(std::move(block), false, retention::kept, loop_.ticks())) {
      mark_unsent();
      if (control && out_.control_bytes() > control_bytes_max_) {
        assert(writer_ == nullptr);
        writer_ = &op;
        return;
      }
    }
  }
  loop_.defer_task(op);
}

void channel::answer(wire_ptr block) {
  assert(held_);
  held_ = false;
  out_.put_first(std::move(block), loop_.ticks());
  mark_unsent();
}

bool channel::append(wire_ptr what, bool counted, retention how) {
  if (fd_ < 0 || finishing_) {
    if (what && counted)
      out_.reject(*what);
    return false;
  }
  if (!out_.append(std::move(what), counted, how, loop_.ticks()))
    return false;
  if (out_.bytes() > send_early_bytes && !held_ && !blocked_) {
    unmark();
    loop_.note_flush_time();
    send();
  } else {
    mark_unsent();
  }
  return true;
}

void channel::discard_unsent() noexcept {
  discarded_ += out_.discard_unsent();
}

void channel::mark_unsent() noexcept {
  if (!held_ && !blocked_ && !out_.empty())
    loop_.mark(*this);
}

void channel::send() {
  if (fd_ < 0 || out_.empty())
    return;
  send_job job{loop_.scratch(), io_loop::scratch_bytes};
  out_.gather(job);
  auto n = transmit(fd_, job);
  took(n < 0 ? -errno : n, job.bytes);
}

void channel::gather(send_job& job) const noexcept {
  if (!out_.empty())
    out_.gather(job);
}

void channel::took(std::ptrdiff_t n, std::size_t offered) {
  auto& tally = loop_.tally();
  ++tally.sends;
  if (n < 0) {
    if (n == -EINTR) {
      mark_unsent();
    } else if (n == -EAGAIN) {
      blocked_ = true;
      on_blocked();
    } else {
      over(static_cast<int>(-n));
    }
    return;
  }
  auto frames = out_.sent(static_cast<std::size_t>(n),
                          &loop_.histograms().latency_us, loop_.flushed_ns());
  bytes_out_ += static_cast<std::uint64_t>(n);
  note_sent();
  frames_out_ += frames;
  tally.bytes_out += n;
  tally.frames_out += static_cast<std::int64_t>(frames);
  if (writer_ != nullptr
      && (out_.control_bytes() <= control_bytes_max_ || out_.closing()))
    loop_.defer_task(*std::exchange(writer_, nullptr));
  on_progress();
  // The kernel took less than it was given: its buffer is full, and it will tell
  // when there is room (it has noted that somebody waits).
  if (static_cast<std::size_t>(n) < offered) {
    blocked_ = true;
    on_blocked();
  } else if (!out_.empty()) {
    mark_unsent();
  } else if (finishing_) {
    end_direction();
  }
}

// -- what the peer has not acknowledged ------------------------------------------

void channel::note_sent() noexcept {
  auto end = static_cast<std::uint32_t>(bytes_out_);
  sent_at_ = loop_.ticks();
  if (marks_.wide() && sent_at_ - asked_at_ >= send_marks::first_spacing)
    ask_kernel();
  if (marks_.sent(end, sent_at_)) [[likely]]
    return;
  ask_kernel();
  try {
    marks_.make_room();
  } catch (const std::bad_alloc&) {
    return; // the mark in front looks older than it is
  }
  marks_.sent(end, sent_at_);
}

void channel::ask_kernel() const noexcept {
  int held = 0;
  if (fd_ < 0 || ::ioctl(fd_, SIOCOUTQ, &held) != 0 || held < 0)
    held = 0;
  asked_at_ = loop_.ticks();
  // A FIN counts as a byte, and local sockets count their own memory.
  unacknowledged_ = static_cast<std::uint32_t>(
    std::min<std::uint64_t>(static_cast<std::uint64_t>(held), bytes_out_));
  marks_.acknowledged(static_cast<std::uint32_t>(bytes_out_) - unacknowledged_);
}

socket_stats channel::look() const {
  if (!marks_.empty() && !asked_lately())
    ask_kernel();
  auto lag = known_lag();
  socket_stats x;
  x.bytes_queued = lag.bytes_queued;
  x.frames_queued = out_.frames();
  x.bytes_in = bytes_in_;
  x.bytes_out = bytes_out_;
  x.frames_out = frames_out_;
  x.queue_max = out_.bytes_most();
  x.queue_age = lag.queue_age;
  x.kernel_bytes = lag.kernel_bytes;
  x.kernel_age = lag.kernel_age;
  if (bytes_out_ != 0)
    x.last_flush = send_marks::time_of(loop_.ticks() - sent_at_);
  return x;
}

socket_lag channel::look_for_lag() const {
  if (!asked_lately() && marks_.doubtful(loop_.ticks(), asked_at_))
    ask_kernel();
  auto x = known_lag();
  if (!asked_lately()) {
    x.kernel_bytes = 0;
    x.kernel_age = {};
  }
  return x;
}

socket_lag channel::known_lag() const noexcept {
  auto now = loop_.ticks();
  socket_lag x;
  x.bytes_queued = out_.bytes();
  if (!out_.empty())
    x.queue_age = send_marks::time_of(now - out_.oldest());
  if (!marks_.empty()) {
    x.kernel_bytes = unacknowledged_;
    x.kernel_age = send_marks::time_of(now - marks_.oldest());
  }
  return x;
}

ssize_t channel::transmit(int fd, const send_job& job) noexcept {
  constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (job.count == 1)
    return ::send(fd, job.parts[0].iov_base, job.parts[0].iov_len, flags);
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(job.parts.data());
  message.msg_iovlen = job.count;
  return ::sendmsg(fd, &message, flags);
}

std::uint64_t channel::unacknowledged() const noexcept {
  int bytes = 0;
  return fd_ >= 0 && ::ioctl(fd_, SIOCOUTQ, &bytes) == 0
           ? static_cast<std::uint64_t>(bytes)
           : 0;
}

// -- ending ---------------------------------------------------------------------

void channel::finish(bool peer_is_done) {
  if (fd_ < 0 || std::exchange(finishing_, true))
    return;
  peer_ended_ |= peer_is_done;
  assert(reader_ == nullptr);
  ahead_.reset();
  ahead_at_ = ahead_end_ = 0;
  held_ = false;
  mark_unsent();
  if (out_.empty())
    end_direction();
  else if (readable_)
    throw_input_away();
}

void channel::end_direction() {
  if (peer_ended_) {
    if (readable_)
      throw_input_away(); // closing a socket with unread bytes would reset it
    if (fd_ >= 0)
      over(0);
    return;
  }
  ::shutdown(fd_, SHUT_WR);
  finished_ = true;
  if (readable_)
    throw_input_away();
}

void channel::throw_input_away() {
  // Bounded, for a peer that sends as fast as it is ignored: there is a deadline.
  for (int round = 0; round < 64; ++round) {
    auto n = ::recv(fd_, loop_.scratch(), io_loop::scratch_bytes, MSG_DONTWAIT);
    if (n > 0) {
      bytes_in_ += static_cast<std::uint64_t>(n);
      loop_.tally().bytes_in += n;
      continue;
    }
    if (n < 0 && errno == EINTR)
      continue;
    readable_ = false;
    if (n < 0 && errno == EAGAIN)
      return;
    peer_ended_ = true;
    if (n < 0 || finished_)
      over(n < 0 ? errno : 0);
    return;
  }
}

} // namespace greenroom::net
