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

void recorder::took(std::chrono::nanoseconds run) noexcept {
  ring_[(next_ - 1) & mask_].run = static_cast<std::uint16_t>(
    std::min<std::int64_t>(run.count() >> 14, 0xFFFF));
}

box_row recorder::row_of(const entry& e, std::uint32_t now) const {
  box_row row;
  auto age = now - e.at; // wraps as both do
  row.at = unix_now() - age;
  row.what = to_string(static_cast<box_event>((e.who & ~reason_flag) >> 56));
  row.room = room_;
  row.client = client_;
  row.from = e.who & who_mask;
  row.bytes = e.bytes;
  if ((e.who & reason_flag) != 0) {
    row.code = static_cast<std::uint16_t>(e.offset >> 8);
    row.reason = to_string(static_cast<errc>(e.offset & 0xFF));
  } else {
    row.offset = e.offset;
  }
  row.wait_us = std::int64_t{e.wait} * 16'384 / 1000;
  row.run_us = std::int64_t{e.run} * 16'384 / 1000;
  return row;
}

std::vector<box_row> recorder::rows(std::uint32_t now) const {
  std::vector<box_row> result;
  auto count = std::min(next_, mask_ + 1);
  result.reserve(count);
  for (auto i = next_ - count; i != next_; ++i)
    result.push_back(row_of(ring_[i & mask_], now));
  return result;
}

std::string recorder::text(std::uint32_t now) const {
  std::string result;
  auto count = std::min(next_, mask_ + 1);
  for (auto i = next_ - count; i != next_; ++i) {
    auto& e = ring_[i & mask_];
    auto row = row_of(e, now);
    fmt::format_to(std::back_inserter(result), "{}-{}ms {}",
                   result.empty() ? "" : "; ", now - e.at, row.what);
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

void recorder::follow(const entry& e) noexcept {
  std::erase_if(*taps_, [](auto& t) { return t->over(); });
  if (taps_->empty()) {
    taps_.reset();
    return;
  }
  auto row = row_of(e, e.at);
  for (auto& t : *taps_)
    t->push(row);
}

} // namespace greenroom
