#include "net/routes.hpp"

#include <array>

#include "net/api/health.hpp"
#include "net/api/page.hpp"
#include "net/protocols/centrifuge_json.hpp"
#include "net/protocols/raw.hpp"

namespace greenroom::net {

namespace {

// A new dialect or HTTP call is one row here and a file of its own.
constexpr std::array table{
  //    path, WebSocket, answer to GET and HEAD
  route{"/room/{name}", &enter_raw, nullptr},
  route{"/connection/websocket", &enter_centrifuge, nullptr},
  route{"/", nullptr, &answer_page},
  route{"/chat.css", nullptr, &answer_page},
  route{"/chat.js", nullptr, &answer_page},
  route{"/centrifuge.js", nullptr, &answer_page},
  route{"/health", nullptr, &answer_health},
  route{"/ready", nullptr, &answer_ready},
};

// Calls `f` with every segment of a pattern while it says true.
template <class F>
bool each_segment(std::string_view pattern, F&& f) {
  while (pattern.size() > 1) { // the root has none
    pattern.remove_prefix(1);  // the slash
    auto slash = pattern.find('/');
    if (!f(pattern.substr(0, slash)))
      return false;
    pattern = slash == std::string_view::npos ? std::string_view{}
                                              : pattern.substr(slash);
  }
  return true;
}

bool matches(std::string_view pattern, const std::vector<std::string>& path,
             std::vector<std::string>& names) {
  std::size_t i = 0;
  names.clear();
  auto same = each_segment(pattern, [&](std::string_view segment) {
    if (i == path.size())
      return false;
    auto& given = path[i++];
    if (segment.starts_with('{')) {
      names.push_back(given);
      return true;
    }
    return segment == given;
  });
  return same && i == path.size();
}

} // namespace

std::span<const route> routes() noexcept {
  return table;
}

way find_way(const http_request& request, const http_target& target,
             std::size_t room_name_bytes_max, std::span<const route> in) {
  way out;
  for (auto& x : in)
    if (matches(x.path, target.segments, out.names)) {
      out.to = &x;
      break;
    }
  if (out.to == nullptr) {
    out.refusal = errc::not_found;
    return out;
  }
  auto get = request.method == "GET";
  auto head = request.method == "HEAD";
  if (!get && !(head && out.to->answer != nullptr)) {
    out.refusal = errc::method_not_allowed;
    return out;
  }
  out.upgrades = out.to->enter != nullptr && wants_websocket(request);
  if (!out.upgrades && out.to->answer == nullptr) {
    out.refusal = errc::upgrade_required;
    out.detail = "no WebSocket handshake";
    return out;
  }
  for (auto& name : out.names)
    if (!valid_room_name(name, room_name_bytes_max)) {
      out.refusal = errc::bad_room_name;
      break;
    }
  return out;
}

std::string_view allowed_methods(const route& x) noexcept {
  return x.answer != nullptr ? "GET, HEAD" : "GET";
}

} // namespace greenroom::net
