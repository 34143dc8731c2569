#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "actors/inspection.hpp"
#include "actors/result.hpp"
#include "net/http_target.hpp"

namespace greenroom::net {

/// A question of the HTTP API, net/api/README.md.
struct inspect_question {
  inspect_query query;
  /// A page every so often; 0: one page.
  std::chrono::milliseconds every{0};
  /// For how long.
  std::chrono::milliseconds lasts{0};
};

/// The view at `/inspect/NAME`.
std::optional<view> view_of(std::string_view name) noexcept;

std::string_view name_of(view x) noexcept;

/// The fields of a view's rows that it can be sorted by: all but lists.
std::vector<std::string_view> sort_fields(view x);

/// The kinds of actors that can be asked for.
std::span<const std::string_view> actor_kinds() noexcept;

/// Reads the parameters of a view.
/// @returns `bad_request` with what is wrong, without what a client sent as a value
result<inspect_question> read_question(view what, const http_target& target);

/// Reads those of a trace: `room` or `client`, and `seconds`.
result<trace_order> read_trace(const http_target& target);

/// Reads the body of an action: one object with one member.
/// @param restart whether only a `room` will do
result<end_order> read_order(std::string_view body, bool restart);

} // namespace greenroom::net
