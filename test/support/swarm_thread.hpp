#pragma once

#include "test/support/swarm.hpp"

#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace greenroom::test {

/// A swarm that runs in a thread of its own, while the test does other things.
/// Its message handler runs in that thread; what it throws comes out of
/// `run_until`.
class swarm_thread {
public:
  explicit swarm_thread(swarm_options options,
                        swarm::message_handler handler = {});

  ~swarm_thread();

  /// Runs `what(swarm&)` in the thread, waits for it, and returns its result.
  template <class F>
  auto call(F what) {
    using result = std::invoke_result_t<F&, swarm&>;
    auto task =
      std::make_shared<std::packaged_task<result(swarm&)>>(std::move(what));
    auto future = task->get_future();
    post([task](swarm& target) { (*task)(target); });
    return future.get();
  }

  /// Waits until the condition holds, which is asked in the thread.
  /// @throws timeout_error that describes the swarm
  void run_until(std::function<bool(swarm&)> done,
                 std::optional<std::chrono::milliseconds> timeout = {});

private:
  using job = std::function<void(swarm&)>;

  void post(job what);
  void run();
  void turn();

  swarm_options options_;
  swarm swarm_;
  std::mutex mutex_;
  std::vector<job> jobs_;
  bool stop_ = false;
  /// What `run_until` waits for; only the thread touches it.
  std::function<bool(swarm&)> condition_;
  std::promise<void> met_;
  std::exception_ptr failure_;
  std::thread thread_;
};

} // namespace greenroom::test
