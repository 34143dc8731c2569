#include "net/frame_marks.hpp"

#include <algorithm>

#include "net/ws_frame.hpp"

namespace greenroom::net {

// @returns what Beast is to see of a frame's first byte
char frame_marks::begin_frame(char first) {
  auto bits = static_cast<unsigned char>(first);
  auto op = static_cast<ws_opcode>(bits & 0x0F);
  if (bits & 0x08) // control frames may stand between fragments
    return first;
  auto starts = op == ws_opcode::text || op == ws_opcode::binary;
  auto result = first;
  if (starts && !in_message_) {
    auto what = kind::plain;
    if ((bits & 0x70) == 0x40) { // RSV1 alone
      what =
        op == ws_opcode::text ? kind::deflated_text : kind::deflated_binary;
      result =
        static_cast<char>((bits & 0x80) | static_cast<int>(ws_opcode::binary));
    }
    kinds_.push_back(what);
  }
  in_message_ = (bits & 0x80) == 0;
  return result;
}

void frame_marks::pass(std::span<char> bytes) {
  for (std::size_t i = 0; i < bytes.size();) {
    if (skip_ > 0) {
      auto n = std::min<std::uint64_t>(skip_, bytes.size() - i);
      i += static_cast<std::size_t>(n);
      skip_ -= n;
      continue;
    }
    auto& c = bytes[i++];
    if (header_bytes_++ == 0) {
      c = begin_frame(c);
      continue;
    }
    auto value = static_cast<unsigned char>(c);
    if (header_bytes_ == 2) {
      masked_ = (value & 0x80) != 0;
      length_ = value & 0x7F;
      length_bytes_ = length_ == 126 ? 2 : length_ == 127 ? 8 : 0;
      if (length_bytes_ != 0)
        length_ = 0;
    } else {
      length_ = length_ << 8 | value;
      --length_bytes_;
    }
    if (length_bytes_ == 0) {
      header_bytes_ = 0;
      skip_ = length_ + (masked_ ? 4 : 0);
    }
  }
}

frame_marks::kind frame_marks::next() noexcept {
  if (first_ == kinds_.size())
    return kind::plain;
  auto result = kinds_[first_++];
  if (first_ == kinds_.size()) {
    forget();
  } else if (first_ >= 64 && first_ * 2 >= kinds_.size()) {
    // A client that never pauses has always begun another one.
    kinds_.erase(kinds_.begin(),
                 kinds_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  return result;
}

void frame_marks::forget() noexcept {
  kinds_.clear();
  first_ = 0;
}

} // namespace greenroom::net
