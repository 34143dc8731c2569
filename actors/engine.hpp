#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <caf/actor.hpp>

#include "actors/log.hpp"
#include "actors/metrics.hpp"
#include "actors/model.hpp"
#include "actors/options.hpp"
#include "actors/runtime/unit.hpp"

namespace greenroom {

/// What all actors of one broker share. Outlives them; read-only after the start
/// but for the atomics.
struct engine {
  std::vector<unit*> units;
  metrics* counts = nullptr;
  log_port* log = nullptr;
  reader_options reader;
  supervisor_options supervisor_limits;
  member_options member;
  room_limits room;
  inspector_options inspection;
  audit_options audit;
  /// Whether named rooms compress what they send, and whether the others do.
  std::map<std::string, bool, std::less<>> compressed;
  bool others_compressed = false;
  /// Held here too: observers are weak, and a supervisor nobody holds dies
  /// without a word.
  caf::actor supervisor;
  /// For those who look inside.
  std::string version;
  std::chrono::system_clock::time_point started_at =
    std::chrono::system_clock::now();
  std::atomic<client_id> last_client{0};
  std::atomic<bool> draining{false};

  unit& at(unit_id id) const { return *units[id % units.size()]; }
};

} // namespace greenroom
