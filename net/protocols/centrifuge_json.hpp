#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/ports.hpp"
#include "actors/result.hpp"
#include "net/protocols/centrifuge_ids.hpp"
#include "net/protocols/centrifuge_rules.hpp"
#include "net/protocols/visit.hpp"

namespace greenroom::net {

/// The Centrifuge protocol, version 2, in JSON: one object a line, commands
/// with ids and answers, many rooms on a connection, a ping of its own.
class centrifuge_json final : public protocol {
public:
  /// @param ids outlives this
  explicit centrifuge_json(
    centrifuge_settings settings,
    const centrifuge_ids& ids = centrifuge_ids::of_this_process());

  std::string_view name() const noexcept override { return "centrifuge_json"; }

  void decode(inbound message, dialogue& state,
              std::vector<command>& out) const override;

  wire_ptr encode(const turn& events, client_id without) const override;

  wire_ptr encode(const answer& what) const override;

  /// In one message, as far as it holds them (§12).
  wire_ptr encode_all(std::span<const answer> all) const override;

  /// Bytes are not JSON; one sender of them must not end a whole room, as the
  /// original's code 3506 does.
  bool tells(const event& x) const noexcept override;

  farewell close_words(errc why) const override;

  wire_ptr ping() const override;

  bool greets() const noexcept override { return true; }

private:
  void append_reply(std::string& out, const answer& what) const;
  void append_connected(std::string& out, const answer& what) const;
  void append_info(std::string& out, client_id who) const;
  void append_client(std::string& out, client_id who) const;

  centrifuge_settings settings_;
  const centrifuge_ids& ids_;
};

/// `/connection/websocket`: JSON, or the words that Protobuf is not available.
result<entrance> enter_centrifuge(const visit& in);

} // namespace greenroom::net
