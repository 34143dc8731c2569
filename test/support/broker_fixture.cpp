#include "test/support/broker_fixture.hpp"

#include "test/support/seed.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include <caf/actor_cast.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actors/engine.hpp"
#include "actors/runtime/actor.hpp"
#include "actors/runtime/unit.hpp"
#include "actors/wire.hpp"

namespace greenroom::test {

using namespace std::chrono_literals;

namespace {

constexpr auto answer_timeout = 10s;

/// Runs a function on a unit's thread and ends.
class visitor final : public actor {
public:
  visitor(caf::actor_config& cfg, unit& home, std::function<void(unit&)> what)
    : actor(cfg, home, actor_kind::probe), what_(std::move(what)) {}

protected:
  void started() override {
    what_(home());
    quit(errc::none);
  }

  bool receive(caf::mailbox_element&) override { return false; }

  void stopped(errc) override { what_ = nullptr; }

private:
  std::function<void(unit&)> what_;
};

template <class T>
T wait_for(std::future<T> answer, const char* whose) {
  if (answer.wait_for(answer_timeout) != std::future_status::ready)
    throw timeout_error(fmt::format("no answer from {}", whose));
  return answer.get();
}

std::vector<found_actor> actors_of(unit& where) {
  auto found = std::make_shared<std::promise<std::vector<found_actor>>>();
  auto result = found->get_future();
  spawn_on<visitor>(where, [found](unit& here) {
    std::vector<found_actor> all;
    here.each_actor([&all](const actor& x) {
      if (dynamic_cast<const visitor*>(&x) != nullptr)
        return;
      all.push_back({x.kind(), x.id(), x.serves(), std::string{x.room_name()},
                     caf::actor_cast<caf::actor>(
                       caf::strong_actor_ptr{const_cast<actor&>(x).ctrl()})});
    });
    found->set_value(std::move(all));
  });
  return wait_for(std::move(result), "a unit");
}

std::string to_text(const log_record& line) {
  std::string result;
  for (const auto& [key, value] : line.fields) {
    if (!result.empty())
      result += ' ';
    result += key + '=';
    std::visit([&result](const auto& x) { result += fmt::format("{}", x); },
               value);
  }
  return result;
}

} // namespace

void wait_until(const std::function<bool()>& holds,
                std::chrono::milliseconds timeout,
                const std::function<std::string()>& state) {
  deadline until{timeout};
  while (!holds()) {
    if (until.passed())
      throw timeout_error(
        fmt::format("not within {} ms: {}", timeout.count(), state()));
    std::this_thread::sleep_for(2ms);
  }
}

std::uint64_t test_seed() {
  return random_seed();
}

std::string to_string(const books& x) {
  return fmt::format("{} clients, {} readers, {} writers, {} sockets, {} "
                     "memberships, {} rooms, {} quarantined, {} bytes queued",
                     x.clients, x.readers, x.writers, x.sockets, x.memberships,
                     x.rooms, x.quarantined, x.bytes_queued);
}

// -- options -------------------------------------------------------------------------

broker_options roomy_options(const std::vector<std::string>& rooms) {
  broker_options result;
  result.listener.port = 0;
  result.inspect.on = false;
  result.listener.connections_per_address_max = 100'000;
  result.reader.messages_per_second = 0;
  result.reader.bytes_per_second = 0;
  result.supervisor.linger = {}; // tests compare books as soon as all have left
  result.threads = 2;
  for (const auto& name : rooms)
    result.rooms.push_back({name, {}});
  return result;
}

// -- log -----------------------------------------------------------------------------

void log_notes::write(log_record line) noexcept {
  std::lock_guard guard{mutex_};
  lines_.push_back(std::move(line));
}

std::vector<std::string> log_notes::lines(std::string_view message) const {
  std::lock_guard guard{mutex_};
  std::vector<std::string> result;
  for (const auto& line : lines_) {
    if (line.message == message)
      result.push_back(to_text(line));
  }
  return result;
}

std::string log_notes::wait_line(std::string_view message,
                                 std::string_view part,
                                 std::chrono::milliseconds timeout) const {
  std::string result;
  wait_until(
    [&] {
      for (auto& line : lines(message)) {
        if (line.find(part) == std::string::npos)
          continue;
        result = std::move(line);
        return true;
      }
      return false;
    },
    timeout,
    [&] {
      return fmt::format("no log line '{}' with '{}', but\n  {}", message, part,
                         fmt::join(lines(message), "\n  "));
    });
  return result;
}

// -- census --------------------------------------------------------------------------

bool census::operator==(const census& x) const {
  return to_string(*this) == to_string(x);
}

std::string to_string(const census& x) {
  return fmt::format("{}; {} actors, {} descriptors, {} connections, {} "
                     "sessions, {} live bytes",
                     to_string(x.books), x.actors, x.fds, x.connections,
                     x.sessions, x.live_bytes);
}

// -- a broker in this process -------------------------------------------------------

test_broker::test_broker(const broker_options& options)
  : broker_(options, log_, counts_) {
  broker_.start();
}

test_broker::~test_broker() {
  if (ended_)
    return;
  try {
    finish();
  } catch (const std::exception& error) {
    fmt::print(stderr, "the broker does not end: {}\n", error.what());
  }
}

std::future<inspect_page> test_broker::ask_inside(inspect_query what) {
  auto told = std::make_shared<std::promise<inspect_page>>();
  auto result = told->get_future();
  broker_.inspection().look(std::move(what), [told](inspect_page page) {
    told->set_value(std::move(page));
  });
  return result;
}

inspect_page test_broker::look(inspect_query what) {
  auto page = ask_inside(std::move(what));
  if (page.wait_for(std::chrono::seconds{10}) != std::future_status::ready)
    throw timeout_error("nobody answers from inside");
  return page.get();
}

test_broker::answer test_broker::ask(const std::string& room, client_id who) {
  auto told = std::make_shared<std::promise<answer>>();
  auto result = told->get_future();
  tell(env().supervisor,
       ask_books{room, who,
                 [told](greenroom::books all, caf::actor where, member_ptr x) {
                   told->set_value({all, std::move(where), std::move(x)});
                 }});
  told = nullptr; // a dead supervisor breaks the promise
  return wait_for(std::move(result), "the supervisor");
}

greenroom::books test_broker::books() {
  return ask({}, 0).all;
}

caf::actor test_broker::room_actor(const std::string& name) {
  return ask(name, 0).room;
}

member_ptr test_broker::client(client_id id) {
  return ask({}, id).client;
}

client_id test_broker::newest_client() {
  return env().last_client.load();
}

std::vector<found_actor> test_broker::actors() {
  std::vector<found_actor> result;
  for (auto* x : env().units) {
    auto here = actors_of(*x);
    result.insert(result.end(), here.begin(), here.end());
  }
  return result;
}

found_actor test_broker::find(actor_kind kind) {
  auto all = actors();
  auto found =
    std::find_if(all.begin(), all.end(),
                 [kind](const found_actor& x) { return x.kind == kind; });
  if (found == all.end())
    throw std::runtime_error(fmt::format("there is no {}", to_string(kind)));
  return *found;
}

census test_broker::count() {
  census result;
  result.books = books();
  result.actors = actors().size();
  result.fds = count_fds(::getpid());
  result.connections = counts_.connections_open.get();
  result.sessions = counts_.sessions_open.get();
  result.live_bytes = wire::live_bytes();
  return result;
}

greenroom::books test_broker::wait_books(
  const std::function<bool(const greenroom::books&)>& holds,
  std::chrono::milliseconds timeout) {
  greenroom::books last;
  wait_until(
    [&] {
      last = books();
      return holds(last);
    },
    timeout, [&] { return to_string(last); });
  return last;
}

std::chrono::milliseconds test_broker::wait_census(
  census as_before, std::chrono::milliseconds timeout) {
  // Counted while something was under way, perhaps; now nothing is.
  as_before.books.bytes_queued = 0;
  as_before.live_bytes = 0;
  auto begin = std::chrono::steady_clock::now();
  census last;
  wait_until(
    [&] {
      last = count();
      return last == as_before;
    },
    timeout,
    [&] {
      auto text =
        fmt::format("{}\nbefore: {}", to_string(last), to_string(as_before));
      for (auto& x : actors())
        text += fmt::format("\n  {} {} of client {}, room '{}'",
                            to_string(x.kind), x.id, x.client, x.room);
      return text;
    });
  return std::chrono::duration_cast<std::chrono::milliseconds>(
    std::chrono::steady_clock::now() - begin);
}

int test_broker::finish(std::chrono::milliseconds timeout) {
  broker_.drain();
  return wait_end(timeout);
}

int test_broker::wait_end(std::chrono::milliseconds timeout) {
  auto status =
    std::async(std::launch::async, [this] { return broker_.wait(); });
  ended_ = true;
  if (status.wait_for(timeout) == std::future_status::ready)
    return status.get();
  broker_.drain();
  status.wait();
  throw timeout_error(
    fmt::format("the broker has not ended within {} ms", timeout.count()));
}

// -- a broker in a process of its own ----------------------------------------------

std::vector<std::string> roomy_flags() {
  return {"--threads=2", "--connections-per-address=100000",
          "--messages-per-second=0", "--bytes-per-second=0"};
}

process_options broker_command(std::vector<std::string> args,
                               process_options how) {
#ifdef GREENROOM_BINARY
  // The program knows no variables of tests, and refuses what it does not know.
  how.argv = {"env"};
  for (const auto* name : {"GREENROOM_SEED", "GREENROOM_IDLE_CONNECTIONS",
                           "GREENROOM_KILLS", "GREENROOM_OVERFLOW_SECONDS"})
    how.argv.insert(how.argv.end(), {"-u", name});
  how.argv.insert(how.argv.end(), {GREENROOM_BINARY, "--log-format=json"});
  auto inspects = [](const std::string& x) {
    return x.starts_with("--inspect-port");
  };
  if (std::none_of(args.begin(), args.end(), inspects))
    how.argv.emplace_back("--inspect-port=off");
#else
  throw std::logic_error("there is no binary in this build");
#endif
  how.argv.insert(how.argv.end(), std::make_move_iterator(args.begin()),
                  std::make_move_iterator(args.end()));
  return how;
}

broker_process::broker_process(std::vector<std::string> args,
                               process_options how)
  : child_([&] {
      args.emplace_back("--port=0");
      return broker_command(std::move(args), std::move(how));
    }()) {
  auto line = wait_log("listening", {}, 20s);
  port_ = static_cast<std::uint16_t>(number_in(line.text, "port"));
}

output_line broker_process::wait_log(
  std::string_view message, const std::function<bool(std::string_view)>& accept,
  std::chrono::milliseconds timeout, std::size_t from) {
  auto part = fmt::format(R"("message":"{}")", message);
  return child_.wait_line_if(
    [&](std::string_view line) {
      return line.find(part) != std::string_view::npos
             && (!accept || accept(line));
    },
    part, timeout, from);
}

exit_status broker_process::finish(std::chrono::milliseconds timeout) {
  child_.signal(SIGTERM);
  return child_.wait_exit(timeout);
}

std::int64_t number_in(std::string_view line, std::string_view field) {
  auto key = fmt::format(R"("{}":)", field);
  auto at = line.find(key);
  if (at == std::string_view::npos)
    return -1;
  line.remove_prefix(at + key.size());
  std::int64_t result = -1;
  std::from_chars(line.data(), line.data() + line.size(), result);
  return result;
}

} // namespace greenroom::test
