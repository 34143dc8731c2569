#include "actors/fan_out.hpp"

#include <algorithm>

namespace greenroom {

namespace {

// What a member that gets the most of it gets.
std::size_t bytes_of(const broadcast& x) noexcept {
  std::size_t most = 0;
  for (auto& portion : x.portions)
    if (portion.bytes)
      most = std::max<std::size_t>(most, portion.bytes->size());
  return most;
}

} // namespace

void fan_out::begin(std::shared_ptr<const broadcast> what) {
  what_ = std::move(what);
  at_ = {};
}

bool fan_out::go_on() {
  if (done())
    return false;
  if (!members_.deliver(*what_, at_, env_.room.members_per_slice, overflow_,
                        env_.member, *env_.counts))
    return true;
  if (turn_ != home_.turns()) {
    turn_ = home_.turns();
    turn_bytes_ = 0;
  }
  turn_bytes_ += bytes_of(*what_);
  what_.reset();
  catch_up_.look_at(members_);
  return turn_bytes_ >= env_.member.outbound_bytes_max / env_.room.burst_share;
}

void fan_out::release() {
  members_.release(env_.member, *env_.counts);
  catch_up_.look_at(members_);
}

std::size_t fan_out::stop() noexcept {
  std::size_t timers = catch_up_.armed() ? 1 : 0;
  catch_up_.disarm();
  what_.reset();
  members_ = {};
  return timers;
}

} // namespace greenroom
