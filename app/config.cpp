#include "app/config.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "app/command_line.hpp"
#include "app/values.hpp"
#include "net/origin.hpp"

namespace greenroom {

namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr std::uint64_t KiB = 1024;
constexpr std::uint64_t MiB = 1024 * KiB;
constexpr std::uint64_t GiB = 1024 * MiB;

// -- words for values -------------------------------------------------------------

template <class T>
struct choice {
  T value;
  std::string_view word;
};

constexpr std::array overflow_words{
  choice<overflow_policy>{overflow_policy::disconnect, "disconnect"},
  choice<overflow_policy>{overflow_policy::drop_newest, "drop-newest"},
  choice<overflow_policy>{overflow_policy::drop_oldest, "drop-oldest"},
  choice<overflow_policy>{overflow_policy::conflate, "conflate"},
};

constexpr std::array raw_words{
  choice<raw_access>{raw_access::on, "on"},
  choice<raw_access>{raw_access::read_only, "read-only"},
  choice<raw_access>{raw_access::off, "off"},
};

constexpr std::array io_uring_words{
  choice<io_uring_use>{io_uring_use::automatic, "auto"},
  choice<io_uring_use>{io_uring_use::on, "on"},
  choice<io_uring_use>{io_uring_use::off, "off"},
};

constexpr std::array format_words{
  choice<log_format>{log_format::automatic, "auto"},
  choice<log_format>{log_format::json, "json"},
  choice<log_format>{log_format::text, "text"},
};

constexpr std::array level_words{
  choice<level>{level::trace, "trace"}, choice<level>{level::debug, "debug"},
  choice<level>{level::info, "info"},   choice<level>{level::warn, "warn"},
  choice<level>{level::error, "error"},
};

template <class Words>
std::string list_of(const Words& words) {
  std::string result;
  for (std::size_t i = 0; i < words.size(); ++i)
    result += fmt::format("{}{}",
                          i == 0                  ? ""
                          : i + 1 == words.size() ? " or "
                                                  : ", ",
                          words[i].word);
  return result;
}

// -- setters: a value, or what is wrong with it ------------------------------------

template <class T>
std::string set_count(T& to, std::string_view text, std::uint64_t least,
                      std::uint64_t most) {
  auto value = parse_count(text);
  if (!value || *value < least || *value > most)
    return fmt::format("expected a number from {} to {}", least, most);
  to = static_cast<T>(*value);
  return {};
}

template <class T>
std::string set_size(T& to, std::string_view text, std::uint64_t least,
                     std::uint64_t most) {
  auto value = parse_size(text);
  if (!value || *value < least || *value > most)
    return fmt::format("expected a size from {} to {}, such as 64KiB",
                       format_size(least), format_size(most));
  to = static_cast<T>(*value);
  return {};
}

std::string set_duration(milliseconds& to, std::string_view text,
                         milliseconds least, milliseconds most) {
  if (auto bare = parse_count(text); bare && *bare != 0)
    return fmt::format("needs a unit: {0}ms, {0}s or {0}m", *bare);
  auto value = parse_duration(text);
  if (!value || *value < least || *value > most)
    return fmt::format("expected a time from {} to {}, such as 10s",
                       format_duration(least), format_duration(most));
  to = *value;
  return {};
}

std::string set_switch(bool& to, std::string_view text) {
  auto value = parse_switch(text);
  if (!value)
    return "expected on or off";
  to = *value;
  return {};
}

template <class T, std::size_t N>
std::string set_choice(T& to, std::string_view text,
                       const std::array<choice<T>, N>& words) {
  std::vector<std::string> known;
  for (const auto& x : words) {
    if (x.word == text) {
      to = x.value;
      return {};
    }
    known.emplace_back(x.word);
  }
  return fmt::format("expected {}{}", list_of(words),
                     did_you_mean(nearest(text, known)));
}

/// A token itself, or what stands in the file behind an @.
std::string set_token(std::string& to, std::string_view text) {
  std::string token{text};
  if (text.starts_with('@')) {
    std::ifstream in{std::string{text.substr(1)}, std::ios::binary};
    if (!in)
      return "the file behind @ cannot be read";
    token.resize(4 * KiB); // more is no token
    in.read(token.data(), static_cast<std::streamsize>(token.size()));
    token.resize(static_cast<std::size_t>(in.gcount()));
    while (token.ends_with('\n') || token.ends_with('\r'))
      token.pop_back();
  }
  constexpr auto least = net::inspect_options::token_bytes_min;
  // As in a header (RFC 6750 §2.1).
  constexpr std::string_view marks = "-._~+/=";
  auto fits = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || marks.find(c) != std::string_view::npos;
  };
  if (token.size() < least || !std::all_of(token.begin(), token.end(), fits))
    return fmt::format("expected at least {} letters, digits or {}, or @FILE, "
                       "such as from: openssl rand -hex 32",
                       least, marks);
  to = std::move(token);
  return {};
}

