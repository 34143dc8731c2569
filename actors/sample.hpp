#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "actors/model.hpp"
#include "actors/runtime/lifecycle.hpp"

namespace greenroom {

/// One actor that stands out in a sample.
struct notable_actor {
  actor_kind kind = actor_kind::reader;
  std::uint64_t id = 0;
  client_id client = 0;
  std::string room;
  std::uint64_t depth = 0;
  std::int64_t busy_us = 0;
  std::int64_t wait_max_us = 0;
};

/// What a probe saw on its unit.
struct unit_sample {
  unit_id unit = 0;
  std::uint64_t turns = 0;
  std::array<std::uint64_t, static_cast<std::size_t>(actor_kind::last_)>
    actors{};
  std::uint64_t depth = 0;     ///< messages that wait, all actors
  std::uint64_t depth_max = 0; ///< the most that ever waited for one
  std::uint64_t handled = 0; ///< since the start, by actors that ended as well
  std::uint64_t memberships = 0;
  std::uint64_t bytes_queued = 0; ///< under way to members, all writers
  notable_actor busiest;
  notable_actor lagging; ///< deepest mailbox now, then longest wait ever
};

} // namespace greenroom
