#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <caf/actor.hpp>

#include "actors/member.hpp"
#include "actors/messages.hpp"
#include "actors/model.hpp"

namespace greenroom {

/// What an operator asked for: such an end is no crash.
enum class room_end : std::uint8_t {
  none,
  close,   ///< its members are told
  restart, ///< its members stay
};

/// One room as the supervisor knows it.
struct room_entry {
  std::string name;
  room_options options;
  unit_id home = 0;
  caf::actor where; ///< null: announced by a handshake, not opened yet
  std::size_t members = 0;
  bool named = false; ///< at start: stays when it is empty
  bool quarantined = false;
  /// On demand, until the last of its actors has ended.
  room_end ending = room_end::none;
  /// Joins that came while it was closing: they open it anew.
  std::vector<join_room> parked;
  steady_time placed_at{};
  /// Since when nobody has been in it, while it lingers.
  steady_time empty_since{};
  std::optional<std::list<room_entry*>::iterator> lingers;
  std::deque<steady_time> crashes; ///< within the restart window
  std::uint64_t restarts = 0;      ///< since it was opened
};

/// One connection as the supervisor knows it, until the last of it is gone.
struct client_entry {
  struct seat {
    room_entry* room;
    join_options options;
    ticket by;
  };

  member_ptr who;
  std::vector<seat> seats;
  bool reader_down = false;
  bool writer_down = false;
  bool socket_gone = false;
  /// The audit has seen it ended, and nobody had told: once.
  bool reader_suspect = false;
  bool writer_suspect = false;
  /// Which actor ended first and why: what the others say follows from it.
  errc why = errc::none;
  std::string chain;
  std::size_t rooms_left = 0;
  std::uint16_t peer_code = 0;
  /// The rooms it was in when it ended.
  std::vector<std::string> left;

  bool over() const noexcept {
    return reader_down && writer_down && socket_gone;
  }

  bool ending() const noexcept {
    return reader_down || writer_down || socket_gone;
  }
};

/// Who exists, and where. A plain class; addresses of entries are stable.
class directory {
public:
  client_entry& add_client(member_ptr who);
  client_entry* client(client_id id) noexcept;
  void erase_client(client_id id);

  room_entry& add_room(std::string name);
  room_entry* room(const std::string& name) noexcept;
  void erase_room(const std::string& name);

  /// A room without members is kept for a while.
  void begin_linger(room_entry& x, steady_time now);
  void end_linger(room_entry& x) noexcept;

  /// The one that has been without members for the longest; null: there is none.
  room_entry* longest_empty() noexcept {
    return lingering_.empty() ? nullptr : lingering_.front();
  }

  /// The client whose reader or writer is the actor with this id; 0: none's.
  client_id owner_of(std::uint64_t actor) const noexcept;
  void forget_actor(std::uint64_t actor);

  std::unordered_map<client_id, client_entry>& clients() noexcept {
    return clients_;
  }

  const std::unordered_map<client_id, client_entry>& clients() const noexcept {
    return clients_;
  }

  std::unordered_map<std::string, room_entry>& rooms() noexcept {
    return rooms_;
  }

  const std::unordered_map<std::string, room_entry>& rooms() const noexcept {
    return rooms_;
  }

private:
  std::unordered_map<client_id, client_entry> clients_;
  std::unordered_map<std::string, room_entry> rooms_;
  std::list<room_entry*> lingering_; // the longest empty one first
  std::unordered_map<std::uint64_t, client_id> owners_;
};

} // namespace greenroom
