#include "app/commands/bench/verifier.hpp"

#include <optional>

namespace greenroom::client {

delivery_verifier::delivery_verifier(const layout& plan)
  : plan_(plan), published_(plan.talkers(), 0),
    tracks_(plan.connections() * plan.publishers),
    order_(plan.connections(), 0) {}

delivery_verifier::seen delivery_verifier::take(std::size_t member,
                                                const stamp& what) {
  if (what.publisher >= published_.size() || what.room >= plan_.rooms
      || what.room != plan_.room_of_publisher(what.publisher)
      || what.sequence > published_[what.publisher]) {
    ++faults_.corrupt;
    return seen::corrupt;
  }
  if (what.room != plan_.room_of_member(member)) {
    ++faults_.misrouted;
    return seen::misrouted;
  }
  auto& found =
    tracks_[member * plan_.publishers + what.publisher % plan_.publishers];
  if (what.sequence > found.last) {
    auto step = what.sequence - found.last;
    found.window = step < 64 ? found.window << step | 1 : 1;
    found.last = what.sequence;
  } else {
    // One that is too far behind for the window cannot be told from one that
    // came before; it counts as repeated, and the gap it left as lost.
    auto back = found.last - what.sequence;
    if (back >= 64 || (found.window >> back & 1) != 0) {
      ++faults_.repeated;
      return seen::repeated;
    }
    found.window |= std::uint64_t{1} << back;
    ++faults_.reordered;
  }
  ++found.fresh;
  auto& order = order_[member];
  order = (order ^ (std::uint64_t{what.publisher} << 40) ^ what.sequence)
          * 0x9e3779b97f4a7c15;
  order ^= order >> 29;
  return seen::fresh;
}

std::uint64_t delivery_verifier::missing(std::size_t member,
                                         std::uint32_t publisher) const {
  return published_[publisher]
         - tracks_[member * plan_.publishers + publisher % plan_.publishers]
             .fresh;
}

delivery_faults delivery_verifier::finish(const std::vector<bool>& present,
                                          const std::vector<bool>& echo) const {
  auto result = faults_;
  for (std::uint32_t room = 0; room < plan_.rooms; ++room) {
    std::optional<std::uint64_t> order;
    for (std::size_t i = 0; i < plan_.members; ++i) {
      auto member = static_cast<std::size_t>(room) * plan_.members + i;
      if (!present[member])
        continue;
      std::uint64_t lacks = 0;
      for (std::uint32_t k = 0; k < plan_.publishers; ++k)
        if (echo[room] || i != k)
          lacks += missing(member, room * plan_.publishers + k);
      result.lost += lacks;
      // Whoever has everything must have it in the room's one order.
      if (lacks > 0 || plan_.publishers < 2 || !echo[room])
        continue;
      if (!order)
        order = order_[member];
      else if (*order != order_[member])
        ++result.divergent;
    }
  }
  return result;
}

} // namespace greenroom::client
