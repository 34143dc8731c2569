#include "net/api/inspect_query.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace greenroom::net {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct view_name {
  view what;
  std::string_view name;
};

constexpr std::array view_names{
  view_name{view::overview, "overview"},
  view_name{view::actors, "actors"},
  view_name{view::rooms, "rooms"},
  view_name{view::connections, "connections"},
  view_name{view::edges, "lag"},
  view_name{view::closed, "closed"},
  view_name{view::box, "box"},
};

// The queries keep a pointer to the name, so it is one of these.
constexpr std::array<std::string_view, 9> kinds{
  "supervisor", "inspector", "probe",  "room",  "outlet",
  "reader",     "writer",    "reaper", "tracer"};

template <class T>
struct is_list : std::false_type {};

template <class T>
struct is_list<std::vector<T>> : std::true_type {};

template <class Row>
std::vector<std::string_view> fields_of() {
  std::vector<std::string_view> out;
  Row{}.each_field([&out](std::string_view name, const auto& value) {
    if (!is_list<std::decay_t<decltype(value)>>::value)
      out.push_back(name);
  });
  return out;
}

fault wrong(std::string text) {
  return {errc::bad_request, std::move(text)};
}

template <class T>
std::string set_number(T& to, std::string_view text, std::uint64_t least,
                       std::uint64_t most) {
  std::uint64_t n = 0;
  auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || at != text.data() + text.size() || n < least
      || n > most)
    return fmt::format("expected a number from {} to {}", least, most);
  to = static_cast<T>(n);
  return {};
}

std::string set_text(std::string& to, const std::string& text) {
  if (text.empty())
    return "is empty";
  to = text;
  return {};
}

template <class Duration>
std::string set_time(milliseconds& to, std::string_view text,
                     std::uint64_t least, std::uint64_t most) {
  std::uint64_t n = 0;
  auto error = set_number(n, text, least, most);
  if (error.empty())
    to = Duration{n};
  return error;
}

// A parameter, and what takes its value or says what is wrong with it.
struct parameter {
  std::string_view name;
  std::function<std::string(const std::string&)> set;
};

constexpr std::uint64_t any_number = UINT64_MAX;
constexpr std::uint64_t every_least = 1'000;
constexpr std::uint64_t every_most = 60'000;
constexpr std::uint64_t seconds_most = 3'600;

// @returns what is wrong with the parameters, or nothing
std::string read_parameters(const http_target& target,
                            std::span<const parameter> known) {
  std::vector<std::string_view> seen;
  for (auto& [name, value] : target.query) {
    if (name.empty() && value.empty())
      continue; // of a question mark alone
    auto row = std::find_if(known.begin(), known.end(), [&](auto& x) {
      return x.name == std::string_view{name};
    });
    if (row == known.end()) {
      std::vector<std::string_view> names;
      for (auto& x : known)
        names.push_back(x.name);
      return fmt::format("unknown parameter; there are {}",
                         fmt::join(names, ", "));
    }
    if (std::find(seen.begin(), seen.end(), row->name) != seen.end())
      return fmt::format("{} is given more than once", row->name);
    seen.push_back(row->name);
    if (auto error = row->set(value); !error.empty())
      return fmt::format("{}: {}", row->name, error);
  }
  return {};
}

} // namespace

std::optional<view> view_of(std::string_view name) noexcept {
  for (auto& x : view_names)
    if (x.name == name)
      return x.what;
  return std::nullopt;
}

std::string_view name_of(view x) noexcept {
  for (auto& row : view_names)
    if (row.what == x)
      return row.name;
  return {};
}

std::vector<std::string_view> sort_fields(view x) {
  switch (x) {
    case view::overview:
      return fields_of<overview>();
    case view::actors:
      return fields_of<actor_row>();
    case view::rooms:
      return fields_of<room_row>();
    case view::connections:
      return fields_of<connection_row>();
    case view::edges:
      return fields_of<edge_row>();
    case view::closed:
      return fields_of<closed_row>();
    case view::box:
      return fields_of<box_row>();
  }
  return {};
}

std::span<const std::string_view> actor_kinds() noexcept {
  return kinds;
}

