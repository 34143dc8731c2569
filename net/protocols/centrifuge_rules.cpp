#include "net/protocols/centrifuge_rules.hpp"

#include <algorithm>
#include <array>

#include "net/room_name.hpp"

namespace greenroom::net {

namespace {

// The client wants an error where its position cannot be recovered (§4.1).
constexpr std::int64_t refuse_unrecovered = 2;

constexpr std::array<std::string_view, 16> words{
  "",
  "",
  "",
  "",
  "connect",
  "subscribe",
  "unsubscribe",
  "publish",
  "presence",
  "presence_stats",
  "history",
  "ping",
  "send",
  "rpc",
  "refresh",
  "sub_refresh",
};

std::uint16_t kind_of(const centrifuge_request& in) noexcept {
  auto kind = static_cast<std::uint16_t>(in.what);
  return in.recover ? kind | centrifuge_recovering : kind;
}

command& add(verb what, const centrifuge_request& in,
             std::vector<command>& out) {
  auto& x = out.emplace_back();
  x.what = what;
  x.id = in.id;
  x.kind = kind_of(in);
  return x;
}

bool refuse(errc why, const centrifuge_request& in, std::vector<command>& out) {
  add(verb::refuse, in, out).why = why;
  return true;
}

bool end(errc why, std::vector<command>& out) {
  end_centrifuge(why, out);
  return false;
}

// The name of a room in any dialect, and ASCII (§4.1) without what the protocol
// reserves (§10).
bool channel_name(std::string_view name, std::size_t bytes_max) noexcept {
  return valid_room_name(name, bytes_max)
         && std::all_of(name.begin(), name.end(), [](char c) {
              return c >= ' ' && c < '\x7f' && c != '*' && c != '&';
            });
}

// §10: behind a `#` stands who may subscribe. Nobody here has a user id yet.
bool user_limited(std::string_view name) noexcept {
  return name.find('#') != std::string_view::npos;
}

bool connect(const centrifuge_request& in, dialogue& state,
             std::vector<command>& out) {
  if (state.greeted)
    return end(errc::bad_command, out); // §3: only once
  // Nothing can tell a good token from a bad one yet, and taking its bearer for
  // somebody without a name would be worse than refusing (§3: no reply).
  if (!in.token.empty())
    return end(errc::unauthorized, out);
  state.greeted = true;
  add(verb::hello, in, out);
  return true;
}

bool subscribe(const centrifuge_request& in,
               const centrifuge_settings& settings, std::vector<command>& out) {
  if (in.type != 0)
    return refuse(errc::not_available, in, out);
  if (!channel_name(in.channel, settings.channel_bytes_max))
    return refuse(errc::bad_room_name, in, out);
  if (in.filtered)
    return refuse(errc::bad_request, in, out);
  // §8: a token that does not hold is refused, whatever the name needs.
  if (protected_name(in.channel) || user_limited(in.channel)
      || !in.token.empty())
    return refuse(errc::room_forbidden, in, out);
  // No room keeps a stream yet, so nothing is ever recovered.
  if (in.recover && (in.flag & refuse_unrecovered) != 0)
    return refuse(errc::unrecoverable, in, out);
  add(verb::join, in, out).room = in.channel;
  return true;
}

bool publish(const centrifuge_request& in, payload_form form,
             const centrifuge_settings& settings, std::vector<command>& out) {
  if (in.type != 0)
    return refuse(errc::not_available, in, out);
  if (!channel_name(in.channel, settings.channel_bytes_max))
    return refuse(errc::bad_room_name, in, out);
  if (in.data.empty() || in.too_deep)
    return refuse(errc::bad_request, in, out);
  auto& x = add(verb::publish, in, out);
  x.room = in.channel;
  x.data.bytes = in.data;
  x.data.form = form;
  return true;
}

} // namespace

std::string_view centrifuge_word(centrifuge_ask what) noexcept {
  auto i = static_cast<std::size_t>(what);
  return i < words.size() ? words[i] : std::string_view{};
}

void end_centrifuge(errc why, std::vector<command>& out) {
  auto& x = out.emplace_back();
  x.what = verb::end;
  x.why = why;
}

bool apply_centrifuge_rules(const centrifuge_request& in, payload_form form,
                            const centrifuge_settings& settings,
                            dialogue& state, std::vector<command>& out) {
  using ask = centrifuge_ask;
  if (!state.greeted && in.what != ask::connect)
    return end(errc::bad_command, out); // §2.1
  if (in.id == 0 && in.what != ask::send && in.what != ask::nothing)
    return end(errc::bad_command, out); // §2.1
  switch (in.what) {
    case ask::nothing: // a pong, if there was a ping (§6)
      if (in.id != 0 || state.pings_out == 0)
        return end(errc::bad_command, out);
      --state.pings_out;
      add(verb::pong, in, out);
      return true;
    case ask::connect:
      return connect(in, state, out);
    case ask::subscribe:
      return subscribe(in, settings, out);
    case ask::unsubscribe:
      // §4.2: an error would cost the client its connection, and whoever is not
      // in a room has left it.
      add(verb::leave, in, out).room = in.channel;
      return true;
    case ask::publish:
      return publish(in, form, settings, out);
    case ask::presence:
    case ask::presence_stats:
    case ask::history:
    case ask::rpc:
    case ask::refresh:
    case ask::sub_refresh:
      return refuse(errc::not_available, in, out); // §4.4, §4.5, §4.6
    case ask::send:
      return end(errc::not_available, out); // §4.6: it cannot be answered
    case ask::ping:
      break; // §2.1: no client sends it
  }
  return end(errc::bad_command, out);
}

} // namespace greenroom::net
