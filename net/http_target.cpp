#include "net/http_target.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

namespace greenroom::net {

namespace {

bool speaks_http(std::string_view scheme) {
  // Boost.URL compares schemes in any case only by its own enumeration.
  return scheme == "http" || scheme == "https" || scheme == "ws"
         || scheme == "wss";
}

std::string lower(std::string_view text) {
  std::string out{text};
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return out;
}

} // namespace

result<http_target> parse_target(std::string_view target) {
  auto origin_form = target.starts_with('/');
  auto parsed = origin_form ? boost::urls::parse_origin_form(target)
                            : boost::urls::parse_absolute_uri(target);
  if (!parsed)
    return fault{errc::bad_request, "malformed target"};
  auto url = *parsed;
  http_target out;
  if (!origin_form) {
    if (!speaks_http(lower(url.scheme())) || !url.has_authority()
        || url.has_userinfo() || url.host().empty())
      return fault{errc::bad_request, "target of a foreign form"};
    out.authority = url.encoded_host_and_port();
  }
  out.path = url.encoded_path();
  for (auto segment : url.segments())
    out.segments.push_back(std::move(segment));
  for (auto parameter : url.params())
    out.query.emplace_back(std::move(parameter.key),
                           std::move(parameter.value));
  return out;
}

} // namespace greenroom::net
