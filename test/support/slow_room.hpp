#pragma once

#include "test/support/swarm.hpp"
#include "test/support/ws_client.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace greenroom::test {

/// Unix time in milliseconds, as the inspector's.
std::int64_t unix_ms();

/// A room whose members read what they get, but for one: it has a receive buffer of
/// a few KiB and takes a kilobyte a second out of it. The first member publishes 8 KiB
/// a second. Knows when each byte was published and which of them the slow member's
/// kernel has acknowledged: the true age that others report. Runs in a thread of its
/// own, from `begin` on.
class slow_room {
public:
  static constexpr std::size_t payload_bytes = 1024;
  /// With a header of a server (RFC 6455 §5.2).
  static constexpr std::size_t frame_bytes = payload_bytes + 4;

  /// What is known in the end.
  struct truth {
    struct step {
      std::int64_t at = 0;
      std::uint64_t acknowledged = 0; ///< bytes behind the handshake
    };

    std::vector<std::int64_t> published_at; ///< of each message
    std::vector<step> steps;
    std::vector<std::string> faults;

    /// How old the first unacknowledged byte was: the least and the most between two
    /// points in time, in milliseconds.
    std::pair<std::int64_t, std::int64_t> age(std::int64_t from,
                                              std::int64_t to) const;

    /// When it became so old at first; 0: never.
    std::int64_t first_older_than(std::int64_t ms) const;

    std::int64_t acknowledged(std::int64_t at) const;

  private:
    std::int64_t age_at(std::int64_t at, std::uint64_t acknowledged) const;
  };

  /// Opens all members. @throws std::runtime_error
  slow_room(std::uint16_t port, std::string path, std::size_t members);

  ~slow_room();

  /// The address the slow member comes from, and no other.
  static constexpr const char* slow_address = "127.0.0.2";

  void begin();

  /// Whether the broker has ended the slow member.
  bool over() const { return over_.load(); }

  truth stop();

private:
  void run();
  void sip();
  void note_acknowledged();

  swarm others_;
  ws_client slow_;
  truth truth_;
  std::uint64_t taken_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

} // namespace greenroom::test
