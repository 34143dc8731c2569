#include "actors/outlet.hpp"

namespace greenroom {

outlet::outlet(caf::actor_config& cfg, unit& home, const engine& env,
               caf::actor owner, std::string name, overflow_policy overflow)
  : actor(cfg, home, actor_kind::outlet), env_(env), room_(std::move(owner)),
    name_(std::move(name)), here_(env, home, address(), overflow),
    auditor_(env, home, address()) {}

void outlet::started() {
  link_to(room_);
}

// -- behaviour ------------------------------------------------------------------------

bool outlet::receive(caf::mailbox_element& in) {
  return dispatch(
    in,
    [this](turn_out& x) {
      here_.begin(std::move(x.what));
      due_ = std::move(x.due);
      send_on();
    },
    [this](outlet_join& x) {
      auto who = x.what.who;
      here_.members().begin_at(x.offset);
      here_.members().add(who, x.what.options.echo);
      auditor_.begin(name_);
      if (who->redeem(x.what.by)) {
        deliver_to(*who, std::move(x.answer), env_.member);
        tell(who->reader, joined{name_, room_, x.read_only});
      }
    },
    [this](outlet_leave& x) {
      if (x.what.by.number == 0)
        note_last_offset(here_.members(), x.what.who, name_, home());
      auto who = here_.members().remove(x.what.who);
      if (who && who->redeem(x.what.by)) {
        deliver_to(*who, std::move(x.answer), env_.member);
        tell(who->reader, left{name_});
      }
      tell(x.what.confirm,
           seat_answer{name_, here_.members().find(x.what.who) != nullptr});
    },
    [this](audit_due&) {
      for (auto gone : auditor_.look(here_.members(), name_, room_->id())) {
        here_.members().remove(gone);
        tell(room_, leave{gone, {}});
      }
    },
    [this](flush_state& x) { auditor_.note(x, here_.members(), name_); },
    [this](check_seats& x) {
      std::erase_if(x.seats, [this](auto& s) {
        return here_.members().find(s.who) != nullptr;
      });
      if (!x.seats.empty())
        tell(env_.supervisor, seats_missing{name_, x.room, std::move(x.seats)});
    },
    [this](check_strangers& x) {
      for (auto who : x.who)
        if (here_.members().remove(who)) {
          report_fault(env_, home(), audit_fault::unseated, who, name_, 0, 1,
                       "dropped and disconnected");
          tell(env_.supervisor, end_client{who, errc::out_of_step});
        }
    },
    [this](ask_seat& x) {
      tell(x.whom, seat_answer{name_, here_.members().find(x.who) != nullptr});
    },
    [this](tick&) { here_.release(); }, [this](retire& x) { quit(x.why); });
}

std::uint64_t outlet::parent() const {
  return room_ ? room_->id() : 0;
}

bool outlet::linked_by(caf::attachable& x) const {
  return is_link(x, room_);
}

void outlet::stopped(errc) {
  for (auto& x : due_)
    apologize(x);
  due_.clear();
  here_.stop();
  auditor_.disarm();
  room_ = nullptr;
}

// While a turn is not with all members, nothing else is handled: the room's retire
// waits behind it as well.
void outlet::proceed() {
  send_on();
}

void outlet::send_on() {
  if (auto x = here_.go_on(); x == pacer::verdict::rest)
    rest();
  else if (x == pacer::verdict::pause)
    pause();
  if (!here_.done())
    return;
  for (auto& x : due_)
    acknowledge(x);
  due_.clear();
}

void outlet::lost(caf::mailbox_element& in) {
  dispatch(
    in,
    [this](turn_out& x) {
      for (auto& each : x.due)
        apologize(each);
    },
    [this](outlet_leave& x) { tell(x.what.confirm, seat_unanswered{name_}); },
    [this](ask_seat& x) { tell(x.whom, seat_unanswered{name_}); });
}

} // namespace greenroom