constexpr std::uint64_t members_most = 10'000'000;
constexpr milliseconds write_delay_most = 10s;

// -- the option table ------------------------------------------------------------

/// Rows that write into one struct, whose values at the start are the defaults.
class table {
public:
  std::vector<option> rows;

  void group(std::string heading) { group_ = std::move(heading); }

  /// The other adders end here.
  option& add(std::string key, std::string placeholder, std::string fallback,
              std::string text,
              std::function<std::string(std::string_view)> set) {
    return rows.emplace_back(option{std::move(key), std::move(placeholder),
                                    std::move(fallback), group_,
                                    std::move(text), std::move(set)});
  }

  template <class T>
  option& count(std::string key, T& to, std::uint64_t least, std::uint64_t most,
                std::string text) {
    return add(std::move(key), "N", fmt::format("{}", to), std::move(text),
               [&to, least, most](std::string_view x) {
                 return set_count(to, x, least, most);
               });
  }

  template <class T>
  option& size(std::string key, T& to, std::uint64_t least, std::uint64_t most,
               std::string text) {
    return add(std::move(key), "SIZE", format_size(to), std::move(text),
               [&to, least, most](std::string_view x) {
                 return set_size(to, x, least, most);
               });
  }

  option& duration(std::string key, milliseconds& to, milliseconds least,
                   milliseconds most, std::string text) {
    return add(std::move(key), "TIME", format_duration(to), std::move(text),
               [&to, least, most](std::string_view x) {
                 return set_duration(to, x, least, most);
               });
  }

  option& on_off(std::string key, bool& to, std::string text) {
    auto& row =
      add(std::move(key), "on|off", to ? "on" : "off", std::move(text),
          [&to](std::string_view x) { return set_switch(to, x); });
    row.bare = true;
    return row;
  }

  template <class T, std::size_t N>
  option& one_of(std::string key, std::string placeholder, T& to,
                 const std::array<choice<T>, N>& words, std::string text) {
    std::string fallback;
    for (const auto& x : words)
      if (x.value == to)
        fallback = x.word;
    return add(
      std::move(key), std::move(placeholder), fallback, std::move(text),
      [&to, &words](std::string_view x) { return set_choice(to, x, words); });
  }

private:
  std::string group_;
};

/// What cannot be decided before every flag is read.
struct pending {
  std::vector<std::string> rooms;
  std::optional<std::size_t> threads;
  std::optional<std::size_t> process_bytes_max;
};

/// `auto`, or what `set` reads.
template <class Set>
std::function<std::string(std::string_view)> or_auto(
  std::optional<std::size_t>& to, Set set) {
  return [&to, set](std::string_view text) -> std::string {
    if (text == "auto") {
      to.reset();
      return {};
    }
    std::size_t value = 0;
    auto wrong = set(value, text);
    if (!wrong.empty())
      return wrong + ", or auto";
    to = value;
    return {};
  };
}

