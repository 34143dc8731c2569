#pragma once

#include <functional>
#include <utility>

#include "actors/errc.hpp"

namespace greenroom {

/// A question from outside on its way through mailboxes. Whoever answers does it
/// once; if all who could have are gone, it is answered as lost, so nobody waits
/// for a dead actor. Held by one at a time.
/// @tparam Answer has an `errc why`
template <class Question, class Answer>
class inquiry {
public:
  /// @param told must not block, nor throw
  inquiry(Question asked, std::function<void(Answer)> told)
    : what(std::move(asked)), told_(std::move(told)) {}

  inquiry(const inquiry&) = delete;
  inquiry& operator=(const inquiry&) = delete;

  ~inquiry() {
    if (!told_)
      return;
    Answer lost;
    lost.why = errc::fault;
    answer(std::move(lost));
  }

  /// Later calls do nothing.
  void answer(Answer x) {
    if (auto told = std::exchange(told_, nullptr))
      told(std::move(x));
  }

  Question what;

private:
  std::function<void(Answer)> told_;
};

} // namespace greenroom
