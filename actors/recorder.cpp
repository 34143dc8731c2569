#include "actors/recorder.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace greenroom {

namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

std::int64_t unix_now() {
  return duration_cast<milliseconds>(
           std::chrono::system_clock::now().time_since_epoch())
    .count();
}

} // namespace

std::string_view to_string(box_event x) noexcept {
  static constexpr std::array<std::string_view,
                              static_cast<std::size_t>(box_event::last_)>
    names = {"received", "deliver",       "trim",  "joined",
             "left",     "refused",       "moved", "lost",
             "evict",    "socket_closed", "ended", "post",
             "turn",     "join",          "leave", "retire"};
  auto i = static_cast<std::size_t>(x);
  return i < names.size() ? names[i] : "unknown";
}

// -- tap --------------------------------------------------------------------------

void trace_tap::push(box_row row) noexcept {
  std::lock_guard guard{mutex_};
  if (rows_.size() >= rows_max)
    ++lost_;
  else
    rows_.push_back(std::move(row));
}

std::uint64_t trace_tap::take(std::vector<box_row>& rows) {
  std::lock_guard guard{mutex_};
  rows.swap(rows_);
  return std::exchange(lost_, 0);
}

// -- recorder -----------------------------------------------------------------------

void recorder::timed(std::chrono::nanoseconds wait,
                     std::chrono::nanoseconds run) noexcept {
  auto units = [](std::chrono::nanoseconds x, std::int64_t most) {
    return static_cast<std::uint16_t>(
      std::clamp<std::int64_t>(x.count() / 16'000, 0, most));
  };
  auto waited = units(wait, 0xFFFF);
  auto ran = units(run, 0x7FFF);
  auto first = std::max(timed_, next_ - std::min(next_, mask_ + 1));
  for (auto i = first; i != next_; ++i) {
    ring_[i & mask_].wait = waited;
    ring_[i & mask_].run = ran & 0x7FFF;
  }
  timed_ = next_;
}

box_row recorder::row_of(const entry& e, steady_time now) const {
  box_row row;
  auto age = milliseconds_of(now) - e.at; // wraps as both do
  row.at = unix_now() - age;
  row.what = to_string(static_cast<box_event>(e.who >> 56));
  row.room = room_;
  row.client = client_;
  row.from = e.who & who_mask;
  row.bytes = e.bytes;
  if (e.has_reason) {
    row.code = static_cast<std::uint16_t>(e.offset >> 8);
    row.reason = to_string(static_cast<errc>(e.offset & 0xFF));
  } else {
    row.offset = e.offset;
  }
  row.wait_us = e.wait * 16;
  row.run_us = e.run * 16;
  return row;
}

std::vector<box_row> recorder::rows(steady_time now) const {
  std::vector<box_row> result;
  auto count = std::min(next_, mask_ + 1);
  result.reserve(count);
  for (auto i = next_ - count; i != next_; ++i)
    result.push_back(row_of(ring_[i & mask_], now));
  return result;
}

std::string recorder::text(steady_time now) const {
  std::string result;
  auto count = std::min(next_, mask_ + 1);
  for (auto i = next_ - count; i != next_; ++i) {
    auto& e = ring_[i & mask_];
    auto row = row_of(e, now);
    fmt::format_to(std::back_inserter(result), "{}-{}ms {}",
                   result.empty() ? "" : "; ", milliseconds_of(now) - e.at,
                   row.what);
    if (row.from != 0)
      fmt::format_to(std::back_inserter(result), " from={}", row.from);
    if (row.bytes != 0)
      fmt::format_to(std::back_inserter(result), " bytes={}", row.bytes);
    if (row.offset != 0)
      fmt::format_to(std::back_inserter(result), " offset={}", row.offset);
    if (!row.reason.empty())
      fmt::format_to(std::back_inserter(result), " {}", row.reason);
    if (row.wait_us != 0 || row.run_us != 0)
      fmt::format_to(std::back_inserter(result), " wait={}us run={}us",
                     row.wait_us, row.run_us);
  }
  return result;
}

void recorder::attach(std::shared_ptr<trace_tap> tap) {
  if (!taps_)
    taps_ = std::make_unique<std::vector<std::shared_ptr<trace_tap>>>();
  taps_->push_back(std::move(tap));
}

void recorder::follow(steady_time, const box_note& x) noexcept {
  std::erase_if(*taps_, [](auto& t) { return t->over(); });
  if (taps_->empty()) {
    taps_.reset();
    return;
  }
  box_row row;
  row.at = unix_now();
  row.what = to_string(x.what);
  row.room = room_;
  row.client = client_;
  row.from = x.from;
  row.bytes = x.bytes;
  row.offset = x.offset;
  row.code = x.code;
  if (x.why != errc::none)
    row.reason = to_string(x.why);
  for (auto& t : *taps_)
    t->push(row);
}

} // namespace greenroom