std::vector<option> option_table(broker_options& to, pending& later) {
  table t;

  t.group("Rooms");
  t.add("room", "ROOM", "",
        "A room that exists from the start: a name, then options of its own "
        "behind commas: publish=on|off, echo=on|off, raw=on|read-only|off, "
        "members=N, overflow=POLICY, write-delay=TIME, deflate=on|off.",
        [&later](std::string_view text) {
          later.rooms.emplace_back(text);
          return std::string{};
        })
    .repeatable = true;
  t.on_off(
    "rooms-on-demand", to.supervisor.rooms_on_demand,
    "Whether joining creates a room that does not exist (else 404). Such "
    "a room goes away behind its last member: --rooms-linger.");
  t.duration(
    "rooms-linger", to.supervisor.linger, 0ms, 24h,
    "A room on demand stays for so long when its last member has left, "
    "with its epoch and count of messages (which are not kept), unless its "
    "place is needed. 0: it goes at once.");
  t.count("rooms-max", to.supervisor.rooms_max, 1, 10'000'000,
          "Rooms in all. Joining one that would be more is refused with 503.");
  t.count("rooms-per-connection", to.supervisor.rooms_per_connection_max, 1,
          100'000,
          "Rooms one connection may be in. Joining one more is refused.");
  t.size("room-name-max", to.http.room_name_bytes_max, 1, 1 * KiB,
         "Bytes in the name of a room. A longer name is refused with 400.");
  t.count("room-members", to.room_defaults.members_max, 1, members_most,
          "Members of a room that does not say members=N. One more is refused "
          "with 503.");
  t.on_off("room-publish", to.room_defaults.publish,
           "Whether members of any dialect may publish in a room that does not "
           "say publish=... Off: they listen; a raw client that sends is ended "
           "with 1008, others get an error.");
  t.on_off("room-echo", to.room_defaults.echo,
           "Whether a raw client gets its own messages, unless the room says "
           "echo=... or the client ?echo=0 or 1.");
  t.one_of("room-raw", "ACCESS", to.room_defaults.raw, raw_words,
           "What raw clients may do in a room that does not say raw=...: on, "
           "read-only (sending ends them with 1008), or off (403).");
  t.one_of(
    "room-overflow", "POLICY", to.room_defaults.overflow, overflow_words,
    "What happens to a member over --member-outbound-max, unless its room "
    "says overflow=...: disconnect (1013), drop-newest, drop-oldest, or "
    "conflate (keep the latest per sender).");
  t.duration("room-write-delay", to.room_defaults.write_delay, 0ms,
             write_delay_most,
             "How long a room waits for more messages to send together, unless "
             "it says write-delay=... Costs that much latency, saves system "
             "calls.");

  t.group("Listening");
  t.add("bind", "ADDRESS", to.listener.bind,
        "Address to listen on. 0.0.0.0 or :: is every address of the machine: "
        "anybody who can reach it may then join.",
        [&to](std::string_view text) -> std::string {
          auto address = parse_address(text);
          if (!address)
            return "expected an IP address, such as 127.0.0.1 or ::";
          to.listener.bind = *address;
          return {};
        });
  t.count("port", to.listener.port, 0, 65535,
          "TCP port of everything. 0 takes a free one; the log tells which.");
  t.add(
     "origin", "ORIGIN", "",
     "Web pages that may connect from elsewhere, such as "
     "https://example.org, or * for all. Other origins get 403; the broker's "
     "own host and clients that name no origin always pass. Bound to this "
     "machine, its host is localhost or a loopback address: a proxy's name "
     "has to be given here.",
     [&to](std::string_view text) -> std::string {
       std::string one{text};
       if (!net::origin_rules::make({one}))
         return "expected scheme://host[:port] without a path, or *";
       to.http.origins.push_back(std::move(one));
       return {};
     })
    .repeatable = true;
  t.add("trusted-proxy", "NETWORK", "",
        "Address or network (CIDR) of a proxy whose X-Forwarded-For or PROXY "
        "protocol v2 names the real client. Nobody else's is believed.",
        [&to](std::string_view text) -> std::string {
          auto network = parse_network(text);
          if (!network)
            return "expected an address or a network, such as 10.0.0.0/8";
          to.listener.trusted_proxies.push_back(*network);
          return {};
        })
    .repeatable = true;
  t.add("threads", "N", "auto",
        "Threads that share the connections and rooms. auto is one per core "
        "that this process may use, 256 at most.",
        or_auto(later.threads, [](std::size_t& n, std::string_view text) {
          return set_count(n, text, 1, 256);
        }));
  t.one_of(
    "io-uring", "auto|on|off", to.io_uring, io_uring_words,
    "Whether many sends go to the kernel in one call. auto uses it where "
    "it is allowed; on does not start without it.");
  t.count("backlog", to.listener.backlog, 1, 65535,
          "New connections the kernel holds until they are accepted. Beyond it "
          "clients have to knock again.");
  t.duration(
    "accept-backoff", to.listener.accept_backoff, 1ms, 60s,
    "Pause of accepting when file descriptors ran out; clients wait in "
    "the backlog.");

  t.group("Connections");
  t.count("connections-max", to.listener.connections_max, 1, 10'000'000,
          "Open sockets in all. One more gets 503 and Retry-After. Unless "
          "chosen, it is lowered to what the limit of descriptors allows.");
  t.count("connections-per-address", to.listener.connections_per_address_max, 1,
          10'000'000,
          "Open sockets of one client address. One more gets 503 and "
          "Retry-After.");
  t.duration("handshake-timeout", to.session.handshake_timeout, 10ms, 10min,
             "From accepting a socket to its upgrade or first answer. Over it: "
             "408.");
  t.on_off("anonymous", to.reader.anonymous,
           "Whether clients of a dialect with a greeting may connect without a "
           "token. Tokens are not taken yet, so off keeps all of them out; raw "
           "clients do not greet.");
  t.duration("greeting-timeout", to.reader.greeting_timeout, 10ms, 10min,
             "From the upgrade to the greeting of a dialect that has one; over "
             "it the connection is ended.");
  t.duration(
    "ping-every", to.session.ping_every, 10ms, 24h,
    "Time between two pings of a connection. Keep it below the patience of "
    "proxies on the way, often 60s.");
  t.duration("pong-timeout", to.reader.pong_timeout, 10ms, 24h,
             "From a ping of a dialect that has its own to its answer; over it "
             "the connection is ended. Unless chosen, at most half of "
             "--ping-every.");
  t.duration("idle-timeout", to.session.idle_timeout, 10ms, 24h,
             "A connection that gave no sign of life for so long, pongs "
             "included, is ended.");
  t.duration("write-timeout", to.session.write_progress_timeout, 10ms, 10min,
             "A connection that takes no byte of what waits for it for so long "
             "is ended (1013).");
  t.duration(
    "goodbye-timeout", to.session.goodbye_timeout, 10ms, 10min,
    "From our close frame to cutting the connection off, if the client "
    "does not answer.");

  t.group("What clients send");
  t.size("message-max", to.session.message_bytes_max, 1, 64 * MiB,
         "Size of a message. A bigger one ends its connection with 1009.");
  t.count("messages-per-second", to.reader.messages_per_second, 0, 100'000'000,
          "Messages of one connection. Over it (and its burst) the connection "
          "is ended with 1008. 0: no limit.");
  t.size("bytes-per-second", to.reader.bytes_per_second, 0, 1024 * GiB,
         "The same for the bytes of its messages. 0: no limit.");
  t.count("burst-seconds", to.reader.burst_seconds, 1, 3600,
          "How many seconds' worth of both may come at once after a pause.");
  t.count("posts-max", to.reader.posts_max, 1, 1'000'000,
          "Messages of one connection that its rooms have not passed on to all "
          "their members yet. The connection is not read beyond them, so its "
          "client has to wait.");
  t.size("posts-bytes-max", to.reader.posts_bytes_max, 1 * KiB, 1 * GiB,
         "The same for their bytes; one message may exceed it.");
  t.count("inbound-messages-max", to.session.inbound_messages_max, 1, 1'000'000,
          "Messages of one connection that were received and not taken yet. It "
          "is not read beyond them.");
  t.size("inbound-bytes-max", to.session.inbound_bytes_max, 1 * KiB, 1 * GiB,
         "The same for their bytes; one message may exceed it.");
  t.size("control-max", to.session.control_bytes_max, 256, 1 * MiB,
         "Pongs that wait for a client which sends pings and reads nothing. It "
         "is not read beyond them.");

  t.group("What clients are sent");
  t.size("member-outbound-max", to.member.outbound_bytes_max, 1 * KiB, 1 * GiB,
         "Bytes under way to one member. Over it the overflow policy of the "
         "room decides. More forgives longer stalls and costs memory for each "
         "stalled member.");
  t.add(
    "process-outbound-max", "SIZE", "auto",
    "Bytes under way in all, shared ones counted once. Over it members that "
    "lag by more than --lagging-min are ended (1013). auto is 1GiB, or a "
    "quarter of the memory where that is less.",
    or_auto(later.process_bytes_max, [](std::size_t& n, std::string_view text) {
      return set_size(n, text, 64 * KiB, 1024 * GiB);
    }));
  t.size("lagging-min", to.member.lagging_bytes, 1, 1 * GiB,
         "Bytes under way to a member that lags, see --process-outbound-max.");
  t.duration(
    "burst-patience", to.room.patience, 0ms, 10s,
    "So long a room waits amid a burst for members that read, in all; a "
    "hundredth of the time that passes is given back. Only where "
    "overflow=disconnect. 0: members are ended at once.");
  t.size("send-buffer", to.session.send_buffer_bytes, 0, 64 * MiB,
         "SO_SNDBUF of a connection. 0 leaves it to the kernel, which then "
         "hides megabytes of lag.");
  t.size("turn-bytes-max", to.room.turn_bytes_max, 1 * KiB, 64 * MiB,
         "A room sends what it has collected when it is so much. A slow member "
         "keeps blocks of this size alive.");
  t.count("turn-messages-max", to.room.turn_events_max, 1, 1'000'000,
          "The same as a number of messages.");

  t.group("Compression");
  t.on_off("deflate", to.room_defaults.compressed,
           "Whether rooms that do not say deflate=... compress what they send, "
           "once for all clients that offer permessage-deflate (RFC 7692).");
  t.count("deflate-level", to.session.deflate.level, 1, 9,
          "How hard to try. More than 1 saves a few per cent and costs up to "
          "three times the CPU for large messages.");
  t.size("deflate-min", to.session.deflate.bytes_min, 0, 1 * GiB,
         "Smaller messages are sent as they are.");
  t.count("deflate-window", to.session.deflate.window_bits, 9, 15,
          "Log2 of the window of what clients are sent. Those that accept only "
          "less get a window of 9.");
  t.on_off("deflate-client-context", to.session.deflate.client_context,
           "Whether clients may refer to their earlier messages, which saves "
           "them bytes and costs a window of memory per connection.");
  t.count("deflate-client-window", to.session.deflate.client_window_bits, 9, 15,
          "Log2 of the window asked of clients that offer to be asked; that of "
          "the others is 15, 32KiB.");
  t.on_off("deflate-require-window", to.session.deflate.require_client_window,
           "Whether clients that do not offer a smaller window go "
           "uncompressed.");

  t.group("HTTP");
  t.size("header-max", to.http.header_bytes_max, 1 * KiB, 1 * MiB,
         "Request line and headers. Over it: 431.");
  t.duration("keep-alive-timeout", to.http.keep_alive_timeout, 10ms, 1h,
             "A connection that waits so long for its next request is closed.");
  t.count("keep-alive-max", to.http.keep_alive_max, 0, 1'000'000,
          "Connections that wait for their next request. One more is closed "
          "after its answer. 0: none is kept.");
  t.count("pipelined-max", to.http.pipelined_max, 1, 1024,
          "Requests that may wait behind the one being answered. More are not "
          "read until it is.");

  t.group("Faults and stopping");
  t.count("room-crashes-max", to.supervisor.restarts_max, 1, 1000,
          "A room that crashes so often within --crash-window is quarantined: "
          "closed to all, until an operator restarts it or the broker starts "
          "anew.");
  t.count(
    "crashes-max", to.supervisor.crashes_max, 1, 100'000,
    "So many crashes of rooms in all within --crash-window end the broker "
    "with exit status 70: the fault is not in one room.");
  t.duration("crash-window", to.supervisor.restart_window, 10ms, 24h,
             "The time over which crashes are counted.");
  t.duration("drain-timeout", to.drain_timeout, 10ms, 1h,
             "From the first SIGTERM or SIGINT until the process has ended. "
             "Connections left when a fifth of it remains, 2s at most, are cut "
             "off.");
  t.count("drain-slice", to.supervisor.drain_slice, 1, 1'000'000,
          "Connections told to go at once while stopping; the next so many "
          "after 20ms. Spreads their reconnects.");
  t.duration("audit-every", to.audit.every, 0ms, 24h,
             "Books, rooms and writers that do not agree on a member are found "
             "and put right within this time. 0: nobody looks.");
  t.count("ends-max", to.supervisor.ends_max, 1, 10'000,
          "Orders to end a connection, actor or room that are not answered "
          "yet. One more is refused.");
  t.duration("end-deadline", to.supervisor.end_deadline, 100ms, 10min,
             "Until then such an order is answered, with what is left. Unless "
             "chosen, at least 3s more than --goodbye-timeout.");
  t.count("spread-members", to.supervisor.spread_members, 1, members_most,
          "Members from which on new ones of a room are spread over all "
          "threads.");
  t.duration("placement-timeout", to.supervisor.placement_timeout, 10ms, 10min,
             "A new room is forgotten if the connection that asked for it does "
             "not join it for so long.");

  t.group("Inspection");
  t.add(
    "inspect-bind", "ADDRESS", to.inspect.bind,
    "Address of the inspection listener: API, page and metrics. Beyond this "
    "machine it needs --inspect-token.",
    [&to](std::string_view text) -> std::string {
      auto address = parse_address(text);
      if (!address)
        return "expected an IP address, such as 127.0.0.1 or ::";
      to.inspect.bind = *address;
      return {};
    });
  t.add("inspect-port", "N|off", fmt::format("{}", to.inspect.port),
        "Its TCP port. 0 takes a free one, and so does the default if it is "
        "taken; the log tells which. off: there is none.",
        [&to](std::string_view text) -> std::string {
          to.inspect.on = text != "off";
          if (!to.inspect.on)
            return {};
          auto wrong = set_count(to.inspect.port, text, 0, 65535);
          return wrong.empty() ? wrong : wrong + ", or off";
        });
  t.add(
     "inspect-token", "TOKEN", "",
     "Who may look: clients that send it as Authorization: Bearer TOKEN. "
     "@FILE reads it from a file. None: everybody on this machine.",
     [&to](std::string_view text) { return set_token(to.inspect.token, text); })
    .secret = true;
  t.add("inspect-act-token", "TOKEN", "",
        "Who may end connections and rooms, and look. None: nobody may end "
        "anything.",
        [&to](std::string_view text) {
          return set_token(to.inspect.act_token, text);
        })
    .secret = true;
  t.add("inspect-host", "NAME", "",
        "A name by which browsers may call the inspection listener, beside "
        "addresses and localhost. Others get 421: the name of a foreign page "
        "may lead here (DNS rebinding).",
        [&to](std::string_view text) -> std::string {
          auto name = net::authority::parse(text);
          if (!name || name->port)
            return "expected a name without a port, such as broker.internal";
          to.inspect.hosts.push_back(name->host);
          return {};
        })
    .repeatable = true;
  t.count("inspect-connections-max", to.inspect.connections_max, 1, 100'000,
          "Open sockets of the inspection listener. One more gets 503.");
  t.count("inspect-streams-max", to.inspect.streams_max, 0, 100'000,
          "Answers of it that go on, such as traces. One more gets 503.");
  t.size("inspect-stream-buffer", to.inspect.stream_bytes_max, 1 * KiB, 1 * GiB,
         "Events of a trace that wait for a slow reader. More are lost and "
         "counted in its stream.");
  t.duration("inspect-timeout", to.inspect.answer_timeout, 10ms, 10min,
             "From a question to its answer. Over it: 504. Unless chosen, at "
             "least 2s more than --end-deadline.");

  t.group("Log");
  t.one_of("log-format", "FORMAT", to.log.format, format_words,
           "json: an object per line. text: for people. auto: text on a "
           "terminal, else json.");
  t.one_of("log-level", "LEVEL", to.log.loudness, level_words,
           "The quietest lines to write: trace, debug, info, warn or error.");
  t.duration("inspect-every", to.inspector.every, 0ms, 24h,
             "Time between two snapshot lines. 0: none.");
  t.duration("inspect-sample", to.inspector.sample_every, 100ms, 1min,
             "Those who look inside see samples of this age at most, and share "
             "them. Shorter is fresher and costs more.");
  t.count("inspect-closed", to.inspector.closed_max, 0, 1'000'000,
          "Closed connections that are remembered, to say why. About 0.5 KiB "
          "each.");
  t.count(
    "log-lines-max", to.log.lines_max, 1, 10'000'000,
    "Lines that wait for a slow reader of the log. More are lost, counted "
    "and told of by a line log_lost.");
  t.size("log-bytes-max", to.log.bytes_max, 4 * KiB, 1 * GiB,
         "The same for their bytes.");
  return std::move(t.rows);
}

