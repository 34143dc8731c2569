#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/alarm.hpp"
#include "actors/engine.hpp"
#include "actors/messages.hpp"
#include "actors/ports.hpp"
#include "actors/rate.hpp"
#include "actors/runtime/actor.hpp"

namespace greenroom {

/// One client's dialogue: messages in, commands out. Knows the socket, the rooms
/// the client is in and which of its commands are not answered yet; checks rates
/// and rights. Only this actor opens and closes the socket, however it ends.
class reader final : public actor {
public:
  reader(caf::actor_config& cfg, unit& home, const engine& env,
         std::shared_ptr<socket_port> socket, member_ptr who,
         std::vector<command> implied);

  client_id serves() const noexcept override { return who_ ? who_->id : 0; }

  std::uint64_t parent() const override;

  // -- for those who look inside --

  const member* who() const noexcept { return who_.get(); }

  std::size_t rooms() const noexcept { return rooms_.size(); }

  std::uint64_t messages_in() const noexcept { return messages_in_; }

  socket_stats socket() const {
    return socket_ ? socket_->stats() : socket_stats{};
  }

  socket_lag lag() const { return socket_ ? socket_->lag() : socket_lag{}; }

protected:
  void started() override;
  bool receive(caf::mailbox_element& in) override;
  void link_down(const caf::exit_msg& x) override;
  void stopped(errc why) override;
  void took(std::chrono::nanoseconds run) override;
  bool linked_by(caf::attachable& x) const override;

private:
  /// Beats for dialects with a greeting and a ping of their own.
  struct membership {
    std::string room;
    caf::actor where;
    bool read_only = false;
  };

  struct question {
    verb what;
    ticket by;
    std::string room;
  };

  /// An answer of this reader, until all that came before it were given.
  struct reply {
    verb what;
    std::uint16_t kind;
    request_id id;
    errc why = errc::none;
    bool due = false; // a room has still to say what became of it
    std::uint64_t offset = 0;
    std::string room;
  };

  bool charge(std::uint64_t bytes);
  void note(const box_note& x);
  void close_box(errc why);
  void take(inbound& x);
  void run_commands();
  bool may_run(const command& x);
  void hasten();
  void run(command& x);
  void publish(command& x);
  void refuse(verb what, request_id id, std::uint16_t kind, errc why,
              std::string_view room);
  reply& add_reply(verb what, request_id id, std::uint16_t kind,
                   std::string_view room);
  void give_replies();
  void outcome(const posted& x);
  void entered(joined& x);
  void lose(const room_lost& x);
  void move_to(const room_moved& x);
  void tell_loss(errc why, const std::string& room);
  void forget(const std::string& room);
  ticket ask(const command& x);
  bool asking(std::string_view room) const;
  void answered();
  void answer_own();
  void settle();
  void part(errc why);
  void say_goodbye();
  void leave_last_words(std::uint16_t code);
  void beat();
  void start_beating();
  membership* find(std::string_view room);

  const engine& env_;
  std::shared_ptr<socket_port> socket_;
  member_ptr who_;
  inflow_ptr inflow_;
  dialogue dialogue_;
  std::vector<membership> rooms_;
  /// Commands behind one whose answer is due; none, no memory.
  std::unique_ptr<std::deque<command>> waiting_;
  /// The join or leave whose answer is due; null, no memory. Rooms answer it, and
  /// nothing else runs meanwhile.
  std::unique_ptr<question> asked_;
  /// Answers in the order of their commands, up to `posts_max`; the first has the
  /// number `first_reply_`.
  std::vector<reply> replies_;
  std::uint32_t first_reply_ = 0;
  std::uint32_t last_ticket_ = 0;
  std::uint64_t messages_in_ = 0;
  std::uint32_t not_taken_ = 0; // messages the socket still counts
  rate_limit messages_;
  rate_limit bytes_;
  std::unique_ptr<alarm<tick>> heartbeat_;
  bool beating_ = false;     // the greeting came, pings go out
  bool pinged_ = false;      // the next beat looks for the answer
  bool open_ = false;        // the upgrade was answered
  bool turned_away_ = false; // the greeting was refused: nothing else is heard
  bool giving_ = false;      // has told itself to give answers
  bool hastened_ = false;    // has told rooms that a command waits for them
  bool parting_ = false;     // ends as soon as its last answers are written
  std::optional<errc> parting_why_; // not told to the writer yet
};

} // namespace greenroom
