#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "actors/errc.hpp"
#include "actors/model.hpp"

namespace greenroom {

enum class actor_kind : std::uint8_t {
  supervisor,
  inspector,
  probe,
  room,
  outlet,
  reader,
  writer,
  reaper,
  tracer,
  last_, // keep last
};

std::string_view to_string(actor_kind x) noexcept;

struct closed_row;

enum class happening : std::uint8_t {
  client_up,
  client_down,
  joined,
  left,
  refused,
  actor_down,
  actor_crashed,
  room_opened,
  room_closed,
  room_restarted,
  room_quarantined,
  limit,
  draining,
  action,
  audit_fault,
  black_box,
  seat_over, ///< a dead connection's place in a room, and its last offset
};

std::string_view to_string(happening x) noexcept;

/// One thing that happened in the life of an actor. Collected per unit and told to
/// the inspector in batches; never holds a payload or a token.
struct lifecycle_event {
  happening what = happening::client_up;
  actor_kind kind = actor_kind::reader;
  errc why = errc::none;
  unit_id unit = 0;
  std::uint16_t code = 0; ///< close code of the peer, if any
  client_id client = 0;
  std::uint64_t actor = 0;
  std::uint64_t number = 0;  ///< members, bytes, lost frames: what fits
  std::uint64_t number2 = 0; ///< a second one
  std::string room;
  std::string text; ///< an exception, an address, a chain of exits
  std::string more; ///< a second one
  std::string left; ///< of an end on demand: what was left
  bool clean = true;
  /// Of a connection that was open and is no more: all there is to remember.
  std::shared_ptr<closed_row> closed;
};

using lifecycle_batch = std::vector<lifecycle_event>;

} // namespace greenroom
