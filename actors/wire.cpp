#include "actors/wire.hpp"

#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>

namespace greenroom {

namespace {

std::atomic<std::int64_t> live{0};

} // namespace

std::int64_t wire::live_bytes() noexcept {
  return live.load(std::memory_order_relaxed);
}

void wire::release() const noexcept {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1)
    return;
  live.fetch_sub(capacity_, std::memory_order_relaxed);
  auto* self = const_cast<wire*>(this);
  self->~wire();
  std::free(self);
}

wire_builder::wire_builder(std::size_t expected) : block_(nullptr) {
  grow(expected);
}

wire_builder::~wire_builder() {
  if (block_ != nullptr)
    block_->release();
}

void wire_builder::grow(std::size_t needed) {
  if (needed > std::numeric_limits<std::uint32_t>::max() / 2)
    throw std::length_error("wire block over 2 GiB");
  auto* raw = std::malloc(sizeof(wire) + needed);
  if (raw == nullptr)
    throw std::bad_alloc();
  auto* bigger = new (raw) wire;
  bigger->capacity_ = static_cast<std::uint32_t>(needed);
  live.fetch_add(bigger->capacity_, std::memory_order_relaxed);
  if (block_ != nullptr) {
    bigger->size_ = block_->size_;
    bigger->frames_ = block_->frames_;
    bigger->closes_ = block_->closes_;
    std::memcpy(bigger->data(), block_->data(), block_->size_);
    block_->release();
  }
  block_ = bigger;
}

std::span<char> wire_builder::extend(std::size_t n) {
  auto needed = std::size_t{block_->size_} + n;
  if (needed > block_->capacity_)
    grow(needed + needed / 2);
  auto* at = block_->data() + block_->size_;
  block_->size_ = static_cast<std::uint32_t>(needed);
  return {at, n};
}

void wire_builder::append(std::string_view bytes) {
  if (bytes.empty())
    return;
  std::memcpy(extend(bytes.size()).data(), bytes.data(), bytes.size());
}

void wire_builder::fit() {
  if (block_->size_ < block_->capacity_ - block_->capacity_ / 4)
    grow(block_->size_);
}

wire_ptr wire_builder::finish() noexcept {
  auto* done = std::exchange(block_, nullptr);
  if (done->size_ == 0) {
    done->release();
    return {};
  }
  return wire_ptr{done};
}

} // namespace greenroom