result<inspect_question> read_question(view what, const http_target& target) {
  inspect_question out;
  auto& query = out.query;
  query.what = what;
  auto lasts_said = false;
  const std::array known{
    parameter{"room", [&](auto& x) { return set_text(query.room, x); }},
    parameter{
      "client",
      [&](auto& x) { return set_number(query.client, x, 1, any_number); }},
    parameter{
      "actor",
      [&](auto& x) { return set_number(query.actor, x, 1, any_number); }},
    parameter{"kind",
              [&](auto& x) -> std::string {
                auto i = std::find(kinds.begin(), kinds.end(), x);
                if (i == kinds.end())
                  return fmt::format("expected one of {}",
                                     fmt::join(kinds, ", "));
                query.kind = *i;
                return {};
              }},
    parameter{"q", [&](auto& x) { return set_text(query.text, x); }},
    parameter{"sort",
              [&](auto& x) -> std::string {
                auto fields = sort_fields(what);
                if (std::find(fields.begin(), fields.end(), x) == fields.end())
                  return fmt::format("expected one of {}",
                                     fmt::join(fields, ", "));
                query.sort = x;
                return {};
              }},
    parameter{"order",
              [&](auto& x) -> std::string {
                if (x != "asc" && x != "desc")
                  return "expected asc or desc";
                query.descending = x == "desc";
                return {};
              }},
    parameter{"offset",
              [&](auto& x) {
                return set_number(query.offset, x, 0,
                                  inspect_query::depth_max - 1);
              }},
    parameter{"limit",
              [&](auto& x) {
                return set_number(query.limit, x, 1, inspect_query::limit_max);
              }},
    parameter{"every",
              [&](auto& x) {
                return set_time<milliseconds>(out.every, x, every_least,
                                              every_most);
              }},
    parameter{"seconds",
              [&](auto& x) {
                lasts_said = true;
                return set_time<seconds>(out.lasts, x, 1, seconds_most);
              }},
  };
  if (auto error = read_parameters(target, known); !error.empty())
    return wrong(std::move(error));
  if (query.offset + query.limit > inspect_query::depth_max)
    return wrong(fmt::format("offset and limit reach beyond row {}",
                             inspect_query::depth_max));
  if (what == view::box && query.room.empty() && query.client == 0)
    return wrong("box needs room or client");
  if (lasts_said && out.every == milliseconds{0})
    return wrong("seconds means nothing without every");
  if (!lasts_said)
    out.lasts = seconds{seconds_most};
  return out;
}

result<trace_order> read_trace(const http_target& target) {
  trace_order out;
  const std::array known{
    parameter{"room", [&](auto& x) { return set_text(out.room, x); }},
    parameter{
      "client",
      [&](auto& x) { return set_number(out.client, x, 1, any_number); }},
    parameter{"seconds",
              [&](auto& x) {
                return set_time<seconds>(out.lasts, x, 1, seconds_most);
              }},
  };
  if (auto error = read_parameters(target, known); !error.empty())
    return wrong(std::move(error));
  if (out.room.empty() == (out.client == 0))
    return wrong("trace needs either room or client");
  return out;
}

result<end_order> read_order(std::string_view body, bool restart) {
  namespace json = boost::json;
  constexpr std::string_view shape =
    R"(expected {"client":N}, {"room":"NAME"} or {"actor":N})";
  auto bad = [&] {
    return wrong(restart ? R"(expected {"room":"NAME"})" : std::string{shape});
  };
  json::error_code failed;
  auto parsed = json::parse({body.data(), body.size()}, failed);
  if (failed || !parsed.is_object() || parsed.get_object().size() != 1)
    return bad();
  auto& member = *parsed.get_object().begin();
  std::string_view name{member.key().data(), member.key().size()};
  auto& value = member.value();
  end_order out;
  if (name == "room" && value.is_string() && !value.get_string().empty()) {
    out.what = restart ? end_target::restart : end_target::room;
    out.room.assign(value.get_string().data(), value.get_string().size());
    return out;
  }
  auto number = value.to_number<std::uint64_t>(failed);
  if (restart || failed || !value.is_number() || value.is_double()
      || number == 0)
    return bad();
  if (name == "client") {
    out.what = end_target::connection;
    out.client = number;
  } else if (name == "actor") {
    out.what = end_target::actor;
    out.actor = number;
  } else {
    return bad();
  }
  return out;
}

} // namespace greenroom::net