// -- what contradicts what ---------------------------------------------------------

class checker {
public:
  checker(const broker_options& x, const command_line& line)
    : x_(x), line_(line) {}

  /// @returns the first contradiction, or an empty string
  std::string first() const {
    auto sized = [this](std::string_view key, std::uint64_t n) {
      return fmt::format("{} {}", told(key), format_size(n));
    };
    auto timed = [this](std::string_view key, milliseconds n) {
      return fmt::format("{} {}", told(key), format_duration(n));
    };
    auto counted = [this](std::string_view key, std::uint64_t n) {
      return fmt::format("{} {}", told(key), n);
    };
    const auto& session = x_.session;
    const auto& member = x_.member;
    const auto& supervisor = x_.supervisor;
    if (session.idle_timeout <= session.ping_every)
      return fmt::format("{} is not more than {}: quiet clients would be ended "
                         "before they are asked",
                         timed("idle-timeout", session.idle_timeout),
                         timed("ping-every", session.ping_every));
    if (x_.reader.pong_timeout >= session.ping_every)
      return fmt::format("{} is not less than {}: pings would overtake their "
                         "answers",
                         timed("pong-timeout", x_.reader.pong_timeout),
                         timed("ping-every", session.ping_every));
    if (session.message_bytes_max > member.outbound_bytes_max / 2)
      return fmt::format(
        "{} is more than half of {}: two messages would "
        "overflow a member",
        sized("message-max", session.message_bytes_max),
        sized("member-outbound-max", member.outbound_bytes_max));
    if (x_.room.turn_bytes_max > member.outbound_bytes_max / 2)
      return fmt::format(
        "{} is more than half of {}: two turns would overflow "
        "a member",
        sized("turn-bytes-max", x_.room.turn_bytes_max),
        sized("member-outbound-max", member.outbound_bytes_max));
    if (member.outbound_bytes_max > member.process_bytes_max)
      return fmt::format(
        "{} is more than {}",
        sized("member-outbound-max", member.outbound_bytes_max),
        sized("process-outbound-max", member.process_bytes_max));
    if (member.lagging_bytes > member.outbound_bytes_max)
      return fmt::format(
        "{} is more than {}: nobody could lag",
        sized("lagging-min", member.lagging_bytes),
        sized("member-outbound-max", member.outbound_bytes_max));
    if (auto rate = x_.reader.bytes_per_second;
        rate != 0 && rate * x_.reader.burst_seconds < session.message_bytes_max)
      return fmt::format("{} for {} is less than {}: such a message could not "
                         "be sent",
                         sized("bytes-per-second", rate),
                         counted("burst-seconds", x_.reader.burst_seconds),
                         sized("message-max", session.message_bytes_max));
    if (x_.rooms.size() > supervisor.rooms_max)
      return fmt::format("{} is less than the {} rooms named by {}",
                         counted("rooms-max", supervisor.rooms_max),
                         x_.rooms.size(), told("room"));
    if (supervisor.crashes_max < supervisor.restarts_max)
      return fmt::format("{} is less than {}: the broker would end before a "
                         "room is quarantined",
                         counted("crashes-max", supervisor.crashes_max),
                         counted("room-crashes-max", supervisor.restarts_max));
    if (session.goodbye_timeout > x_.drain_timeout - x_.drain_reserve())
      return fmt::format("{} does not fit into {}: goodbyes would be cut short",
                         timed("goodbye-timeout", session.goodbye_timeout),
                         timed("drain-timeout", x_.drain_timeout));
    const auto& inspect = x_.inspect;
    if (inspect.on && !loopback(inspect.bind) && inspect.token.empty())
      return fmt::format(
        "{} {} needs {}: everybody who can reach it could look "
        "inside",
        told("inspect-bind"), inspect.bind, told("inspect-token"));
    if (!inspect.token.empty() && inspect.token == inspect.act_token)
      return fmt::format("{} and {} are the same: whoever looks could act",
                         told("inspect-token"), told("inspect-act-token"));
#ifndef GREENROOM_HAVE_URING
    if (x_.io_uring == io_uring_use::on)
      return fmt::format("{} on: this build has no io_uring", told("io-uring"));
#endif
    return {};
  }

