#include "app/commands/bench/run.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "app/commands/bench/crowd.hpp"
#include "app/commands/bench/message.hpp"
#include "app/commands/bench/progress.hpp"
#include "app/commands/client/url.hpp"
#include "app/descriptors.hpp"

namespace greenroom::client {

namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t millisecond = 1'000'000;

// Every wait ends, whatever the server does.
constexpr auto open_all_max = 120 * second;
constexpr auto warm_up_again = second / 4;
constexpr auto settle = second / 5;
constexpr auto drain_max = 5 * second;
constexpr auto silence_max = second;
constexpr auto stall_after = 2 * second;
constexpr auto goodbye_max = 2 * second;
constexpr auto ping_max = 5 * second;

constexpr int probe_timeout_ms = 5000;

/// A server that takes nothing any more holds the schedule up, not our memory.
constexpr std::size_t unsent_bytes_max = 4 * 1024 * 1024;

/// So many messages at most go out before the answers are looked at.
constexpr int burst_max = 64;

/// Descriptors that are not connections.
constexpr std::size_t spare_descriptors = 32;

std::uint64_t nanoseconds_of(std::chrono::milliseconds span) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds{span}.count());
}

std::string room_name(std::uint32_t room) {
  return fmt::format("bench-{}", room);
}

/// 127.0.0.1 and the addresses behind it.
std::vector<endpoint> loopback_sources(std::uint32_t count) {
  std::vector<endpoint> result;
  for (std::uint32_t i = 0; i < count; ++i) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + i);
    endpoint one;
    std::memcpy(&one.address, &address, sizeof(address));
    one.size = sizeof(address);
    result.push_back(one);
  }
  return result;
}

/// What all workloads share: a crowd, the clock, and what the server used.
class measurement : public crowd_events {
public:
  measurement(const bench_request& what, crowd_options options,
              std::vector<std::string> targets)
    : what_(what), targets_(std::move(targets)),
      crowd_(std::move(options), what.connections_wanted(), *this),
      progress_(what.progress) {}

  virtual void run() = 0;

  bench_result take() {
    progress_.clear();
    result_.complaints = crowd_.complaints();
    result_.interrupted = interrupted();
    return std::move(result_);
  }

  // -- events of the crowd --

  std::string target_of(std::uint32_t who) override {
    return targets_[room_of(who)];
  }

  void on_open(std::uint32_t, std::uint64_t took) override {
    ++result_.opened;
    result_.open_time.add(took);
  }

  void on_message(std::uint32_t, ws_opcode, std::string_view) override {}

  void on_pong(std::uint32_t) override {}

  void on_end(std::uint32_t, ending how) override {
    if (leaving_)
      return;
    if (how == ending::refused)
      ++result_.refused;
    else if (how == ending::dropped)
      ++result_.dropped;
  }

protected:
  virtual std::uint32_t room_of(std::uint32_t who) const = 0;

  bool interrupted() const {
    return what_.interrupted != nullptr && *what_.interrupted;
  }

  /// @returns nothing where no process was named or one is gone
  std::optional<process_sample> sample() const {
    if (what_.server_pids.empty())
      return std::nullopt;
    return sample_processes(what_.server_pids);
  }

  /// The server as it is without us.
  void look_before() { before_ = sample(); }

  void open_all() {
    look_before();
    auto begin = now_ns();
    std::uint32_t next = 0;
    auto all = static_cast<std::uint32_t>(crowd_.size());
    while (result_.opened + result_.refused < all && !interrupted()
           && now_ns() < begin + open_all_max) {
      while (next < all && crowd_.opening() < what_.parallel)
        crowd_.open(next++);
      crowd_.poll(now_ns() + 2 * millisecond);
      tell([&] { return fmt::format("open {}/{}", result_.opened, all); });
    }
    result_.open_seconds = static_cast<double>(now_ns() - begin) * 1e-9;
    if (!interrupted())
      result_.refused = all - result_.opened; // some may still be on their way
  }

  void begin_measuring() {
    begin_sample_ = sample();
    own_cpu_ = own_cpu();
    reads_ = crowd_.reads();
    begin_ = now_ns();
  }

