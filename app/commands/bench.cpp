#include "app/commands/bench.hpp"

#include <array>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <unistd.h>

#include "app/commands/bench/message.hpp"
#include "app/commands/bench/report.hpp"
#include "app/values.hpp"

namespace greenroom {

namespace client {

namespace {

using namespace std::chrono_literals;

// -- bounds -----------------------------------------------------------------------

constexpr std::uint64_t members_max = 1'000'000;
constexpr std::uint64_t rooms_max = 1'000'000;
/// Members times publishers of a room: each member remembers each publisher.
constexpr std::uint64_t tracks_max = 20'000'000;
constexpr std::uint64_t size_max = 16 * 1024 * 1024;
constexpr std::uint64_t window_max = 1'000'000;
constexpr std::uint64_t parallel_max = 10'000;
constexpr std::uint64_t sources_max = 10'000;
constexpr double rate_max = 10'000'000;
constexpr auto duration_max = 24h;

constexpr std::array workloads{workload::fanout, workload::rooms,
                               workload::ping, workload::idle, workload::churn};

/// What was said; the rest is filled in by the workload.
struct words {
  bench_request what;
  std::optional<std::uint64_t> members;
  std::optional<std::uint64_t> rooms;
  std::optional<std::uint64_t> publishers;
  std::optional<std::uint64_t> connections;
  bool json = false;
  bool quiet = false;
};

template <class Number>
auto count_into(Number& to, std::uint64_t least, std::uint64_t most) {
  return [&to, least, most](std::string_view text) -> std::string {
    auto x = parse_count(text);
    if (!x || *x < least || *x > most)
      return fmt::format("expected a number from {} to {}", least, most);
    to = static_cast<std::uint32_t>(*x);
    return {};
  };
}

auto switch_on(bool& to) {
  return [&to](std::string_view) -> std::string {
    to = true;
    return {};
  };
}

std::string read_pids(std::string_view text, std::vector<pid_t>& to) {
  while (!text.empty()) {
    auto comma = text.find(',');
    auto pid = parse_count(text.substr(0, comma));
    if (!pid || *pid == 0 || *pid > INT32_MAX)
      return "expected a process id, or several between commas";
    to.push_back(static_cast<pid_t>(*pid));
    text.remove_prefix(comma == std::string_view::npos ? text.size()
                                                       : comma + 1);
  }
  return to.empty() ? "expected a process id" : "";
}

std::string read_rate(std::string_view text, double& to) {
  auto end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, to);
  if (error != std::errc{} || rest != end || !(to > 0) || to > rate_max)
    return fmt::format("expected messages per second, up to {:.0f}", rate_max);
  return {};
}

// -- the manual -------------------------------------------------------------------

manual page_of(words& to) {
  auto& what = to.what;
  manual page;
  page.name = "bench";
  page.about =
    "Measures a room broker: opens connections, lets members talk, checks "
    "every "
    "delivery (lost, repeated, reordered, misrouted, changed) and prints "
    "latencies. WORKLOAD is fanout (one talks, many listen), rooms (many small "
    "ones, everybody talks), ping (two members, one message at a time), idle "
    "(connections are held) or churn (connect, join, leave, again).";
  page.arguments = {
    {"URL", "", "",
     "Where: ws://HOST[:PORT]/room/NAME. {room} in it becomes "
     "bench-0, bench-1 and so on.",
     [&what](std::string_view text) -> std::string {
       what.url = text;
       return {};
     },
     true},
    {"WORKLOAD", "", "fanout", "What happens there.",
     [&what](std::string_view text) -> std::string {
       for (auto x : workloads)
         if (text == to_string(x)) {
           what.what = x;
           return {};
         }
       return "expected fanout, rooms, ping, idle or churn";
     }},
    {"--members", "N", "100; rooms: 10; ping: 2",
     "Members of a room, its publishers among them.",
     count_into(to.members, 1, members_max)},
    {"--rooms", "N", "1; rooms: 100",
     "How many rooms; more than one needs "
     "{room} in the URL.",
     count_into(to.rooms, 1, rooms_max)},
    {"--publishers", "N", "1; rooms, ping: all",
     "Members of a room that publish, in turn.",
     count_into(to.publishers, 1, members_max)},
    {"--size", "BYTES", "128",
     fmt::format("Of a message; at least {}.", message_format::head_bytes),
     [&what](std::string_view text) -> std::string {
       auto x = parse_size(text);
       if (!x || *x < message_format::head_bytes || *x > size_max)
         return fmt::format("expected {} to {}", message_format::head_bytes,
                            format_size(size_max));
       what.size = *x;
       return {};
     }},
    {"--rate", "N", "100; rooms: 1000",
     "Messages per second, all rooms together, on a fixed schedule: latencies "
     "count from the moment a message was due.",
     [&what](std::string_view text) { return read_rate(text, what.rate); }},
    {"--window", "N", "ping: 1",
     "Instead of a rate: so many messages of each room are under way, and the "
     "next one goes out when one has reached everybody.",
     count_into(what.window, 1, window_max)},
    {"--binary", "", "", "Binary messages instead of text.",
     switch_on(what.binary)},
    {"--duration", "S", "10", "Seconds that are measured, at most a day.",
     [&what](std::string_view text) -> std::string {
       auto x = parse_seconds(text);
       if (!x || *x <= 0ms || *x > duration_max)
         return "expected a time up to 24h, such as 10, 0.5 or 500ms";
       what.duration = *x;
       return {};
     }},
    {"--connections", "N", "idle: 1000; churn: 64",
     "How many are held, or are under way at a time.",
     count_into(to.connections, 1, members_max)},
    {"--parallel", "N", fmt::format("{}", what.parallel),
     "Handshakes under way at a time.",
     count_into(what.parallel, 1, parallel_max)},
    {"--sources", "N", "1",
     "Connects from 127.0.0.1, 127.0.0.2 and so on: one address has ports for "
     "some 28000 connections.",
     count_into(what.sources, 1, sources_max)},
    {"--server-pid", "PID", "",
     "Also what the broker's process and its children use: CPU time, memory, "
     "open files. Several between commas.",
     [&what](std::string_view text) {
       return read_pids(text, what.server_pids);
     }},
    {"--json", "", "", "Prints one JSON object instead of the page.",
     switch_on(to.json)},
    {"--quiet", "", "", "No line of progress on the terminal.",
     switch_on(to.quiet)},
  };
  page.closing =
    "Examples:\n"
    "  greenroom bench ws://127.0.0.1:8000/room/lobby\n"
    "  greenroom bench 'ws://127.0.0.1:8000/room/{room}' rooms --rooms 1000\n"
    "  greenroom bench ws://127.0.0.1:8000/room/lobby --window 64 --members "
    "1000\n"
    "  greenroom bench ws://127.0.0.1:8000/room/lobby idle --connections "
    "10000\n"
    "\n"
    "The broker may limit connections of one address, messages per second and\n"
    "rooms; lift its limits for the run, or measure them.\n"
    "\n"
    "Exit status: 0 all went well, 1 something was lost, repeated, reordered,\n"
    "misrouted, changed, refused or dropped, 2 the command line is not\n"
    "understood.\n";
  return page;
}

/// Fills in what was not said. @returns what does not fit together, or nothing
std::string complete(words& x) {
  auto& what = x.what;
  bool idle = what.what == workload::idle;
  bool churn = what.what == workload::churn;
  bool many = what.what == workload::rooms;
  bool ping = what.what == workload::ping;
  auto choose = [](std::optional<std::uint64_t> said, std::uint64_t otherwise) {
    return static_cast<std::uint32_t>(said.value_or(otherwise));
  };
  what.plan.rooms = choose(x.rooms, many ? 100 : 1);
  if (idle || churn) {
    if (x.members || x.publishers || what.rate > 0 || what.window > 0)
      return fmt::format(
        "{} sends no messages: --members, --publishers, --rate "
        "and --window mean nothing to it",
        to_string(what.what));
    what.connections = choose(x.connections, idle ? 1000 : 64);
    what.plan.members = what.plan.publishers = 1;
    return {};
  }
  if (x.connections)
    return "--connections is for idle and churn; others have --members";
  if (ping && x.members.value_or(2) != 2)
    return "ping has two members; more of them need fanout";
  what.plan.members = choose(x.members, ping ? 2 : many ? 10 : 100);
  what.plan.publishers =
    choose(x.publishers, ping || many ? what.plan.members : 1);
  if (what.plan.publishers > what.plan.members)
    return "more publishers than members";
  if (what.plan.connections() > members_max)
    return fmt::format("more than {} connections", members_max);
  if (what.plan.connections() * what.plan.publishers > tracks_max)
    return "more pairs of members and publishers than are kept apart; take "
           "fewer "
           "publishers";
  if (what.rate > 0 && what.window > 0)
    return "either --rate or --window";
  if (what.rate == 0 && what.window == 0) {
    if (ping)
      what.window = 1;
    else
      what.rate = many ? 1000 : 100;
  }
  return {};
}

result<request> read_words(std::span<const std::string> args, words& to) {
  auto asked = read_arguments(page_of(to), args);
  if (asked && *asked == request::run)
    if (auto wrong = complete(to); !wrong.empty())
      return fault{errc::bad_request, wrong};
  return asked;
}

std::atomic<bool> interrupted{false};

void on_signal(int) {
  interrupted = true;
}

/// The first one ends the measurement, the second one the program.
void watch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int run(const words& x) {
  auto got = run_bench(x.what);
  if (!got) {
    fmt::print(stderr, "greenroom bench: {}\n", printable(got.error().detail));
    return got.error().code == errc::bad_request ? 2 : 1;
  }
  fmt::print("{}",
             x.json ? json_report(x.what, *got) : text_report(x.what, *got));
  return got->good() ? 0 : 1;
}

} // namespace

result<bench_request> read_bench(std::span<const std::string> args) {
  words x;
  auto asked = read_words(args, x);
  if (!asked)
    return asked.error();
  return x.what;
}

} // namespace client

int bench_command(std::span<const std::string> args) {
  client::words x;
  auto asked = client::read_words(args, x);
  if (!asked) {
    fmt::print(stderr, "greenroom bench: {}\n",
               client::printable(asked.error().detail));
    return 2;
  }
  if (*asked == client::request::help) {
    fmt::print("{}", client::help_of(client::page_of(x)));
    return 0;
  }
  client::watch_signals();
  x.what.interrupted = &client::interrupted;
  x.what.progress = !x.quiet && ::isatty(STDERR_FILENO) != 0;
  try {
    return client::run(x);
  } catch (const std::system_error& error) {
    fmt::print(stderr, "greenroom bench: {}\n", error.what());
    return 1;
  }
}

} // namespace greenroom
