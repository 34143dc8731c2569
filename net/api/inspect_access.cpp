#include "net/api/inspect_access.hpp"

#include <algorithm>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "net/address.hpp"

namespace greenroom::net {

namespace {

// The token of a request (RFC 6750 §2.1); empty if there is none, or more than
// one.
std::string_view bearer(const http_request& in) {
  if (in.count("Authorization") != 1)
    return {};
  constexpr std::string_view scheme = "bearer ";
  auto text = in.header("Authorization");
  auto same = [](char x, char y) { return x == y || x == (y | 0x20); };
  if (text.size() <= scheme.size()
      || !std::equal(scheme.begin(), scheme.end(), text.begin(), same))
    return {};
  text.remove_prefix(
    std::min(text.size(), text.find_first_not_of(' ', scheme.size())));
  return text;
}

} // namespace

// -- sealed_token -----------------------------------------------------------------

sealed_token::sealed_token(std::string_view text) {
  if (!text.empty())
    digest_ = of(text);
}

bool sealed_token::is(std::string_view text) const {
  if (!digest_)
    return false;
  auto other = of(text);
  return CRYPTO_memcmp(digest_->data(), other.data(), other.size()) == 0;
}

sealed_token::digest sealed_token::of(std::string_view text) {
  digest out{};
  if (EVP_Digest(text.data(), text.size(), out.data(), nullptr, EVP_sha256(),
                 nullptr)
      != 1)
    throw std::runtime_error("no SHA-256");
  return out;
}

// -- inspect_access ---------------------------------------------------------------

inspect_access::inspect_access(const inspect_options& options)
  : read_(options.token), act_(options.act_token) {
  for (auto& text : options.hosts)
    if (auto name = authority::parse(text))
      hosts_.push_back(name->host);
}

inspect_access::rights inspect_access::of(const http_request& in) const {
  auto token = bearer(in);
  rights out;
  // Both are compared, whatever the first says.
  auto reads = read_.is(token);
  out.act = act_.is(token);
  out.read = reads || out.act || !read_;
  return out;
}

bool inspect_access::our_host(std::string_view text) const {
  auto where = authority::parse(text);
  if (!where)
    return false;
  std::string_view host = where->host;
  if (host == "localhost"
      || std::find(hosts_.begin(), hosts_.end(), host) != hosts_.end())
    return true;
  // An address cannot be bound to another one behind a browser's back.
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  return ip_address::parse(host).has_value();
}

fault inspect_access::refuse(const http_request& in, const http_target& target,
                             const route* to) const {
  auto host = target.authority.empty() ? in.header("Host")
                                       : std::string_view{target.authority};
  if (!our_host(host))
    return {errc::host_refused,
            "neither an address, nor localhost, nor a name of --inspect-host"};
  auto from = in.values("Origin");
  if (from.size() > 1)
    return {errc::bad_request, "more than one Origin"};
  if (!from.empty() && !origin_rules{}.allow(from.front(), host))
    return {errc::origin_refused, std::string{from.front()}};
  // What a page of elsewhere may not even load: it could not read the answers,
  // but hold streams.
  auto needs = to != nullptr ? to->needs : right::none;
  auto site = in.header("Sec-Fetch-Site");
  if (needs != right::page && !site.empty() && site != "same-origin"
      && site != "none")
    return {errc::origin_refused, "a page of elsewhere"};
  if (needs == right::none || needs == right::page)
    return {errc::none, {}};
  auto has = of(in);
  if (needs == right::act && !act_)
    return {errc::forbidden,
            "actions are off: there is no --inspect-act-token"};
  if (!has.read || (needs == right::act && !has.act && !read_))
    return {errc::unauthorized, in.count("Authorization") == 0
                                  ? "no token"
                                  : "not the token that is asked for"};
  if (needs == right::act && !has.act)
    return {errc::forbidden, "this token may not act"};
  return {errc::none, {}};
}

} // namespace greenroom::net
