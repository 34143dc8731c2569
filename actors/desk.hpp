#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "actors/engine.hpp"
#include "actors/ports.hpp"

namespace greenroom {

/// The broker's front desk: sends what net brings to the right actors.
class desk final : public front_desk {
public:
  /// @param env outlives this
  explicit desk(engine& env) : env_(env) {}

  void place(std::string room, std::function<void(unit_id)> told) override;

  std::unique_ptr<socket_sink> open(unit_id home,
                                    std::shared_ptr<socket_port> socket,
                                    upgrade request) override;

  bool compresses(std::string_view room) const noexcept override;

  bool ready() const noexcept override {
    return !env_.draining.load(std::memory_order_acquire);
  }

private:
  engine& env_;
};

} // namespace greenroom
