#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "app/commands/client/frame.hpp"
#include "app/commands/client/handshake.hpp"
#include "app/commands/client/socket.hpp"
#include "app/commands/client/url.hpp"

namespace greenroom::client {

/// Nanoseconds of the monotonic clock.
std::uint64_t now_ns() noexcept;

/// How a connection of a crowd ended.
enum class ending : std::uint8_t {
  refused,    ///< it never opened
  dropped,    ///< it was open, and the server ended or broke it
  closed,     ///< we asked, and the server did its part
  unanswered, ///< we asked, and the server did not answer in time
};

/// Who uses a crowd. Calls come from within `crowd::poll`, and may call the crowd.
class crowd_events {
public:
  virtual ~crowd_events() = default;

  /// Path and query a connection asks for.
  virtual std::string target_of(std::uint32_t who) = 0;

  /// @param took from the connect to the end of the handshake, in nanoseconds
  virtual void on_open(std::uint32_t who, std::uint64_t took) = 0;

  virtual void on_message(std::uint32_t who, ws_opcode op,
                          std::string_view payload) = 0;

  virtual void on_pong(std::uint32_t who) = 0;

  virtual void on_end(std::uint32_t who, ending how) = 0;
};

struct crowd_options {
  url to;
  endpoint address;
  /// Addresses to connect from, dealt in turn; empty: the kernel's choice.
  std::vector<endpoint> sources;
  /// Bigger messages are a fault of the server.
  std::size_t message_bytes_max = 16 * 1024 * 1024;
  std::chrono::nanoseconds open_timeout = std::chrono::seconds{10};
  std::chrono::nanoseconds close_timeout = std::chrono::seconds{1};
};

/// Many WebSocket connections to one server in one thread, made to cost little:
/// one edge-triggered epoll, one big read buffer, messages handed out where they
/// lie in it.
class crowd {
public:
  /// @param events outlives this
  /// @throws std::system_error
  crowd(crowd_options options, std::uint32_t size, crowd_events& events);

  ~crowd();

  crowd(const crowd&) = delete;
  crowd& operator=(const crowd&) = delete;

  // -- one connection --

  /// Begins to connect. @pre it is not open nor opening
  void open(std::uint32_t who);

  bool is_open(std::uint32_t who) const {
    return peers_[who].state == stage::open;
  }

  /// Sends at once what the kernel takes; the rest follows.
  void send(std::uint32_t who, ws_opcode op, std::string_view payload);

  /// Bytes that wait because the kernel takes no more.
  std::size_t unsent(std::uint32_t who) const {
    return peers_[who].out.waiting().size();
  }

  /// Starts the closing handshake of an open connection.
  void close(std::uint32_t who);

  // -- all of them --

  /// Handles what is ready, or waits for it until then, at most 50 ms.
  void poll(std::uint64_t until);

  /// Says goodbye to everybody and waits until all are gone or the deadline.
  void close_all(std::uint64_t until);

  /// The time at which the bytes at hand were read.
  std::uint64_t read_at() const { return read_at_; }

  std::size_t size() const { return peers_.size(); }
  std::size_t opening() const { return opening_count_; }
  std::size_t open_now() const { return open_count_; }

  /// Calls of `recv` so far.
  std::uint64_t reads() const { return reads_; }

  /// Why connections were refused or dropped, and how often: at most 8 different
  /// texts and one for the others.
  const std::map<std::string, std::uint64_t>& complaints() const {
    return complaints_;
  }

private:
  enum class stage : std::uint8_t { gone, connecting, shaking, open, closing };

  struct peer {
    explicit peer(std::size_t message_bytes_max) : reader(message_bytes_max) {}

    unique_fd fd;
    stage state = stage::gone;
    /// Tells events of an earlier connection of the same number apart.
    std::uint32_t turn = 0;
    std::uint64_t since = 0;
    frame_reader reader;
    byte_queue out;
    std::string answer;
  };

  struct due {
    std::uint64_t at;
    std::uint32_t who;
    std::uint32_t turn;
  };

  void on_ready(std::uint32_t who, std::uint32_t events);
  void on_connected(std::uint32_t who);
  /// @param to_the_end whether the stream has ended: no other edge will tell
  void on_readable(std::uint32_t who, bool to_the_end);
  void on_answer(std::uint32_t who, std::string_view bytes, bool ended);
  void on_frames(std::uint32_t who, std::string_view bytes);
  void on_control(peer& x, std::uint32_t who);
  void flush(std::uint32_t who);
  void expire();
  void end(std::uint32_t who, ending how);
  void complain(std::string words);
  void enter(peer& x, stage state);

  crowd_options options_;
  crowd_events& events_;
  unique_fd epoll_;
  std::vector<peer> peers_;
  std::string key_;
  std::string accept_;
  std::size_t next_source_ = 0;
  std::size_t opening_count_ = 0;
  std::size_t open_count_ = 0;
  std::uint64_t reads_ = 0;
  std::uint64_t read_at_ = 0;
  std::deque<due> opening_;
  std::deque<due> closing_;
  std::map<std::string, std::uint64_t> complaints_;
  std::string frame_;
  std::vector<char> buffer_;
};

} // namespace greenroom::client
