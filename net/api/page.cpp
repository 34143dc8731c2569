#include "net/api/page.hpp"

#include <algorithm>

namespace greenroom::net {

namespace {

// Nothing from elsewhere, no script but our files, no frame around them: a page
// that shows what strangers write needs no more. `self` covers ws: and wss:.
constexpr std::string_view policy =
  "Content-Security-Policy: default-src 'none'; script-src 'self'; "
  "style-src 'self'; connect-src 'self'; img-src 'self' data:; "
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
  "Referrer-Policy: no-referrer\r\n";

} // namespace

http_response answer_page(const http_call& in) {
  auto all = pages();
  auto i = std::find_if(all.begin(), all.end(),
                        [&in](auto& x) { return x.path == in.target.path; });
  if (i == all.end())
    return refusal(errc::not_found);
  return {.status = 200,
          .content_type = i->type,
          .body = std::string{i->bytes},
          .fields = std::string{policy}};
}

} // namespace greenroom::net
