#include "net/http_response.hpp"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <random>

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
  out.status = row.http;
  out.body = fmt::format("{{\"error\":\"{}\"}}\n", row.name);
  if (row.http == 405)
    out.fields = fmt::format("Allow: {}\r\n", allow);
  else if (row.http == 426)
    out.fields = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  else if (row.http == 503)
    out.fields = fmt::format("Retry-After: {}\r\n", retry_after());
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
                     "{}"
                     "Connection: {}{}\r\n"
                     "\r\n"
                     "{}",
                     x.status, std::string_view{reason.data(), reason.size()},
                     http_date(), x.content_type, x.body.size(), x.fields,
                     upgrade, keep,
                     head_only ? std::string_view{} : std::string_view{x.body});
}

} // namespace greenroom::net
