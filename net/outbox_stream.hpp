#pragma once

// Include net/beast.hpp in front, with its WebSocket half; only .cpp files may.

#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "actors/wire.hpp"
#include "net/channel.hpp"
#include "net/io_loop.hpp"

namespace greenroom::net {

namespace asio = boost::asio;
namespace beast = boost::beast;

/// The context Beast's streams ask for. Nothing runs in it: their handlers run on
/// a unit's loop, and the timers they bring along are never armed.
inline asio::io_context& idle_context() {
  static asio::io_context context{1};
  return context;
}

/// An `io_loop` as Asio's executor: everything is deferred to it. Asio's own
/// `io_context` would do, were it not that the timer in every Beast stream puts
/// Asio's reactor into it: each poll would then cost another `epoll_wait`.
class loop_executor {
public:
  explicit loop_executor(io_loop& loop) noexcept : loop_(&loop) {}

  friend bool operator==(const loop_executor& x,
                         const loop_executor& y) noexcept {
    return x.loop_ == y.loop_;
  }

  friend bool operator!=(const loop_executor& x,
                         const loop_executor& y) noexcept {
    return x.loop_ != y.loop_;
  }

  asio::execution_context& query(asio::execution::context_t) const noexcept {
    return idle_context();
  }

  static constexpr asio::execution::blocking_t query(
    asio::execution::blocking_t) noexcept {
    return asio::execution::blocking.never;
  }

  template <class F>
  void execute(F&& f) const {
    loop_->defer(std::forward<F>(f));
  }

private:
  io_loop* loop_;
};

/// A `stream_op` around a handler of Beast.
template <class Handler>
class stream_op_of final : public stream_op {
public:
  explicit stream_op_of(Handler handler) : handler_(std::move(handler)) {}

  void run() override {
    if (!ready())
      return;
    auto handler = std::move(handler_);
    auto ec = to_error_code(error);
    auto n = bytes;
    delete this; // before the handler: it begins the next operation
    handler(ec, n);
  }

  void drop() noexcept override { delete this; }

private:
  static beast::error_code to_error_code(int error) {
    if (error == 0)
      return {};
    if (error == end_of_stream)
      return asio::error::eof;
    if (error == ECANCELED)
      return asio::error::operation_aborted;
    return {error, boost::system::system_category()};
  }

  Handler handler_;
};

/// The AsyncStream below `websocket::stream`: reads come from the channel, writes
/// go whole into its outbox, where the writer's ready-made frames go, too. It has
/// no next layer, so for Beast it is the lowest one.
/// @tparam Channel the transport with its outbox, see `channel`
template <class Channel>
class outbox_stream {
public:
  using executor_type = loop_executor;

  explicit outbox_stream(Channel& channel) noexcept : channel_(&channel) {}

  executor_type get_executor() const noexcept {
    return executor_type{channel_->loop()};
  }

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& into, Handler&& handler) {
    return asio::async_initiate<Handler, void(beast::error_code, std::size_t)>(
      [](auto h, Channel* from, const Buffers& buffers) {
        std::array<iovec, 2> parts{};
        std::size_t n = 0;
        for (auto i = asio::buffer_sequence_begin(buffers);
             i != asio::buffer_sequence_end(buffers) && n < parts.size(); ++i) {
          asio::mutable_buffer x{*i};
          if (x.size() != 0)
            parts[n++] = {x.data(), x.size()};
        }
        auto* op = new stream_op_of<decltype(h)>(std::move(h));
        from->read(*op, parts[0], parts[1]);
      },
      handler, channel_, into);
  }

  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& from, Handler&& handler) {
    return asio::async_initiate<Handler, void(beast::error_code, std::size_t)>(
      [](auto h, Channel* to, const Buffers& buffers) {
        wire_builder block{asio::buffer_size(buffers)};
        unsigned char first = 0;
        for (auto i = asio::buffer_sequence_begin(buffers);
             i != asio::buffer_sequence_end(buffers); ++i) {
          asio::const_buffer x{*i};
          if (block.empty() && x.size() != 0)
            first = *static_cast<const unsigned char*>(x.data());
          block.append({static_cast<const char*>(x.data()), x.size()});
        }
        // All that Beast writes are control frames, one a write.
        block.end_frame((first & 0x0F) == 8);
        auto* op = new stream_op_of<decltype(h)>(std::move(h));
        to->write(block.finish(), *op);
      },
      handler, channel_, from);
  }

  /// Beast calls it when one of its own timeouts fires; there is none.
  friend void beast_close_socket(outbox_stream&) {}

  /// Beast has said its last word. It does not wait until that is out: the
  /// session does, by `channel::finish`, and lets go of Beast meanwhile.
  template <class Handler>
  friend void async_teardown(beast::role_type, outbox_stream& x,
                             Handler&& handler) {
    asio::post(x.get_executor(),
               beast::bind_front_handler(std::forward<Handler>(handler),
                                         beast::error_code{}));
  }

private:
  Channel* channel_;
};

} // namespace greenroom::net
