#include "app/commands/top.hpp"

#include <algorithm>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string_view>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <langinfo.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app/commands/client/args.hpp"
#include "app/commands/top/model.hpp"
#include "app/commands/top/paint.hpp"
#include "app/commands/top/session.hpp"
#include "app/commands/top/views.hpp"
#include "app/values.hpp"

namespace greenroom {

namespace client {

namespace {

using namespace std::chrono_literals;

/// Where `--inspect-bind` and `--inspect-port` put it.
constexpr std::string_view default_url = "http://127.0.0.1:8001";
constexpr std::string_view default_port = ":8001";

/// More is a file of another kind.
constexpr std::size_t token_bytes_max = 4096;

struct top_options {
  std::string address{default_url};
  std::string view = "rooms";
  std::string sort;
  std::string search;
  std::optional<bool> descending;
  std::optional<std::string> token;
  std::chrono::milliseconds every = 1s;
  std::size_t limit = 100;
  bool once = false;
  bool json = false;
};

/// `10.0.0.5` and `broker:9000` are addresses as good as URLs.
std::string as_url(std::string_view text) {
  if (text.find("://") != std::string_view::npos)
    return std::string{text};
  auto host = text.substr(0, text.find('/'));
  auto rest = text.substr(host.size());
  auto colon = host.rfind(':');
  auto bracket = host.rfind(']');
  auto has_port = colon != std::string_view::npos
                  && (bracket == std::string_view::npos || colon > bracket);
  return fmt::format("http://{}{}{}", host, has_port ? "" : default_port, rest);
}

/// The first line of a file.
result<std::string> token_in(const std::string& path) {
  std::ifstream in{path};
  std::string line;
  if (!in || !std::getline(in, line) || line.size() > token_bytes_max)
    return fault{errc::bad_request, "no token can be read from it"};
  while (!line.empty() && (line.back() == '\r' || line.back() == ' '))
    line.pop_back();
  return line;
}

/// A token goes into a header: nothing that could end it.
bool sendable(std::string_view token) {
  return std::all_of(token.begin(), token.end(),
                     [](char c) { return c > ' ' && c <= '~'; });
}

/// As the broker understands them: the token, or `@` and the name of a file.
result<std::string> from_environment() {
  for (auto name : {"GREENROOM_INSPECT_ACT_TOKEN", "GREENROOM_INSPECT_TOKEN"})
    if (auto* token = std::getenv(name); token != nullptr && *token != '\0') {
      if (*token != '@')
        return std::string{token};
      auto read = token_in(token + 1);
      if (!read)
        return fault{errc::bad_request, fmt::format("{}={}: {}", name, token,
                                                    read.error().detail)};
      return read;
    }
  return std::string{};
}

manual page_of(top_options& to) {
  manual page;
  page.name = "top";
  page.about =
    "Shows what goes on inside a broker: its tree of actors, rooms, who lags "
    "and "
    "by how much, connections, and why they were closed. Press ? for the keys.";
  page.arguments = {
    {"URL", "", std::string{default_url},
     "Its inspection address: http://HOST[:PORT], HOST:PORT or HOST.",
     [&to](std::string_view text) -> std::string {
       to.address = as_url(text);
       auto url = parse_url(to.address, "http");
       return url ? std::string{} : url.error().detail;
     }},
    {"--view", "NAME", to.view, "tree, rooms, lag, connections or closed.",
     [&to](std::string_view text) -> std::string {
       to.view = text;
       auto tables = top_tables();
       return std::any_of(tables.begin(), tables.end(),
                          [&](const auto& x) { return x.name == text; })
                ? ""
                : "expected tree, rooms, lag, connections or closed";
     }},
    {"--sort", "FIELD", "", "A field of that view, such as bytes_queued.",
     [&to](std::string_view text) -> std::string {
       to.sort = text;
       return {};
     }},
    {"--order", "ORDER", "desc", "asc or desc.",
     [&to](std::string_view text) -> std::string {
       to.descending = text == "desc";
       return text == "asc" || text == "desc" ? "" : "expected asc or desc";
     }},
    {"--search", "TEXT", "",
     "Only what has it in a room, user or address, or has this id.",
     [&to](std::string_view text) -> std::string {
       to.search = text;
       return {};
     }},
    {"--every", "TIME", "1s", "How often it asks, 250ms to 60s.",
     [&to](std::string_view text) -> std::string {
       auto span = parse_seconds(text);
       if (!span || *span < 250ms || *span > 60s)
         return "expected a time from 250ms to 60s";
       to.every = *span;
       return {};
     }},
    {"--token-file", "FILE", "",
     "A file whose first line is the token. Without it the variable "
     "GREENROOM_INSPECT_ACT_TOKEN counts, then GREENROOM_INSPECT_TOKEN.",
     [&to](std::string_view text) -> std::string {
       auto token = token_in(std::string{text});
       if (!token)
         return token.error().detail;
       to.token = *token;
       return {};
     }},
    {"--once", "", "", "Prints one table and ends, for scripts and pipes.",
     [&to](std::string_view) -> std::string {
       to.once = true;
       return {};
     }},
    {"--json", "", "", "Prints one answer of the API as it is, and ends.",
     [&to](std::string_view) -> std::string {
       to.json = true;
       return {};
     }},
    {"--limit", "N", "100", "Rows of --once and --json, 1 to 1000.",
     [&to](std::string_view text) -> std::string {
       auto n = parse_count(text);
       if (!n || *n < 1 || *n > 1000)
         return "expected a number from 1 to 1000";
       to.limit = static_cast<std::size_t>(*n);
       return {};
     }},
  };
  page.closing =
    "Examples:\n"
    "  greenroom top\n"
    "  greenroom top broker.example.org:8001 --view lag\n"
    "  greenroom top --view closed --search 203.0.113.7 --once\n"
    "  greenroom top --view lag --limit 1 --json | jq '.rows[0].lag_ms'\n"
    "\n"
    "Exit status: 0 it ended as asked, 1 there is no answer or no terminal "
    "(one\n"
    "line on standard error says why), 2 the command line is not understood.\n";
  return page;
}

int fail(std::string_view words) {
  fmt::print(stderr, "greenroom top: {}\n", printable(words));
  return 1;
}

/// The raw answer, or a table of what the screen would show.
int print_once(top_model& what, const top_target& where,
               const top_options& options) {
  what.set_height(options.limit);
  auto requests = what.requests(false);
  std::vector<std::string> targets;
  if (options.json && options.view == "tree") // all of them, in one answer
    targets.push_back(
      fmt::format("/inspect/actors?sort=id&order=asc&limit={}", options.limit));
  else if (options.json)
    targets.push_back(requests[1].target); // behind the overview
  else
    for (const auto& x : requests)
      targets.push_back(x.target);
  auto bodies = ask_once(where, targets);
  if (!bodies)
    return fail(
      fmt::format("http://{}: {}", where.to.authority, bodies.error().detail));
  if (options.json) {
    fmt::print("{}{}", bodies->front(),
               bodies->front().ends_with('\n') ? "" : "\n");
    return 0;
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    boost::json::error_code error;
    auto page = boost::json::parse((*bodies)[i], error);
    if (error || !page.is_object())
      return fail("an answer that is no JSON");
    what.take(requests[i], what.generation(), page.get_object());
  }
  fmt::print("{}", plain_table(what));
  return 0;
}

int run(const top_options& options) {
  top_target where;
  where.to = *parse_url(options.address, "http");
  auto token =
    options.token ? result<std::string>{*options.token} : from_environment();
  if (!token)
    return fail(token.error().detail);
  where.token = *token;
  if (!sendable(where.token))
    return fail("the token has characters that no token has");
  auto endpoints = resolve(where.to);
  if (!endpoints)
    return fail(endpoints.error().detail);
  where.endpoints = std::move(*endpoints);
  std::setlocale(LC_CTYPE, "");
  auto ascii = std::string_view{nl_langinfo(CODESET)} != "UTF-8";
  top_model what{ascii, !where.token.empty()};
  what.choose(options.view);
  what.set_every_ms(options.every.count());
  if (!what.sort_by(options.sort, options.descending)) {
    fmt::print(stderr, "greenroom top: --sort {}: no column of {}\n",
               printable(options.sort), options.view);
    return 2;
  }
  what.search(options.search);
  std::signal(SIGPIPE, SIG_IGN);
  if (options.once || options.json)
    return print_once(what, where, options);
  if (::isatty(STDOUT_FILENO) == 0)
    return fail("standard output is no terminal; --once prints a table");
  sigset_t set;
  sigemptyset(&set);
  for (auto number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH})
    sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  unique_fd signals{signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  return run_top(what, where, signals.get());
}

} // namespace

} // namespace client

int top_command(std::span<const std::string> args) {
  client::top_options options;
  if (auto status = client::understand(client::page_of(options), args))
    return *status;
  return client::run(options);
}

} // namespace greenroom
