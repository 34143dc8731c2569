#include "actors/runtime/lifecycle.hpp"

namespace greenroom {

std::string_view to_string(actor_kind x) noexcept {
  switch (x) {
    case actor_kind::supervisor:
      return "supervisor";
    case actor_kind::inspector:
      return "inspector";
    case actor_kind::probe:
      return "probe";
    case actor_kind::room:
      return "room";
    case actor_kind::outlet:
      return "outlet";
    case actor_kind::reader:
      return "reader";
    case actor_kind::writer:
      return "writer";
    case actor_kind::reaper:
      return "reaper";
    case actor_kind::tracer:
      return "tracer";
    case actor_kind::last_:
      break;
  }
  return "unknown";
}

std::string_view to_string(happening x) noexcept {
  switch (x) {
    case happening::client_up:
      return "client_up";
    case happening::client_down:
      return "client_down";
    case happening::joined:
      return "joined";
    case happening::left:
      return "left";
    case happening::refused:
      return "refused";
    case happening::actor_down:
      return "actor_down";
    case happening::actor_crashed:
      return "actor_crashed";
    case happening::room_opened:
      return "room_opened";
    case happening::room_closed:
      return "room_closed";
    case happening::room_restarted:
      return "room_restarted";
    case happening::room_quarantined:
      return "room_quarantined";
    case happening::limit:
      return "limit";
    case happening::draining:
      return "draining";
    case happening::action:
      return "action";
    case happening::audit_fault:
      return "audit_fault";
    case happening::black_box:
      return "black_box";
    case happening::seat_over:
      return "seat_over";
  }
  return "unknown";
}

} // namespace greenroom
