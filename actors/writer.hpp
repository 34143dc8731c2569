#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "actors/member.hpp"
#include "actors/messages.hpp"
#include "actors/ports.hpp"
#include "actors/runtime/actor.hpp"

namespace greenroom {

/// One client's way out: moves ready-made frames from its mailbox to the socket's
/// outbox, on the socket's thread, so that the unit can flush once a turn. Linked
/// to the reader of the same connection; only that one opens and closes.
class writer final : public actor {
public:
  writer(caf::actor_config& cfg, unit& home, member_ptr who,
         std::shared_ptr<socket_port> socket);

  client_id serves() const noexcept override { return client_; }

  std::uint64_t parent() const override;

  /// What was trimmed of one room's events, because the policy of some room is
  /// to drop the oldest.
  struct trimmed {
    std::uint64_t room = 0; ///< its actor
    std::uint64_t drops = 0;
    std::uint64_t gaps = 0;
    std::uint64_t last = 0; ///< offset of the last one
  };

  /// Its connection's outbox; nothing once it has ended.
  socket_stats socket() const {
    return socket_ ? socket_->stats() : socket_stats{};
  }

  socket_lag lag() const { return socket_ ? socket_->lag() : socket_lag{}; }

  queued_events queued_of(std::uint64_t room) const {
    return socket_ ? socket_->queued_of(room) : queued_events{};
  }

  trimmed trimmed_of(std::uint64_t room) const noexcept;

  /// Bytes under way to the client.
  std::uint64_t queued() const noexcept { return flow_->queued(); }

protected:
  bool receive(caf::mailbox_element& in) override;
  void link_down(const caf::exit_msg& x) override;
  void stopped(errc why) override;
  void took(std::chrono::nanoseconds run) override;
  void lost(caf::mailbox_element& in) override;
  bool linked_by(caf::attachable& x) const override;

private:
  void append(deliver& x);
  void trim_to(std::uint64_t keep);

  client_id client_;
  // For mail behind its end, which may be behind that of its unit too.
  flow_ptr flow_;
  metrics& counts_;
  member_ptr who_;
  std::shared_ptr<socket_port> socket_;
  std::unique_ptr<std::vector<trimmed>> trimmed_; // null: nothing ever was
};

} // namespace greenroom
