#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>

#include "actors/engine.hpp"
#include "actors/inspection.hpp"

namespace greenroom {

/// The window through which net and app look inside: turns what is asked into
/// messages and bounds how many questions are under way.
class inspection_desk final : public inspection_port {
public:
  /// @param env outlives this
  explicit inspection_desk(const engine& env) : env_(env) {}

  void look(inspect_query what,
            std::function<void(inspect_page)> told) override;

  void end(end_order what, std::function<void(receipt)> told) override;

  void follow(trace_order what, std::weak_ptr<trace_sink> to) override;

private:
  /// Counts a question until it is answered.
  template <class Answer>
  std::function<void(Answer)> counted(std::function<void(Answer)> told);

  bool full() const noexcept;

  const engine& env_;
  // Outlives this: an answer may come late.
  std::shared_ptr<std::atomic<std::size_t>> under_way_ =
    std::make_shared<std::atomic<std::size_t>>(0);
};

} // namespace greenroom
