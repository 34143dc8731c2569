#pragma once

#include "test/support/swarm_thread.hpp"
#include "test/support/verifier.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace greenroom::test {

/// What goes on in one room.
struct load {
  std::string room = {};
  std::size_t members = 10;
  /// How many of the members publish.
  std::size_t publishers = 1;
  /// Publishers that do not get what they publish (`echo=0`), besides these.
  std::size_t silent_publishers = 0;
  /// What each publisher sends; 0: until `finish`.
  std::uint64_t messages = 0;
  /// Messages of one publisher on their way: the next waits until the first comes
  /// back.
  std::size_t window = 2;
  verifier_options what = {};
};

/// Rooms full of clients that talk over real sockets in a thread of their own, and
/// the proof that every member gets every message once, in the room's order and
/// byte for byte. Publishers pace themselves by what comes back.
class traffic {
public:
  /// A member of one of the rooms.
  struct member_id {
    std::size_t room = 0;
    std::size_t member = 0;

    bool operator==(const member_id&) const = default;
  };

  explicit traffic(swarm_options options);

  // -- who there is --

  /// Adds a room, before `open`. @returns its number
  std::size_t add(const load& what);

  /// Connects everybody.
  void open();

  /// Lets the publishers begin.
  void begin();

  /// Adds a member that joins at once, amid what goes on, and waits until it is in
  /// the room. It misses nothing that is published from then on.
  member_id join(std::size_t room, bool publishes = false);

  /// Says that this member is about to go: what it gets from now on is checked, but
  /// nothing needs to come any more. If it publishes, its last messages may be
  /// lost.
  void expect_end(member_id who);

  /// Has a member leave with a close frame, and waits for the end.
  void leave(member_id who);

  /// Stops a member from reading, which fills up its socket.
  void stop_reading(member_id who);

  // -- what happens --

  /// Waits until every room has delivered so many messages more.
  void wait_progress(std::uint64_t messages = 1,
                     std::chrono::milliseconds timeout = std::chrono::seconds{
                       10});

  /// Waits for the server's goodbye to a member. @returns its code
  std::uint16_t wait_end(member_id who, std::chrono::milliseconds timeout =
                                          std::chrono::seconds{10});

  /// Publishes no more and waits until everything has arrived.
  /// @returns what is wrong, or an empty text
  std::string finish(std::chrono::milliseconds timeout = std::chrono::seconds{
                       30});

  /// Deliveries so far.
  std::uint64_t delivered();

  std::uint64_t published();

  swarm_thread& clients() { return clients_; }

private:
  struct member_state {
    swarm::index client = 0;
    bool silent = false;
    bool ending = false;
    bool leaving = false;
    std::optional<std::size_t> publisher;
    std::uint64_t sent = 0;
    /// In the verifier; none while it is not open.
    std::optional<std::size_t> checked;
  };

  struct room_state {
    explicit room_state(const load& x) : what(x), checks(x.what) {}

    load what;
    verifier checks;
    std::vector<member_state> members;
    std::vector<std::size_t> owner_of_publisher;
    std::uint64_t deliveries = 0;
    /// The message behind everything else, once some publisher was cut off.
    std::string last;
    std::size_t last_seen = 0;
  };

  void received(swarm::index client, opcode op, std::string_view payload);
  void publish(room_state& where, member_state& who);
  void fill_window(room_state& where, member_state& who);
  void enrol(room_state& where, member_state& who);
  std::size_t add_member(room_state& where, bool publishes, bool silent);
  std::string path_of(const room_state& where, bool silent) const;
  void send_last();
  bool last_arrived() const;
  void lose_tails();
  bool arrived() const;

  /// Everything below belongs to the thread of `clients_`.
  std::deque<room_state> rooms_;
  std::map<swarm::index, member_id> member_of_;
  bool running_ = false;
  swarm* swarm_ = nullptr;
  swarm_thread clients_;
};

} // namespace greenroom::test
