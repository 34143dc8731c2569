#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/event_loop.hpp"
#include "actors/log.hpp"
#include "actors/ports.hpp"
#include "actors/timer_wheel.hpp"

namespace greenroom::test {

class fake_socket;

/// The event loop of a unit without descriptors: timers, work for the next poll,
/// and fake sockets to flush. A test steps its unit by hand, or gives it a thread.
class fake_loop final : public event_loop {
public:
  explicit fake_loop(steady_time start = std::chrono::steady_clock::now())
    : timers_(start) {}

  /// Runs `f` in the next poll, on the unit. Any thread.
  void post(std::function<void()> f);

  /// Has a socket send at the end of the turn.
  void mark(std::shared_ptr<fake_socket> x) { marked_.push_back(std::move(x)); }

  /// Whether the next flushes leave something to send.
  bool unsent = false;

  /// How often somebody ended its sleep by sending mail.
  std::size_t wakes() const noexcept { return wakes_; }

  std::size_t poll() override;
  bool flush() override;
  void wait(steady_time until) override;
  void wake() noexcept override;

  timer_wheel& timers() noexcept override { return timers_; }

private:
  timer_wheel timers_;
  std::vector<std::shared_ptr<fake_socket>> marked_;
  std::mutex mutex_; // guards what follows
  std::condition_variable awake_;
  std::vector<std::function<void()>> posted_;
  bool woken_ = false;
  std::size_t wakes_ = 0;
};

/// A client at the other end of a socket that is not there. Keeps the promises of
/// `socket_port`: counts its flow, reads on only when messages were taken, says
/// nothing after its last words, and tells its sink when it is gone.
class fake_socket final : public socket_port,
                          public std::enable_shared_from_this<fake_socket> {
public:
  /// From the last words to RST.
  static constexpr std::chrono::seconds goodbye_timeout{5};

  explicit fake_socket(fake_loop& loop);
  ~fake_socket() override;

  // -- what a test does; any thread ----------------------------------------------

  /// The client sends a message; told to the reader in the next poll, or when
  /// the messages before it were taken.
  void emit(std::string text);
  void emit(inbound message);

  /// The client's close frame, end of file or broken rule.
  void hang_up(errc why = errc::peer_closed, std::uint16_t code = 1000);

  /// The descriptor goes without a word.
  void vanish();

  /// Takes what waits, after it was stuck.
  void recover();

  /// Takes nothing from now on: its receive window is full. On its unit.
  bool stuck = false;
  /// Sends nothing any more, although the client would take it. On its unit.
  bool lame = false;
  /// Outlives even its goodbye timeout.
  bool immortal = false;
  /// What its kernel holds, as it says.
  std::uint64_t kernel_bytes = 0;
  std::chrono::milliseconds kernel_age{0};
  /// Messages read and not taken at the same time.
  std::size_t window = 16;

  // -- what a test looks at -------------------------------------------------------

  bool accepted = false;
  /// Why the upgrade was refused.
  errc refused = errc::none;
  /// Frames the client got, as text and without epochs.
  std::vector<std::string> got;
  /// The epoch of each of them; empty if it had none.
  std::vector<std::string> epochs;
  /// How many blocks they came in.
  std::size_t blocks = 0;
  /// Reason and code of the close frame; empty before.
  std::string last_words;
  std::uint16_t last_code = 0;
  bool gone = false;
  std::uint64_t dropped = 0;
  std::uint64_t discarded = 0;
  flow_ptr flow = std::make_shared<flow_counter>();
  client_id id = 0;

  /// Messages the client sent that the broker does not read yet.
  std::size_t unread() const noexcept { return unread_.size(); }

  /// Messages told to the reader and not taken.
  std::size_t not_taken() const noexcept { return not_taken_; }

  std::uint64_t bytes_waiting() const noexcept { return waiting_bytes_; }

  /// What it got since the last call.
  std::vector<std::string> news();

  // -- for the fixture and the loop -----------------------------------------------

  void attach(std::unique_ptr<socket_sink> sink);
  void send();

  // -- socket_port ----------------------------------------------------------------

  void accept() override;
  void refuse(errc why) override;
  void append(wire_ptr what, retention how) override;
  std::uint64_t drop_oldest(std::uint64_t keep,
                            std::vector<wire_mark>* marks) override;
  void taken(std::size_t messages) override;
  void close(farewell words) override;
  socket_stats stats() const override;
  socket_lag lag() const override;
  socket_stats stats_at_end() const override;
  queued_events queued_of(std::uint64_t room) const override;

private:
  class goodbye final : public timer {
  public:
    explicit goodbye(fake_socket& owner) : owner_(owner) {}

  protected:
    void fired() override { owner_.leave(); }

  private:
    fake_socket& owner_;
  };

  void mark();
  void read_on();
  void note_end();
  void discard_waiting();
  void leave();
  void record(std::string_view bytes);

  fake_loop& loop_;
  std::unique_ptr<socket_sink> sink_;
  std::deque<inbound> unread_;
  std::size_t not_taken_ = 0;
  struct block {
    wire_ptr bytes;
    retention how;
    steady_time since;
  };

  std::deque<block> waiting_;
  std::unique_ptr<socket_stats> at_end_;
  std::uint64_t waiting_bytes_ = 0;
  std::uint64_t sent_ = 0;
  wire_ptr last_;
  bool marked_ = false;
  bool closing_ = false;
  bool peer_done_ = false;
  socket_stats sums_;
  std::optional<steady_time> sent_at_;
  std::size_t news_from_ = 0;
  goodbye goodbye_;
};

using socket_ptr = std::shared_ptr<fake_socket>;

/// Raw relay as readable text: a message is a publication, a publication is a
/// frame, nothing is answered.
class relay_dialect final : public protocol {
public:
  std::string_view name() const noexcept override { return "relay"; }

