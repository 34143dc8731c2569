#include "net/routes.hpp"

#include <array>

#include "net/api/health.hpp"
#include "net/api/inspect.hpp"
#include "net/api/page.hpp"
#include "net/protocols/centrifuge_json.hpp"
#include "net/protocols/raw.hpp"
#include "net/room_name.hpp"

namespace greenroom::net {

namespace {

// A new dialect or HTTP call is one row here and a file of its own.
constexpr std::array table{
  route{.path = "/room/{name}", .enter = &enter_raw},
  route{.path = "/connection/websocket", .enter = &enter_centrifuge},
  route{.path = "/", .answer = &answer_page},
  route{.path = "/chat.css", .answer = &answer_page},
  route{.path = "/chat.js", .answer = &answer_page},
  route{.path = "/centrifuge.js", .answer = &answer_page},
  route{.path = "/health", .answer = &answer_health},
  route{.path = "/ready", .answer = &answer_ready},
};

route page_at(std::string_view path) {
  return {.path = path, .answer = &answer_page, .needs = right::page};
}

constexpr route read_at(std::string_view path, http_asker ask) {
  return {.path = path, .ask = ask, .needs = right::read};
}

constexpr route act_at(std::string_view path, http_asker ask) {
  return {.path = path, .ask = ask, .posts = true, .needs = right::act};
}

// The pages below /inspect come on top.
constexpr std::array inspect_calls{
  route{.path = "/inspect/rights", .answer = &answer_rights},
  read_at("/inspect/overview", &ask_rows),
  read_at("/inspect/actors", &ask_rows),
  read_at("/inspect/rooms", &ask_rows),
  read_at("/inspect/connections", &ask_rows),
  read_at("/inspect/lag", &ask_rows),
  read_at("/inspect/closed", &ask_rows),
  read_at("/inspect/box", &ask_rows),
  read_at("/inspect/trace", &ask_trace),
  act_at("/inspect/kill", &ask_kill),
  act_at("/inspect/restart", &ask_restart),
  read_at("/metrics", &ask_metrics),
  route{.path = "/health", .answer = &answer_health},
  route{.path = "/ready", .answer = &answer_ready},
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

std::span<const route> inspect_routes() noexcept {
  static const auto all = [] {
    std::vector<route> out{inspect_calls.begin(), inspect_calls.end()};
    for (auto& x : pages())
      if (x.path == "/inspect" || x.path.starts_with("/inspect/"))
        out.push_back(page_at(x.path));
    return out;
  }();
  return all;
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
  auto& to = *out.to;
  auto get = request.method == "GET" && !to.posts;
  auto head = request.method == "HEAD" && !to.posts && to.answers();
  auto post = request.method == "POST" && to.posts;
  if (!get && !head && !post) {
    out.refusal = errc::method_not_allowed;
    return out;
  }
  out.upgrades = to.enter != nullptr && wants_websocket(request);
  if (!out.upgrades && !to.answers()) {
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
  if (x.posts)
    return "POST";
  return x.answers() ? "GET, HEAD" : "GET";
}

} // namespace greenroom::net