  void end_measuring() {
    result_.seconds = static_cast<double>(now_ns() - begin_) * 1e-9;
    result_.own_cpu = own_cpu() - own_cpu_;
    result_.reads = crowd_.reads() - reads_;
    if (auto end = sample(); before_ && begin_sample_ && end)
      result_.server = server_usage{*before_, *begin_sample_, *end};
  }

  std::uint64_t end_of_duration() const {
    return begin_ + nanoseconds_of(what_.duration);
  }

  void goodbye() {
    leaving_ = true;
    crowd_.close_all(now_ns() + goodbye_max);
  }

  /// @param words makes the line, only when it is due
  template <class F>
  void tell(F words) {
    if (auto now = now_ns(); progress_.due(now))
      progress_.show(now, words());
  }

  double since_begin(std::uint64_t now) const {
    return static_cast<double>(now - begin_) * 1e-9;
  }

  const bench_request& what_;
  std::vector<std::string> targets_;
  crowd crowd_;
  progress_line progress_;
  bench_result result_;
  std::uint64_t begin_ = 0;

private:
  bool leaving_ = false;
  double own_cpu_ = 0;
  std::uint64_t reads_ = 0;
  std::optional<process_sample> before_;
  std::optional<process_sample> begin_sample_;
};

// -- messages: fanout, rooms, ping ------------------------------------------------

class message_run final : public measurement {
public:
  message_run(const bench_request& what, crowd_options options,
              std::vector<std::string> targets)
    : measurement(what, std::move(options), std::move(targets)),
      plan_(what.plan), format_(std::random_device{}(), what.size),
      verifier_(plan_), origin_(now_ns()), warm_(plan_.connections(), false),
      present_(plan_.connections(), false), echo_(plan_.rooms, false),
      rooms_(plan_.rooms), rings_(plan_.talkers()) {
    for (auto& x : rings_)
      x.assign(what.window, given_up);
  }

  void run() override {
    open_all();
    if (result_.opened == 0)
      return;
    warm_up();
    begin();
    if (what_.rate > 0)
      run_by_rate();
    else
      run_by_window();
    drain();
    end_measuring();
    measuring_ = false;
    result_.delivery_seconds =
      last_delivery_ > begin_ ? since_begin(last_delivery_) : 0;
    result_.faults = verifier_.finish(present_, echo_);
    result_.echo = std::find(echo_.begin(), echo_.end(), true) != echo_.end();
    goodbye();
  }

  void on_message(std::uint32_t who, ws_opcode op,
                  std::string_view payload) override;

  void on_end(std::uint32_t who, ending how) override {
    measurement::on_end(who, how);
    // Nobody waits for it any more.
    auto& room = rooms_[room_of(who)];
    if (measuring_ && present_[who] && room.listeners > 0)
      --room.listeners;
  }

private:
  struct room_state {
    /// Members that get a message, its publisher left out unless it echoes.
    std::uint32_t listeners = 0;
    std::uint32_t outstanding = 0;
    std::uint32_t turn = 0; ///< which publisher is next
    bool queued = false;
    std::uint64_t progress_at = 0;
  };

  /// In a ring: everybody has it, or nobody waits for it any more.
  static constexpr std::uint32_t given_up = UINT32_MAX;

  std::uint32_t room_of(std::uint32_t who) const override {
    return plan_.room_of_member(who);
  }

  std::uint32_t publisher_of(std::uint32_t room, std::uint32_t turn) const {
    return room * plan_.publishers + turn % plan_.publishers;
  }

  std::uint32_t connection_of(std::uint32_t publisher) const {
    return static_cast<std::uint32_t>(plan_.member_of_publisher(publisher));
  }

  ws_opcode kind() const {
    return what_.binary ? ws_opcode::binary : ws_opcode::text;
  }

  /// Of a warm-up, which member 0 sends; alone it can only hear itself.
  std::uint32_t first_listener() const { return plan_.members > 1 ? 1 : 0; }

