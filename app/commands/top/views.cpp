#include "app/commands/top/views.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace greenroom::client {

namespace {

using kind = top_kind;
using column = top_column;

constexpr std::array actor_columns{
  column{"name", "ACTOR", kind::text, 0},
  column{"state", "STATE", kind::text, 7},
  column{"depth", "MAILBOX", kind::count, 7},
  column{"depth_max", "HIGH", kind::count, 7},
  column{"handled", "HANDLED", kind::count, 8},
  column{"busy_us", "BUSY", kind::us, 6},
  column{"wait_last_us", "WAIT", kind::us, 6},
  column{"wait_max_us", "WAITMAX", kind::us, 7},
  column{"age_ms", "AGE", kind::ms, 6},
  column{"unit", "UNIT", kind::count, 4},
  column{"links", "LINKS", kind::count, 5},
  column{"monitors", "MONITORS", kind::count, 8},
  column{"id", "ID", kind::id, 8},
};

constexpr std::array room_columns{
  column{"room", "ROOM", kind::text, 0},
  column{"members", "MEMBERS", kind::count, 7},
  column{"lag_ms", "LAG", kind::ms, 6},
  column{"bytes_queued", "QUEUED", kind::bytes, 6},
  column{"publications", "PUBLISHED", kind::count, 9},
  column{"deliveries", "DELIVERED", kind::count, 9},
  column{"bytes_out", "OUT", kind::bytes, 6},
  column{"dropped", "DROPPED", kind::count, 7},
  column{"cpu_us", "CPU", kind::us, 6},
  column{"restarts", "RESTARTS", kind::count, 8},
  column{"queue_max", "HIGH", kind::bytes, 6},
  column{"age_ms", "AGE", kind::ms, 6},
  column{"unit", "UNIT", kind::count, 4},
};

constexpr std::array edge_columns{
  column{"client", "CLIENT", kind::id, 8},
  column{"room", "ROOM", kind::text, 0},
  column{"lag_ms", "LAG", kind::ms, 6},
  column{"bytes_queued", "QUEUED", kind::bytes, 6},
  column{"messages_queued", "EVENTS", kind::count, 7},
  column{"kernel_bytes", "KERNEL", kind::bytes, 6},
  column{"kernel_age_ms", "UNACKED", kind::ms, 7},
  column{"last_flush_ms", "FLUSH", kind::ms, 6},
  column{"drops", "DROPS", kind::count, 7},
  column{"gaps", "GAPS", kind::count, 6},
  column{"queue_age_ms", "OLDEST", kind::ms, 6},
  column{"address", "ADDRESS", kind::text, 21},
  column{"user", "USER", kind::text, 16},
  column{"dialect", "DIALECT", kind::text, 10},
};

constexpr std::array connection_columns{
  column{"client", "CLIENT", kind::id, 8},
  column{"address", "ADDRESS", kind::text, 0},
  column{"lag_ms", "LAG", kind::ms, 6},
  column{"bytes_queued", "QUEUED", kind::bytes, 6},
  column{"rooms", "ROOMS", kind::count, 5},
  column{"bytes_in", "IN", kind::bytes, 6},
  column{"bytes_out", "OUT", kind::bytes, 6},
  column{"cpu_us", "CPU", kind::us, 6},
  column{"age_ms", "AGE", kind::ms, 6},
  column{"dialect", "DIALECT", kind::text, 10},
  column{"user", "USER", kind::text, 16},
  column{"kernel_bytes", "KERNEL", kind::bytes, 6},
  column{"gaps", "GAPS", kind::count, 6},
  column{"messages_in", "MESSAGES", kind::count, 8},
  column{"frames_out", "FRAMES", kind::count, 8},
  column{"unit", "UNIT", kind::count, 4},
};

constexpr std::array closed_columns{
  column{"client", "CLIENT", kind::id, 8},
  column{"closed_at", "CLOSED", kind::at, 8},
  column{"reason", "REASON", kind::text, 0},
  column{"code", "CODE", kind::id, 4},
  column{"first", "FIRST", kind::text, 6},
  column{"lived_ms", "LIVED", kind::ms, 6},
  column{"bytes_queued", "QUEUED", kind::bytes, 6},
  column{"queue_age_ms", "OLDEST", kind::ms, 6},
  column{"rooms", "ROOMS", kind::count, 5},
  column{"address", "ADDRESS", kind::text, 21},
  column{"user", "USER", kind::text, 16},
  column{"dialect", "DIALECT", kind::text, 10},
};

constexpr std::array tables{
  top_table{"tree", "actors", "id", false, actor_columns},
  top_table{"rooms", "rooms", "members", true, room_columns},
  top_table{"lag", "lag", "lag_ms", true, edge_columns},
  top_table{"connections", "connections", "lag_ms", true, connection_columns},
  top_table{"closed", "closed", "closed_at", true, closed_columns},
};

} // namespace

std::span<const top_table> top_tables() noexcept {
  return tables;
}

std::int64_t number_of(const boost::json::object& row, std::string_view field) {
  auto* value = row.if_contains({field.data(), field.size()});
  if (value == nullptr)
    return 0;
  if (auto* x = value->if_int64())
    return *x;
  if (auto* x = value->if_bool())
    return *x ? 1 : 0;
  return 0;
}

std::string_view text_of(const boost::json::object& row,
                         std::string_view field) {
  auto* value = row.if_contains({field.data(), field.size()});
  if (value == nullptr || !value->is_string())
    return {};
  const auto& text = value->get_string();
  return {text.data(), text.size()};
}

std::string name_of_actor(const boost::json::object& row, bool ascii) {
  auto kind = text_of(row, "kind");
  auto room = text_of(row, "room");
  if (kind == "room")
    return fmt::format("room {}", tame(room, ascii));
  if (kind == "outlet")
    return fmt::format("outlet unit {}", number_of(row, "unit"));
  if (kind == "reader" || kind == "writer")
    return fmt::format("{} #{} {}", tame(kind, ascii), number_of(row, "client"),
                       tame(text_of(row, "user"), ascii));
  if (kind == "probe")
    return fmt::format("probe unit {}", number_of(row, "unit"));
  return tame(kind, ascii);
}

std::string cell_of(const boost::json::object& row, const top_column& column,
                    bool ascii) {
  if (column.field == "name")
    return name_of_actor(row, ascii);
  if (column.kind != top_kind::text)
    return short_of(column.kind, number_of(row, column.field));
  auto text = tame(text_of(row, column.field), ascii);
  return text.empty() ? "-" : text;
}

top_kind kind_of_field(std::string_view field) noexcept {
  if (field.ends_with("_ms"))
    return top_kind::ms;
  if (field.ends_with("_us"))
    return top_kind::us;
  if (field.ends_with("_at"))
    return top_kind::at;
  if (field.starts_with("bytes_") || field.ends_with("_bytes")
      || field == "bytes" || field == "queue_max")
    return top_kind::bytes;
  constexpr std::array<std::string_view, 8> ids{
    "id", "actor", "client", "reader", "writer", "parent", "code", "peer_code"};
  return std::find(ids.begin(), ids.end(), field) == ids.end() ? top_kind::count
                                                               : top_kind::id;
}

} // namespace greenroom::client
