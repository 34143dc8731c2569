#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace greenroom {

/// Which turn of which room a block holds, for those who look inside.
struct wire_mark {
  std::uint64_t room = 0;   ///< its actor; 0: none, an answer or a ping
  std::uint64_t first = 0;  ///< offset of the turn's first event
  std::uint64_t last = 0;   ///< of its last one
  std::uint64_t events = 0; ///< those that are in the block
  std::int64_t posted_ns =
    0; ///< steady clock: when the first one was published
};

/// Ready-made bytes for a socket: one or more complete WebSocket frames, header
/// included, in one immutable block. A turn of a room is encoded into one of
/// these per dialect and then shared by every member that gets it.
class wire {
public:
  wire(const wire&) = delete;
  wire& operator=(const wire&) = delete;

  std::string_view bytes() const noexcept { return {data(), size_}; }

  std::uint32_t size() const noexcept { return size_; }

  /// How many frames the block holds: what a drop is counted in.
  std::uint32_t frames() const noexcept { return frames_; }

  /// Whether the last frame is a close frame; nothing may follow it.
  bool closes() const noexcept { return closes_; }

  const wire_mark& mark() const noexcept { return mark_; }

  /// Bytes of all live blocks of the process, each counted once however many
  /// members wait for it. Any thread.
  static std::int64_t live_bytes() noexcept;

private:
  friend class wire_ptr;
  friend class wire_builder;

  wire() = default;

  const char* data() const noexcept {
    return reinterpret_cast<const char*>(this + 1);
  }

  char* data() noexcept { return reinterpret_cast<char*>(this + 1); }

  void release() const noexcept;

  mutable std::atomic<std::uint32_t> refs_{1};
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
  std::uint32_t frames_ = 0;
  bool closes_ = false;
  wire_mark mark_;
};

/// A counted reference to a block. Copying costs one relaxed increment.
class wire_ptr {
public:
  wire_ptr() noexcept = default;

  wire_ptr(const wire_ptr& x) noexcept : ptr_(x.ptr_) {
    if (ptr_ != nullptr)
      ptr_->refs_.fetch_add(1, std::memory_order_relaxed);
  }

  wire_ptr(wire_ptr&& x) noexcept : ptr_(std::exchange(x.ptr_, nullptr)) {}

  wire_ptr& operator=(wire_ptr x) noexcept {
    std::swap(ptr_, x.ptr_);
    return *this;
  }

  ~wire_ptr() {
    if (ptr_ != nullptr)
      ptr_->release();
  }

  const wire* operator->() const noexcept { return ptr_; }

  const wire& operator*() const noexcept { return *ptr_; }

  explicit operator bool() const noexcept { return ptr_ != nullptr; }

  /// Says what the block holds. @pre it was not shared with anybody yet
  void mark(const wire_mark& x) const noexcept {
    const_cast<wire*>(ptr_)->mark_ = x;
  }

  friend bool operator==(const wire_ptr& x, const wire_ptr& y) noexcept {
    return x.ptr_ == y.ptr_;
  }

private:
  friend class wire_builder;

  explicit wire_ptr(const wire* adopted) noexcept : ptr_(adopted) {}

  const wire* ptr_ = nullptr;
};

/// Makes one block. Not thread-safe; the block it returns is.
class wire_builder {
public:
  /// @param expected bytes to reserve; more is allowed and costs a copy
  explicit wire_builder(std::size_t expected = 0);

  wire_builder(const wire_builder&) = delete;
  wire_builder& operator=(const wire_builder&) = delete;

  ~wire_builder();

  void append(std::string_view bytes);

  /// Room for `n` bytes that the caller fills at once; invalidated by the next
  /// call.
  std::span<char> extend(std::size_t n);

  /// Counts a finished frame.
  void end_frame(bool closes = false) noexcept {
    ++block_->frames_;
    block_->closes_ = closes;
  }

  std::size_t size() const noexcept { return block_->size_; }

  bool empty() const noexcept { return block_->size_ == 0; }

  /// Gives back what was reserved and is not used, if that is much; costs a copy.
  void fit();

  /// The block; the builder must not be used afterwards. Null when empty.
  wire_ptr finish() noexcept;

private:
  void grow(std::size_t needed);

  wire* block_;
};

} // namespace greenroom
