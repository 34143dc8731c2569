#pragma once

#include "actors/runtime/actor.hpp"
#include "actors/timer_wheel.hpp"

namespace greenroom {

/// Sends its actor a `Message` when its time is up. A part of that actor; on its
/// unit only.
template <class Message>
class alarm final : public timer {
public:
  explicit alarm(actor& owner) noexcept : owner_(owner) {}

protected:
  void fired() override { tell(owner_.self(), Message{}); }

private:
  actor& owner_;
};

} // namespace greenroom
