#include "actors/desk.hpp"

#include <algorithm>

#include "actors/messages.hpp"
#include "actors/reader.hpp"
#include "actors/writer.hpp"

namespace greenroom {

namespace {

/// Carries what the socket reports to its reader's mailbox. The handle keeps the
/// reader's memory, not its life: it quits when the socket is closed.
class mail_sink final : public socket_sink {
public:
  mail_sink(caf::actor reader, caf::actor supervisor, client_id client)
    : reader_(std::move(reader)), supervisor_(std::move(supervisor)),
      client_(client) {}

  ~mail_sink() override { tell(supervisor_, socket_gone{client_, peer_code_}); }

  void received(inbound message) override {
    tell(reader_, greenroom::received{std::move(message)});
  }

  void received_beside(std::uint64_t bytes) override {
    tell(reader_, greenroom::received_beside{bytes});
  }

  void closed(errc why, std::uint16_t peer_code) override {
    peer_code_ = peer_code;
    tell(reader_, socket_closed{why, peer_code});
  }

private:
  caf::actor reader_;
  caf::actor supervisor_;
  client_id client_;
  std::uint16_t peer_code_ = 0;
};

} // namespace

void desk::place(std::string room, std::function<void(unit_id)> told) {
  tell(env_.supervisor, greenroom::place{std::move(room), std::move(told)});
}

bool desk::compresses(std::string_view room) const noexcept {
  if (room.empty())
    return env_.others_compressed
           || std::any_of(env_.compressed.begin(), env_.compressed.end(),
                          [](auto& x) { return x.second; });
  auto i = env_.compressed.find(room);
  return i == env_.compressed.end() ? env_.others_compressed : i->second;
}

std::unique_ptr<socket_sink> desk::open(unit_id home,
                                        std::shared_ptr<socket_port> socket,
                                        upgrade request) {
  auto& where = env_.at(home);
  auto who = std::make_shared<member>();
  who->id = env_.last_client.fetch_add(1, std::memory_order_relaxed) + 1;
  who->unit = where.id();
  who->dialect = request.dialect;
  who->compressed = request.compressed;
  who->raw = request.raw;
  who->flow = std::move(request.flow);
  who->address = std::move(request.address);
  who->writer = spawn_on<writer>(where, who, socket);
  who->reader = spawn_on<reader>(where, env_, std::move(socket), who,
                                 std::move(request.implied));
  // Here and not by the reader: the socket may be gone before that has run, and
  // the supervisor must not hear of the end first.
  tell(env_.supervisor, client_up{who});
  return std::make_unique<mail_sink>(who->reader, env_.supervisor, who->id);
}

} // namespace greenroom
