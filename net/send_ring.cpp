#include "net/send_ring.hpp"

#if GREENROOM_HAVE_URING

#include <liburing.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <new>

namespace greenroom::net {

namespace {

constexpr int send_flags = MSG_DONTWAIT | MSG_NOSIGNAL;

class uring final : public send_ring {
public:
  // Small blocks of one connection are joined here; one connection gets at most
  // its share, the rest of its blocks are sent by reference.
  static constexpr std::size_t scratch_share = 4 * 1024;

  uring() = default;

  ~uring() override {
    if (open_)
      io_uring_queue_exit(&ring_);
  }

  bool open() noexcept {
    open_ =
      io_uring_queue_init(sends_max, &ring_, IORING_SETUP_SINGLE_ISSUER) == 0
      || io_uring_queue_init(sends_max, &ring_, 0) == 0;
    if (!open_)
      return false;
    scratch_.reset(new (std::nothrow) char[sends_max * scratch_share]);
    return scratch_ != nullptr;
  }

  send_job& add(int fd) noexcept override {
    auto& x = slots_[size_];
    x.fd = fd;
    x.result = unsent;
    x.job.restart(scratch_.get() + size_ * scratch_share, scratch_share);
    ++size_;
    return x.job;
  }

  void take_back() noexcept override { --size_; }

  std::size_t size() const noexcept override { return size_; }

  bool submit() noexcept override {
    for (std::size_t i = 0; i < size_; ++i) {
      auto* entry = io_uring_get_sqe(&ring_);
      if (entry == nullptr)
        return false; // as many entries as slots: cannot happen
      auto& x = slots_[i];
      if (x.job.count == 1) {
        io_uring_prep_send(entry, x.fd, x.job.parts[0].iov_base,
                           x.job.parts[0].iov_len, send_flags);
      } else {
        x.message = {};
        x.message.msg_iov = x.job.parts.data();
        x.message.msg_iovlen = x.job.count;
        io_uring_prep_sendmsg(entry, x.fd, &x.message, send_flags);
      }
      entry->user_data = i;
    }
    for (std::size_t left = size_; left > 0;) {
      auto n = io_uring_submit_and_wait(&ring_, static_cast<unsigned>(left));
      if (n < 0 && n != -EINTR && n != -EAGAIN && n != -EBUSY)
        return false;
      io_uring_cqe* done = nullptr;
      while (io_uring_peek_cqe(&ring_, &done) == 0) {
        slots_[done->user_data].result = done->res;
        io_uring_cqe_seen(&ring_, done);
        --left;
      }
    }
    return true;
  }

  int result(std::size_t i) const noexcept override { return slots_[i].result; }

  const send_job& job(std::size_t i) const noexcept override {
    return slots_[i].job;
  }

  void clear() noexcept override { size_ = 0; }

private:
  struct slot {
    int fd = -1;
    int result = unsent;
    msghdr message{};
    send_job job{nullptr, 0};
  };

  io_uring ring_{};
  bool open_ = false;
  std::size_t size_ = 0;
  std::unique_ptr<char[]> scratch_;
  std::array<slot, sends_max> slots_;
};

// One byte through a socket pair: some sandboxes allow the ring and refuse what
// goes through it.
bool works(send_ring& ring) noexcept {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return false;
  ring.add(ends[0]).add("x");
  const bool good = ring.submit() && ring.result(0) == 1;
  ring.clear();
  ::close(ends[0]);
  ::close(ends[1]);
  return good;
}

} // namespace

std::unique_ptr<send_ring> send_ring::make() noexcept {
  auto ring = std::unique_ptr<uring>(new (std::nothrow) uring);
  if (!ring || !ring->open() || !works(*ring))
    return {};
  return ring;
}

} // namespace greenroom::net

#else

namespace greenroom::net {

std::unique_ptr<send_ring> send_ring::make() noexcept {
  return {};
}

} // namespace greenroom::net

#endif

namespace greenroom::net {

bool send_ring::allowed() noexcept {
  return make() != nullptr;
}

} // namespace greenroom::net
