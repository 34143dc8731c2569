#include "test/support/deflate_codec.hpp"

#include <zlib.h>

#include <array>
#include <stdexcept>

namespace greenroom::test {

namespace {

constexpr std::string_view tail{"\0\0\xff\xff", 4};

Bytef* bytes_of(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

} // namespace

std::string inflate_message(std::string_view payload, int window_bits) {
  z_stream zlib{};
  if (::inflateInit2(&zlib, -window_bits) != Z_OK)
    throw std::runtime_error("no memory for zlib");
  std::string whole{payload};
  whole += tail;
  zlib.next_in = bytes_of(whole);
  zlib.avail_in = static_cast<uInt>(whole.size());
  std::string out;
  std::array<char, 16384> chunk;
  // zlib looks at its window only for what is not in the output, so that shows a
  // reference beyond a smaller one only where the output has no room.
  const auto room = window_bits < 15 ? 1 : chunk.size();
  int result = Z_OK;
  do {
    zlib.next_out = bytes_of({chunk.data(), room});
    zlib.avail_out = static_cast<uInt>(room);
    result = ::inflate(&zlib, Z_SYNC_FLUSH);
    out.append(chunk.data(), room - zlib.avail_out);
  } while (result == Z_OK && zlib.avail_out == 0);
  auto left = zlib.avail_in;
  ::inflateEnd(&zlib);
  if ((result != Z_OK && result != Z_BUF_ERROR) || left != 0)
    throw std::runtime_error("a message that cannot be inflated");
  return out;
}

struct message_deflater::state {
  z_stream zlib{};
  bool context = false;

  std::string run(std::string_view text, int flush) {
    std::string out;
    std::array<char, 16384> chunk;
    zlib.next_in = bytes_of(text);
    zlib.avail_in = static_cast<uInt>(text.size());
    do {
      zlib.next_out = bytes_of({chunk.data(), chunk.size()});
      zlib.avail_out = static_cast<uInt>(chunk.size());
      ::deflate(&zlib, flush);
      out.append(chunk.data(), chunk.size() - zlib.avail_out);
    } while (zlib.avail_out == 0);
    return out;
  }
};

message_deflater::message_deflater(int window_bits, bool context, int level)
  : state_(std::make_unique<state>()) {
  state_->context = context;
  if (::deflateInit2(&state_->zlib, level, Z_DEFLATED, -window_bits, 8,
                     Z_DEFAULT_STRATEGY)
      != Z_OK)
    throw std::runtime_error("zlib does not start");
}

message_deflater::~message_deflater() {
  ::deflateEnd(&state_->zlib);
}

std::string message_deflater::operator()(std::string_view message) {
  if (!state_->context)
    ::deflateReset(&state_->zlib);
  auto out = state_->run(message, Z_SYNC_FLUSH);
  out.resize(out.size() - tail.size());
  return out;
}

std::string deflated_zeros(std::size_t size) {
  message_deflater::state how;
  if (::deflateInit2(&how.zlib, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY)
      != Z_OK)
    throw std::runtime_error("zlib does not start");
  const std::string zeros(1 << 20, '\0');
  // Behind a full flush nothing refers to what was before, so it may be repeated.
  const auto block = how.run(zeros, Z_FULL_FLUSH);
  std::string out;
  for (; size > zeros.size(); size -= zeros.size())
    out += block;
  out += how.run(std::string_view{zeros}.substr(0, size), Z_SYNC_FLUSH);
  ::deflateEnd(&how.zlib);
  out.resize(out.size() - tail.size());
  return out;
}

} // namespace greenroom::test
