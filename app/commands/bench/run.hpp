#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/result.hpp"
#include "app/commands/bench/histogram.hpp"
#include "app/commands/bench/process.hpp"
#include "app/commands/bench/verifier.hpp"

namespace greenroom::client {

enum class workload : std::uint8_t {
  fanout, ///< one talks, many listen
  rooms,  ///< many small rooms where everybody talks
  ping,   ///< two members, one message at a time
  idle,   ///< connections that are held and do nothing
  churn,  ///< connect, join, leave, again and again
};

std::string_view to_string(workload x) noexcept;

/// What is to be measured.
struct bench_request {
  /// `{room}` stands for the name of a room.
  std::string url;
  workload what = workload::fanout;
  layout plan;
  /// Bytes of a message.
  std::size_t size = 128;
  /// Messages a second, all rooms together; 0: by `window`.
  double rate = 0;
  /// Messages of a room that are under way at a time.
  std::uint32_t window = 0;
  bool binary = false;
  std::chrono::milliseconds duration{10'000};
  /// Of `idle`: how many are held; of `churn`: how many are in flight.
  std::uint32_t connections = 0;
  /// How long all members may take to hear of each other before it begins.
  std::chrono::milliseconds warm_up_timeout{10'000};
  /// Handshakes under way at a time.
  std::uint32_t parallel = 64;
  /// Addresses of loopback to connect from: 127.0.0.1 and those behind it.
  std::uint32_t sources = 1;
  std::vector<pid_t> server_pids;
  /// A line on standard error while it runs.
  bool progress = false;
  /// Ends the measurement early when true.
  const std::atomic<bool>* interrupted = nullptr;

  std::uint32_t connections_wanted() const {
    return what == workload::idle || what == workload::churn
             ? connections
             : static_cast<std::uint32_t>(plan.connections());
  }
};

/// What the server's processes used between two moments.
struct server_usage {
  process_sample before; ///< before the first connection
  process_sample begin;  ///< when the measured phase began
  process_sample end;    ///< when it was over

  double cpu() const { return end.cpu - begin.cpu; }
};

struct bench_result {
  bool interrupted = false;
  double seconds = 0; ///< of the measured phase
  double own_cpu = 0; ///< seconds of CPU this client used in it

  // -- connections --
  std::uint64_t opened = 0;
  std::uint64_t refused = 0;
  std::uint64_t dropped = 0;
  double open_seconds = 0;
  histogram open_time;
  std::map<std::string, std::uint64_t> complaints;

  // -- messages --
  /// Members that no message reached before the measured phase; of `idle`:
  /// connections that did not answer a ping in the end.
  std::uint64_t unreached = 0;
  /// Whether publishers get their own messages.
  bool echo = false;
  std::uint64_t published = 0;
  std::uint64_t expected = 0;
  std::uint64_t delivered = 0; ///< each once
  double delivery_seconds = 0; ///< from the first message to the last delivery
  delivery_faults faults;
  std::uint64_t foreign = 0;
  /// Messages that nothing was heard of for 2 s, which a window then gave up.
  std::uint64_t stalled = 0;
  std::uint64_t reads = 0;
  histogram latency;
  histogram send_lag; ///< how late the client itself was, at a fixed rate

  // -- idle --
  std::uint64_t alive = 0; ///< answered a ping in the end

  // -- churn --
  std::uint64_t cycles = 0;
  std::uint64_t unanswered = 0; ///< close frames
  histogram cycle_time;

  std::optional<server_usage> server;

  /// Whether all that was asked for happened, and nothing else.
  bool good() const {
    return opened > 0 && refused == 0 && dropped == 0 && unreached == 0
           && unanswered == 0 && faults.all() == 0 && stalled == 0;
  }
};

/// Measures. Blocks for the opening, the duration and the closing; every wait is
/// bounded.
/// @returns a fault whose detail is for the user if it could not begin
result<bench_result> run_bench(const bench_request& what);

} // namespace greenroom::client
