#pragma once

#include <memory>

#include "actors/messages.hpp"
#include "actors/ports.hpp"
#include "actors/runtime/actor.hpp"

namespace greenroom {

/// One client's way out: moves ready-made frames from its mailbox to the socket's
/// outbox, on the socket's thread, so that the unit can flush once a turn. Linked
/// to the reader of the same connection; only that one opens and closes.
class writer final : public actor {
public:
  writer(caf::actor_config& cfg, unit& home, client_id client,
         std::shared_ptr<socket_port> socket);

  client_id serves() const noexcept override { return client_; }

protected:
  bool receive(caf::mailbox_element& in) override;
  void stopped(errc why) override;

private:
  client_id client_;
  std::shared_ptr<socket_port> socket_;
};

} // namespace greenroom
