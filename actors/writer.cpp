#include "actors/writer.hpp"

#include <algorithm>

#include "actors/runtime/reason.hpp"
#include "actors/runtime/unit.hpp"

namespace greenroom {

writer::writer(caf::actor_config& cfg, unit& home, member_ptr who,
               std::shared_ptr<socket_port> socket)
  : actor(cfg, home, actor_kind::writer), client_(who->id), flow_(who->flow),
    counts_(home.counts()), who_(std::move(who)), socket_(std::move(socket)) {}

bool writer::receive(caf::mailbox_element& in) {
  return dispatch(
    in, [this](deliver& x) { append(x); }, [this](trim& x) { trim_to(x.keep); },
    [this](ask_flush& x) {
      auto stats = socket_->stats();
      tell(x.whom, flush_state{client_, flow_->queued(), stats.bytes_out,
                               stats.blocked});
    },
    [](ask_written& x) { tell(x.whom, written{x.why}); });
}

// The first event opens the box, an answer does not: who only joins has none. Its
// reader closes it for good.
void writer::append(deliver& x) {
  if (x.how == retention::droppable && !who_->box
      && !who_->doomed.load(std::memory_order_relaxed))
    who_->open_box();
  if (who_->box) {
    timed = true;
    who_->box->note(home().now_ms(), waited(),
                    {.what = box_event::deliver, .bytes = x.what->size()});
  }
  socket_->append(std::move(x.what), x.how);
}

void writer::took(std::chrono::nanoseconds run) {
  if (who_->box)
    who_->box->took(run);
}

void writer::trim_to(std::uint64_t keep) {
  if (who_->box)
    who_->box->note(home().now_ms(), waited(),
                    {.what = box_event::trim, .bytes = keep});
  std::vector<wire_mark> gone;
  auto frames = socket_->drop_oldest(keep, &gone);
  who_->gaps.fetch_add(frames, std::memory_order_relaxed);
  counts_.dropped.add(static_cast<std::int64_t>(frames));
  at(counts_.dropped_by, overflow_policy::drop_oldest)
    .add(static_cast<std::int64_t>(frames));
  for (auto& block : gone) {
    if (!trimmed_)
      trimmed_ = std::make_unique<std::vector<trimmed>>();
    auto i = std::find_if(trimmed_->begin(), trimmed_->end(),
                          [&](auto& x) { return x.room == block.room; });
    if (i == trimmed_->end())
      i = trimmed_->insert(i, {block.room, 0, 0, 0});
    if (i->drops == 0 || i->last + 1 < block.first)
      ++i->gaps;
    i->drops += block.events;
    i->last = block.last;
  }
}

writer::trimmed writer::trimmed_of(std::uint64_t room) const noexcept {
  if (trimmed_)
    for (auto& x : *trimmed_)
      if (x.room == room)
        return x;
  return {};
}

std::uint64_t writer::parent() const {
  return who_ && who_->reader ? who_->reader->id() : 0;
}

bool writer::linked_by(caf::attachable& x) const {
  return who_ && is_link(x, who_->reader);
}

// Without its reader nobody is there to talk to, whatever the reason.
void writer::link_down(const caf::exit_msg& x) {
  quit(reason(x.reason));
}

void writer::stopped(errc) {
  socket_.reset();
  who_.reset();
}

// What was counted on its way here is not under way any more.
void writer::lost(caf::mailbox_element& in) {
  dispatch(in, [this](deliver& x) {
    flow_->sub(x.what->size());
    flow_->discard(x.what->size(), x.what->frames());
    counts_.discarded.add(x.what->frames());
  });
}

} // namespace greenroom