  bool chosen(std::string_view key) const {
    return line_.given.find(key) != line_.given.end();
  }

  /// How somebody said it, or would have to say it.
  std::string told(std::string_view key) const {
    auto found = line_.given.find(key);
    return found != line_.given.end() ? found->second
                                      : fmt::format("--{}", key);
  }

private:
  const broker_options& x_;
  const command_line& line_;
};

/// Decides what waited for the other flags. @returns what is wrong, or nothing
std::string finish(broker_options& x, const pending& later,
                   const checker& check) {
  x.threads =
    later.threads.value_or(std::min<std::size_t>(usable_cores(), 256));
  auto memory = std::min<std::uint64_t>(1 * GiB, usable_memory() / 4);
  x.member.process_bytes_max = later.process_bytes_max.value_or(
    std::max<std::uint64_t>(memory, x.member.outbound_bytes_max));
  x.inspect.port_is_a_wish = !check.chosen("inspect-port");
  // One pace for all pings, whoever sends them.
  x.reader.ping_every = x.session.ping_every;
  if (!check.chosen("pong-timeout"))
    x.reader.pong_timeout =
      std::min(x.reader.pong_timeout, x.reader.ping_every / 2);
  if (!check.chosen("end-deadline"))
    x.supervisor.end_deadline =
      std::max(x.supervisor.end_deadline, x.session.goodbye_timeout + 3s);
  if (!check.chosen("inspect-timeout"))
    x.inspect.answer_timeout =
      std::max(x.inspect.answer_timeout, x.supervisor.end_deadline + 2s);
  for (const auto& text : later.rooms) {
    auto room = read_room(text, x.room_defaults, x.http.room_name_bytes_max);
    if (!room)
      return fmt::format("{} {}: {}", check.told("room"), text,
                         room.error().detail);
    auto same = [&](const named_room& y) { return y.name == room->name; };
    if (std::any_of(x.rooms.begin(), x.rooms.end(), same))
      return fmt::format("{} {}: there is a room of this name already",
                         check.told("room"), text);
    x.rooms.push_back(std::move(*room));
  }
  return check.first();
}

