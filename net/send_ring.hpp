#pragma once

#include <cstddef>
#include <memory>

#include "net/send_job.hpp"

namespace greenroom::net {

/// Many sends in one system call: an io_uring that is used by one thread and only
/// for sends that do not wait, so every one of them is over when the submission
/// returns, and no buffer is shared with the kernel any longer than that.
class send_ring {
public:
  /// Sends of one submission.
  static constexpr std::size_t sends_max = 128;

  /// Whether this kernel lets this process do that: containers and seccomp often
  /// forbid it. Tries it out; any thread.
  static bool allowed() noexcept;

  /// @returns null where the kernel refuses. Use it on the calling thread only.
  static std::unique_ptr<send_ring> make() noexcept;

  virtual ~send_ring() = default;

  send_ring(const send_ring&) = delete;
  send_ring& operator=(const send_ring&) = delete;

  /// Room for the job of one more send. @pre `size() < sends_max`
  virtual send_job& add(int fd) noexcept = 0;

  /// Takes the newest one back: it had nothing to send.
  virtual void take_back() noexcept = 0;

  virtual std::size_t size() const noexcept = 0;

  /// Does all of them. @returns false if the ring broke: what has no result then
  /// was not sent, do it another way and throw the ring away
  virtual bool submit() noexcept = 0;

  /// What became of one: bytes, or a negative errno value; `unsent` after a ring
  /// broke.
  static constexpr int unsent = -100'000;
  virtual int result(std::size_t i) const noexcept = 0;

  virtual const send_job& job(std::size_t i) const noexcept = 0;

  /// Makes room for the next ones.
  virtual void clear() noexcept = 0;

protected:
  send_ring() = default;
};

} // namespace greenroom::net
