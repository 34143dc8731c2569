#pragma once

#include "test/support/proc_stat.hpp"
#include "test/support/process.hpp"
#include "test/support/tcp.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <caf/actor.hpp>

#include "actors/inspection.hpp"
#include "actors/log.hpp"
#include "actors/messages.hpp"
#include "actors/metrics.hpp"
#include "app/broker.hpp"
#include "app/config.hpp"

namespace greenroom::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/// Everything takes longer here, and figures of memory mean nothing.
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

#ifdef NDEBUG
/// Figures are what a user would see.
inline constexpr bool optimised = !sanitized;
#else
inline constexpr bool optimised = false;
#endif

/// Asks every few milliseconds until the answer is true: for what nobody tells.
/// @param state what to quote if it never is
/// @throws timeout_error
void wait_until(const std::function<bool()>& holds,
                std::chrono::milliseconds timeout,
                const std::function<std::string()>& state);

/// A seed for this run: GREENROOM_SEED, or a new one. Printed, so that a run can be
/// repeated.
std::uint64_t test_seed();

std::string to_string(const books& x);

// -- a broker in this process ----------------------------------------------------

/// Any port, two threads, and no limit that many clients of one address would hit.
broker_options roomy_options(const std::vector<std::string>& rooms = {"lobby"});

/// Keeps the lines of a log. Any thread.
class log_notes final : public log_port {
public:
  void write(log_record line) noexcept override;

  bool wants(level) const noexcept override { return true; }

  /// Lines with this message, as `key=value` in the order of their fields.
  std::vector<std::string> lines(std::string_view message) const;

  /// Waits for a line with this message that contains `part`. @returns it
  std::string wait_line(
    std::string_view message, std::string_view part,
    std::chrono::milliseconds timeout = std::chrono::seconds{10}) const;

private:
  mutable std::mutex mutex_;
  std::vector<log_record> lines_;
};

/// An actor that was found alive.
struct found_actor {
  actor_kind kind = actor_kind::reader;
  std::uint64_t id = 0;
  client_id client = 0;
  std::string room;
  caf::actor handle;
};

/// How many of what are there: what a dead connection must leave as it was.
struct census {
  greenroom::books books;
  std::size_t actors = 0;
  std::size_t fds = 0;
  std::int64_t connections = 0;
  std::int64_t sessions = 0;
  std::int64_t live_bytes = 0;

  bool operator==(const census& x) const;
};

std::string to_string(const census& x);

/// The real broker in this process, and what only its own process can ask it.
class test_broker {
public:
  explicit test_broker(const broker_options& options = roomy_options());

  /// Drains and waits.
  ~test_broker();

  std::uint16_t port() const { return broker_.port(); }

  std::uint16_t inspect_port() const { return broker_.inspect_port(); }

  engine& env() { return broker_.env(); }

  const metrics& counts() const { return counts_; }

  const log_notes& log() const { return log_; }

  // -- asking --

  /// What the inside answers. @throws timeout_error after 10 s
  inspect_page look(inspect_query what);

  /// The same, without waiting for it.
  std::future<inspect_page> ask_inside(inspect_query what);

  /// What the supervisor says. @throws timeout_error, or std::future_error if it is
  /// dead
  greenroom::books books();

  /// The actor of a room; none if there is none now.
  caf::actor room_actor(const std::string& name);

  /// A connection as its rooms know it; none if it is gone.
  member_ptr client(client_id id);

  /// The connection that was opened last.
  client_id newest_client();

  /// Every live actor of every unit.
  std::vector<found_actor> actors();

  /// One actor of this kind. @throws std::runtime_error if there is none
  found_actor find(actor_kind kind);

  census count();

  /// Waits until the supervisor's books say so. @returns them
  greenroom::books wait_books(
    const std::function<bool(const greenroom::books&)>& holds,
    std::chrono::milliseconds timeout = std::chrono::seconds{10});

  /// Waits until everything is as it was and no byte is under way. The clients of
  /// this process have descriptors too: end those that came since.
  /// @returns how long it took
  std::chrono::milliseconds wait_census(
    census as_before,
    std::chrono::milliseconds timeout = std::chrono::seconds{10});

  // -- ending --

  /// Drains and waits for the end. @returns the exit status
  int finish(std::chrono::milliseconds timeout = std::chrono::seconds{20});

  /// Waits for an end that comes without a drain. @returns the exit status
  /// @throws timeout_error, after a drain
  int wait_end(std::chrono::milliseconds timeout = std::chrono::seconds{10});

private:
  struct answer {
    greenroom::books all;
    caf::actor room;
    member_ptr client;
  };

  answer ask(const std::string& room, client_id client);

  log_notes log_;
  metrics counts_;
  broker broker_;
  bool ended_ = false;
};

// -- a broker in a process of its own ----------------------------------------------

/// Flags with which many clients of one address meet no limit.
std::vector<std::string> roomy_flags();

/// How to start the program with these arguments and a log in JSON; without an
/// inspection listener unless they name its port.
process_options broker_command(std::vector<std::string> args,
                               process_options how = {});

/// The real program.
class broker_process {
public:
  /// Starts it on any port and waits until it listens. Its log is JSON.
  explicit broker_process(std::vector<std::string> args,
                          process_options how = {});

  process& child() { return child_; }

  std::uint16_t port() const { return port_; }

  proc_stat stat() const { return read_proc_stat(child_.pid()); }

  /// Waits for a log line with this message that comes after the line `from` and
  /// satisfies `accept`.
  output_line wait_log(
    std::string_view message,
    const std::function<bool(std::string_view)>& accept = {},
    std::chrono::milliseconds timeout = std::chrono::seconds{10},
    std::size_t from = 0);

  /// SIGTERM, and waits for the end. @returns the exit status
  exit_status finish(std::chrono::milliseconds timeout = std::chrono::seconds{
                       20});

private:
  process child_;
  std::uint16_t port_ = 0;
};

/// The number of a JSON log line's field; -1 if there is none.
std::int64_t number_in(std::string_view line, std::string_view field);

} // namespace greenroom::test
