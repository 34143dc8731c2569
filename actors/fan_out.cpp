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

// The room waits before it sends, not behind it: what it sent last is acknowledged by
// then, and a room without news waits for nobody.
pacer::verdict fan_out::go_on() {
  if (done())
    return pacer::verdict::go;
  const bool first = at_.group == 0 && at_.seat == 0;
  if (auto x = first ? pace_.judge(members_) : pacer::verdict::go;
      x != pacer::verdict::go)
    return x;
  if (!members_.deliver(*what_, at_, env_.room.members_per_slice,
                        {overflow_, env_.member, *env_.counts}))
    return pacer::verdict::pause;
  pace_.sent(bytes_of(*what_));
  what_.reset();
  catch_up_.look_at(members_);
  return pacer::verdict::go;
}

void fan_out::release() {
  members_.release(env_.member, *env_.counts);
  catch_up_.look_at(members_);
}

std::size_t fan_out::stop() noexcept {
  std::size_t timers = (catch_up_.armed() ? 1 : 0) + (pace_.armed() ? 1 : 0);
  catch_up_.disarm();
  pace_.stop();
  what_.reset();
  members_ = {};
  return timers;
}

} // namespace greenroom
