#include "app/commands/bench/report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <fmt/format.h>

#include "app/commands/client/args.hpp"
#include "app/values.hpp"

namespace greenroom::client {

namespace {

/// 12 345 as people read it: `12.3k`.
std::string short_number(double x) {
  constexpr std::array<std::string_view, 4> units{"", "k", "M", "G"};
  std::size_t unit = 0;
  while (x >= 9999.5 && unit + 1 < units.size()) {
    x /= 1000;
    ++unit;
  }
  auto digits = x >= 99.5 || x == std::floor(x) ? 0 : x >= 9.95 ? 1 : 2;
  return fmt::format("{:.{}f}{}", x, digits, units[unit]);
}

std::string time_text(double ns) {
  if (ns < 1e3)
    return fmt::format("{:.0f} ns", ns);
  if (ns < 1e6)
    return fmt::format("{:.1f} us", ns / 1e3);
  if (ns < 1e9)
    return fmt::format("{:.2f} ms", ns / 1e6);
  return fmt::format("{:.2f} s", ns / 1e9);
}

std::string bytes_text(double bytes) {
  return bytes < 0      ? '-' + bytes_text(-bytes)
         : bytes < 1024 ? fmt::format("{:.0f} B", bytes)
         : bytes < 1024.0 * 1024
           ? fmt::format("{:.1f} KiB", bytes / 1024)
           : fmt::format("{:.1f} MiB", bytes / 1024 / 1024);
}

double per(double x, double n) {
  return n > 0 ? x / n : 0;
}

double cores(const bench_result& x) {
  return x.server ? per(x.server->cpu(), x.seconds) : 0;
}

bool messages(const bench_request& x) {
  return x.what != workload::idle && x.what != workload::churn;
}

std::string plural(std::uint64_t n, std::string_view one) {
  return fmt::format("{} {}{}", n, one, n == 1 ? "" : "s");
}

double held_bytes(const server_usage& x, std::uint64_t process_sample::*what) {
  return static_cast<double>(x.end.*what) - static_cast<double>(x.before.*what);
}

// -- text -------------------------------------------------------------------------

std::string head(const bench_request& x) {
  auto seconds =
    fmt::format("{:g} s", std::chrono::duration<double>{x.duration}.count());
  auto result = fmt::format("{} of {}\n  ", to_string(x.what), x.url);
  auto rooms = plural(x.plan.rooms, "room");
  if (x.what == workload::idle)
    return result
           + fmt::format("{} in {}, held for {}\n\n",
                         plural(x.connections, "connection"), rooms, seconds);
  if (x.what == workload::churn)
    return result
           + fmt::format("{} at a time to {}, for {}\n\n",
                         plural(x.connections, "connection"), rooms, seconds);
  return result
         + fmt::format("{} of {} and {}, {} B {},\n  {} for {}\n\n", rooms,
                       plural(x.plan.members, "member"),
                       plural(x.plan.publishers, "publisher"), x.size,
                       x.binary ? "binary" : "text",
                       x.rate > 0 ? fmt::format("{:g} messages/s", x.rate)
                                  : fmt::format("{} under way in each",
                                                plural(x.window, "message")),
                       seconds);
}

std::string times_header() {
  return fmt::format("  {:<12}{:>11}{:>11}{:>11}{:>11}{:>11}\n", "", "p50",
                     "p90", "p99", "p99.9", "max");
}

std::string times_row(std::string_view name, const histogram& x) {
  auto result = fmt::format("  {:<12}", name);
  for (double p : {50.0, 90.0, 99.0, 99.9})
    result +=
      fmt::format("{:>11}", time_text(static_cast<double>(x.percentile(p))));
  return result
         + fmt::format("{:>11}\n", time_text(static_cast<double>(x.max())));
}

std::string row(std::string_view name, std::string_view figure,
                std::string_view more = {}) {
  return fmt::format("  {:<12}{:>11}{}{}\n", name, figure,
                     more.empty() ? "" : "  ", more);
}

std::string connection_rows(const bench_request& asked,
                            const bench_result& got) {
  std::string result;
  auto trouble =
    fmt::format("refused {}, dropped {}", got.refused, got.dropped);
  if (asked.what == workload::churn) {
    result +=
      row("cycles", fmt::format("{}", got.cycles),
          fmt::format("{}/s", short_number(per(static_cast<double>(got.cycles),
                                               got.seconds))));
    result +=
      row("connections", fmt::format("{}", got.opened),
          fmt::format("{}, close unanswered {}", trouble, got.unanswered));
  } else {
    result += row("connections", fmt::format("{}", got.opened),
                  fmt::format("in {:.2f} s; {}", got.open_seconds, trouble));
  }
  if (asked.what == workload::idle)
    result +=
      row("alive", fmt::format("{}", got.alive), "answered a ping in the end");
  return result;
}

std::string message_rows(const bench_result& got) {
  auto result =
    row("published", fmt::format("{}", got.published),
        fmt::format("{}/s", short_number(per(static_cast<double>(got.published),
                                             got.seconds))));
  result += row("delivered", fmt::format("{}", got.delivered),
                fmt::format("{}/s, of {} expected; echo is {}",
                            short_number(per(static_cast<double>(got.delivered),
                                             got.delivery_seconds)),
                            got.expected, got.echo ? "on" : "off"));
  const auto& f = got.faults;
  result += row("faults", fmt::format("{}", f.all()),
                fmt::format("lost {}, repeated {}, reordered {},", f.lost,
                            f.repeated, f.reordered));
  result += row("", "",
                fmt::format("misrouted {}, corrupt {}, in another order {}",
                            f.misrouted, f.corrupt, f.divergent));
  if (got.unreached > 0)
    result += row("unreached", fmt::format("{}", got.unreached),
                  "members got no message before the start");
  if (got.stalled > 0)
    result += row("stalled", fmt::format("{}", got.stalled),
                  "messages were given up after 2 s");
  if (got.foreign > 0)
    result += row("foreign", fmt::format("{}", got.foreign),
                  "messages of others came in between");
  return result;
}

std::string server_rows(const bench_request& asked, const bench_result& got) {
  const auto& x = *got.server;
  auto result =
    row("server CPU", fmt::format("{:.2f} s", x.cpu()),
        fmt::format(
          "{:.3f} cores, {:.0f} % of it in the kernel", cores(got),
          100
            * per(x.end.system - x.begin.system,
                  x.end.user - x.begin.user + x.end.system - x.begin.system)));
  auto deliveries = static_cast<double>(got.delivered);
  if (messages(asked)) {
    result += row(
      "", time_text(per(x.cpu() * 1e9, deliveries)),
      fmt::format("per delivery; {:.3f} context switches",
                  per(static_cast<double>(x.end.switches - x.begin.switches),
                      deliveries)));
  } else if (asked.what == workload::churn) {
    result +=
      row("", time_text(per(x.cpu() * 1e9, static_cast<double>(got.cycles))),
          "per cycle");
  } else {
    result += row("",
                  time_text(per((x.begin.cpu - x.before.cpu) * 1e9,
                                static_cast<double>(got.opened))),
                  "to open one");
  }
  auto bytes = held_bytes(x, &process_sample::pss);
  auto each = per(bytes, static_cast<double>(got.opened));
  // A process that has been busy before has memory to spare.
  bool tells = asked.what != workload::churn && each > 0;
  result += row("memory", bytes_text(bytes),
                tells ? fmt::format("more than before: {} a connection (PSS)",
                                    bytes_text(each))
                      : "more than before (PSS)");
  result += row("", fmt::format("{}", x.end.fds),
                fmt::format("open files, {} before; {}", x.before.fds,
                            plural(x.end.threads, "thread")));
  return result;
}

// -- JSON -------------------------------------------------------------------------

class json_object {
public:
  void raw(std::string_view key, std::string_view value) {
    text_ += fmt::format("{}\"{}\": {}", text_.empty() ? "" : ", ", key, value);
  }

