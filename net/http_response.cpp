#include "net/http_response.hpp"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <iterator>
#include <random>

#include "net/api/json_rows.hpp"
#include "net/beast.hpp"

namespace greenroom::net {

namespace {

unsigned retry_after() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_int_distribution<unsigned>{1, 5}(random);
}

// RFC 9110 §5.6.7.
std::string http_date() {
  auto now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  // Our locale is C: nobody calls setlocale.
  auto n = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT",
                         &parts);
  return {text.data(), n};
}

} // namespace

http_response refusal(errc why, std::string_view allow) {
  auto& row = describe(why);
  http_response out;
  out.why = why;
  out.status = row.http;
  out.body = fmt::format("{{\"error\":\"{}\"}}\n", row.name);
  if (row.http == 401) // RFC 6750 §3
    out.fields = "WWW-Authenticate: Bearer realm=\"greenroom\"\r\n";
  else if (row.http == 405)
    out.fields = fmt::format("Allow: {}\r\n", allow);
  else if (row.http == 426)
    out.fields = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  else if (row.http == 503)
    out.fields = fmt::format("Retry-After: {}\r\n", retry_after());
  return out;
}

http_response refusal(const fault& why) {
  auto out = refusal(why.code);
  if (why.detail.empty())
    return out;
  out.body = fmt::format("{{\"error\":\"{}\",\"detail\":", to_string(why.code));
  append_json(out.body, why.detail);
  out.body += "}\n";
  out.detail = why.detail;
  return out;
}

std::string to_text(const http_response& x, connection_use then,
                    bool head_only) {
  auto reason = boost::beast::http::obsolete_reason(
    boost::beast::http::int_to_status(x.status));
  std::string_view keep = then == connection_use::keep ? "keep-alive" : "close";
  // Upgrade has to be named in Connection (RFC 9110 §7.8).
  std::string_view upgrade = x.status == 426 ? "Upgrade, " : "";
  return fmt::format("HTTP/1.1 {} {}\r\n"
                     "Date: {}\r\n"
                     "Content-Type: {}\r\n"
                     "Content-Length: {}\r\n"
                     "Cache-Control: no-store\r\n"
                     "X-Content-Type-Options: nosniff\r\n"
                     "{}"
                     "Connection: {}{}\r\n"
                     "\r\n"
                     "{}",
                     x.status, std::string_view{reason.data(), reason.size()},
                     http_date(), x.content_type, x.body.size(), x.fields,
                     upgrade, keep,
                     head_only ? std::string_view{} : std::string_view{x.body});
}

std::string stream_head(std::string_view content_type, bool chunked) {
  // What is streamed must not wait in a proxy's buffer.
  return fmt::format("HTTP/1.1 200 OK\r\n"
                     "Date: {}\r\n"
                     "Content-Type: {}\r\n"
                     "{}"
                     "Cache-Control: no-store\r\n"
                     "X-Content-Type-Options: nosniff\r\n"
                     "X-Accel-Buffering: no\r\n"
                     "Connection: close\r\n"
                     "\r\n",
                     http_date(), content_type,
                     chunked ? "Transfer-Encoding: chunked\r\n" : "");
}

void append_chunk(std::string& to, std::string_view bytes) {
  if (bytes.empty())
    return; // it would be the last one
  fmt::format_to(std::back_inserter(to), "{:x}\r\n", bytes.size());
  to += bytes;
  to += "\r\n";
}

void append_last_chunk(std::string& to) {
  to += "0\r\n\r\n";
}

} // namespace greenroom::net
