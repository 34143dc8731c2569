#include "net/inflater.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <new>
#include <string_view>

namespace greenroom::net {

namespace {

// A message may go on behind a block that says it is the last (RFC 7692 §7.2.3.4);
// each of them costs a new start, and nobody needs more than one.
constexpr int last_blocks_max = 8;

constexpr std::size_t largest_window = std::size_t{1} << 15;

Bytef* bytes_of(std::string_view text) noexcept {
  // zlib does not write to its input.
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

/// A thread's stream: begins anew with each message.
class stream {
public:
  stream() {
    // The largest window understands the messages of all others.
    if (::inflateInit2(&zlib_, -15) != Z_OK)
      throw std::bad_alloc();
  }

  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;

  ~stream() { ::inflateEnd(&zlib_); }

  inflater::outcome run(std::string_view history, std::string_view in,
                        std::size_t bytes_max, std::string& out) {
    zlib_.next_in = bytes_of(in);
    zlib_.avail_in = static_cast<uInt>(in.size());
    begin(history);
    auto last_blocks = 0;
    for (;;) {
      zlib_.next_out = reinterpret_cast<Bytef*>(chunk_.data());
      zlib_.avail_out = static_cast<uInt>(chunk_.size());
      auto result = ::inflate(&zlib_, Z_SYNC_FLUSH);
      auto made = chunk_.size() - zlib_.avail_out;
      if (made > bytes_max - out.size())
        return inflater::outcome::too_big;
      out.append(chunk_.data(), made);
      if (result == Z_STREAM_END) {
        if (zlib_.avail_in == 0)
          return inflater::outcome::done;
        if (++last_blocks > last_blocks_max)
          return inflater::outcome::broken;
        begin_behind(history, out);
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return inflater::outcome::broken;
      } else if (zlib_.avail_out != 0) {
        // All is read. What was cut off the end (§7.2.1) is missing behind the
        // header of an empty block, and need not be put there.
        return ::inflateSyncPoint(&zlib_) == 1 ? inflater::outcome::done
                                               : inflater::outcome::broken;
      }
    }
  }

private:
  void begin(std::string_view history) noexcept {
    ::inflateReset(&zlib_);
    if (!history.empty())
      ::inflateSetDictionary(&zlib_, bytes_of(history),
                             static_cast<uInt>(history.size()));
  }

  // What comes may refer to all that came before, in this message or an earlier one.
  void begin_behind(std::string_view history, const std::string& out) {
    std::string before;
    if (out.size() < largest_window)
      before = history.substr(
        history.size() - std::min(history.size(), largest_window - out.size()));
    before.append(out, out.size() - std::min(out.size(), largest_window));
    begin(before);
  }

  z_stream zlib_{};
  std::array<char, std::size_t{16} * 1024> chunk_;
};

} // namespace

inflater::outcome inflater::inflate(const std::string& in,
                                    std::size_t bytes_max, std::string& out) {
  thread_local stream zlib;
  out.clear();
  // An empty message should be a byte of zero (§7.2.3.6); none is as clear.
  auto result = in.empty() ? outcome::done
                           : zlib.run({history_.data(), history_.size()}, in,
                                      bytes_max, out);
  if (takeover_ && result == outcome::done)
    remember(out);
  return result;
}

void inflater::remember(const std::string& message) {
  auto window = std::size_t{1} << window_bits_;
  auto fresh = std::min(message.size(), window);
  auto kept = std::min(history_.size(), window - fresh);
  history_.erase(history_.begin(),
                 history_.end() - static_cast<std::ptrdiff_t>(kept));
  if (auto size = kept + fresh; history_.capacity() < size)
    history_.reserve(std::min(window, std::max(2 * history_.capacity(), size)));
  history_.insert(history_.end(),
                  message.end() - static_cast<std::ptrdiff_t>(fresh),
                  message.end());
}

} // namespace greenroom::net