/// One line, whatever somebody typed.
std::string one_line(std::string_view text) {
  std::string result;
  for (char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      result += c;
  return result;
}

} // namespace

// -- interface ----------------------------------------------------------------------

result<named_room> read_room(std::string_view text,
                             const room_options& defaults,
                             std::size_t name_bytes_max) {
  auto wrong = [](std::string what) {
    return fault{errc::bad_request, std::move(what)};
  };
  auto comma = text.find(',');
  named_room room{std::string{text.substr(0, comma)}, defaults};
  if (auto error = room_name_error(room.name, name_bytes_max); !error.empty())
    return wrong(std::move(error));
  static const std::vector<std::string> keys{
    "publish", "echo", "raw", "members", "overflow", "write-delay", "deflate"};
  std::vector<std::string_view> seen;
  while (comma != std::string_view::npos) {
    text.remove_prefix(comma + 1);
    comma = text.find(',');
    auto part = text.substr(0, comma);
    auto equals = part.find('=');
    auto key = part.substr(0, equals);
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      return wrong(fmt::format("unknown room option '{}'{}", key,
                               did_you_mean(nearest(key, keys))));
    if (equals == std::string_view::npos)
      return wrong(fmt::format("{} needs a value, as in {}=...", key, key));
    if (std::find(seen.begin(), seen.end(), key) != seen.end())
      return wrong(fmt::format("{} is given more than once", key));
    seen.push_back(key);
    auto value = part.substr(equals + 1);
    auto& to = room.options;
    std::string error;
    if (key == "publish")
      error = set_switch(to.publish, value);
    else if (key == "echo")
      error = set_switch(to.echo, value);
    else if (key == "raw")
      error = set_choice(to.raw, value, raw_words);
    else if (key == "members")
      error = set_count(to.members_max, value, 1, members_most);
    else if (key == "overflow")
      error = set_choice(to.overflow, value, overflow_words);
    else if (key == "deflate")
      error = set_switch(to.compressed, value);
    else
      error = set_duration(to.write_delay, value, 0ms, write_delay_most);
    if (!error.empty())
      return wrong(fmt::format("{}: {}", key, error));
    if (key == "raw" && to.raw != raw_access::off && protected_name(room.name))
      return wrong("raw: a name that starts with $, private- or presence- is "
                   "never open to raw clients");
  }
  return room;
}

