#include "app/commands/health.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include "app/command_line.hpp"
#include "app/commands/client/socket.hpp"
#include "app/commands/client/url.hpp"
#include "app/config.hpp"
#include "app/values.hpp"

namespace greenroom {

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

struct health_options {
  std::string bind = "127.0.0.1";
  std::uint16_t port = 8000;
  std::string url;
  std::uint32_t pid = 0;
  std::chrono::milliseconds timeout = 3s;
};

struct target {
  std::string host; ///< without brackets
  std::uint16_t port = 80;
  std::string authority;
  std::string path;
};

std::vector<option> table(health_options& to) {
  constexpr auto group = "Flags";
  std::vector<option> rows;
  rows.push_back(
    {"url", "URL", "", group,
     "What to ask. Default: /health at the address and port below.",
     [&to](std::string_view text) -> std::string {
       auto url = boost::urls::parse_uri(
         boost::urls::string_view{text.data(), text.size()});
       if (!url || url->scheme() != "http" || url->host().empty()
           || (!url->port().empty() && url->port_number() == 0))
         return "expected http://host[:port][/path]";
       to.url = text;
       return {};
     }});
  rows.back().flag_only = true;
  rows.push_back({"bind", "ADDRESS", to.bind, group,
                  "Where the broker listens.",
                  [&to](std::string_view text) -> std::string {
                    auto address = parse_address(text);
                    if (!address)
                      return "expected an IP address";
                    to.bind = *address;
                    return {};
                  }});
  rows.push_back({"port", "N", fmt::format("{}", to.port), group, "Its port.",
                  [&to](std::string_view text) -> std::string {
                    auto port = parse_count(text);
                    if (!port || *port == 0 || *port > 65535)
                      return "expected a number from 1 to 65535";
                    to.port = static_cast<std::uint16_t>(*port);
                    return {};
                  }});
  rows.push_back({"pid", "N", "", group,
                  "Ask the broker with this process id: its flags and its "
                  "environment say where it listens. What a container wants, "
                  "where it is process 1.",
                  [&to](std::string_view text) -> std::string {
                    auto pid = parse_count(text);
                    if (!pid || *pid == 0 || *pid > 0x7fffffff)
                      return "expected a process id";
                    to.pid = static_cast<std::uint32_t>(*pid);
                    return {};
                  }});
  rows.back().flag_only = true;
  rows.push_back({"timeout", "TIME", format_duration(to.timeout), group,
                  "How long it has for its answer.",
                  [&to](std::string_view text) -> std::string {
                    auto span = parse_duration(text);
                    if (!span || *span < 1ms || *span > 10min)
                      return "expected a time from 1ms to 600s, such as 3s";
                    to.timeout = *span;
                    return {};
                  }});
  rows.back().flag_only = true;
  return rows;
}

/// The words of a file below /proc, each of which ends with a zero byte.
std::vector<std::string> words_of(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  std::vector<std::string> result;
  for (std::string word; std::getline(in, word, '\0');)
    result.push_back(word);
  return result;
}

/// Reads where another broker listens from what it was started with. Something
/// like `docker-init --` may stand in front of its name.
/// @returns what is wrong, or nothing
std::string look_at_process(health_options& to) {
  auto where = fmt::format("/proc/{}/", to.pid);
  auto args = words_of(where + "cmdline");
  auto name = std::find_if(args.begin(), args.end(), [](std::string_view x) {
    return x.substr(x.rfind('/') + 1) == "greenroom";
  });
  if (name == args.end())
    return fmt::format("process {} is no broker that we may look at", to.pid);
  args.erase(args.begin(), name + 1);
  auto its = read_invocation(args, words_of(where + "environ"));
  if (!its)
    return its.error().detail;
  if (its->options.listener.port == 0)
    return fmt::format("process {} runs with --port 0: name its port", to.pid);
  to.bind = its->options.listener.bind;
  to.port = its->options.listener.port;
  return {};
}

target target_of(const health_options& options) {
  auto text = options.url.empty()
                ? url_of("http", options.bind, options.port) + "/health"
                : options.url;
  auto url = boost::urls::parse_uri(text).value(); // checked, or made above
  target result;
  result.host = std::string{url.host_address()};
  if (!url.port().empty())
    result.port = url.port_number();
  result.authority = std::string{url.encoded_host_and_port()};
  result.path = std::string{url.encoded_target()};
  if (!result.path.starts_with('/'))
    result.path.insert(0, "/");
  return result;
}

[[noreturn]] void fail(int error) {
  throw std::system_error{error, std::generic_category()};
}

void await(int fd, short events, clock::time_point deadline) {
  for (;;) {
    auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now());
    pollfd waits{fd, events, 0};
    auto n = poll(&waits, 1, static_cast<int>(std::max(left, 0ms).count()));
    if (n > 0)
      return;
    if (n == 0)
      fail(ETIMEDOUT);
    if (errno != EINTR)
      fail(errno);
  }
}

