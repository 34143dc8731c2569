#pragma once

#include "test/support/tcp.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace greenroom::test {

/// Header fields in the order of the wire, repeated ones included.
using header_list = std::vector<std::pair<std::string, std::string>>;

/// A Host header's value; IPv6 addresses get their brackets (RFC 3986 §3.2.2).
std::string host_field(std::string_view host, std::uint16_t port);

bool equal_ignoring_case(std::string_view left, std::string_view right);

/// One response as it came. Parsing is strict: CRLF only, no folded lines.
struct http_response {
  std::string version = {};
  int status = 0;
  std::string reason = {};
  header_list headers = {};
  std::string body = {};

  /// @returns the first field of that name, or nothing
  std::optional<std::string> header(std::string_view name) const;

  /// How often the field occurs.
  std::size_t count(std::string_view name) const;

  /// Whether a comma separated field has this element, in any case.
  bool lists(std::string_view name, std::string_view element) const;
};

/// Reads status line and header fields from the start of `bytes`.
/// @returns the response without body and the size of the head, or nothing if
/// the head is not complete yet
/// @throws std::runtime_error if this is not HTTP/1
std::optional<std::pair<http_response, std::size_t>> parse_response_head(
  std::string_view bytes);

/// Takes one response off the stream. The body ends by Content-Length, by its
/// last chunk or with the connection; 1xx, 204, 304 and answers to HEAD have
/// none. What follows stays in the stream's buffer.
/// @throws timeout_error, or std::runtime_error for malformed or cut answers
http_response read_response(tcp_stream& from, const deadline& until,
                            bool to_head = false);

struct http_options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string local_address = {};
  int receive_buffer = 0;
  /// For each single wait of the client.
  std::chrono::milliseconds timeout = std::chrono::seconds{10};
};

/// One HTTP/1.1 connection. Requests may be malformed, split or pipelined,
/// since what is sent and what is read are independent of each other.
class http_client {
public:
  explicit http_client(http_options options);

  /// Sends these very bytes.
  void send(std::string_view bytes);

  /// Sends a well-formed request, with Host, and with Content-Length if there
  /// is a body or the method implies one.
  void send_request(std::string_view method, std::string_view target,
                    const header_list& headers = {},
                    std::string_view body = {});

  /// Reads the next response.
  http_response receive(bool to_head = false);

  /// A request and its answer.
  http_response get(std::string_view target, const header_list& headers = {});
  http_response post(std::string_view target, std::string_view body,
                     const header_list& headers = {});

  /// Waits until the server ends the connection.
  /// @throws std::runtime_error if bytes arrive instead
  stream_end expect_eof();

  tcp_stream& stream() { return stream_; }

private:
  http_options options_;
  tcp_stream stream_;
};

/// One request on a connection of its own.
http_response http_get(std::uint16_t port, std::string_view target,
                       const header_list& headers = {});
http_response http_post(std::uint16_t port, std::string_view target,
                        std::string_view body, const header_list& headers = {});

} // namespace greenroom::test