  void add(std::string_view key, std::string_view value) {
    raw(key, boost::json::serialize(boost::json::string{
               boost::json::string_view{value.data(), value.size()}}));
  }

  void add(std::string_view key, std::uint64_t value) {
    raw(key, fmt::format("{}", value));
  }

  void add(std::string_view key, double value) {
    raw(key, std::isfinite(value) ? fmt::format("{:.6g}", value) : "0");
  }

  void add(std::string_view key, bool value) {
    raw(key, value ? "true" : "false");
  }

  void add(std::string_view key, const histogram& x) {
    json_object times;
    auto us = [](double ns) { return ns / 1e3; };
    times.add("count", x.count());
    times.add("mean", us(x.mean()));
    for (auto [name, p] :
         {std::pair{"p50", 50.0}, {"p90", 90.0}, {"p99", 99.0}, {"p999", 99.9}})
      times.add(name, us(static_cast<double>(x.percentile(p))));
    times.add("max", us(static_cast<double>(x.max())));
    raw(key, times.text());
  }

  std::string text() const { return '{' + text_ + '}'; }

private:
  std::string text_;
};

std::string json_server(const bench_request& asked, const bench_result& got) {
  const auto& x = *got.server;
  json_object out;
  out.add("cpu_s", x.cpu());
  out.add("user_s", x.end.user - x.begin.user);
  out.add("system_s", x.end.system - x.begin.system);
  out.add("cores", cores(got));
  auto switches = static_cast<double>(x.end.switches - x.begin.switches);
  auto n = static_cast<double>(got.opened);
  if (messages(asked)) {
    auto deliveries = static_cast<double>(got.delivered);
    out.add("cpu_us_per_delivery", per(x.cpu() * 1e6, deliveries));
    out.add("switches_per_delivery", per(switches, deliveries));
  } else if (asked.what == workload::churn) {
    out.add("cpu_us_per_cycle",
            per(x.cpu() * 1e6, static_cast<double>(got.cycles)));
  } else {
    out.add("cpu_us_per_open", per((x.begin.cpu - x.before.cpu) * 1e6, n));
  }
  if (asked.what != workload::churn) {
    out.add("pss_per_connection", per(held_bytes(x, &process_sample::pss), n));
    out.add("rss_per_connection", per(held_bytes(x, &process_sample::rss), n));
  }
  out.add("pss_before", x.before.pss);
  out.add("pss_end", x.end.pss);
  out.add("rss_before", x.before.rss);
  out.add("rss_end", x.end.rss);
  out.add("fds_before", x.before.fds);
  out.add("fds_end", x.end.fds);
  out.add("threads", x.end.threads);
  return out.text();
}

} // namespace

std::string text_report(const bench_request& asked, const bench_result& got) {
  auto result = head(asked) + connection_rows(asked, got);
  if (messages(asked) && got.opened > 0)
    result += message_rows(got);
  for (const auto& [words, count] : got.complaints)
    result += row("", fmt::format("{}", count), printable(words));
  if (got.opened == 0)
    return result + "\n  FAILED\n";
  result += '\n' + times_header();
  if (messages(asked))
    result += times_row("latency", got.latency);
  if (asked.rate > 0 && messages(asked))
    result += times_row("sent late", got.send_lag);
  result += times_row("open", got.open_time);
  if (asked.what == workload::churn)
    result += times_row("cycle", got.cycle_time);
  if (got.server)
    result += '\n' + server_rows(asked, got);
  if (auto reached = per(static_cast<double>(got.published), got.seconds);
      messages(asked) && reached < 0.95 * asked.rate)
    result +=
      fmt::format("\n  The rate was not reached: {} of {} messages/s.\n",
                  short_number(reached), short_number(asked.rate));
  if (got.own_cpu > 0.9 * got.seconds)
    result += "\n  This client was busy all the time: the figures are its own "
              "limit,\n  not only the server's.\n";
  if (got.interrupted)
    result += "\n  Interrupted: the figures are those of a shorter time.\n";
  return result + fmt::format("\n  {}\n", got.good() ? "passed" : "FAILED");
}

std::string json_report(const bench_request& asked, const bench_result& got) {
  json_object out;
  out.add("workload", to_string(asked.what));
  out.add("url", asked.url);
  out.add("rooms", std::uint64_t{asked.plan.rooms});
  if (messages(asked)) {
    out.add("members", std::uint64_t{asked.plan.members});
    out.add("publishers", std::uint64_t{asked.plan.publishers});
    out.add("size", std::uint64_t{asked.size});
    out.add("rate", asked.rate);
    out.add("window", std::uint64_t{asked.window});
    out.add("binary", asked.binary);
  } else {
    out.add("connections", std::uint64_t{asked.connections});
  }
  out.add("passed", got.good());
  out.add("interrupted", got.interrupted);
  out.add("seconds", got.seconds);
  out.add("opened", got.opened);
  out.add("refused", got.refused);
  out.add("dropped", got.dropped);
  out.add("open_s", got.open_seconds);
  out.add("open_us", got.open_time);
  if (messages(asked)) {
    out.add("echo", got.echo);
    out.add("unreached", got.unreached);
    out.add("published", got.published);
    out.add("expected", got.expected);
    out.add("delivered", got.delivered);
    out.add("deliveries_per_s",
            per(static_cast<double>(got.delivered), got.delivery_seconds));
    out.add("lost", got.faults.lost);
    out.add("repeated", got.faults.repeated);
    out.add("reordered", got.faults.reordered);
    out.add("misrouted", got.faults.misrouted);
    out.add("corrupt", got.faults.corrupt);
    out.add("divergent", got.faults.divergent);
    out.add("foreign", got.foreign);
    out.add("stalled", got.stalled);
    out.add("latency_us", got.latency);
    if (asked.rate > 0)
      out.add("send_lag_us", got.send_lag);
    out.add("reads_per_delivery", per(static_cast<double>(got.reads),
                                      static_cast<double>(got.delivered)));
  } else if (asked.what == workload::idle) {
    out.add("alive", got.alive);
  } else {
    out.add("cycles", got.cycles);
    out.add("cycles_per_s", per(static_cast<double>(got.cycles), got.seconds));
    out.add("cycle_us", got.cycle_time);
    out.add("unanswered", got.unanswered);
  }
  out.add("client_cpu_s", got.own_cpu);
  if (!got.complaints.empty()) {
    json_object complaints;
    for (const auto& [words, count] : got.complaints) {
      auto key = boost::json::serialize(boost::json::string{
        boost::json::string_view{words.data(), words.size()}});
      complaints.add(std::string_view{key}.substr(1, key.size() - 2), count);
    }
    out.raw("complaints", complaints.text());
  }
  if (got.server)
    out.raw("server", json_server(asked, got));
  return out.text() + '\n';
}

} // namespace greenroom::client
