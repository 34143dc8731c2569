#include "net/http_request.hpp"

#include <algorithm>
#include <array>

#include "net/beast.hpp"

namespace greenroom::net {

namespace {

namespace http = boost::beast::http;

// -- texts ----------------------------------------------------------------------

bool same(std::string_view x, std::string_view y) noexcept {
  auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return x.size() == y.size()
         && std::equal(x.begin(), x.end(), y.begin(),
                       [&](char a, char b) { return lower(a) == lower(b); });
}

// Calls `f` with every element of a comma separated list; empty ones are to be
// ignored (RFC 9110 §5.6.1).
template <class F>
void for_each_element(std::string_view list, F&& f) {
  for (;;) {
    auto comma = list.find(',');
    auto element = list.substr(0, comma);
    auto first = element.find_first_not_of(" \t");
    if (first != std::string_view::npos)
      f(element.substr(first, element.find_last_not_of(" \t") - first + 1));
    if (comma == std::string_view::npos)
      return;
    list.remove_prefix(comma + 1);
  }
}

bool is_token(std::string_view text) noexcept { // RFC 9110 §5.6.2
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || marks.find(c) != std::string_view::npos;
  });
}

// Base64 of 16 bytes: 22 characters and two of padding (RFC 4648 §4).
bool is_key(std::string_view text) noexcept {
  constexpr std::size_t size = 24;
  if (text.size() != size || !text.ends_with("=="))
    return false;
  return std::all_of(text.begin(), text.end() - 2, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '+' || c == '/';
  });
}

// -- Beast's parser, without its containers ----------------------------------------

// Beast offers each field as it goes; taken as views into the head they cost no
// allocation but the list's own.
class head_parser final : public http::basic_parser<true> {
public:
  explicit head_parser(http_request& to) : to_(to) {
    skip(true);                // the head only
    header_limit(0xffff'ffff); // the session has its own
  }

private:
  using error_code = boost::beast::error_code;
  using string_view = boost::beast::string_view;

  static std::string_view view(string_view x) { return {x.data(), x.size()}; }

  void on_request_impl(http::verb, string_view method, string_view target,
                       int version, error_code&) override {
    to_.method = view(method);
    to_.target = view(target);
    to_.version_1_1 = version == 11;
  }

  void on_field_impl(http::field name, string_view text, string_view value,
                     error_code&) override {
    to_.fields.push_back({view(text), view(value)});
    if (name == http::field::transfer_encoding)
      to_.transfer_coded = true;
  }

  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&,
                         error_code&) override {}

  std::size_t on_body_impl(string_view, error_code&) override { return 0; }

  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}

  std::size_t on_chunk_body_impl(std::uint64_t, string_view,
                                 error_code&) override {
    return 0;
  }

  void on_finish_impl(error_code&) override {}

  http_request& to_;
};

} // namespace

// -- head_scanner -----------------------------------------------------------------

namespace {

// What may stand within a line: no control character but the tab (RFC 9110 §5.5).
constexpr auto within_line = [] {
  std::array<bool, 256> out{};
  for (std::size_t c = 0x20; c < out.size(); ++c)
    out[c] = c != 0x7f;
  out['\t'] = true;
  return out;
}();

bool stands_within_line(char c) noexcept {
  return within_line[static_cast<unsigned char>(c)];
}

} // namespace

head_state head_scanner::scan(std::string_view bytes) noexcept {
  while (seen_ < bytes.size()) {
    auto c = bytes[seen_];
    if (stands_within_line(c)) {
      if (seen_ == line_ && (c == ' ' || c == '\t'))
        return head_state::broken;
      while (++seen_ < bytes.size() && stands_within_line(bytes[seen_])) {
      }
      continue;
    }
    if (c != '\r')
      return head_state::broken;
    if (seen_ + 1 == bytes.size())
      return head_state::need_more;
    if (bytes[seen_ + 1] != '\n')
      return head_state::broken;
    auto empty = seen_ == line_;
    seen_ += 2;
    if (empty)
      return head_state::complete;
    line_ = seen_;
  }
  return head_state::need_more;
}

// -- http_request -----------------------------------------------------------------

std::string_view http_request::header(std::string_view name) const noexcept {
  for (auto& x : fields)
    if (same(x.name, name))
      return x.value;
  return {};
}

std::size_t http_request::count(std::string_view name) const noexcept {
  return static_cast<std::size_t>(
    std::count_if(fields.begin(), fields.end(),
                  [&](const header_field& x) { return same(x.name, name); }));
}

std::vector<std::string_view> http_request::values(
  std::string_view name) const {
  std::vector<std::string_view> out;
  for (auto& x : fields)
    if (same(x.name, name))
      out.push_back(x.value);
  return out;
}

bool http_request::lists(std::string_view name,
                         std::string_view element) const noexcept {
  auto found = false;
  for (auto& x : fields)
    if (same(x.name, name))
      for_each_element(x.value, [&](std::string_view each) {
        found = found || same(each, element);
      });
  return found;
}

result<http_request> parse_head(std::string_view head) {
  http_request out;
  head_parser parser{out};
  boost::beast::error_code error;
  parser.put({head.data(), head.size()}, error);
  if (error)
    return fault{errc::bad_request, error.message()};
  if (!parser.is_header_done())
    return fault{errc::bad_request, "incomplete head"};
  out.keep_alive = parser.keep_alive();
  out.content_length = parser.content_length().value_or(0);
  auto hosts = out.count("Host");
  if (hosts > 1)
    return fault{errc::bad_request, "more than one Host"};
  if (hosts == 0 && out.version_1_1)
    return fault{errc::bad_request, "no Host"};
  if (hosts == 1 && !authority::parse(out.header("Host")))
    return fault{errc::bad_request, "malformed Host"};
  return out;
}

// -- upgrades ---------------------------------------------------------------------

bool wants_websocket(const http_request& in) noexcept {
  return in.version_1_1 && in.method == "GET"
         && in.lists("Connection", "upgrade")
         && in.lists("Upgrade", "websocket");
}

result<handshake> check_handshake(const http_request& in,
                                  const origin_rules& origins,
                                  std::string_view host) {
  handshake out;
  // What follows the head is a WebSocket, so it cannot be a body as well.
  if (in.has_body())
    return fault{errc::bad_request, "an upgrade with a body"};
  if (in.count("Sec-WebSocket-Version") > 1)
    return fault{errc::bad_request, "more than one Sec-WebSocket-Version"};
  if (in.header("Sec-WebSocket-Version") != "13")
    return fault{errc::upgrade_required, "not version 13"};
  if (in.count("Sec-WebSocket-Key") != 1)
    return fault{errc::bad_request, "not one Sec-WebSocket-Key"};
  out.key = in.header("Sec-WebSocket-Key");
  if (!is_key(out.key))
    return fault{errc::bad_request, "malformed Sec-WebSocket-Key"};
  auto from = in.values("Origin");
  if (from.size() > 1)
    return fault{errc::bad_request, "more than one Origin"};
  if (!from.empty()) {
    out.origin = from.front();
    if (!origins.allow(out.origin, host))
      return fault{errc::origin_refused, std::string{out.origin}};
  }
  auto& offered = out.subprotocols;
  auto proper = true;
  for (auto list : in.values("Sec-WebSocket-Protocol"))
    for_each_element(list, [&](std::string_view x) {
      proper = proper && is_token(x)
               && std::find(offered.begin(), offered.end(), x) == offered.end();
      offered.push_back(x);
    });
  if (!proper)
    return fault{errc::bad_request, "malformed Sec-WebSocket-Protocol"};
  return out;
}

} // namespace greenroom::net