  void warm_up();
  bool reached(std::uint32_t room) const;
  void begin();
  void publish(std::uint32_t publisher, std::uint64_t due);
  void run_by_rate();
  void run_by_window();
  void fill(std::uint32_t room);
  void give_up_stalled(std::uint64_t now);
  void drain();
  void report(std::uint64_t now);

  layout plan_;
  message_format format_;
  delivery_verifier verifier_;
  std::uint64_t origin_; ///< of the times in messages
  std::vector<bool> warm_;
  std::vector<bool> present_;
  std::vector<bool> echo_;
  std::vector<room_state> rooms_;
  /// Per publisher: how many have each of its last messages.
  std::vector<std::vector<std::uint32_t>> rings_;
  std::vector<std::uint32_t> ready_rooms_;
  bool measuring_ = false;
  std::uint64_t last_delivery_ = 0;
};

void message_run::on_message(std::uint32_t who, ws_opcode op,
                             std::string_view payload) {
  stamp what;
  auto now = crowd_.read_at();
  switch (format_.read(payload, what)) {
    case verdict::foreign:
      ++result_.foreign;
      return;
    case verdict::corrupt:
      verifier_.count_corrupt();
      return;
    case verdict::ours:
      break;
  }
  if (op != kind()) {
    verifier_.count_corrupt();
    return;
  }
  if (what.sequence == 0) {
    warm_[who] = true;
    last_delivery_ = now;
    return;
  }
  if (verifier_.take(who, what) != delivery_verifier::seen::fresh)
    return;
  ++result_.delivered;
  last_delivery_ = now;
  auto due = origin_ + what.time;
  // What matters of a ping is the way to the other one.
  if (what_.what != workload::ping || connection_of(what.publisher) != who)
    result_.latency.add(now > due ? now - due : 0);
  auto& ring = rings_[what.publisher];
  if (ring.empty()
      || verifier_.published(what.publisher) - what.sequence >= ring.size())
    return;
  auto& got = ring[what.sequence % ring.size()];
  auto& room = rooms_[what.room];
  if (got == given_up || ++got < room.listeners)
    return;
  got = given_up;
  --room.outstanding;
  room.progress_at = now;
  if (!room.queued) {
    room.queued = true;
    ready_rooms_.push_back(what.room);
  }
}

bool message_run::reached(std::uint32_t room) const {
  for (auto i = first_listener(); i < plan_.members; ++i) {
    auto who = room * plan_.members + i;
    if (crowd_.is_open(who) && !warm_[who])
      return false;
  }
  return true;
}

/// The first member of each room says something until all others have heard it,
/// because a server may join them after its 101. Shows whether it hears itself.
void message_run::warm_up() {
  auto end = now_ns() + nanoseconds_of(what_.warm_up_timeout);
  std::vector<std::uint32_t> missing(plan_.rooms);
  for (std::uint32_t i = 0; i < plan_.rooms; ++i)
    missing[i] = i;
  while (!missing.empty() && now_ns() < end && !interrupted()) {
    int burst = 0;
    for (auto room : missing) {
      auto publisher = publisher_of(room, 0);
      auto who = connection_of(publisher);
      crowd_.send(who, kind(), format_.make({room, publisher, 0, 0}));
      if (++burst % burst_max == 0)
        crowd_.poll(0);
    }
    auto again = now_ns() + warm_up_again;
    while (!missing.empty() && now_ns() < again && !interrupted()) {
      crowd_.poll(again);
      std::erase_if(missing, [this](auto room) { return reached(room); });
      tell([&] {
        return fmt::format("warm-up {}/{} rooms", plan_.rooms - missing.size(),
                           plan_.rooms);
      });
    }
  }
  for (auto room : missing)
    for (auto i = first_listener(); i < plan_.members; ++i)
      if (auto who = room * plan_.members + i; crowd_.is_open(who))
        result_.unreached += warm_[who] ? 0 : 1;
  // Late copies belong to the warm-up, not to the measurement.
  last_delivery_ = now_ns();
  end = now_ns() + silence_max;
  while (now_ns() < std::min(end, last_delivery_ + settle) && !interrupted())
    crowd_.poll(last_delivery_ + settle);
}