  void decode(inbound message, dialogue& state,
              std::vector<command>& out) const override;
  wire_ptr encode(const turn& events, client_id without) const override;
  wire_ptr encode(const answer& what) const override;
};

/// A dialect of many rooms with answers, as readable text. A message is one
/// command a line:
///
///     hello ID | join ID ROOM [quiet] | leave ID ROOM | pub ID ROOM TEXT
///     pong | refuse ID ERRC | end ERRC
///
/// Without an answer where ID is 0. It answers and pushes:
///
///     ok VERB ID ROOM OFFSET | no VERB ID ROOM ERRC | ROOM OFFSET TEXT
///     lost ROOM ERRC | ping
class talk_dialect final : public protocol {
public:
  /// @param strict greets and pings, and wants both answered
  explicit talk_dialect(bool strict = false) : strict_(strict) {}

  std::string_view name() const noexcept override { return "talk"; }

  void decode(inbound message, dialogue& state,
              std::vector<command>& out) const override;
  wire_ptr encode(const turn& events, client_id without) const override;
  wire_ptr encode(const answer& what) const override;
  wire_ptr ping() const override;

  bool greets() const noexcept override { return strict_; }

private:
  bool strict_;
};

/// Compression as readable text: each frame with a `~` in front. Counts.
class mark_compression final : public compression {
public:
  wire_ptr compress(const wire_ptr& plain) const override;

  mutable std::atomic<int> calls{0};
};

/// A block of frames, each a line of text.
wire_ptr make_wire(const std::vector<std::string>& frames);

/// Remembers log lines. Any thread.
class fake_log final : public log_port {
public:
  void write(log_record line) noexcept override;
  bool wants(level x) const noexcept override;

  /// What is quieter is not wanted. Set before the broker starts.
  level threshold = level::trace;

  /// The lines called `message` as `key=value key=value`, in order.
  std::vector<std::string> lines(std::string_view message) const;

  /// All lines.
  std::vector<log_record> records() const;

private:
  mutable std::mutex mutex_;
  std::vector<log_record> records_;
};

/// A field of a log line as text; empty if it has none of that name.
std::string field(const log_record& line, std::string_view key);

} // namespace greenroom::test
