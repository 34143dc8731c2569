#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace greenroom::net {

/// When the bytes were sent that the peer has not acknowledged yet: a few marks
/// "up to this byte, from that time on", the oldest first. What is sent within one
/// spacing shares a mark. Full marks are first forgotten up to what the peer has
/// acknowledged; only a peer that lags gets memory for more of them, and where that
/// is full, too, neighbours are joined and the spacing doubles. So the age of the
/// first unacknowledged byte is right to one spacing: 67 ms, or a 64th of the time
/// the marks span (spanned, when these bytes were sent).
///
/// Counts of bytes and times are taken modulo 2^32.
class send_marks {
public:
  /// Times are in ticks of 2^20 ns: no division away from a clock.
  static std::chrono::milliseconds time_of(std::uint32_t ticks) noexcept {
    auto ns = static_cast<std::int64_t>(std::uint64_t{ticks} << 20);
    return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::nanoseconds{ns});
  }

  static std::uint32_t ticks_of(std::int64_t ns) noexcept {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(ns) >> 20);
  }

  static constexpr std::uint32_t first_spacing = 64;        // ticks
  static constexpr std::uint32_t late = 14 * first_spacing; // a second, nearly
  static constexpr std::size_t inside_max = 8;
  static constexpr std::size_t marks_max = 128;

  bool empty() const noexcept { return count_ == 0; }

  /// Whether marks stand further apart than at first: what is sent now may share one
  /// with much older bytes. Say what was acknowledged before, or a peer that has
  /// caught up seems to lag.
  bool wide() const noexcept { return spacing_ > first_spacing; }

  /// Whether it is worth asking what the peer has acknowledged: what may be its first
  /// unacknowledged byte is late, or was on its way to be when last asked.
  bool doubtful(std::uint32_t now, std::uint32_t asked_at) const noexcept {
    return count_ != 0
           && (now - oldest() >= late
               || static_cast<std::int32_t>(asked_at - oldest())
                    >= static_cast<std::int32_t>(late / 4));
  }

  /// Bytes up to `end`, of all that were ever sent, went out.
  /// @returns false if there is no room for a mark: say what was acknowledged,
  /// then call `make_room`, then again
  bool sent(std::uint32_t end, std::uint32_t now) noexcept {
    if (count_ != 0) {
      auto& last = marks()[count_ - 1u];
      if (now - last.at < spacing_) {
        last.end = end;
        return true;
      }
      if (count_ == capacity())
        return false;
    }
    marks()[count_++] = {end, now};
    return true;
  }

  /// The peer has acknowledged all bytes up to `end`.
  void acknowledged(std::uint32_t end) noexcept {
    std::size_t gone = 0;
    auto* all = marks();
    while (gone < count_ && static_cast<std::int32_t>(all[gone].end - end) <= 0)
      ++gone;
    if (gone == 0)
      return;
    count_ = static_cast<std::uint8_t>(count_ - gone);
    std::copy(all + gone, all + gone + count_, all);
    if (more_ && count_ <= inside_max / 2) {
      std::copy(more_.get(), more_.get() + count_, inside_.data());
      more_.reset();
      spacing_ = first_spacing;
    }
  }

  /// When the first byte went out that was not acknowledged. @pre not empty
  std::uint32_t oldest() const noexcept { return marks()[0].at; }

  void make_room() {
    if (count_ < capacity())
      return;
    if (!more_) {
      more_ = std::make_unique<mark[]>(marks_max);
      std::copy(inside_.begin(), inside_.end(), more_.get());
      return;
    }
    // Neighbours become one that begins with the first and ends with the second.
    for (std::size_t i = 0; i < marks_max / 2; ++i)
      more_[i] = {more_[2 * i + 1].end, more_[2 * i].at};
    count_ = marks_max / 2;
    spacing_ *= 2;
  }

private:
  struct mark {
    std::uint32_t end;
    std::uint32_t at;
  };

  mark* marks() noexcept { return more_ ? more_.get() : inside_.data(); }

  const mark* marks() const noexcept {
    return more_ ? more_.get() : inside_.data();
  }

  std::size_t capacity() const noexcept {
    return more_ ? marks_max : inside_max;
  }

  std::unique_ptr<mark[]> more_; // of a peer that lags
  std::uint32_t spacing_ = first_spacing;
  std::uint8_t count_ = 0;
  std::array<mark, inside_max> inside_;
};

} // namespace greenroom::net
