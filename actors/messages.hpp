#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include "actors/inquiry.hpp"
#include "actors/inspection.hpp"
#include "actors/member.hpp"
#include "actors/model.hpp"
#include "actors/roster.hpp"
#include "actors/runtime/lifecycle.hpp"
#include "actors/walk.hpp"

// Every message of the machine on one page. Imperatives ask, past participles
// report; a report cannot be refused.

namespace greenroom {

// -- to the READER: one client's dialogue ------------------------------------------

/// A complete message came from the socket.
struct received {
  inbound what;
};

/// So many bytes came from the socket that are no part of a message.
struct received_beside {
  std::uint64_t bytes;
};

/// The socket will receive nothing more.
struct socket_closed {
  errc why;
  std::uint16_t peer_code;
};

/// The room took the member in; its answer is on the way to the writer already.
struct joined {
  std::string room;
  caf::actor where;
  bool read_only; ///< the member may listen and not publish
};

/// The room let the member go, or never had it.
struct left {
  std::string room;
};

/// The room has given a publication its place and sent it to everybody, or never
/// will.
struct posted {
  std::uint32_t number; ///< the reader's own
  errc why;
  std::uint64_t offset; ///< the room's by then
};

/// To itself: gives the answers that are known by now.
struct give_answers {};

/// A join or leave was refused before it reached a room.
struct refused {
  verb what;
  ticket by;
  errc why;
  std::string room;
};

/// A room crashed and was restarted: same name, new epoch, another actor. Told to
/// all readers: a leave may have died with it.
struct room_moved {
  std::string room;
  caf::actor where; ///< null: it was about to end and has no successor
  bool seated;      ///< whether the supervisor has this client as a member
};

/// The room is no more and nobody is a member any longer. Told to all readers.
struct room_lost {
  std::string room;
  errc why;
  /// Whether the supervisor had this client as a member. If not, a join is still on
  /// its way there and will be answered.
  bool seated;
};

/// The rooms have caught up: the socket may be read again.
struct resume_reading {};

/// Ends the connection for a reason.
struct evict {
  errc why;
};

/// Shows the black box; empty if there is none yet. Rooms, too.
struct show_box {
  std::function<void(std::vector<box_row>)> told;
};

/// Somebody follows what goes on here. Rooms, too.
struct attach_tap {
  std::shared_ptr<trace_tap> tap;
};

/// What the writer was sent before it was asked is in the outbox.
struct written {
  errc why;
};

// -- to the WRITER: one client's way out ---------------------------------------------

/// Puts ready-made frames into the outbox. Counted in the member's flow before it
/// was sent.
struct deliver {
  wire_ptr what;
  retention how = retention::droppable;
};

/// Drops what waits, from the oldest, until at most `keep` bytes are left.
struct trim {
  std::uint64_t keep;
};

/// Is everything that came before in the outbox? Answered by `written`, which
/// brings `why` back.
struct ask_written {
  caf::actor whom;
  errc why;
};

/// Does everything that came before get out? Answered by `flush_state`.
struct ask_flush {
  caf::actor whom;
};

// -- to the ROOM: owns the members and the stream of one room -------------------------

/// What went with a room. Written until its `down_msg`, by whoever lost something.
struct remains {
  std::atomic<std::uint64_t> timers{0};
  std::atomic<std::uint64_t> bytes{0}; ///< of publications nobody got
  std::atomic<std::uint64_t> posts{0};
};

/// Adds a member. If its ticket is still due, it is answered through its writer and
/// by `joined` to its reader, with the stream position from which the member misses
/// nothing.
struct join {
  member_ptr who;
  join_options options;
  ticket by;
};

/// Drops a member; a stranger is ignored, so leaving twice does no harm. If its
/// ticket is still due, it is answered through its writer and by `left`.
struct leave {
  client_id who;
  ticket by;
  /// A reaper that wants `seat_answer` from the last roster concerned; null: none.
  caf::actor confirm = nullptr;
};

/// Broadcasts in the order of arrival. If `asker` is set, its reader is told by
/// `posted`, also if the room crashes first.
struct post {
  payload what;
  client_id from;
  member_ptr asker;
  std::uint32_t number; ///< of the asker's reader, for its answer
  inflow_token credit;
  steady_time at{}; ///< when it came in; none: now
};

/// Ends the turn: encodes what was posted and sends it to the members.
struct flush {};

/// To a room that replaces a crashed one: its members as the supervisor knows
/// them. Joins that the old one did not answer are answered now.
struct adopt {
  std::vector<join> members;
};

/// Ends a room or an outlet for good; what was posted before is still sent.
struct retire {
  errc why;
  /// Where a room notes what went with it; null: nobody asked.
  std::shared_ptr<remains> estate = nullptr;
};

/// Is this client, of this unit, in any roster? Of the room, or of the outlet
/// there: `seat_answer`.
struct ask_seat {
  client_id who;
  unit_id unit;
  caf::actor whom;
};

/// How many members are there? Answered by `roster_size`.
struct count_members {
  caf::actor whom;
};

/// From itself: time to look at some members, see audit.hpp. Outlets, too.
struct audit_due {};

/// From a writer: how it stands.
struct flush_state {
  client_id who;
  std::uint64_t waiting; ///< bytes under way to the client
  std::uint64_t sent;    ///< bytes the kernel ever took
  bool blocked;          ///< it takes nothing more for now
};

/// One membership by the supervisor's books.
struct seat_note {
  client_id who;
  unit_id unit;
  std::uint32_t number; ///< of the join
};

/// From the supervisor, behind all it has said of them: whom of these does the room
/// not know? Told by `seats_missing`. Outlets, too.
struct check_seats {
  std::uint64_t room; ///< its actor
  std::vector<seat_note> seats;
};

/// From the supervisor, behind all it has said of them: these are not members.
/// Outlets, too.
struct check_strangers {
  unit_id unit;
  std::vector<client_id> who;
};

// -- to an OUTLET: a room's members on one other unit ---------------------------------

struct outlet_join {
  join what;
  wire_ptr answer;
  bool read_only;
  std::uint64_t offset =
    0; ///< of the room: the member misses nothing behind it
};

struct outlet_leave {
  leave what;
  wire_ptr answer;
};

/// One turn of the room, encoded, and the answers to those publications of it that
/// came from this unit.
struct turn_out {
  std::shared_ptr<const broadcast> what;
  std::vector<acknowledgement> due;
};

// -- to the SUPERVISOR: births, directions, deaths -------------------------------------

/// A connection's actors live. Sent once, before anything else about it.
struct client_up {
  member_ptr who;
};

/// Its descriptor is closed.
struct socket_gone {
  client_id who;
  std::uint16_t peer_code = 0; ///< of the client's close frame; 0: none came
};

/// Asks for membership; delegated to the room, which answers, or `refused`.
struct join_room {
  client_id who;
  std::string room;
  join_options options;
  ticket by;
};

struct leave_room {
  client_id who;
  std::string room;
  ticket by;
};

/// A room has members on another unit.
struct outlet_up {
  std::uint64_t of; ///< the room's actor
  caf::actor outlet;
};

/// Where is a connection for this room to live? `told` is called once.
struct place {
  std::string room;
  std::function<void(unit_id)> told;
};

/// Ends one connection.
struct end_client {
  client_id who;
  errc why;
};

/// Who exists, by the supervisor's own books.
struct books {
  std::size_t clients = 0; ///< records, ending ones included
  std::size_t readers = 0; ///< actors that have not ended
  std::size_t writers = 0;
  std::size_t sockets = 0;
  std::size_t memberships = 0;
  std::size_t rooms = 0;
  std::size_t quarantined = 0;
  std::uint64_t bytes_queued = 0; ///< sum of the members' flow counters
};

/// Asks for the books and, where it names one, a room's actor or a client's.
struct ask_books {
  std::string room;
  client_id client = 0;
  std::function<void(books, caf::actor room, member_ptr client)> told;
};

/// Which rooms does no actor run?
struct ask_idle_rooms {
  std::uint64_t number; ///< comes back
  caf::actor whom;
};

/// An order to end something, until it is answered by a receipt.
using order_ptr = std::shared_ptr<inquiry<end_order, receipt>>;

/// Such an order: from outside to the supervisor, and to a reaper.
struct end_asked {
  order_ptr what;
};

/// Somebody outside wants to follow a room or a connection.
struct follow_asked {
  trace_order what;
  std::weak_ptr<trace_sink> to;
};

/// Has the room asked again whether it knows a client that has left.
struct confirm_seat {
  client_id who;
  unit_id unit;
  std::string room;
  caf::actor whom;
};

/// From a room or an outlet: whom it knows.
struct roster_claims {
  std::string room;
  std::uint64_t actor; ///< of the room
  unit_id unit;
  std::vector<client_id> who;
};

/// From a room or an outlet: whom of those that were asked for it does not know.
struct seats_missing {
  std::string room;
  std::uint64_t actor; ///< of the room
  std::vector<seat_note> seats;
};

/// From itself: time to compare some books.
struct books_due {};

/// Drains: everybody is told to go, then the rooms end, then the supervisor.
struct stop_all {};

/// A drain has no more time: whoever is left is told now, and no socket is waited
/// for.
struct cut_off {};

/// The supervisor's own pulse.
struct tick {};

/// Its own as well: a room may have been without members for long enough.
struct linger_over {};

// -- to a REAPER: sees one order to end something through ------------------------------

/// The supervisor has given up the seats of the client in these rooms and told
/// them.
struct seats_left {
  std::vector<std::string> rooms;
};

/// A room, or its outlet, behind the leave: whether it still knows the client.
struct seat_answer {
  std::string room;
  bool known;
};

/// The question died with the room.
struct seat_unanswered {
  std::string room;
};

/// The client's descriptor is closed.
struct descriptor_closed {};

/// The supervisor has no record of the client any more.
struct buried {};

/// All actors of the room have ended, and its members were told or have moved on.
struct room_over {
  std::size_t actors;
  std::size_t members;  ///< seats given up; of a restart: handed on
  caf::actor successor; ///< of a restart; null if the room was left meanwhile
};

/// Members of a restarted room, by itself.
struct roster_size {
  std::size_t members;
};

// -- to a TRACER ------------------------------------------------------------------------

/// The room it follows, by the supervisor; null: it is not there now.
struct trace_target {
  caf::actor what;
};

// -- to the INSPECTOR and its PROBES ----------------------------------------------------

/// What happened on one unit in a turn.
struct reported {
  lifecycle_batch what;
};

/// Asks a probe to walk over the actors of its unit.
struct take_walk {
  std::shared_ptr<const walk_plan> plan;
  caf::actor whom;
};

/// A probe's word to itself: on with the walk.
struct walk_on {
  std::uint64_t number; ///< of the walk
};

/// What it has found.
struct walked {
  std::uint64_t number;
  std::shared_ptr<unit_findings> what;
};

/// From the supervisor: rooms that no actor runs. Asked with the number of a walk.
struct idle_rooms {
  std::uint64_t number;
  std::vector<room_row> rows;
};

/// To itself: the next walk may begin, or the one under way has taken too long.
struct walk_due {};

/// To itself: time to look at the latency.
struct latency_due {};

/// A question from outside. To the supervisor, which knows the inspector, and to
/// the inspector.
struct looked {
  std::shared_ptr<inquiry<inspect_query, inspect_page>> what;
};

/// Tells a probe who gets its unit's events from now on.
struct report_to {
  caf::actor whom;
};

/// From the supervisor, for the snapshot line.
struct counted {
  books what;
};

} // namespace greenroom

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::received)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::received_beside)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::socket_closed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::joined)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::left)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::posted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::give_answers)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::refused)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::room_moved)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::room_lost)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::resume_reading)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::evict)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::written)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::deliver)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::trim)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::ask_written)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::join)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::leave)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::post)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::flush)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::adopt)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::retire)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::outlet_join)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::outlet_leave)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::turn_out)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::client_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::socket_gone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::join_room)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::leave_room)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::outlet_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::place)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::end_client)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::ask_books)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::end_asked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::follow_asked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::stop_all)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::cut_off)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::linger_over)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::show_box)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::attach_tap)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::trace_target)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::ask_flush)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::audit_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::flush_state)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::check_seats)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::check_strangers)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::roster_claims)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::seats_missing)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::books_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::ask_seat)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::count_members)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::confirm_seat)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::seats_left)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::seat_answer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::seat_unanswered)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::descriptor_closed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::buried)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::room_over)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::roster_size)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::reported)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::take_walk)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::walk_on)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::walked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::ask_idle_rooms)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::idle_rooms)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::walk_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::latency_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::looked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::report_to)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(greenroom::counted)
