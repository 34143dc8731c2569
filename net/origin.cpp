#include "net/origin.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

#include <boost/url/authority_view.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include "net/address.hpp"

namespace greenroom::net {

namespace {

std::string lower(std::string_view text) {
  std::string out{text};
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::optional<std::uint16_t> default_port(std::string_view scheme) {
  if (scheme == "http" || scheme == "ws")
    return 80;
  if (scheme == "https" || scheme == "wss")
    return 443;
  return std::nullopt;
}

struct page_origin {
  std::string scheme;
  authority where;

  // `null`, a path, a user or a query make it none.
  static std::optional<page_origin> parse(std::string_view text) {
    auto parsed = boost::urls::parse_uri(text);
    if (!parsed)
      return std::nullopt;
    auto url = *parsed;
    if (!url.has_authority() || url.has_query() || url.has_fragment()
        || !url.encoded_path().empty())
      return std::nullopt;
    auto where = authority::parse(url.encoded_authority());
    if (!where)
      return std::nullopt;
    page_origin out{lower(url.scheme()), std::move(*where)};
    if (!out.where.port)
      out.where.port = default_port(out.scheme);
    return out;
  }

  std::string text() const {
    auto out = scheme + "://" + where.host;
    if (where.port)
      out += ':' + std::to_string(*where.port);
    return out;
  }
};

// What most hosts are made of; Boost.URL knows the others.
bool is_plain(std::string_view host) noexcept {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.'
           || c == '-';
  });
}

bool is_loopback(std::string_view host) {
  if (host == "localhost")
    return true;
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  auto address = ip_address::parse(host);
  return address && address->is_loopback();
}

std::optional<authority> with_port(std::string host, std::string_view digits) {
  authority out{std::move(host), std::nullopt};
  if (!digits.empty()) {
    std::uint16_t port = 0;
    auto* end = digits.data() + digits.size();
    auto [at, error] = std::from_chars(digits.data(), end, port);
    if (error != std::errc{} || at != end || port == 0)
      return std::nullopt;
    out.port = port;
  }
  return out;
}

} // namespace

std::optional<authority> authority::parse(std::string_view text) {
  auto colon = text.find(':');
  if (auto host = text.substr(0, colon); is_plain(host))
    return with_port(std::string{host}, colon == std::string_view::npos
                                          ? std::string_view{}
                                          : text.substr(colon + 1));
  auto parsed = boost::urls::parse_authority(text);
  if (!parsed || parsed->has_userinfo() || parsed->encoded_host().empty())
    return std::nullopt;
  // Boost.URL lets numbers over 65535 wrap around, so the digits it is.
  return with_port(lower(parsed->encoded_host()), parsed->port());
}

result<origin_rules> origin_rules::make(const std::vector<std::string>& listed,
                                        own_names ours) {
  origin_rules out;
  out.ours_ = ours;
  for (auto& text : listed) {
    if (text == "*") {
      out.any_ = true;
      continue;
    }
    // People copy URLs from the address bar, with a slash at the end.
    std::string_view view = text;
    if (view.ends_with('/'))
      view.remove_suffix(1);
    auto page = page_origin::parse(view);
    // RFC 3986 allows a star in a name; here it would look like a pattern.
    if (!page || page->where.host.find('*') != std::string::npos)
      return fault{errc::bad_request, "an origin is scheme://host[:port] or *, "
                                      "not `"
                                        + text + '`'};
    out.listed_.push_back(page->text());
  }
  return out;
}

bool origin_rules::allow(std::string_view origin, std::string_view host) const {
  if (any_)
    return true;
  auto page = page_origin::parse(origin);
  if (!page)
    return false;
  if (std::find(listed_.begin(), listed_.end(), page->text()) != listed_.end())
    return true;
  // Our own page: TLS may end at a proxy, so we do not know our own scheme, and
  // a port left out means the default one of the scheme the browser uses.
  auto usual = default_port(page->scheme);
  auto us = authority::parse(host);
  return usual && us && us->host == page->where.host
         && (ours_ == own_names::any || is_loopback(us->host))
         && us->port.value_or(*usual) == page->where.port;
}

} // namespace greenroom::net