result<invocation> read_invocation(std::span<const std::string> args,
                                   std::span<const std::string> environment) {
  invocation out;
  pending later;
  auto rows = option_table(out.options, later);
  auto line =
    read_command_line(rows, args, environment, strangers::refuse, "serve");
  if (!line)
    return fault{line.error().code, one_line(line.error().detail)};
  out.help = line->help;
  out.version = line->version;
  out.given = line->given;
  if (out.help || out.version)
    return out;
  auto wrong = finish(out.options, later, checker{out.options, *line});
  if (!wrong.empty())
    return fault{errc::bad_request, one_line(wrong)};
  return out;
}

std::string flags_help() {
  broker_options options;
  pending later;
  return help_of(option_table(options, later));
}

std::string flags_markdown() {
  broker_options options;
  pending later;
  return markdown_of(option_table(options, later));
}

std::chrono::milliseconds broker_options::drain_reserve() const noexcept {
  return std::min<std::chrono::milliseconds>(drain_timeout / 5, 2s);
}

bool anybody_may_publish(const broker_options& options) {
  // Raw access says nothing of the other dialects.
  auto open = [&](const room_options& x) {
    return x.publish && (x.raw == raw_access::on || options.reader.anonymous);
  };
  if (options.supervisor.rooms_on_demand && open(options.room_defaults))
    return true;
  return std::any_of(options.rooms.begin(), options.rooms.end(),
                     [&](const named_room& x) {
                       return open(x.options) && !protected_name(x.name);
                     });
}

} // namespace greenroom
