#include "net/outbox.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "net/send_marks.hpp"
#include "net/ws_frame.hpp"

namespace greenroom::net {

// -- send_job -------------------------------------------------------------------

void send_job::add(std::string_view what) noexcept {
  if (what.size() > join_max || what.size() > scratch_left_) {
    add_by_reference(what);
    return;
  }
  std::memcpy(scratch_, what.data(), what.size());
  if (count > 0) {
    auto& last = parts[count - 1];
    if (static_cast<char*>(last.iov_base) + last.iov_len == scratch_) {
      last.iov_len += what.size();
      bytes += what.size();
      scratch_ += what.size();
      scratch_left_ -= what.size();
      return;
    }
  }
  add_by_reference({scratch_, what.size()});
  scratch_ += what.size();
  scratch_left_ -= what.size();
}

void send_job::add_by_reference(std::string_view what) noexcept {
  assert(count < parts_max);
  parts[count++] = {const_cast<char*>(what.data()), what.size()};
  bytes += what.size();
}

// -- adding ---------------------------------------------------------------------

bool outbox::append(wire_ptr what, bool counted, retention how,
                    std::uint32_t now) {
  if (!what)
    return !closing_;
  if (closing_) {
    if (counted)
      reject(*what);
    return false;
  }
  closing_ = what->closes();
  if (count_ > 0 && (capacity_ == 0 || count_ == capacity_))
    grow();
  auto& x = at(count_++);
  x = {std::move(what), counted, how == retention::kept, now};
  count(x);
  return true;
}

void outbox::put_first(wire_ptr what, std::uint32_t now) {
  assert(offset_ == 0 && cut_ == 0);
  if (count_ > 0) {
    if (capacity_ == 0 || count_ == capacity_)
      grow();
    head_ = (head_ - 1) & (capacity_ - 1);
  }
  ++count_;
  auto& x = at(0);
  x = {std::move(what), false, true, now};
  count(x);
}

void outbox::count(const entry& x) noexcept {
  bytes_ += x.block->size();
  bytes_most_ = std::max(bytes_most_, bytes_);
  frames_ += x.block->frames();
  if (!x.counted)
    control_bytes_ += x.block->size();
}

void outbox::grow() {
  auto bigger = capacity_ == 0 ? 4 : capacity_ * 2;
  auto ring = std::make_unique<entry[]>(bigger);
  for (std::uint32_t i = 0; i < count_; ++i)
    ring[i] = std::move(at(i));
  ring_ = std::move(ring);
  capacity_ = bigger;
  head_ = 0;
}

// -- sending --------------------------------------------------------------------

queued_events outbox::of(std::uint64_t room, std::uint32_t now) const noexcept {
  queued_events result;
  for (std::uint32_t i = 0; i < count_; ++i) {
    auto& x = at(i);
    const auto& mark = x.block->mark();
    if (mark.room != room)
      continue;
    if (result.events == 0) {
      result.first = mark.first;
      result.age = send_marks::time_of(now - x.since);
    }
    result.events += mark.events;
    result.bytes += rest(i).size();
  }
  return result;
}

std::string_view outbox::rest(std::size_t i) const noexcept {
  auto bytes = at(i).block->bytes();
  if (i != 0)
    return bytes;
  if (cut_ != 0)
    bytes = bytes.substr(0, cut_);
  return bytes.substr(offset_);
}

void outbox::gather(send_job& job) const noexcept {
  if (count_ == 1) { // the usual case: no copy
    job.add_by_reference(rest(0));
    return;
  }
  for (std::uint32_t i = 0; i < count_ && !job.full(); ++i)
    job.add(rest(i));
}

std::uint64_t outbox::sent(std::size_t bytes, histogram* latency,
                           std::int64_t now_ns) noexcept {
  std::uint64_t frames = 0;
  std::uint64_t from_flow = 0;
  assert(bytes <= bytes_);
  bytes_ -= bytes;
  while (bytes > 0) {
    auto left = rest(0).size();
    auto n = std::min(bytes, left);
    if (at(0).counted)
      from_flow += n;
    else
      control_bytes_ -= n;
    bytes -= n;
    if (n < left) {
      offset_ += static_cast<std::uint32_t>(n);
      break;
    }
    frames += frames_at(0);
    if (const auto& mark = at(0).block->mark();
        mark.room != 0 && latency != nullptr) {
      auto took = std::max<std::int64_t>(now_ns - mark.posted_ns, 0);
      latency->add(static_cast<std::uint64_t>(took) / 1000);
    }
    pop_first();
  }
  frames_ -= frames;
  give_back(from_flow);
  return frames;
}

void outbox::pop_first() noexcept {
  at(0) = {};
  offset_ = cut_ = cut_frames_ = 0;
  ++head_;
  shorten(count_ - 1);
}

void outbox::shorten(std::size_t n) noexcept {
  count_ = static_cast<std::uint32_t>(n);
  if (count_ == 0) {
    ring_.reset();
    capacity_ = head_ = 0;
  }
}

void outbox::give_back(std::uint64_t bytes) noexcept {
  if (flow_ && bytes != 0)
    flow_->sub(bytes);
}

void outbox::note_discard(std::uint64_t bytes, std::uint64_t frames) noexcept {
  if (flow_)
    flow_->discard(bytes, frames);
}

// -- dropping -------------------------------------------------------------------

void outbox::take_off(std::size_t i) noexcept {
  auto n = rest(i).size();
  bytes_ -= n;
  frames_ -= frames_at(i);
  if (at(i).counted)
    give_back(n);
  else
    control_bytes_ -= n;
  at(i) = {};
}

std::uint64_t outbox::drop_oldest(std::uint64_t keep,
                                  std::vector<wire_mark>* gone) {
  auto before = frames_;
  std::uint32_t kept = offset_ != 0 ? 1 : 0;
  for (auto i = kept; i < count_; ++i) {
    auto& x = at(i);
    if (bytes_ > keep && x.counted && !x.kept && !x.block->closes()) {
      if (gone != nullptr && x.block->mark().room != 0)
        gone->push_back(x.block->mark());
      take_off(i);
      continue;
    }
    if (i != kept)
      at(kept) = std::move(x);
    ++kept;
  }
  shorten(kept);
  return before - frames_;
}

std::uint64_t outbox::discard_unsent() noexcept {
  auto before = bytes_;
  auto frames = cut_unsent();
  note_discard(before - bytes_, frames);
  return frames;
}

std::uint64_t outbox::cut_unsent() noexcept {
  if (count_ == 0)
    return 0;
  auto before = frames_;
  auto& first = at(0);
  auto bytes = first.block->bytes();
  // A block without frames is the answer to the handshake.
  auto keep_first = offset_ != 0 || first.block->frames() == 0;
  for (std::uint32_t i = keep_first ? 1 : 0; i < count_; ++i)
    take_off(i);
  closing_ = false;
  if (!keep_first) {
    shorten(0);
    return before - frames_;
  }
  shorten(1);
  if (first.block->frames() == 0)
    return before - frames_;
  std::uint64_t end = 0;
  std::uint32_t whole = 0;
  while (end < offset_) {
    auto size = ws_frame_size(bytes.substr(end));
    assert(size != 0);
    if (size == 0)
      break; // not frames after all: it goes out as it is
    end += size;
    ++whole;
  }
  auto last = cut_ != 0 ? cut_ : bytes.size();
  if (end < offset_ || end >= last) { // the frame in flight is the last one
    closing_ = first.block->closes() && cut_ == 0;
    return before - frames_;
  }
  bytes_ -= last - end;
  if (first.counted)
    give_back(last - end);
  else
    control_bytes_ -= last - end;
  frames_ = whole;
  if (end == offset_) { // between two frames: nothing is in flight
    pop_first();
    frames_ = 0;
  } else {
    cut_ = static_cast<std::uint32_t>(end);
    cut_frames_ = whole;
  }
  return before - whole;
}

std::uint64_t outbox::clear() noexcept {
  std::uint64_t already_out = 0;
  if (offset_ != 0 && at(0).block->frames() != 0) {
    auto bytes = at(0).block->bytes();
    for (std::uint64_t end = 0;; ++already_out) {
      auto size = ws_frame_size(bytes.substr(end));
      end += size;
      if (size == 0 || end > offset_)
        break;
    }
  }
  auto dropped = frames_ - already_out;
  note_discard(bytes_, dropped);
  for (std::uint32_t i = 0; i < count_; ++i)
    take_off(i);
  offset_ = cut_ = cut_frames_ = 0;
  shorten(0);
  return dropped;
}

} // namespace greenroom::net
