#include "actors/log_lines.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "actors/wire.hpp"

namespace greenroom {

level loudness_of(const lifecycle_event& x) {
  switch (x.what) {
    case happening::actor_crashed:
    case happening::room_quarantined:
    case happening::audit_fault:
      return level::error;
    case happening::room_restarted:
    case happening::limit:
      return level::warn;
    case happening::action:
      return x.why == errc::none && !x.clean ? level::error : level::warn;
    case happening::client_down:
    case happening::black_box:
    case happening::refused:
      return std::max(level::info, describe(x.why).loudness);
    default:
      return level::info;
  }
}

log_record line_of(const lifecycle_event& x) {
  auto how = loudness_of(x);
  auto line = log_record{how, to_string(x.what)};
  auto put = [&line](std::string_view key, auto value) {
    line.add(key, value);
  };
  put("unit", x.unit);
  switch (x.what) {
    case happening::client_up:
      put("client", x.client);
      put("dialect", std::string_view{x.text});
      put("address", std::string_view{x.room});
      break;
    case happening::client_down:
      put("client", x.client);
      put("reason", to_string(x.why));
      put("first", to_string(x.kind));
      put("chain", std::string_view{x.text});
      put("rooms", x.number);
      put("gaps", x.number2);
      break;
    case happening::joined:
    case happening::left:
      put("client", x.client);
      put("room", std::string_view{x.room});
      put("members", x.number);
      break;
    case happening::refused:
      put("client", x.client);
      put("room", std::string_view{x.room});
      put("reason", to_string(x.why));
      break;
    case happening::limit:
      put("client", x.client);
      put("reason", to_string(x.why));
      put("bytes", x.number);
      break;
    case happening::actor_crashed:
      put("kind", to_string(x.kind));
      put("actor", x.actor);
      if (x.client != 0)
        put("client", x.client);
      if (!x.room.empty())
        put("room", std::string_view{x.room});
      put("what", std::string_view{x.text});
      break;
    case happening::actor_down:
      put("kind", to_string(x.kind));
      put("reason", to_string(x.why));
      break;
    case happening::room_opened:
    case happening::room_closed:
    case happening::room_restarted:
    case happening::room_quarantined:
      put("room", std::string_view{x.room});
      put("members", x.number);
      if (x.why != errc::none)
        put("reason", to_string(x.why));
      break;
    case happening::draining:
      put("connections", x.number);
      break;
    case happening::black_box:
      if (x.client != 0)
        put("client", x.client);
      if (!x.room.empty())
        put("room", std::string_view{x.room});
      put("reason", to_string(x.why));
      put("entries", std::string_view{x.text});
      break;
    case happening::audit_fault:
      put("fault", std::string_view{x.more});
      put("client", x.client);
      put("room", std::string_view{x.room});
      put("expected", x.number);
      put("found", x.number2);
      put("repair", std::string_view{x.text});
      break;
    case happening::seat_over: // remembered, not logged
      break;
    case happening::action:
      put("by", std::string_view{x.text});
      put("target", std::string_view{x.more});
      if (x.actor != 0)
        put("actor", x.actor);
      if (x.client != 0)
        put("client", x.client);
      if (!x.room.empty())
        put("room", std::string_view{x.room});
      put("reason", to_string(x.why));
      put("memberships", x.number);
      put("took_ms", x.number2);
      put("clean", x.clean);
      put("left", std::string_view{x.left});
      break;
  }
  return line;
}

log_record snapshot_line(const unit_sample& all, const books& books,
                         const metrics& counts) {
  auto line = log_record{level::info, "snapshot"};
  auto put = [&line](std::string_view key, auto value) {
    line.add(key, value);
  };
  put("connections", books.clients);
  put("sockets", books.sockets);
  put("rooms", books.rooms);
  put("memberships", books.memberships);
  put("quarantined", books.quarantined);
  put("bytes_queued", books.bytes_queued);
  put("bytes_live", wire::live_bytes());
  for (std::size_t i = 0; i < all.actors.size(); ++i) {
    auto key = "actors_" + std::string{to_string(static_cast<actor_kind>(i))};
    put(key, all.actors[i]);
  }
  put("mailbox_depth", all.depth);
  put("mailbox_depth_max", all.depth_max);
  put("messages_handled", all.handled);
  put("turns", all.turns);

  put("publications", counts.publications.get());
  put("deliveries", counts.deliveries.get());
  put("dropped", counts.dropped.get());
  put("crashes", counts.crashes.get());
  auto notable = [&put](std::string_view prefix, const notable_actor& x) {
    auto key = [prefix](std::string_view rest) {
      return std::string{prefix} + "_" + std::string{rest};
    };
    put(key("kind"), to_string(x.kind));
    put(key("actor"), x.id);
    if (x.client != 0)
      put(key("client"), x.client);
    if (!x.room.empty())
      put(key("room"), std::string_view{x.room});
    put(key("mailbox"), x.depth);
    put(key("busy_us"), x.busy_us);
    put(key("wait_max_us"), x.wait_max_us);
  };
  notable("busiest", all.busiest);
  notable("lagging", all.lagging);
  return line;
}

} // namespace greenroom
