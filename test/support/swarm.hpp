#pragma once

#include "test/support/tcp.hpp"
#include "test/support/ws_wire.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace greenroom::test {

struct swarm_options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  /// Addresses to connect from, dealt in turn; empty: any. One address has room
  /// for some 28 000 connections.
  std::vector<std::string> local_addresses = {};
  /// Connections that are being opened at the same time. More of them finish
  /// sooner until the listener's backlog overflows.
  std::size_t handshakes_max = 64;
  /// SO_RCVBUF in bytes; 0 leaves the kernel's choice.
  int receive_buffer = 0;
  /// Further fields of every handshake.
  header_list headers = {};
  std::string subprotocol = {};
  /// What every `deflate_every`th client offers as Sec-WebSocket-Extensions. Where
  /// the server agrees, its messages are inflated before a handler gets them.
  std::string deflate_offer = {};
  std::size_t deflate_every = 1;
  /// For waits that name no other.
  std::chrono::milliseconds timeout = std::chrono::seconds{30};
};

enum class client_state {
  /// Its turn to connect has not come.
  waiting,
  connecting,
  handshaking,
  open,
  /// The connection ended, whoever began.
  closed,
  /// The handshake was refused or failed.
  refused,
};

/// Many WebSocket clients in one thread, over epoll. Nothing happens but in
/// `step` and what calls it. All calls from one thread; see `swarm_thread`.
class swarm {
public:
  using index = std::size_t;

  /// Gets each data message, put together. It may call the swarm.
  using message_handler =
    std::function<void(index, opcode, std::string_view payload)>;

  /// Raises the soft limit of open files to the hard one.
  explicit swarm(swarm_options options, message_handler handler = {});

  ~swarm();

  swarm(const swarm&) = delete;
  swarm& operator=(const swarm&) = delete;

  // -- clients --

  /// Adds a client, which connects as soon as its turn comes.
  index add(std::string path);

  /// Adds clients for the same path. @returns the first
  index add(const std::string& path, std::size_t count);

  /// Sends a message with the next step, joined with what else waits.
  void send(index id, opcode op, std::string_view payload);

  /// Sends any bytes with the next step.
  void send_raw(index id, std::string_view bytes);

  /// Sends a close frame with the next step. The server's answer ends it.
  void close(index id, std::uint16_t code = 1000, std::string_view reason = {});

  /// Ends a connection with RST, at once.
  void reset(index id);

  /// Reads no more from this client's socket, so that it fills up.
  void stop_reading(index id);
  void resume_reading(index id);

  // -- running --

  /// Sends what waits, then handles what is ready, waiting for at most `span`.
  void step(std::chrono::milliseconds span);

  /// Steps until the condition holds, which is asked after each step.
  /// @throws timeout_error that describes the swarm
  void run_until(const std::function<bool()>& done,
                 std::optional<std::chrono::milliseconds> timeout = {});

  /// Steps until every client added so far is open.
  /// @throws std::runtime_error if one is refused
  void open_all(std::optional<std::chrono::milliseconds> timeout = {});

  /// Steps until everything that waits to be sent is with the kernel.
  void flush(std::optional<std::chrono::milliseconds> timeout = {});

  /// Ends a `step` that waits; the only call for other threads.
  void wake();

  // -- looking --

  std::size_t size() const { return clients_.size(); }

  /// How many clients are in this state.
  std::size_t count(client_state state) const {
    return by_state_[static_cast<std::size_t>(state)];
  }

  client_state state(index id) const { return clients_.at(id).state; }

  /// How the server ended it: its close frame, or 1006 without one; nothing
  /// while it has not, and after our own `reset`.
  const std::optional<close_words>& words(index id) const {
    return clients_.at(id).words;
  }

  /// The HTTP status of a client that was refused, 0 if there was none.
  int refusal(index id) const { return clients_.at(id).refusal; }

  /// How many clients the server ended with this code.
  std::size_t count_code(std::uint16_t code) const;

  std::uint64_t messages(index id) const { return clients_.at(id).messages; }

  std::uint64_t messages() const { return messages_; }

  /// Answers to our pings, of all clients.
  std::uint64_t pongs() const { return pongs_; }

  /// How many of them came compressed.
  std::uint64_t deflated_messages() const { return deflated_messages_; }

  /// Bytes that wait in us because the kernel takes no more.
  std::size_t unsent(index id) const { return clients_.at(id).out.size(); }

  /// Violations of the protocol by the server, failed connects, and what a
  /// handler has thrown (runtime_error); at most 20. Such a client is reset.
  const std::vector<std::string>& faults() const { return faults_; }

  std::string describe() const;

private:
  struct record {
    unique_fd fd;
    client_state state = client_state::waiting;
    bool reading = true;
    bool dirty = false;
    bool close_sent = false;
    bool fragmented = false;
    bool deflate = false;  // was agreed on
    bool deflated = false; // the current message is
    opcode fragment_op = opcode::text;
    std::uint32_t events = 0;
    int refusal = 0;
    std::uint64_t messages = 0;
    std::string path;
    std::string request;
    std::string in;
    std::string out;
    std::string fragments;
    std::optional<close_words> words;
  };

  void open_more();
  void start(index id);
  void on_ready(index id, std::uint32_t events);
  void on_connected(index id);
  void on_readable(index id);
  /// @returns how many bytes it has used
  std::size_t parse_handshake(index id, std::string_view bytes);
  std::size_t parse_frames(index id, std::string_view bytes);
  void on_frame(index id, const frame_header& header, std::string_view payload);
  void on_data(index id, const frame_header& header, std::string_view payload);
  void on_close(index id, std::string_view payload);
  void write(index id);
  void watch(index id);
  void mark_dirty(index id);
  void enter(record& who, client_state state);
  /// Gives the descriptor back.
  void end(index id, client_state state);
  void blame(index id, std::string_view what);

  swarm_options options_;
  message_handler handler_;
  unique_fd epoll_;
  unique_fd wake_;
  std::string chunk_;
  /// A deque, as handlers may add clients.
  std::deque<record> clients_;
  std::array<std::size_t, 6> by_state_ = {};
  std::size_t next_to_open_ = 0;
  std::vector<index> dirty_;
  std::vector<std::string> faults_;
  std::uint64_t messages_ = 0;
  std::uint64_t deflated_messages_ = 0;
  std::uint64_t pongs_ = 0;
};

} // namespace greenroom::test
