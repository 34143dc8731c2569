#include "app/commands/client/frame.hpp"

#include <algorithm>
#include <cstring>
#include <random>

#include <fmt/format.h>

#include "app/commands/client/args.hpp"

namespace greenroom::client {

namespace {

/// A buffer that grew beyond this is given back when it is empty.
constexpr std::size_t kept_bytes_max = 16 * 1024;

/// No more is reserved on a header's word alone.
constexpr std::size_t reserved_bytes_max = 1024 * 1024;

std::uint32_t next_mask() {
  static thread_local std::uint64_t state = [] {
    std::random_device seed;
    return std::uint64_t{seed()} << 32 | seed() | 1;
  }();
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<std::uint32_t>(state >> 16);
}

void empty(std::string& x) {
  if (x.capacity() > kept_bytes_max)
    x = std::string{};
  else
    x.clear();
}

constexpr unsigned char byte(char c) {
  return static_cast<unsigned char>(c);
}

std::uint64_t length_of(std::string_view header) {
  auto length = std::uint64_t{byte(header[1])};
  if (length < 126)
    return length;
  std::size_t bytes = length == 126 ? 2 : 8;
  length = 0;
  for (std::size_t i = 0; i < bytes; ++i)
    length = length << 8 | byte(header[2 + i]);
  return length;
}

} // namespace

// -- out ------------------------------------------------------------------------

void append_masked(std::string& out, ws_opcode op, std::string_view payload) {
  char header[14];
  std::size_t n = 0;
  auto size = payload.size();
  header[n++] = static_cast<char>(0x80 | static_cast<int>(op));
  auto put_length = [&](int bytes) {
    for (int i = bytes - 1; i >= 0; --i)
      header[n++] = static_cast<char>(size >> (8 * i) & 0xff);
  };
  if (size < 126) {
    header[n++] = static_cast<char>(0x80 | size);
  } else if (size < 65'536) {
    header[n++] = static_cast<char>(0x80 | 126);
    put_length(2);
  } else {
    header[n++] = static_cast<char>(0x80 | 127);
    put_length(8);
  }
  auto key = next_mask();
  std::memcpy(header + n, &key, 4);
  n += 4;
  out.append(header, n);
  auto at = out.size();
  out.append(payload);
  // Eight bytes at once: the key repeats every four.
  auto wide = std::uint64_t{key} << 32 | key;
  auto data = out.data() + at;
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data + i, 8);
    word ^= wide;
    std::memcpy(data + i, &word, 8);
  }
  char key_bytes[4];
  std::memcpy(key_bytes, &key, 4);
  for (; i < size; ++i)
    data[i] = static_cast<char>(data[i] ^ key_bytes[i & 3]);
}

void append_close(std::string& out, std::uint16_t code,
                  std::string_view reason) {
  std::string payload;
  payload += static_cast<char>(code >> 8);
  payload += static_cast<char>(code & 0xff);
  payload += reason.substr(0, net::close_reason_bytes_max);
  append_masked(out, ws_opcode::close, payload);
}

// -- close frames ---------------------------------------------------------------

close_words read_close(std::string_view payload) {
  if (payload.size() < 2)
    return {};
  return {static_cast<std::uint16_t>(byte(payload[0]) << 8 | byte(payload[1])),
          std::string{payload.substr(2)}};
}

std::string to_string(const close_words& x) {
  return x.reason.empty() ? fmt::format("{}", x.code)
                          : fmt::format("{} {}", x.code, printable(x.reason));
}

// -- in ---------------------------------------------------------------------------

frame_reader::step frame_reader::fail(const char* why) noexcept {
  error_ = why;
  return step::broken;
}

bool frame_reader::collect(std::size_t size) {
  if (carry_.size() < size) {
    auto n = std::min(size - carry_.size(), input_.size());
    carry_.append(input_.substr(0, n));
    input_.remove_prefix(n);
  }
  return carry_.size() >= size;
}

