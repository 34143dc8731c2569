#include "app/commands/serve.hpp"

#include <csignal>
#include <cstdio>
#include <exception>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "app/broker.hpp"
#include "app/command_line.hpp"
#include "app/config.hpp"
#include "app/descriptors.hpp"
#include "app/log_sink.hpp"
#include "app/signals.hpp"
#include "app/values.hpp"
#include "greenroom_version.hpp"

namespace greenroom {

namespace {

std::string_view name_of(int number) {
  switch (number) {
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    default:
      return "SIGHUP";
  }
}

/// Fits the number of connections to the limit of descriptors: what somebody
/// chose stays, then the listener has to wait for descriptors.
/// @returns what to log about it
log_record fit_descriptors(invocation& x) {
  auto& most = x.options.listener.connections_max;
  auto limit = raise_descriptor_limit();
  const auto& inspect = x.options.inspect;
  auto room = connections_within(limit, x.options.threads,
                                 inspect.on ? inspect.connections_max : 0);
  bool chosen = x.given.contains("connections-max");
  bool short_of = most > room;
  if (short_of && !chosen)
    most = room;
  auto line =
    log_record{short_of && chosen ? level::warn : level::info, "descriptors"}
      .with("limit", limit)
      .with("connections_max", most);
  if (short_of && chosen)
    line.add("advice", "clients will wait for descriptors: raise the limit "
                       "(ulimit -Hn)");
  return line;
}

void tell_start(const broker_options& x, std::uint16_t port, log_port& log) {
  log.write(log_record{level::info, "listening"}
              .with("address", x.listener.bind)
              .with("port", port)
              .with("url", url_of("http", x.listener.bind, port)));
  if (!loopback(x.listener.bind) && anybody_may_publish(x))
    log.write(log_record{level::warn, "anybody_may_publish"}
                .with("address", x.listener.bind)
                .with("advice",
                      "put it behind a proxy that knows its clients, or "
                      "let them only listen: --room-raw read-only "
                      "--anonymous off"));
}

void tell_inspection(const net::inspect_options& x, std::uint16_t port,
                     log_port& log) {
  if (port == 0)
    return;
  auto taken = x.port != 0 && port != x.port;
  auto line = log_record{taken ? level::warn : level::info, "inspecting"}
                .with("address", x.bind)
                .with("port", port)
                .with("url", url_of("http", x.bind, port) + "/inspect")
                .with("read", x.token.empty() ? "anybody" : "token")
                .with("act", x.act_token.empty() ? "nobody" : "token");
  if (taken)
    line.add("advice", "the usual port is taken: choose one with "
                       "--inspect-port");
  log.write(std::move(line));
}

/// What signals do: end in good order, then at once.
class signal_rules {
public:
  signal_rules(broker& b, log_port& log) : broker_(b), log_(log) {}

  void operator()(int number) {
    bool ends = number == SIGTERM || number == SIGINT;
    if (ends && draining_)
      _exit(128 + number);
    log_.write(log_record{level::info, "signal"}
                 .with("name", name_of(number))
                 .with("action", ends ? "drain" : "none"));
    if (!ends)
      return;
    draining_ = true;
    broker_.drain();
  }

private:
  broker& broker_;
  log_port& log_;
  bool draining_ = false;
};

int run(invocation& x, log_port& log, metrics& counts) {
  auto descriptors = fit_descriptors(x);
  broker b{x.options, log, counts};
  // Before the first line of the log: what cannot start says why, and no more.
  b.bind();
  log.write(log_record{level::info, "starting"}
              .with("version", version)
              .with("pid", getpid())
              .with("threads", x.options.threads)
              .with("rooms", x.options.rooms.size()));
  log.write(std::move(descriptors));
  b.start();
  tell_start(x.options, b.port(), log);
  tell_inspection(x.options.inspect, b.inspect_port(), log);
  signal_watch watch{signal_rules{b, log}};
  auto status = b.wait();
  log.write(log_record{level::info, "stopped"}.with("status", status));
  return status;
}

} // namespace

int serve_command(std::span<const std::string> args) {
  auto asked = read_invocation(args, environment());
  if (!asked) {
    fmt::print(stderr, "greenroom: {}\n", asked.error().detail);
    return 2;
  }
  if (asked->help) {
    fmt::print("{}", flags_help());
    return 0;
  }
  if (asked->version) {
    fmt::print("greenroom {}\n", version);
    return 0;
  }
  block_signals();
  metrics counts;
  log_sink log{asked->options.log, STDOUT_FILENO, &counts};
  try {
    return run(*asked, log, counts);
  } catch (const std::exception& error) {
    fmt::print(stderr, "greenroom: {}\n", error.what());
    return 1;
  }
}

} // namespace greenroom
