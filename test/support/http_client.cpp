#include "test/support/http_client.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include <fmt/format.h>

namespace greenroom::test {

namespace {

constexpr std::string_view crlf = "\r\n";

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trim(std::string_view text) {
  auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

[[noreturn]] void malformed(std::string_view what, std::string_view where) {
  throw std::runtime_error(
    fmt::format("malformed response, {}: '{}'", what, where.substr(0, 200)));
}

std::size_t to_size(std::string_view text, int base) {
  std::size_t result = 0;
  auto last = text.data() + text.size();
  auto [end, error] = std::from_chars(text.data(), last, result, base);
  if (error != std::errc{} || end != last)
    malformed("not a length", text);
  return result;
}

void need(tcp_stream& from, std::size_t count, const deadline& until) {
  while (from.unread().size() < count) {
    if (!from.fill(until))
      throw std::runtime_error("the connection ended within a response");
  }
}

std::string take(tcp_stream& from, std::size_t count, const deadline& until) {
  need(from, count, until);
  std::string result{from.unread().substr(0, count)};
  from.consume(count);
  return result;
}

std::string take_line(tcp_stream& from, const deadline& until) {
  for (;;) {
    if (auto end = from.unread().find(crlf); end != std::string_view::npos) {
      auto result = take(from, end, until);
      from.consume(crlf.size());
      return result;
    }
    need(from, from.unread().size() + 1, until);
  }
}

std::string take_chunks(tcp_stream& from, const deadline& until) {
  std::string result;
  for (;;) {
    auto line = take_line(from, until);
    auto size = to_size(trim(line.substr(0, line.find(';'))), 16);
    if (size == 0)
      break;
    result += take(from, size, until);
    if (auto end = take_line(from, until); !end.empty())
      malformed("bytes behind a chunk", end);
  }
  while (!take_line(from, until).empty()) {
    // Trailer fields are of no interest.
  }
  return result;
}

std::string take_all(tcp_stream& from, const deadline& until) {
  while (from.fill(until)) {
    // The end of the connection is the end of the body.
  }
  if (from.end() == stream_end::reset)
    throw std::runtime_error("the connection was reset within a response");
  std::string result{from.unread()};
  from.consume(result.size());
  return result;
}

} // namespace

std::string host_field(std::string_view host, std::uint16_t port) {
  auto v6 = host.find(':') != std::string_view::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

bool equal_ignoring_case(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

// -- http_response ------------------------------------------------------------

std::optional<std::string> http_response::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equal_ignoring_case(key, name))
      return value;
  }
  return std::nullopt;
}

std::size_t http_response::count(std::string_view name) const {
  return static_cast<std::size_t>(
    std::count_if(headers.begin(), headers.end(), [name](const auto& field) {
      return equal_ignoring_case(field.first, name);
    }));
}

bool http_response::lists(std::string_view name,
                          std::string_view element) const {
  for (const auto& [key, value] : headers) {
    if (!equal_ignoring_case(key, name))
      continue;
    for (std::string_view rest = value; !rest.empty();) {
      auto comma = std::min(rest.find(','), rest.size());
      if (equal_ignoring_case(trim(rest.substr(0, comma)), element))
        return true;
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return false;
}

// -- parsing ------------------------------------------------------------------

std::optional<std::pair<http_response, std::size_t>> parse_response_head(
  std::string_view bytes) {
  constexpr std::string_view protocol = "HTTP/1.";
  if (bytes.substr(0, protocol.size()) != protocol.substr(0, bytes.size()))
    malformed("not HTTP/1", bytes);
  auto size = bytes.find("\r\n\r\n");
  if (size == std::string_view::npos)
    return std::nullopt;
  size += 2 * crlf.size();
  http_response result;
  auto rest = bytes.substr(0, size - crlf.size());
  auto next_line = [&rest] {
    auto end = rest.find(crlf);
    auto line = rest.substr(0, end);
    rest.remove_prefix(end + crlf.size());
    if (line.find_first_of("\r\n") != std::string_view::npos)
      malformed("bare CR or LF", line);
    return line;
  };
  // "HTTP/1.1 200 OK"; the reason may be empty, the space before it may not.
  auto status = next_line();
  if (status.size() < 13 || status[8] != ' ' || status[12] != ' ')
    malformed("bad status line", status);
  result.version = status.substr(0, 8);
  result.status = static_cast<int>(to_size(status.substr(9, 3), 10));
  result.reason = status.substr(13);
  while (!rest.empty()) {
    auto line = next_line();
    auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0
        || line.substr(0, colon).find_first_of(" \t") != std::string_view::npos)
      malformed("bad header line", line);
    result.headers.emplace_back(line.substr(0, colon),
                                trim(line.substr(colon + 1)));
  }
  return std::pair{std::move(result), size};
}

http_response read_response(tcp_stream& from, const deadline& until,
                            bool to_head) {
  auto head = parse_response_head(from.unread());
  while (!head) {
    if (!from.fill(until))
      throw std::runtime_error(from.unread().empty()
                                 ? "the connection ended without a response"
                                 : "the connection ended within a response");
    head = parse_response_head(from.unread());
  }
  auto& [result, size] = *head;
  from.consume(size);
  // RFC 9112 §6.3, in its order.
  if (to_head || result.status < 200 || result.status == 204
      || result.status == 304)
    return result;
  if (result.count("Content-Length") > 1)
    malformed("two lengths", "");
  if (result.lists("Transfer-Encoding", "chunked"))
    result.body = take_chunks(from, until);
  else if (auto length = result.header("Content-Length"))
    result.body = take(from, to_size(*length, 10), until);
  else
    result.body = take_all(from, until);
  return result;
}

// -- http_client --------------------------------------------------------------

http_client::http_client(http_options options)
  : options_(std::move(options)),
    stream_(tcp_stream::connect({.host = options_.host,
                                 .port = options_.port,
                                 .local_address = options_.local_address,
                                 .receive_buffer = options_.receive_buffer},
                                deadline{options_.timeout})) {}

void http_client::send(std::string_view bytes) {
  stream_.send(bytes, deadline{options_.timeout}, true);
}

void http_client::send_request(std::string_view method, std::string_view target,
                               const header_list& headers,
                               std::string_view body) {
  auto request = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", method, target,
                             host_field(options_.host, options_.port));
  for (const auto& [name, value] : headers)
    request += fmt::format("{}: {}\r\n", name, value);
  if (!body.empty() || method == "POST" || method == "PUT")
    request += fmt::format("Content-Length: {}\r\n", body.size());
  request += crlf;
  request += body;
  send(request);
}

http_response http_client::receive(bool to_head) {
  return read_response(stream_, deadline{options_.timeout}, to_head);
}

http_response http_client::get(std::string_view target,
                               const header_list& headers) {
  send_request("GET", target, headers);
  return receive();
}

http_response http_client::post(std::string_view target, std::string_view body,
                                const header_list& headers) {
  send_request("POST", target, headers, body);
  return receive();
}

stream_end http_client::expect_eof() {
  deadline until{options_.timeout};
  while (stream_.unread().empty() && stream_.fill(until)) {
    // Not even one byte may come.
  }
  if (!stream_.unread().empty())
    throw std::runtime_error(fmt::format("bytes instead of the end: '{}'",
                                         stream_.unread().substr(0, 200)));
  return *stream_.end();
}

http_response http_get(std::uint16_t port, std::string_view target,
                       const header_list& headers) {
  return http_client{{.port = port}}.get(target, headers);
}

http_response http_post(std::uint16_t port, std::string_view target,
                        std::string_view body, const header_list& headers) {
  return http_client{{.port = port}}.post(target, body, headers);
}

} // namespace greenroom::test
