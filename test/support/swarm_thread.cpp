#include "test/support/swarm_thread.hpp"

#include <fmt/format.h>

namespace greenroom::test {

swarm_thread::swarm_thread(swarm_options options,
                           swarm::message_handler handler)
  : options_(options), swarm_(std::move(options), std::move(handler)),
    thread_([this] { run(); }) {}

swarm_thread::~swarm_thread() {
  post([this](swarm&) { stop_ = true; });
  thread_.join();
}

void swarm_thread::post(job what) {
  {
    std::lock_guard guard{mutex_};
    jobs_.push_back(std::move(what));
  }
  swarm_.wake();
}

void swarm_thread::run() {
  while (!stop_) {
    try {
      turn();
    } catch (...) {
      failure_ = std::current_exception();
    }
  }
}

void swarm_thread::turn() {
  std::vector<job> jobs;
  {
    std::lock_guard guard{mutex_};
    jobs.swap(jobs_);
  }
  for (auto& what : jobs)
    what(swarm_);
  if (condition_ && failure_) {
    condition_ = nullptr;
    met_.set_exception(std::exchange(failure_, nullptr));
  } else if (condition_ && condition_(swarm_)) {
    condition_ = nullptr;
    met_.set_value();
  }
  if (!stop_)
    swarm_.step(std::chrono::seconds{60});
}

void swarm_thread::run_until(std::function<bool(swarm&)> done,
                             std::optional<std::chrono::milliseconds> timeout) {
  auto span = timeout.value_or(options_.timeout);
  auto met = call([&](swarm&) {
    condition_ = std::move(done);
    met_ = {};
    return met_.get_future();
  });
  if (met.wait_for(span) == std::future_status::ready)
    return met.get();
  auto state = call([this](swarm& target) {
    condition_ = nullptr;
    return target.describe();
  });
  // It may have been met in between.
  if (met.wait_for(std::chrono::seconds{0}) == std::future_status::ready)
    return met.get();
  throw timeout_error(fmt::format("not within {} ms: {}", span.count(), state));
}

} // namespace greenroom::test