void message_run::begin() {
  for (std::uint32_t room = 0; room < plan_.rooms; ++room) {
    echo_[room] = warm_[std::size_t{room} * plan_.members];
    std::uint32_t here = 0;
    for (std::uint32_t i = 0; i < plan_.members; ++i) {
      auto who = room * plan_.members + i;
      present_[who] = crowd_.is_open(who);
      here += present_[who] ? 1 : 0;
    }
    rooms_[room].listeners = here - (here > 0 && !echo_[room] ? 1 : 0);
  }
  begin_measuring();
  measuring_ = true;
  last_delivery_ = 0;
}

void message_run::publish(std::uint32_t publisher, std::uint64_t due) {
  auto room = plan_.room_of_publisher(publisher);
  auto sequence = verifier_.publish(publisher);
  ++result_.published;
  result_.expected += rooms_[room].listeners;
  if (auto& ring = rings_[publisher]; !ring.empty()) {
    // One that is still on its way when its place is needed is lost, at least to
    // somebody: it must not narrow the window for ever.
    auto& got = ring[sequence % ring.size()];
    if (got == given_up)
      ++rooms_[room].outstanding;
    got = 0;
  }
  crowd_.send(connection_of(publisher), kind(),
              format_.make({room, publisher, sequence, due - origin_}));
}

void message_run::report(std::uint64_t now) {
  tell([&] {
    auto seconds = std::max(since_begin(now), 1e-9);
    return fmt::format(
      "{:.0f}/{:.0f} s  {} published  {} delivered ({:.0f}/s)  p99 {:.3f} ms{}",
      seconds, std::chrono::duration<double>{what_.duration}.count(),
      result_.published, result_.delivered,
      static_cast<double>(result_.delivered) / seconds,
      static_cast<double>(result_.latency.percentile(99)) * 1e-6,
      result_.dropped > 0 ? fmt::format("  {} dropped", result_.dropped) : "");
  });
}

void message_run::run_by_rate() {
  auto end = end_of_duration();
  auto gap = 1e9 / what_.rate;
  std::uint64_t sent = 0;
  auto due = begin_;
  for (auto now = begin_; due < end && now < end && !interrupted();) {
    bool blocked = false;
    for (int burst = 0; due <= now && due < end && burst < burst_max; ++burst) {
      auto room = static_cast<std::uint32_t>(sent % plan_.rooms);
      auto turn = static_cast<std::uint32_t>(sent / plan_.rooms);
      auto publisher = publisher_of(room, turn);
      // The schedule waits for a server that takes no more, and its latencies
      // tell: they count from the moment that was due.
      blocked = crowd_.unsent(connection_of(publisher)) > unsent_bytes_max;
      if (blocked)
        break;
      if (crowd_.is_open(connection_of(publisher))) {
        publish(publisher, due);
        now = now_ns();
        result_.send_lag.add(now - due);
      }
      ++sent;
      due =
        begin_ + static_cast<std::uint64_t>(static_cast<double>(sent) * gap);
    }
    crowd_.poll(
      std::min(std::max(due, now + (blocked ? millisecond : 0)), end));
    now = now_ns();
    report(now);
  }
}

void message_run::fill(std::uint32_t room) {
  auto& x = rooms_[room];
  x.queued = false;
  if (x.listeners == 0)
    return;
  std::uint32_t silent = 0;
  while (x.outstanding < what_.window && silent < plan_.publishers) {
    auto publisher = publisher_of(room, x.turn++);
    auto who = connection_of(publisher);
    if (!crowd_.is_open(who) || crowd_.unsent(who) > unsent_bytes_max) {
      ++silent;
      continue;
    }
    auto now = now_ns();
    x.progress_at = now;
    publish(publisher, now);
  }
}

/// A window whose messages do not arrive would stand still for ever.
void message_run::give_up_stalled(std::uint64_t now) {
  for (std::uint32_t room = 0; room < plan_.rooms; ++room) {
    auto& x = rooms_[room];
    if (x.outstanding == 0 || now < x.progress_at + stall_after)
      continue;
    result_.stalled += x.outstanding;
    x.outstanding = 0;
    for (std::uint32_t k = 0; k < plan_.publishers; ++k)
      for (auto& got : rings_[publisher_of(room, k)])
        got = given_up;
    fill(room);
  }
}

