#include "app/commands/client/http.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <system_error>

#include <fmt/format.h>
#include <poll.h>

#include "app/commands/client/args.hpp"

namespace greenroom::client {

namespace {

using state = http_reading::state;

std::string lower(std::string_view text) {
  std::string result{text};
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

std::string_view trim(std::string_view text) {
  auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && blank(text.back()))
    text.remove_suffix(1);
  return text;
}

std::optional<std::size_t> number(std::string_view text, int base) {
  std::size_t value = 0;
  auto* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, value, base);
  if (text.empty() || error != std::errc{} || rest != end)
    return std::nullopt;
  return value;
}

http_reading broken(std::string_view why) {
  http_reading result;
  result.what = state::broken;
  result.answer.words = std::string{why};
  return result;
}

/// What of the head says how long the body is and what follows it.
struct framing {
  std::optional<std::size_t> length;
  bool chunked = false;
  bool closes = false;
};

std::optional<framing> framing_of(std::string_view head) {
  framing result;
  result.closes = head.starts_with("HTTP/1.0");
  while (!head.empty()) {
    auto end = head.find("\r\n");
    auto line = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
    auto colon = line.find(':');
    if (colon == std::string_view::npos)
      continue;
    auto name = lower(line.substr(0, colon));
    auto value = lower(trim(line.substr(colon + 1)));
    if (name == "content-length") {
      result.length = number(value, 10);
      if (!result.length)
        return std::nullopt;
    } else if (name == "transfer-encoding") {
      if (value != "chunked")
        return std::nullopt;
      result.chunked = true;
    } else if (name == "connection" && value == "close") {
      result.closes = true;
    }
  }
  return result;
}

/// Takes chunks apart (RFC 9112 §7.1). @returns whether the last one was there
std::optional<bool> unchunk(std::string_view bytes, std::string& body) {
  for (;;) {
    auto end = bytes.find("\r\n");
    if (end == std::string_view::npos)
      return false;
    auto line = bytes.substr(0, end);
    auto size = number(trim(line.substr(0, line.find(';'))), 16);
    if (!size || *size > http_body_bytes_max)
      return std::nullopt;
    bytes.remove_prefix(end + 2);
    if (*size == 0) // trailers, if any, and an empty line
      return bytes.starts_with("\r\n")
             || bytes.find("\r\n\r\n") != std::string_view::npos;
    if (bytes.size() < *size + 2)
      return false;
    if (bytes.substr(*size, 2) != "\r\n")
      return std::nullopt;
    body += bytes.substr(0, *size);
    bytes.remove_prefix(*size + 2);
  }
}

} // namespace

http_reading read_http_answer(std::string_view bytes, bool ended) {
  auto head_end = bytes.find("\r\n\r\n");
  if (head_end == std::string_view::npos) {
    if (ended)
      return broken(bytes.empty() ? "closed without an answer"
                                  : "closed within an answer");
    if (bytes.size() > http_head_bytes_max
        || !std::string_view{"HTTP/1."}.starts_with(bytes.substr(0, 7)))
      return broken("does not speak HTTP");
    return {};
  }
  auto head = bytes.substr(0, head_end);
  auto body = bytes.substr(head_end + 4);
  http_reading result;
  auto status =
    number(head.substr(std::min<std::size_t>(9, head.size()), 3), 10);
  if (!head.starts_with("HTTP/1.") || !status)
    return broken("does not speak HTTP");
  result.answer.status = static_cast<int>(*status);
  result.answer.words = printable(head.substr(9, head.find("\r\n") - 9));
  auto frame = framing_of(head);
  if (!frame)
    return broken("an answer of unknown length");
  if (body.size() > http_body_bytes_max
      || (frame->length && *frame->length > http_body_bytes_max))
    return broken("an answer that is too long");
  result.keeps = !frame->closes;
  if (frame->chunked) {
    auto whole = unchunk(body, result.answer.body);
    if (!whole)
      return broken("an answer with broken chunks");
    if (*whole) {
      result.what = state::done;
      return result;
    }
  } else if (frame->length) {
    if (body.size() >= *frame->length) {
      result.answer.body = body.substr(0, *frame->length);
      result.what = state::done;
      return result;
    }
  } else if (ended) {
    result.answer.body = body;
    result.keeps = false;
    result.what = state::done;
    return result;
  }
  if (ended)
    return broken("closed within an answer");
  return {};
}

// -- the connection ---------------------------------------------------------------

void http_line::start(std::string request, clock::time_point due) {
  request_ = std::move(request);
  due_ = due;
  busy_ = true;
  in_.clear();
  out_.clear();
  out_.in() = request_;
  if (socket_)
    return;
  next_ = 0;
  error_ = 0;
  connect_next();
}

void http_line::abandon() {
  busy_ = false;
  socket_.reset(); // its answer would be taken for the next one's
}

short http_line::events() const noexcept {
  if (!busy_)
    return 0;
  return static_cast<short>(POLLIN
                            | (connecting_ || !out_.empty() ? POLLOUT : 0));
}

void http_line::connect_next() {
  connecting_ = true;
  fresh_ = true;
  for (; next_ < endpoints_.size(); ++next_) {
    socket_ = start_connect(endpoints_[next_]);
    if (socket_)
      return;
    error_ = more_telling(error_, errno);
  }
}

std::optional<http_answer> http_line::failed(std::string_view why) {
  abandon();
  return http_answer{0, {}, std::string{why}};
}

std::optional<http_answer> http_line::step() {
  if (!busy_)
    return std::nullopt;
  if (clock::now() >= due_)
    return failed("no answer in time");
  if (socket_ && connecting_) {
    pollfd ready{socket_.get(), POLLOUT, 0};
    if (::poll(&ready, 1, 0) <= 0)
      return std::nullopt;
    if (auto error = connect_error(socket_.get())) {
      error_ = more_telling(error_, error);
      socket_.reset();
      ++next_;
      connect_next();
    } else {
      connecting_ = false;
    }
  }
  if (!socket_)
    return failed(std::error_code{error_, std::generic_category()}.message());
  if (connecting_)
    return std::nullopt;
  // What the server said before it went is still there to be read.
  if (send_some(socket_.get(), out_) != 0)
    out_.clear();
  return take();
}

std::optional<http_answer> http_line::take() {
  std::array<char, 64 * 1024> buffer;
  for (;;) {
    auto n = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      return std::nullopt;
    // A connection that was kept may have ended while nobody looked.
    if (n <= 0 && in_.empty() && !fresh_) {
      socket_.reset();
      out_.clear();
      out_.in() = request_;
      next_ = 0;
      error_ = 0;
      connect_next();
      return std::nullopt;
    }
    if (n < 0)
      return failed(std::error_code{errno, std::generic_category()}.message());
    in_.append(buffer.data(), static_cast<std::size_t>(n));
    auto reading = read_http_answer(in_, n == 0);
    if (reading.what == state::need_more)
      continue;
    if (reading.what == state::broken)
      return failed(reading.answer.words);
    busy_ = false;
    fresh_ = false;
    if (!reading.keeps || n == 0)
      socket_.reset();
    return std::move(reading.answer);
  }
}

} // namespace greenroom::client
