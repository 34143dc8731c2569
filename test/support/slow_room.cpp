#include "test/support/slow_room.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include <sys/ioctl.h>
#include <sys/socket.h>

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto publish_every = 125ms;
// A kilobyte a second.
constexpr std::size_t sip_bytes = 64;
constexpr auto sip_every = 62'500us;

} // namespace

std::int64_t unix_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
           std::chrono::system_clock::now().time_since_epoch())
    .count();
}

// -- what is true ---------------------------------------------------------------------

std::int64_t slow_room::truth::age_at(std::int64_t at,
                                      std::uint64_t acknowledged) const {
  auto first = acknowledged / frame_bytes;
  if (first >= published_at.size())
    return 0;
  return std::max<std::int64_t>(at - published_at[first], 0);
}

std::pair<std::int64_t, std::int64_t> slow_room::truth::age(
  std::int64_t from, std::int64_t to) const {
  auto i = std::upper_bound(steps.begin(), steps.end(), from,
                            [](auto at, auto& x) { return at < x.at; });
  std::uint64_t known = i == steps.begin() ? 0 : std::prev(i)->acknowledged;
  auto low = age_at(from, known);
  auto high = low;
  auto take = [&](std::int64_t at) {
    auto x = age_at(at, known);
    low = std::min(low, x);
    high = std::max(high, x);
  };
  for (; i != steps.end() && i->at <= to; ++i) {
    take(i->at);
    known = i->acknowledged;
    take(i->at);
  }
  take(to);
  return {low, high};
}

std::int64_t slow_room::truth::first_older_than(std::int64_t ms) const {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    auto end = i + 1 < steps.size() ? steps[i + 1].at : steps[i].at;
    auto older = age_at(end, steps[i].acknowledged) - ms;
    if (older > 0)
      return std::max(steps[i].at, end - older + 1);
  }
  return 0;
}

std::int64_t slow_room::truth::acknowledged(std::int64_t at) const {
  std::uint64_t known = 0;
  for (auto& x : steps)
    if (x.at <= at)
      known = x.acknowledged;
  return static_cast<std::int64_t>(known);
}

// -- making it so ---------------------------------------------------------------------

slow_room::slow_room(std::uint16_t port, std::string path, std::size_t members)
  : others_({.port = port, .timeout = std::chrono::seconds{60}}), slow_([&] {
      others_.add(path, members - 1);
      others_.open_all();
      return ws_client::connect({.port = port,
                                 .path = path,
                                 .local_address = slow_address,
                                 .receive_buffer = 2048});
    }()) {}

slow_room::~slow_room() {
  stop();
}

void slow_room::begin() {
  truth_.steps.push_back({unix_ms(), 0});
  thread_ = std::thread{[this] { run(); }};
}

slow_room::truth slow_room::stop() {
  stop_ = true;
  if (thread_.joinable())
    thread_.join();
  auto result = truth_;
  for (auto& x : others_.faults())
    result.faults.push_back(x);
  if (others_.count(client_state::open) < others_.size())
    result.faults.push_back("others were ended: " + others_.describe());
  return result;
}

void slow_room::run() {
  auto publish_at = clock::now();
  auto sip_at = publish_at;
  std::string payload(payload_bytes, 'x');
  try {
    while (!stop_) {
      auto now = clock::now();
      if (now >= publish_at && !over_) {
        truth_.published_at.push_back(unix_ms());
        others_.send(0, opcode::binary, payload);
        publish_at = std::max(publish_at + publish_every, now);
      }
      if (now >= sip_at && !over_) {
        sip();
        sip_at += sip_every;
      }
      if (!over_)
        note_acknowledged();
      auto until = std::min(publish_at, sip_at);
      others_.step(std::clamp(
        std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()), 0ms,
        10ms));
    }
  } catch (const std::exception& e) {
    truth_.faults.emplace_back(e.what());
    over_ = true;
  }
}

void slow_room::sip() {
  std::array<char, sip_bytes> bytes;
  auto n =
    ::recv(slow_.stream().fd(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (n > 0)
    taken_ += static_cast<std::uint64_t>(n);
  if (n == 0 || (n < 0 && errno != EAGAIN))
    over_ = true;
}

// What its kernel has taken from the network is acknowledged, read or not.
void slow_room::note_acknowledged() {
  int waits = 0;
  ::ioctl(slow_.stream().fd(), FIONREAD, &waits);
  auto all = taken_ + static_cast<std::uint64_t>(waits);
  if (all > truth_.steps.back().acknowledged)
    truth_.steps.push_back({unix_ms(), all});
}

} // namespace greenroom::test
