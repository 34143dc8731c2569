#pragma once

#include "test/support/tcp.hpp"
#include "test/support/ws_wire.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace greenroom::test {

struct ws_options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string path = "/";
  header_list headers = {};
  std::string origin = {};
  /// The value of Sec-WebSocket-Protocol, a list being possible.
  std::string subprotocol = {};
  /// The address to connect from, such as 127.0.0.2.
  std::string local_address = {};
  /// SO_RCVBUF in bytes; 0 leaves the kernel's choice.
  int receive_buffer = 0;
  /// A whole request to send instead of the generated one.
  std::string raw_handshake = {};
  /// Bytes to send right behind the handshake, in the same segment.
  std::string behind_handshake = {};
  /// For each single wait of the client.
  std::chrono::milliseconds timeout = std::chrono::seconds{10};
  /// Whether pings are answered, which happens within the receiving calls.
  bool answer_pings = true;
  /// Whether a close frame is answered, if we have not sent ours before.
  bool answer_close = true;
};

/// A data message, put together from its fragments.
struct ws_message {
  opcode op = opcode::text;
  std::string payload = {};
  /// RSV1 was set: the payload is deflated.
  bool compressed = false;

  bool operator==(const ws_message&) const = default;
};

/// A frame as it came, its payload unmasked.
struct ws_frame {
  frame_header header = {};
  std::string payload = {};
};

/// How the server said goodbye.
struct ws_goodbye {
  std::uint16_t code = 1005;
  std::string reason = {};
  /// Data messages that came before it and were thrown away.
  std::size_t skipped = 0;
};

/// What a client has seen and sent so far.
struct ws_counts {
  std::uint64_t frames_in = 0;
  std::uint64_t messages_in = 0;
  std::uint64_t payload_bytes_in = 0;
  std::uint64_t pings_in = 0;
  std::uint64_t pongs_in = 0;
  std::uint64_t frames_out = 0;
};

/// A WebSocket client for tests: blocking, with a deadline on every wait,
/// strict about what the server sends, able to send anything. It reads only
/// within the receiving calls, and while a send has to wait.
///
/// Every failure is a std::runtime_error (timeout_error for a deadline) whose
/// text says what was waited for and what was seen.
class ws_client {
public:
  // -- connecting --

  /// Opens a connection. @throws std::runtime_error if the server refuses
  static ws_client connect(const ws_options& options);

  /// Opens a connection, or returns the response of a server that refuses.
  static std::variant<ws_client, http_response> try_connect(
    const ws_options& options);

  /// @returns the refusal @throws std::runtime_error if the server accepts
  static http_response expect_refusal(const ws_options& options);

  // -- sending --

  void send_text(std::string_view payload);
  void send_binary(std::string_view payload);

  /// Sends one message in these pieces, a frame each.
  void send_fragments(opcode op, const std::vector<std::string_view>& pieces);

  void send_ping(std::string_view payload = {});
  void send_pong(std::string_view payload = {});

  /// Sends a close frame; without a code it is empty.
  void send_close(std::optional<std::uint16_t> code = 1000,
                  std::string_view reason = {});

  /// Sends any frame, right or wrong.
  void send_frame(const frame_spec& spec, std::string_view payload = {});

  /// Sends these very bytes.
  void send_raw(std::string_view bytes);

  /// Sends what the kernel takes at once, and waits for nothing.
  /// @returns the number of bytes
  std::size_t send_some(std::string_view bytes);

  // -- receiving --

  /// Waits for the next data message.
  /// @throws std::runtime_error if the connection is closed before
  ws_message receive();

  /// As `receive`, for text: anything else is an error.
  std::string receive_text();

  /// As `receive`, but nothing if none is complete within this time.
  std::optional<ws_message> try_receive(std::chrono::milliseconds span);

  /// Waits for the next frame of any kind. Nothing is answered or put together;
  /// the headers are still checked.
  ws_frame receive_frame();

  /// Waits for the pong with this payload. @returns the messages before it
  std::vector<ws_message> expect_pong(std::string_view payload);

  /// Sends a ping and gathers the messages that come before its pong: what the
  /// server had sent by then, without waiting for a time to pass.
  std::vector<ws_message> messages_until_pong();

  // -- ending --

  /// Waits for a close frame; data before it is counted and thrown away.
  ws_goodbye expect_close();

  /// Waits for the end of the stream. @throws std::runtime_error if frames come
  stream_end expect_eof();

  /// A whole goodbye: sends a close frame, waits for its answer and the end.
  /// @returns the server's words
  ws_goodbye close(std::uint16_t code = 1000, std::string_view reason = {});

  /// Ends the connection with RST.
  void reset();

  /// Ends it with FIN, without a word.
  void drop();

  /// Ends our direction only (FIN).
  void shutdown_write();

  /// From now on nothing is read, not even while a send waits; receiving is
  /// then a mistake of the test (std::logic_error).
  void stop_reading();
  void resume_reading();

  // -- looking --

  /// The 101 response.
  const http_response& response() const { return response_; }

  const ws_counts& counts() const { return counts_; }

  /// The transport, for byte counts, ports and descriptors.
  tcp_stream& stream() { return stream_; }

  void set_timeout(std::chrono::milliseconds timeout) {
    options_.timeout = timeout;
  }

  void set_answer_pings(bool answer) { options_.answer_pings = answer; }

private:
  ws_client(ws_options options, tcp_stream stream, http_response response);

  deadline due() const { return deadline{options_.timeout}; }

  /// @returns nothing at the end of the stream
  std::optional<ws_frame> next_frame(const deadline& until);

  /// Reads up to the next message, pong or close, and says where it stands.
  ws_frame step(const deadline& until, std::string_view waiting_for);

  /// Adds a data frame. @returns the message it completes
  std::optional<ws_message> assemble(ws_frame frame);

  ws_message next_message(const deadline& until);

  void fail_if_closed(std::string_view waiting_for) const;

  void check_reading() const;

  ws_options options_;
  tcp_stream stream_;
  http_response response_;
  bool compression_ = false;
  bool reading_ = true;
  bool close_sent_ = false;
  std::optional<close_words> closed_;
  std::optional<ws_message> partial_;
  ws_counts counts_;
};

} // namespace greenroom::test