std::size_t frame_reader::header_bytes(std::string_view at) const noexcept {
  if (at.size() < 2)
    return 0;
  auto length = byte(at[1]) & 0x7f;
  std::size_t bytes = length == 126 ? 4 : length == 127 ? 10 : 2;
  return at.size() < bytes ? 0 : bytes;
}

const char* frame_reader::fault_of(std::string_view header,
                                   std::uint64_t length) const {
  auto first = byte(header[0]);
  auto op = first & 0x0f;
  if ((first & 0x70) != 0)
    return "a frame with reserved bits (RFC 6455 §5.2)";
  if ((op > 2 && op < 8) || op > 10)
    return "a frame with a reserved opcode (RFC 6455 §5.2)";
  if ((header.size() == 4 && length < 126)
      || (header.size() == 10 && length < 65'536))
    return "a frame whose length is not in its shortest form (RFC 6455 §5.2)";
  if (op >= 8 && (length > 125 || (first & 0x80) == 0))
    return "a long or fragmented control frame (RFC 6455 §5.5)";
  if (op == 0 && !fragmented_)
    return "a continuation without a beginning (RFC 6455 §5.4)";
  if ((op == 1 || op == 2) && fragmented_)
    return "a message within another one (RFC 6455 §5.4)";
  if (op < 8
      && (length > message_bytes_max_
          || (op == 0 && message_.size() + length > message_bytes_max_)))
    return "a message over the limit of this client";
  return nullptr;
}

frame_reader::step frame_reader::next() {
  if (error_ != nullptr)
    return step::broken;
  if (carry_spent_)
    empty(carry_);
  if (message_spent_)
    empty(message_);
  carry_spent_ = message_spent_ = false;
  for (;;) {
    // A frame that began in an earlier piece goes on there; else it is looked at
    // where it lies.
    bool apart = !carry_.empty();
    if (apart && !collect(2))
      return step::need_more;
    if (apart && header_bytes(carry_) == 0 && (byte(carry_[1]) & 0x80) == 0
        && !collect((byte(carry_[1]) & 0x7f) == 126 ? 4 : 10))
      return step::need_more;
    std::string_view at = apart ? std::string_view{carry_} : input_;
    if (at.size() >= 2 && (byte(at[1]) & 0x80) != 0)
      return fail("a masked frame (RFC 6455 §5.1)");
    auto header = header_bytes(at);
    if (header == 0) {
      carry_.append(input_);
      input_ = {};
      return step::need_more;
    }
    auto length = length_of(at);
    if (auto wrong = fault_of(at.substr(0, header), length))
      return fail(wrong);
    auto size = header + static_cast<std::size_t>(length);
    if (!apart && input_.size() < size) {
      carry_.reserve(std::min(size, reserved_bytes_max));
      carry_.append(input_);
      input_ = {};
      return step::need_more;
    }
    if (apart && !collect(size))
      return step::need_more;
    at = (apart ? std::string_view{carry_} : input_).substr(0, size);
    if (!apart)
      input_.remove_prefix(size);
    auto what = take(byte(at[0]), at.substr(header));
    if (what != step::need_more) {
      carry_spent_ = apart;
      return what;
    }
    if (apart)
      empty(carry_);
  }
}

frame_reader::step frame_reader::take(unsigned char first,
                                      std::string_view payload) {
  bool last = (first & 0x80) != 0;
  auto op = static_cast<ws_opcode>(first & 0x0f);
  if (op >= ws_opcode::close) {
    opcode_ = op;
    payload_ = payload;
    return step::control;
  }
  if (op != ws_opcode::continuation) {
    message_opcode_ = op;
    fragments_ = 0;
  }
  ++fragments_;
  if (op != ws_opcode::continuation && last) {
    payload_ = payload;
  } else {
    message_.append(payload);
    fragmented_ = !last;
    if (!last)
      return step::need_more;
    payload_ = message_;
    message_spent_ = true;
  }
  opcode_ = message_opcode_;
  frames_ = fragments_;
  return step::message;
}

} // namespace greenroom::client
