#include "app/commands/client/url.hpp"

#include <boost/url/encode.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <boost/url/url_view.hpp>
#include <fmt/format.h>

namespace greenroom::client {

namespace {

fault wrong(std::string_view what) {
  return {errc::bad_request, std::string{what}};
}

/// Encodes what may stand nowhere in a URL and leaves the rest alone.
std::string encode_strangers(std::string_view text) {
  std::string result;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 0x7f
        || std::string_view{"\"<>\\^`{|}"}.find(c) != std::string_view::npos)
      result += fmt::format("%{:02X}", byte);
    else
      result += c;
  }
  return result;
}

} // namespace

result<url> parse_url(std::string_view text, std::string_view scheme) {
  auto encoded = encode_strangers(text);
  auto parsed = boost::urls::parse_uri(
    boost::urls::string_view{encoded.data(), encoded.size()});
  if (!parsed)
    return wrong(fmt::format("expected {}://HOST[:PORT]/PATH", scheme));
  std::string_view given{parsed->scheme().data(), parsed->scheme().size()};
  if (given == std::string{scheme} + 's')
    return wrong(fmt::format("{}:// is not spoken here; ask for the broker "
                             "itself, behind the proxy that speaks TLS",
                             given));
  if (given != scheme)
    return wrong(fmt::format("expected a URL that begins with {}://", scheme));
  if (parsed->encoded_host_address().empty())
    return wrong("the host is missing");
  if (parsed->has_userinfo())
    return wrong("a user or a password in the URL means nothing here");
  if (parsed->has_fragment())
    return wrong("a fragment (#) means nothing here: write %23");
  url result;
  result.host = std::string{parsed->host_address()};
  result.authority = std::string{parsed->encoded_host_and_port()};
  if (parsed->has_port() && !parsed->port().empty()) {
    result.port = parsed->port_number();
    if (result.port == 0)
      return wrong("the port must be from 1 to 65535");
  }
  result.target = std::string{parsed->encoded_target()};
  if (!result.target.starts_with('/'))
    result.target.insert(0, "/");
  return result;
}

std::string encode_segment(std::string_view text) {
  return boost::urls::encode(boost::urls::string_view{text.data(), text.size()},
                             boost::urls::unreserved_chars);
}

void add_parameter(std::string& target, std::string_view parameter) {
  target += target.find('?') == std::string::npos ? '?' : '&';
  target += parameter;
}

} // namespace greenroom::client