void message_run::run_by_window() {
  auto end = end_of_duration();
  for (std::uint32_t room = 0; room < plan_.rooms; ++room) {
    fill(room);
    if (room % burst_max == burst_max - 1)
      crowd_.poll(0);
  }
  auto look_again = begin_ + second / 10;
  for (auto now = begin_; now < end && !interrupted(); now = now_ns()) {
    // Filling one may make others ready, which then have their turn at once.
    for (std::size_t i = 0; i < ready_rooms_.size(); ++i)
      fill(ready_rooms_[i]);
    ready_rooms_.clear();
    crowd_.poll(std::min(end, now + 20 * millisecond));
    if (now >= look_again) {
      give_up_stalled(now);
      look_again = now + second / 10;
    }
    report(now);
  }
}

void message_run::drain() {
  auto begin = now_ns();
  last_delivery_ = std::max(last_delivery_, begin_);
  auto quiet_since = [&] { return std::max(begin, last_delivery_); };
  while (result_.delivered < result_.expected && now_ns() < begin + drain_max
         && now_ns() < quiet_since() + silence_max)
    crowd_.poll(now_ns() + 2 * millisecond);
}

// -- idle -------------------------------------------------------------------------

class idle_run final : public measurement {
public:
  using measurement::measurement;

  void run() override {
    open_all();
    if (result_.opened == 0)
      return;
    // Whatever the server had to do for them is done soon.
    wait_until(now_ns() + second / 2);
    begin_measuring();
    wait_until(end_of_duration());
    end_measuring();
    for (std::uint32_t who = 0; who < crowd_.size(); ++who)
      if (crowd_.is_open(who))
        crowd_.send(who, ws_opcode::ping, {});
    auto end = now_ns() + ping_max;
    while (result_.alive < crowd_.open_now() && now_ns() < end)
      crowd_.poll(now_ns() + 2 * millisecond);
    result_.unreached =
      crowd_.open_now()
      - std::min<std::uint64_t>(result_.alive, crowd_.open_now());
    goodbye();
  }

  void on_message(std::uint32_t, ws_opcode, std::string_view) override {
    ++result_.foreign;
  }

  void on_pong(std::uint32_t) override { ++result_.alive; }

private:
  std::uint32_t room_of(std::uint32_t who) const override {
    return who % what_.plan.rooms;
  }

  void wait_until(std::uint64_t end) {
    while (now_ns() < end && !interrupted()) {
      crowd_.poll(end);
      tell([&] { return fmt::format("{} are held", crowd_.open_now()); });
    }
  }
};

// -- churn ------------------------------------------------------------------------

class churn_run final : public measurement {
public:
  using measurement::measurement;

  void run() override {
    for (std::uint32_t who = 0; who < crowd_.size(); ++who)
      free_.push_back(who);
    begun_.resize(crowd_.size());
    look_before();
    begin_measuring();
    auto end = end_of_duration();
    for (auto now = begin_; now < end && !interrupted(); now = now_ns()) {
      begin_some(now);
      crowd_.poll(now + millisecond);
      tell([&] {
        return fmt::format("{} cycles ({:.0f}/s)", result_.cycles,
                           static_cast<double>(result_.cycles)
                             / std::max(since_begin(now), 1e-9));
      });
    }
    auto last = now_ns() + drain_max;
    while (free_.size() < crowd_.size() && now_ns() < last)
      crowd_.poll(now_ns() + millisecond);
    end_measuring();
    goodbye();
  }

  void on_open(std::uint32_t who, std::uint64_t took) override {
    measurement::on_open(who, took);
    crowd_.close(who);
  }

  void on_end(std::uint32_t who, ending how) override {
    measurement::on_end(who, how);
    free_.push_back(who);
    if (how == ending::unanswered) {
      ++result_.unanswered;
    } else if (how == ending::closed) {
      ++result_.cycles;
      result_.cycle_time.add(now_ns() - begun_[who]);
    } else {
      rest_until_ = now_ns() + 10 * millisecond;
    }
  }

private:
  std::uint32_t room_of(std::uint32_t who) const override {
    return who % what_.plan.rooms;
  }

