#include "actors/inspection_desk.hpp"

#include <utility>

#include "actors/messages.hpp"
#include "actors/runtime/actor.hpp"

namespace greenroom {

namespace {

// The caller's text may be gone before the question is answered.
std::string_view lasting(std::string_view kind) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(actor_kind::last_); ++i)
    if (auto name = to_string(static_cast<actor_kind>(i)); name == kind)
      return name;
  return {};
}

} // namespace

template <class Answer>
std::function<void(Answer)> inspection_desk::counted(
  std::function<void(Answer)> told) {
  under_way_->fetch_add(1, std::memory_order_relaxed);
  return [told = std::move(told), n = under_way_](Answer x) {
    n->fetch_sub(1, std::memory_order_relaxed);
    told(std::move(x));
  };
}

// A few more may slip through when several threads ask at once.
bool inspection_desk::full() const noexcept {
  return under_way_->load(std::memory_order_relaxed)
         >= env_.inspection.questions_max;
}

void inspection_desk::look(inspect_query what,
                           std::function<void(inspect_page)> told) {
  inspect_page refusal;
  refusal.why = full()               ? errc::overloaded
                : !well_formed(what) ? errc::bad_request
                                     : errc::none;
  if (refusal.why != errc::none) {
    told(std::move(refusal));
    return;
  }
  what.kind = lasting(what.kind);
  tell(env_.supervisor,
       looked{std::make_shared<inquiry<inspect_query, inspect_page>>(
         std::move(what), counted(std::move(told)))});
}

void inspection_desk::end(end_order what, std::function<void(receipt)> told) {
  if (full()) {
    receipt refusal;
    refusal.why = errc::overloaded;
    told(std::move(refusal));
    return;
  }
  tell(env_.supervisor, end_asked{std::make_shared<inquiry<end_order, receipt>>(
                          std::move(what), counted(std::move(told)))});
}

void inspection_desk::follow(trace_order what, std::weak_ptr<trace_sink> to) {
  tell(env_.supervisor, follow_asked{std::move(what), std::move(to)});
}

} // namespace greenroom
