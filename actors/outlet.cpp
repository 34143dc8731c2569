#include "actors/outlet.hpp"

namespace greenroom {

outlet::outlet(caf::actor_config& cfg, unit& home, const engine& env,
               caf::actor owner, std::string name, overflow_policy overflow)
  : actor(cfg, home, actor_kind::outlet), env_(env), room_(std::move(owner)),
    name_(std::move(name)), overflow_(overflow), catch_up_(home, address()) {}

void outlet::started() {
  link_to(room_);
}

// -- behaviour ------------------------------------------------------------------------

bool outlet::receive(caf::mailbox_element& in) {
  return dispatch(
    in,
    [this](turn_out& x) {
      here_.deliver_all(*x.what, overflow_, env_.member, *env_.counts);
      catch_up_.look_at(here_);
    },
    [this](outlet_join& x) {
      auto who = x.what.who;
      here_.add(who, x.what.options.echo);
      if (who->redeem(x.what.by)) {
        deliver_to(*who, std::move(x.answer));
        tell(who->reader, joined{name_, room_, x.read_only});
      }
    },
    [this](outlet_leave& x) {
      auto who = here_.remove(x.what.who);
      if (who && who->redeem(x.what.by)) {
        deliver_to(*who, std::move(x.answer));
        tell(who->reader, left{name_});
      }
      tell(x.what.confirm,
           seat_answer{name_, here_.find(x.what.who) != nullptr});
    },
    [this](ask_seat& x) {
      tell(x.whom, seat_answer{name_, here_.find(x.who) != nullptr});
    },
    [this](tick&) {
      here_.release(env_.member);
      catch_up_.look_at(here_);
    },
    [this](retire& x) { quit(x.why); });
}

std::uint64_t outlet::parent() const {
  return room_ ? room_->id() : 0;
}

bool outlet::linked_by(caf::attachable& x) const {
  return is_link(x, room_);
}

void outlet::stopped(errc) {
  catch_up_.disarm();
  room_ = nullptr;
  here_ = {};
}

void outlet::lost(caf::mailbox_element& in) {
  dispatch(
    in,
    [this](outlet_leave& x) { tell(x.what.confirm, seat_unanswered{name_}); },
    [this](ask_seat& x) { tell(x.whom, seat_unanswered{name_}); });
}

} // namespace greenroom