  void begin_some(std::uint64_t now) {
    // A server that refuses is not run down.
    if (now < rest_until_)
      return;
    // Not those that end while they begin.
    for (auto n = free_.size(); n > 0; --n) {
      auto who = free_.front();
      free_.pop_front();
      begun_[who] = now_ns();
      crowd_.open(who);
    }
  }

  std::deque<std::uint32_t> free_;
  std::vector<std::uint64_t> begun_;
  std::uint64_t rest_until_ = 0;
};

/// A name such as `localhost` may have addresses where nobody listens.
result<endpoint> first_that_answers(const url& to) {
  auto endpoints = resolve(to);
  if (!endpoints)
    return endpoints.error();
  int error = 0;
  for (const auto& one : *endpoints) {
    auto fd = start_connect(one);
    if (!fd) {
      error = more_telling(error, errno);
      continue;
    }
    pollfd waits{fd.get(), POLLOUT, 0};
    auto result = ::poll(&waits, 1, probe_timeout_ms) > 0
                    ? connect_error(fd.get())
                    : ETIMEDOUT;
    if (result == 0)
      return one;
    error = more_telling(error, result);
  }
  return fault{
    errc::peer_gone,
    fmt::format("{}: {}", to.authority,
                std::error_code{error, std::generic_category()}.message())};
}

result<crowd_options> options_of(const bench_request& what,
                                 std::vector<std::string>& targets) {
  constexpr std::string_view hole = "{room}";
  auto at = what.url.find(hole);
  if (at == std::string::npos && what.plan.rooms > 1)
    return fault{errc::bad_request,
                 "more than one room needs {room} in the URL"};
  crowd_options options;
  for (std::uint32_t room = 0; room < what.plan.rooms; ++room) {
    auto text = what.url;
    if (at != std::string::npos)
      text.replace(at, hole.size(), room_name(room));
    auto to = parse_url(text);
    if (!to)
      return to.error();
    targets.push_back(to->target);
    if (room == 0)
      options.to = *to;
  }
  auto wanted = std::size_t{what.connections_wanted()} + spare_descriptors;
  if (auto limit = raise_descriptor_limit(); limit < wanted)
    return fault{errc::connection_limit,
                 fmt::format("needs {} open files, {} are allowed (ulimit -n)",
                             wanted, limit)};
  auto endpoint = first_that_answers(options.to);
  if (!endpoint)
    return endpoint.error();
  options.address = *endpoint;
  if (what.sources > 1) {
    if (options.address.address.ss_family != AF_INET
        || !options.address.text().starts_with("127."))
      return fault{errc::bad_request,
                   "--sources is for servers on 127.0.0.1 only"};
    options.sources = loopback_sources(what.sources);
  }
  options.message_bytes_max =
    std::max<std::size_t>(options.message_bytes_max, what.size);
  if (!what.server_pids.empty() && !sample_processes(what.server_pids))
    return fault{errc::not_found, "--server-pid: no such process"};
  return options;
}

} // namespace

std::string_view to_string(workload x) noexcept {
  switch (x) {
    case workload::fanout:
      return "fanout";
    case workload::rooms:
      return "rooms";
    case workload::ping:
      return "ping";
    case workload::idle:
      return "idle";
    case workload::churn:
      break;
  }
  return "churn";
}

result<bench_result> run_bench(const bench_request& what) {
  std::vector<std::string> targets;
  auto options = options_of(what, targets);
  if (!options)
    return options.error();
  // Wake-ups on time: the kernel may be 50 us late by default.
  prctl(PR_SET_TIMERSLACK, 1000UL);
  std::unique_ptr<measurement> run;
  switch (what.what) {
    case workload::idle:
      run = std::make_unique<idle_run>(what, *options, std::move(targets));
      break;
    case workload::churn:
      run = std::make_unique<churn_run>(what, *options, std::move(targets));
      break;
    default:
      run = std::make_unique<message_run>(what, *options, std::move(targets));
  }
  run->run();
  return run->take();
}

} // namespace greenroom::client
