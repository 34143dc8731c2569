#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>

#include "actors/errc.hpp"
#include "actors/model.hpp"

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

/// By `overflow_policy`.
using policy_counters = std::array<counter, 4>;

/// What a histogram holds at one moment: how many values lay in each bucket.
struct histogram_counts {
  /// Bucket `i` counts values over 2^(i-1) and up to 2^i, the first one also zero,
  /// the last one everything above. In microseconds: up to 33 s.
  static constexpr std::size_t buckets = 27;

  std::array<std::uint64_t, buckets> in{};
  std::uint64_t sum = 0;

  /// The upper bound of a bucket (Prometheus: `le`); the last one has none.
  static constexpr std::uint64_t bound(std::size_t bucket) noexcept {
    return std::uint64_t{1} << bucket;
  }

  static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    auto i = value <= 1 ? 0 : std::bit_width(value - 1);
    return std::min<std::size_t>(static_cast<std::size_t>(i), buckets - 1);
  }

  std::uint64_t count() const noexcept {
    std::uint64_t n = 0;
    for (auto x : in)
      n += x;
    return n;
  }

  histogram_counts& operator+=(const histogram_counts& x) noexcept {
    for (std::size_t i = 0; i < buckets; ++i)
      in[i] += x.in[i];
    sum += x.sum;
    return *this;
  }

  /// What came since `earlier`, a snapshot of the same histogram.
  histogram_counts since(const histogram_counts& earlier) const noexcept {
    histogram_counts result;
    for (std::size_t i = 0; i < buckets; ++i)
      result.in[i] = in[i] - earlier.in[i];
    result.sum = sum - earlier.sum;
    return result;
  }

  /// Below which the share `q` of the values lies, interpolated within a bucket;
  /// 0 if there are none.
  std::uint64_t quantile(double q) const noexcept {
    auto all = count();
    if (all == 0)
      return 0;
    auto wanted = std::max(1.0, q * static_cast<double>(all));
    double below = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
      auto n = static_cast<double>(in[i]);
      if (n > 0 && below + n >= wanted) {
        auto low = i == 0 ? 0.0 : static_cast<double>(bound(i - 1));
        auto high = static_cast<double>(bound(i));
        return static_cast<std::uint64_t>(
          low + (high - low) * (wanted - below) / n);
      }
      below += n;
    }
    return bound(buckets - 1);
  }

  /// The upper bound of the highest bucket that has values; 0 if none has.
  std::uint64_t highest() const noexcept {
    for (auto i = buckets; i > 0; --i)
      if (in[i - 1] != 0)
        return bound(i - 1);
    return 0;
  }
};

/// Counts values by powers of two: a few plain instructions each. One thread
/// writes, any reads.
class histogram {
public:
  void add(std::uint64_t value) noexcept {
    bump(in_[histogram_counts::bucket_of(value)], 1);
    bump(sum_, value);
  }

  histogram_counts get() const noexcept {
    histogram_counts result;
    for (std::size_t i = 0; i < in_.size(); ++i)
      result.in[i] = in_[i].load(std::memory_order_relaxed);
    result.sum = sum_.load(std::memory_order_relaxed);
    return result;
  }

private:
  static void bump(std::atomic<std::uint64_t>& x, std::uint64_t n) noexcept {
    x.store(x.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  std::array<std::atomic<std::uint64_t>, histogram_counts::buckets> in_{};
  std::atomic<std::uint64_t> sum_{0};
};

/// The histograms one thread writes.
struct thread_histograms {
  /// Microseconds from a publication to the kernel's acceptance of its turn, once
  /// for each member.
  histogram latency_us;
  /// Publications of a turn: what one send carries.
  histogram batch;
};

/// What the audit may find: two who should agree do not.
enum class audit_fault : std::uint8_t {
  forgotten, ///< a member by the supervisor's books, unknown to its room
  unseated,  ///< a member of a room, unknown to the supervisor
  dead,      ///< a member whose reader or writer has ended
  behind,    ///< a member whose room has sent turns that it was not given
  stalled,   ///< a member that bytes wait for and whose writer does not flush
  doomed,    ///< a member that was told to end and did not
  last_,     // keep last
};

constexpr std::string_view to_string(audit_fault x) noexcept {
  switch (x) {
    case audit_fault::forgotten:
      return "forgotten";
    case audit_fault::unseated:
      return "unseated";
    case audit_fault::dead:
      return "dead";
    case audit_fault::behind:
      return "behind";
    case audit_fault::stalled:
      return "stalled";
    case audit_fault::doomed:
      return "doomed";
    case audit_fault::last_:
      break;
  }
  return "unknown";
}

using audit_counters =
  std::array<counter, static_cast<std::size_t>(audit_fault::last_)>;

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
  /// The same by policy.
  policy_counters dropped_by;
  counter discarded;  ///< frames a dead connection never sent
  counter untold;     ///< deliveries left out: no word in the member's dialect
  counter posts_lost; ///< publications lost in a crashed room
  counter crashes;    ///< exceptions in handlers
  counter rooms_restarted;
  counter rooms_quarantined;
  counter quarantined_now;     ///< rooms that are
  counter inspection_restarts; ///< of the inspector and its probes
  errc_counters commands_refused;
  audit_counters audit_faults; ///< found and repaired, by kind
  counter receipts;            ///< orders to end something that were answered
  counter receipts_unclean;    ///< of them, with something left at the deadline
  counter log_lost; ///< lifecycle events and log lines that found no room

  // -- histograms, one set per thread that writes ------------------------------------

  /// A set for the calling thread; lives as long as this. Any thread.
  thread_histograms& add_thread() {
    std::lock_guard guard{mutex_};
    return threads_.emplace_back();
  }

  /// All threads together. Any thread.
  histogram_counts latency_us() const {
    return sum_of(&thread_histograms::latency_us);
  }

  histogram_counts batch() const { return sum_of(&thread_histograms::batch); }

private:
  histogram_counts sum_of(histogram thread_histograms::*which) const {
    std::lock_guard guard{mutex_};
    histogram_counts result;
    for (auto& x : threads_)
      result += (x.*which).get();
    return result;
  }

  mutable std::mutex mutex_;
  std::list<thread_histograms> threads_;
};

inline counter& at(policy_counters& xs, overflow_policy by) noexcept {
  return xs[static_cast<std::size_t>(by)];
}

inline const counter& at(const policy_counters& xs,
                         overflow_policy by) noexcept {
  return xs[static_cast<std::size_t>(by)];
}

inline counter& at(audit_counters& xs, audit_fault what) noexcept {
  return xs[static_cast<std::size_t>(what)];
}

inline const counter& at(const audit_counters& xs, audit_fault what) noexcept {
  return xs[static_cast<std::size_t>(what)];
}

inline std::int64_t sum(const audit_counters& xs) noexcept {
  std::int64_t result = 0;
  for (auto& x : xs)
    result += x.get();
  return result;
}

inline counter& at(errc_counters& xs, errc code) noexcept {
  return xs[static_cast<std::size_t>(code)];
}

inline const counter& at(const errc_counters& xs, errc code) noexcept {
  return xs[static_cast<std::size_t>(code)];
}

} // namespace greenroom