/// The first of the addresses that takes the connection.
net::unique_fd connect(const target& to, clock::time_point deadline) {
  auto endpoints = client::resolve({.host = to.host, .port = to.port});
  if (!endpoints)
    throw std::system_error{EHOSTUNREACH, std::generic_category(),
                            endpoints.error().detail};
  int error = 0;
  auto left = static_cast<int>(endpoints->size());
  for (auto& one : *endpoints) {
    // One that swallows what it gets leaves the others their share of the time.
    auto now = clock::now();
    auto until = now + (deadline - now) / left--;
    try {
      auto fd = client::start_connect(one);
      if (!fd)
        fail(errno);
      await(fd.get(), POLLOUT, until);
      if (auto refused = client::connect_error(fd.get()))
        fail(refused);
      return fd;
    } catch (const std::system_error& x) {
      error = client::more_telling(error, x.code().value());
    }
  }
  fail(error);
}

/// The first line of the answer. @throws std::system_error
std::string ask(const target& to, clock::time_point deadline) {
  auto socket = connect(to, deadline);
  auto request = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n"
                             "User-Agent: greenroom-health\r\n"
                             "Connection: close\r\n\r\n",
                             to.path, to.authority);
  for (std::string_view rest = request; !rest.empty();) {
    auto n = ::send(socket.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n >= 0)
      rest.remove_prefix(static_cast<std::size_t>(n));
    else if (errno == EAGAIN)
      await(socket.get(), POLLOUT, deadline);
    else if (errno != EINTR)
      fail(errno);
  }
  // The first line is all that counts.
  std::string answer;
  std::array<char, 512> buffer;
  while (answer.find('\n') == std::string::npos && answer.size() < 4096) {
    await(socket.get(), POLLIN, deadline);
    auto n = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (n > 0)
      answer.append(buffer.data(), static_cast<std::size_t>(n));
    else if (n == 0)
      break;
    else if (errno != EAGAIN && errno != EINTR)
      fail(errno);
  }
  answer.resize(std::min(answer.size(), answer.find_first_of("\r\n")));
  // It ends up on a terminal.
  std::replace_if(
    answer.begin(), answer.end(), [](char c) { return c < ' ' || c > '~'; },
    '?');
  return answer;
}

} // namespace

int health_command(std::span<const std::string> args) {
  health_options options;
  auto rows = table(options);
  auto line = read_command_line(rows, args, environment(), strangers::ignore);
  if (!line) {
    fmt::print(stderr, "greenroom health: {}\n", line.error().detail);
    return 2;
  }
  if (line->help) {
    fmt::print("Usage: greenroom health [flags]\n\n"
               "Asks a running broker whether it is well: exit status 0 if so, "
               "1 if not.\n{}",
               help_of(rows));
    return 0;
  }
  if (options.pid != 0) {
    if (auto wrong = look_at_process(options); !wrong.empty()) {
      fmt::print(stderr, "greenroom health: {}\n", wrong);
      return 1;
    }
  }
  auto to = target_of(options);
  auto what = fmt::format("http://{}{}", to.authority, to.path);
  try {
    auto answer = ask(to, clock::now() + options.timeout);
    if (answer.starts_with("HTTP/1.1 200")
        || answer.starts_with("HTTP/1.0 200")) {
      fmt::print("{}: ok\n", what);
      return 0;
    }
    fmt::print(stderr, "{}: {}\n", what,
               answer.empty() ? "closed without an answer"
               : answer.starts_with("HTTP/1.")
                 ? answer.substr(std::min(answer.size(), std::size_t{9}))
                 : "does not speak HTTP");
  } catch (const std::system_error& error) {
    fmt::print(stderr, "{}: {}\n", what, error.what());
  }
  return 1;
}

} // namespace greenroom
