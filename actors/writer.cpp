#include "actors/writer.hpp"

#include "actors/runtime/unit.hpp"

namespace greenroom {

writer::writer(caf::actor_config& cfg, unit& home, client_id client,
               std::shared_ptr<socket_port> socket)
  : actor(cfg, home, actor_kind::writer), client_(client),
    socket_(std::move(socket)) {}

bool writer::receive(caf::mailbox_element& in) {
  return dispatch(
    in, [this](deliver& x) { socket_->append(std::move(x.what)); },
    [this](trim& x) {
      auto dropped = socket_->drop_oldest(x.keep);
      home().counts().dropped.add(static_cast<std::int64_t>(dropped));
    },
    [](ask_written& x) { tell(x.whom, written{x.why}); });
}

void writer::stopped(errc) {
  socket_.reset();
}

} // namespace greenroom
