#include "net/protocols/raw.hpp"

#include "net/ws_frame.hpp"

namespace greenroom::net {

namespace {

bool told(const event& x, client_id without) {
  return x.kind == event_kind::publication
         && (without == 0 || x.from != without);
}

bool reserved(std::string_view parameter) {
  return parameter == "token" || parameter == "user" || parameter == "since";
}

} // namespace

// -- the dialect --------------------------------------------------------------------

void raw_protocol::decode(inbound message, dialogue&,
                          std::vector<command>& out) const {
  auto& post = out.emplace_back();
  post.what = verb::publish;
  post.data.form = message.text ? payload_form::text : payload_form::binary;
  post.data.bytes = std::move(message.bytes);
}

wire_ptr raw_protocol::encode(const turn& events, client_id without) const {
  std::size_t bytes = 0;
  for (auto& x : events.events)
    if (told(x, without))
      bytes += ws_header_size(x.what.bytes.size()) + x.what.bytes.size();
  if (bytes == 0)
    return {};
  wire_builder out{bytes};
  for (auto& x : events.events)
    if (told(x, without))
      append_ws_frame(out,
                      x.what.form == payload_form::binary ? ws_opcode::binary
                                                          : ws_opcode::text,
                      x.what.bytes);
  return out.finish();
}

wire_ptr raw_protocol::encode(const answer&) const {
  return {};
}

const raw_protocol& raw_relay() noexcept {
  static const raw_protocol instance;
  return instance;
}

// -- the way in -----------------------------------------------------------------------

result<entrance> enter_raw(const visit& in) {
  auto& dialect = raw_relay();
  auto echo = dialect.echoes();
  auto told_echo = false;
  for (auto& [key, value] : in.query) {
    if (reserved(key))
      return fault{errc::reserved_parameter, key};
    if (key == "echo") {
      // Twice is as doubtful as a value that is neither.
      if (told_echo || (value != "0" && value != "1"))
        return fault{errc::bad_request, "echo is 0 or 1"};
      told_echo = true;
      echo = value == "1";
    }
  }
  entrance way;
  way.dialect = &dialect;
  way.room = in.names.front();
  way.raw = true;
  auto& join = way.implied.emplace_back();
  join.what = verb::join;
  join.room = way.room;
  join.options.echo = echo;
  join.options.echo_asked = told_echo;
  return way;
}

} // namespace greenroom::net
