#include "actors/audit.hpp"

#include <utility>

namespace greenroom {

namespace {

// In a period: the first may come just before a fault.
constexpr int looks = 3;

} // namespace

void report_fault(const engine& env, unit& home, audit_fault what,
                  client_id client, std::string_view room,
                  std::uint64_t expected, std::uint64_t found,
                  std::string_view repair) {
  at(env.counts->audit_faults, what).add();
  lifecycle_event e;
  e.what = happening::audit_fault;
  e.client = client;
  e.room = room;
  e.number = expected;
  e.number2 = found;
  e.text = repair;
  e.more = to_string(what);
  home.report(std::move(e));
}

void auditor::begin(std::string_view room) {
  if (armed() || looking_ || env_.audit.every.count() == 0)
    return;
  // Rooms that were opened together are not looked at together.
  auto step = env_.audit.every / looks;
  auto spread = std::hash<std::string_view>{}(room) % 1024;
  home_.timers().arm_in(*this, step * static_cast<int>(spread + 1) / 1024);
}

void auditor::fired() {
  looking_ = true;
  tell(caf::actor_cast<caf::actor>(owner_), audit_due{});
}

std::vector<client_id> auditor::look(const roster& members,
                                     const std::string& room,
                                     std::uint64_t actor) {
  std::vector<client_id> gone;
  roster_claims claims{room, actor, home_.id(), {}};
  if (group_ == 0 && at_ == 0)
    ++look_;
  auto& groups = members.groups();
  for (auto left = env_.audit.chunk; left > 0 && group_ < groups.size();) {
    auto& g = groups[group_];
    if (at_ >= g.seats.size()) {
      ++group_;
      at_ = 0;
      continue;
    }
    auto& s = g.seats[at_++];
    --left;
    claims.who.push_back(s.who->id);
    examine(g, s, members, room, gone);
  }
  if (!claims.who.empty())
    tell(env_.supervisor, std::move(claims));
  if (group_ < groups.size())
    tell(caf::actor_cast<caf::actor>(owner_), audit_due{});
  else
    end_look(members.size() > gone.size());
  return gone;
}

void auditor::end_look(bool anybody) {
  looking_ = false;
  group_ = at_ = 0;
  std::erase_if(suspects_, [this](auto& x) { return x.second.look < look_; });
  if (anybody)
    home_.timers().arm_in(*this, env_.audit.every / looks);
}

auditor::suspicion& auditor::suspect(client_id who) {
  auto& x = suspects_[who];
  x.look = look_;
  return x;
}

void auditor::examine(const roster::group& group, const roster::seat& seat,
                      const roster& members, const std::string& room,
                      std::vector<client_id>& gone) {
  auto& who = *seat.who;
  auto report = [&](audit_fault what, std::uint64_t expected,
                    std::uint64_t found, std::string_view repair) {
    report_fault(env_, home_, what, who.id, room, expected, found, repair);
  };
  if (has_ended(who.reader) || has_ended(who.writer)) {
    if (++suspect(who.id).dead == looks) {
      report(audit_fault::dead, 1, 0, "dropped");
      gone.push_back(who.id);
    }
    return;
  }
  if (who.doomed.load(std::memory_order_relaxed)) {
    if (++suspect(who.id).doomed == looks) {
      report(audit_fault::doomed, 0, 1, "killed");
      for (auto& x : {who.reader, who.writer})
        tell(x, caf::exit_msg{x.address(), caf::exit_reason::kill});
    }
    return;
  }
  if (group.head != members.head()) {
    report(audit_fault::behind, members.head(), group.head, "disconnected");
    sentence(who, errc::out_of_step);
    return;
  }
  if (who.flow->queued() == 0)
    suspects_.erase(who.id);
  else
    question(who, suspect(who.id), room);
}

void auditor::question(member& who, suspicion& x, const std::string& room) {
  auto it =
    static_cast<const actor*>(caf::actor_cast<caf::abstract_actor*>(who.writer))
      ->stats();
  if (!std::exchange(x.asked, true)) {
    x.overdue = false;
    x.handled = it.handled;
    x.due = it.received + 1;
    tell(who.writer, ask_flush{caf::actor_cast<caf::actor>(owner_)});
    return;
  }
  // Its answer may be right behind this look, but not behind the next.
  auto stands_still = it.handled == std::exchange(x.handled, it.handled);
  if (!stands_still && it.handled < x.due)
    return;
  if (stands_still || std::exchange(x.overdue, true)) {
    report_fault(env_, home_, audit_fault::stalled, who.id, room,
                 who.flow->queued(), 0, "disconnected");
    sentence(who, errc::out_of_step);
  }
}

// A client that takes nothing is blocked, and its socket has a limit for that. Bytes
// that wait although nothing is in their way are nobody's business but ours.
void auditor::note(const flush_state& x, const roster& members,
                   const std::string& room) {
  auto i = suspects_.find(x.who);
  auto* seat = members.find(x.who);
  if (i == suspects_.end() || seat == nullptr)
    return;
  auto& it = i->second;
  it.asked = it.overdue = false;
  if (x.blocked || x.waiting == 0) {
    it.waits = false;
  } else if (!std::exchange(it.waits, true) || it.sent != x.sent) {
    it.sent = x.sent;
  } else if (!seat->who->doomed.load(std::memory_order_relaxed)) {
    report_fault(env_, home_, audit_fault::stalled, x.who, room, x.waiting,
                 x.sent, "disconnected");
    sentence(*seat->who, errc::out_of_step);
  }
}

} // namespace greenroom
