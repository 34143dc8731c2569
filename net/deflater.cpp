#include "net/deflater.hpp"

#include <zlib.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "net/ws_frame.hpp"

namespace greenroom::net {

namespace {

// Ends every flush of zlib and is not sent (RFC 7692 §7.2.1).
constexpr std::size_t flush_mark_bytes = 4;

// 8 is zlib's default: a table of 64 KiB that every message clears, 1 us. Less is
// quicker for small messages and slower from 4 KiB on; but a small window goes
// through the table whenever it is full.
constexpr int memory_level(int window_bits) noexcept {
  return window_bits < 12 ? 5 : 8;
}

// What a thread's buffer may keep between two blocks.
constexpr std::size_t kept_bytes_max = std::size_t{256} * 1024;

/// A zlib stream that begins anew with each message.
class stream {
public:
  stream(int level, int window_bits)
    : level_(level), window_bits_(window_bits) {
    // Negative: without zlib's own header and check sum.
    if (::deflateInit2(&zlib_, level, Z_DEFLATED, -window_bits,
                       memory_level(window_bits), Z_DEFAULT_STRATEGY)
        != Z_OK)
      throw std::bad_alloc();
  }

  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;

  ~stream() { ::deflateEnd(&zlib_); }

  bool is(int level, int window_bits) const noexcept {
    return level == level_ && window_bits == window_bits_;
  }

  /// @returns what is smaller than `in`, in `buffer`; empty if it would not be
  std::string_view deflate(std::string_view in, std::string& buffer) {
    ::deflateReset(&zlib_);
    auto room = in.size() + flush_mark_bytes;
    if (buffer.size() < room)
      buffer.resize(room);
    zlib_.next_in =
      reinterpret_cast<Bytef*>(const_cast<char*>(in.data())); // not written to
    zlib_.avail_in = static_cast<uInt>(in.size());
    zlib_.next_out = reinterpret_cast<Bytef*>(buffer.data());
    zlib_.avail_out = static_cast<uInt>(room);
    // Room that is used up means that there is more to come.
    if (::deflate(&zlib_, Z_SYNC_FLUSH) != Z_OK || zlib_.avail_out == 0)
      return {};
    return {buffer.data(), room - zlib_.avail_out - flush_mark_bytes};
  }

private:
  z_stream zlib_{};
  int level_;
  int window_bits_;
};

stream& stream_of_thread(int level, int window_bits) {
  thread_local std::vector<std::unique_ptr<stream>> streams;
  for (auto& x : streams)
    if (x->is(level, window_bits))
      return *x;
  return *streams.emplace_back(std::make_unique<stream>(level, window_bits));
}

/// A frame as a room's block holds it.
struct frame_view {
  std::string_view whole;
  std::string_view payload;
  ws_opcode op;
};

// @pre `rest` begins with a whole frame of ours
frame_view first_frame(std::string_view rest) noexcept {
  auto size = static_cast<std::size_t>(ws_frame_size(rest));
  auto length = static_cast<unsigned char>(rest[1]);
  std::size_t header = length < 126 ? 2 : length == 126 ? 4 : 10;
  return {rest.substr(0, size), rest.substr(header, size - header),
          static_cast<ws_opcode>(rest[0] & 0x0F)};
}

bool compressible(const frame_view& x, std::size_t bytes_min) noexcept {
  // Final, no reserved bit set: a message of its own.
  return (static_cast<unsigned char>(x.whole[0]) & 0xF0) == 0x80
         && (x.op == ws_opcode::text || x.op == ws_opcode::binary)
         && x.payload.size() >= bytes_min;
}

} // namespace

deflater::deflater(const deflate_options& options, int window_bits) noexcept
  : level_(options.level), window_bits_(window_bits),
    bytes_min_(options.bytes_min) {}

wire_ptr deflater::compress(const wire_ptr& plain) const {
  if (!plain)
    return plain;
  thread_local std::string buffer;
  wire_builder out{plain->size()};
  auto smaller = false;
  for (auto rest = plain->bytes(); !rest.empty();) {
    auto x = first_frame(rest);
    rest.remove_prefix(x.whole.size());
    std::string_view packed;
    if (compressible(x, bytes_min_))
      packed =
        stream_of_thread(level_, window_bits_).deflate(x.payload, buffer);
    if (packed.empty()) {
      out.append(x.whole);
      out.end_frame(x.op == ws_opcode::close);
    } else {
      append_ws_frame(out, x.op, packed, true);
      smaller = true;
    }
  }
  if (buffer.capacity() > kept_bytes_max)
    buffer = {};
  if (!smaller)
    return plain;
  out.fit();
  return out.finish();
}

const compression& deflater_of(const deflate_options& options,
                               int window_bits) {
  struct known {
    int level;
    std::size_t bytes_min;
    int window_bits;
    std::unique_ptr<const deflater> object;
  };

  static std::mutex mutex;
  static std::vector<known> all;
  std::lock_guard guard{mutex};
  for (auto& x : all)
    if (x.level == options.level && x.bytes_min == options.bytes_min
        && x.window_bits == window_bits)
      return *x.object;
  all.push_back({options.level, options.bytes_min, window_bits,
                 std::make_unique<const deflater>(options, window_bits)});
  return *all.back().object;
}

} // namespace greenroom::net
