#pragma once

#include "actors/ports.hpp"
#include "actors/result.hpp"
#include "net/protocols/visit.hpp"

namespace greenroom::net {

/// The raw relay: every message is a publication to the one room of the
/// connection, every publication is the message it was, verbatim. No greeting,
/// no answers, no words of its own; problems are close codes.
class raw_protocol final : public protocol {
public:
  std::string_view name() const noexcept override { return "raw"; }

  void decode(inbound message, dialogue& state,
              std::vector<command>& out) const override;

  wire_ptr encode(const turn& events, client_id without) const override;

  wire_ptr encode(const answer& what) const override;
};

/// The one object that serves every raw connection.
const raw_protocol& raw_relay() noexcept;

/// `/room/{name}[?echo=0|1]`: joins the room. `token`, `user` and `since` are
/// refused until they mean something, since a client that sends them relies on
/// it; parameters we do not know are nobody's business.
result<entrance> enter_raw(const visit& in);

} // namespace greenroom::net
