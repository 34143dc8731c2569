#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/result.hpp"
#include "net/api/call.hpp"
#include "net/http_request.hpp"
#include "net/http_target.hpp"
#include "net/protocols/visit.hpp"

namespace greenroom::net {

/// Who may use a route of the inspection listener.
enum class right : std::uint8_t {
  none, ///< whoever comes: it shows nothing
  page, ///< the same, and from a link on any page
  read,
  act,
};

/// One path and what is found there: a WebSocket, an answer, or both.
struct route {
  /// Segments; `{name}` stands for any one, which must be a room's name.
  std::string_view path;
  /// Where an upgrade leads to; chooses the dialect, by the subprotocols that are
  /// offered and by the query.
  result<entrance> (*enter)(const visit&) = nullptr;
  /// Answers GET and HEAD.
  http_handler answer = nullptr;
  /// Answers as well, later.
  http_asker ask = nullptr;
  /// Whether `ask` is for POST, with a body, instead of GET and HEAD.
  bool posts = false;
  right needs = right::none;

  bool answers() const noexcept { return answer != nullptr || ask != nullptr; }
};

/// What the public listener serves.
std::span<const route> routes() noexcept;

/// What the inspection listener serves.
std::span<const route> inspect_routes() noexcept;

/// What a listener serves.
struct service {
  std::span<const route> table = routes();
  /// Of the inspection listener: who may ask, and who answers. Outlives it.
  inspect_service* inspect = nullptr;
};

/// Where a request leads, or why nowhere.
struct way {
  errc refusal = errc::none;
  std::string_view detail = {};
  /// Null if nothing is at this path.
  const route* to = nullptr;
  /// Whether the request becomes a WebSocket.
  bool upgrades = false;
  /// What stood for the `{...}` of the path, decoded.
  std::vector<std::string> names = {};
};

/// Looks a request up. Refuses with `not_found`, `method_not_allowed`,
/// `upgrade_required` or `bad_room_name`, in this order.
way find_way(const http_request& request, const http_target& target,
             std::size_t room_name_bytes_max,
             std::span<const route> table = routes());

/// The methods a route takes, for an Allow field.
std::string_view allowed_methods(const route& x) noexcept;

} // namespace greenroom::net
