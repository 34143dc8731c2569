#include "test/support/ws_client.hpp"

#include <stdexcept>

#include <fmt/format.h>

namespace greenroom::test {

namespace {

[[noreturn]] void fail(const std::string& text) {
  throw std::runtime_error(text);
}

/// A payload as an error text shows it.
std::string excerpt(std::string_view payload) {
  std::string result;
  for (auto c : payload.substr(0, 60)) {
    if (c >= ' ' && c <= '~')
      result += c;
    else
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return payload.size() > 60 ? result + "..." : result;
}

std::string describe(const ws_frame& frame) {
  return fmt::format("{} frame of {} bytes '{}'", to_string(frame.header.op),
                     frame.payload.size(), excerpt(frame.payload));
}

} // namespace

// -- connecting ---------------------------------------------------------------

ws_client::ws_client(ws_options options, tcp_stream stream,
                     http_response response)
  : options_(std::move(options)), stream_(std::move(stream)),
    response_(std::move(response)),
    compression_(response_.header("Sec-WebSocket-Extensions").has_value()) {}

std::variant<ws_client, http_response> ws_client::try_connect(
  const ws_options& options) {
  deadline until{options.timeout};
  auto stream = tcp_stream::connect({.host = options.host,
                                     .port = options.port,
                                     .local_address = options.local_address,
                                     .receive_buffer = options.receive_buffer},
                                    until);
  auto request = options.raw_handshake;
  if (request.empty())
    request = make_handshake({.host = options.host,
                              .port = options.port,
                              .path = options.path,
                              .headers = options.headers,
                              .origin = options.origin,
                              .subprotocol = options.subprotocol});
  stream.send(request + options.behind_handshake, until, true);
  auto response = read_response(stream, until);
  if (response.status != 101)
    return response;
  if (auto fault = fault_of_handshake(response, request); !fault.empty())
    fail("the server's handshake has " + fault);
  return ws_client{options, std::move(stream), std::move(response)};
}

ws_client ws_client::connect(const ws_options& options) {
  auto result = try_connect(options);
  if (auto* refusal = std::get_if<http_response>(&result))
    fail(fmt::format("the server refused {}: {} {} '{}'", options.path,
                     refusal->status, refusal->reason, excerpt(refusal->body)));
  return std::get<ws_client>(std::move(result));
}

http_response ws_client::expect_refusal(const ws_options& options) {
  auto result = try_connect(options);
  if (std::holds_alternative<ws_client>(result))
    fail("the server accepted " + options.path);
  return std::get<http_response>(std::move(result));
}

// -- sending ------------------------------------------------------------------

void ws_client::send_text(std::string_view payload) {
  send_frame({.op = opcode::text}, payload);
}

void ws_client::send_binary(std::string_view payload) {
  send_frame({.op = opcode::binary}, payload);
}

void ws_client::send_fragments(opcode op,
                               const std::vector<std::string_view>& pieces) {
  for (std::size_t i = 0; i < pieces.size(); ++i)
    send_frame(
      {.op = i == 0 ? op : opcode::continuation, .fin = i + 1 == pieces.size()},
      pieces[i]);
}

void ws_client::send_ping(std::string_view payload) {
  send_frame({.op = opcode::ping}, payload);
}

void ws_client::send_pong(std::string_view payload) {
  send_frame({.op = opcode::pong}, payload);
}

void ws_client::send_close(std::optional<std::uint16_t> code,
                           std::string_view reason) {
  send_frame({.op = opcode::close},
             code ? close_payload(*code, reason) : std::string{});
}

void ws_client::send_frame(const frame_spec& spec, std::string_view payload) {
  if (spec.op == opcode::close)
    close_sent_ = true;
  ++counts_.frames_out;
  send_raw(make_frame(spec, payload));
}

void ws_client::send_raw(std::string_view bytes) {
  stream_.send(bytes, due(), reading_);
}

std::size_t ws_client::send_some(std::string_view bytes) {
  return stream_.send_some(bytes);
}

// -- receiving ----------------------------------------------------------------

void ws_client::check_reading() const {
  if (!reading_)
    throw std::logic_error("this client was told to stop reading");
}

std::optional<ws_frame> ws_client::next_frame(const deadline& until) {
  check_reading();
  for (;;) {
    auto bytes = stream_.unread();
    if (auto header = parse_frame_header(bytes)) {
      if (const auto* fault = fault_of_server_frame(*header, compression_))
        fail(fmt::format("the server sent {}", fault));
      auto size = header->header_size + header->length;
      if (bytes.size() >= size) {
        ws_frame result{*header, std::string{bytes.substr(header->header_size,
                                                          header->length)}};
        stream_.consume(size);
        ++counts_.frames_in;
        if (closed_)
          fail("the server sent a " + describe(result) + " after its close");
        if (header->op == opcode::close)
          closed_ = parse_close(result.payload);
        return result;
      }
    }
    if (!stream_.fill(until)) {
      if (!stream_.unread().empty())
        fail("the connection ended within a frame");
      return std::nullopt;
    }
  }
}

std::optional<ws_message> ws_client::assemble(ws_frame frame) {
  auto first = frame.header.op != opcode::continuation;
  if (first == partial_.has_value())
    fail(first ? "the server began a message within another"
               : "the server continued a message that was not begun");
  if (first)
    partial_ = ws_message{frame.header.op, std::move(frame.payload),
                          frame.header.rsv != 0};
  else
    partial_->payload += frame.payload;
  if (!frame.header.fin)
    return std::nullopt;
  auto result = std::move(*partial_);
  partial_.reset();
  if (result.op == opcode::text && !result.compressed
      && !is_utf8(result.payload))
    fail("the server sent a text that is not UTF-8");
  ++counts_.messages_in;
  counts_.payload_bytes_in += result.payload.size();
  return result;
}

ws_frame ws_client::step(const deadline& until, std::string_view waiting_for) {
  std::optional<ws_frame> frame;
  try {
    frame = next_frame(until);
  } catch (const timeout_error&) {
    throw timeout_error(fmt::format(
      "no {} within {} ms; seen so far: {} messages, {} frames; {} bytes of "
      "another",
      waiting_for, options_.timeout.count(), counts_.messages_in,
      counts_.frames_in, stream_.unread().size()));
  }
  if (!frame)
    fail(fmt::format("the connection {} while waiting for {}; seen so far: {} "
                     "messages, {} frames",
                     stream_.end() == stream_end::fin ? "ended" : "was reset",
                     waiting_for, counts_.messages_in, counts_.frames_in));
  switch (frame->header.op) {
    case opcode::ping:
      ++counts_.pings_in;
      // After our close frame nothing may follow (RFC 6455 §5.5.1).
      if (options_.answer_pings && !close_sent_)
        send_pong(frame->payload);
      break;
    case opcode::pong:
      ++counts_.pongs_in;
      break;
    case opcode::close:
      if (options_.answer_close && !close_sent_) {
        // The server may be gone already, which is its good right.
        try {
          send_frame({.op = opcode::close}, frame->payload.substr(0, 2));
        } catch (const std::system_error&) {
          close_sent_ = true;
        }
      }
      break;
    default:
      break;
  }
  return std::move(*frame);
}

void ws_client::fail_if_closed(std::string_view waiting_for) const {
  if (closed_)
    fail(fmt::format("closed with {} '{}' while waiting for a {}",
                     closed_->code, closed_->reason, waiting_for));
}

ws_message ws_client::next_message(const deadline& until) {
  for (;;) {
    auto frame = step(until, "message");
    fail_if_closed("message");
    if (is_control(frame.header.op))
      continue;
    if (auto message = assemble(std::move(frame)))
      return std::move(*message);
  }
}

ws_message ws_client::receive() {
  return next_message(due());
}

std::string ws_client::receive_text() {
  auto message = receive();
  if (message.op != opcode::text)
    fail(fmt::format("a {} message instead of text: '{}'",
                     to_string(message.op), excerpt(message.payload)));
  return std::move(message.payload);
}

std::optional<ws_message> ws_client::try_receive(
  std::chrono::milliseconds span) {
  try {
    return next_message(deadline{span});
  } catch (const timeout_error&) {
    return std::nullopt;
  }
}

ws_frame ws_client::receive_frame() {
  auto until = due();
  auto frame = next_frame(until);
  if (!frame)
    fail("the connection ended while waiting for a frame");
  return std::move(*frame);
}

std::vector<ws_message> ws_client::expect_pong(std::string_view payload) {
  auto until = due();
  std::vector<ws_message> result;
  for (;;) {
    auto frame = step(until, "pong");
    fail_if_closed("pong");
    if (frame.header.op == opcode::pong && frame.payload == payload)
      return result;
    if (is_control(frame.header.op))
      continue;
    if (auto message = assemble(std::move(frame)))
      result.push_back(std::move(*message));
  }
}

std::vector<ws_message> ws_client::messages_until_pong() {
  auto payload = fmt::format("barrier {}", counts_.frames_out);
  send_ping(payload);
  return expect_pong(payload);
}

// -- ending -------------------------------------------------------------------

ws_goodbye ws_client::expect_close() {
  auto until = due();
  std::size_t skipped = 0;
  while (!closed_) {
    auto frame = step(until, "close frame");
    if (!is_control(frame.header.op) && assemble(std::move(frame)))
      ++skipped;
  }
  return {closed_->code, closed_->reason, skipped};
}

stream_end ws_client::expect_eof() {
  std::optional<ws_frame> frame;
  try {
    frame = next_frame(due());
  } catch (const timeout_error&) {
    throw timeout_error("the server keeps the connection open");
  }
  if (frame)
    fail("a " + describe(*frame) + " instead of the end");
  return *stream_.end();
}

ws_goodbye ws_client::close(std::uint16_t code, std::string_view reason) {
  send_close(code, reason);
  auto result = expect_close();
  expect_eof();
  return result;
}

void ws_client::reset() {
  stream_.reset();
}

void ws_client::drop() {
  stream_.close();
}

void ws_client::shutdown_write() {
  stream_.shutdown_write();
}

void ws_client::stop_reading() {
  reading_ = false;
}

void ws_client::resume_reading() {
  reading_ = true;
}

} // namespace greenroom::test
