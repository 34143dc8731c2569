#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "net/api/inspect_service.hpp"
#include "net/listener.hpp"
#include "net/options.hpp"
#include "test/support/echo_desk.hpp"
#include "test/support/fakes.hpp"
#include "test/support/http_client.hpp"
#include "test/support/loop_thread.hpp"
#include "test/support/ws_client.hpp"

namespace greenroom::test {

/// A listener with its loops in this process, in front of an `echo_desk`.
class http_rig {
public:
  http_rig() { listening.port = 0; }

  ~http_rig() { stop_loops(); }

  http_rig(const http_rig&) = delete;
  http_rig& operator=(const http_rig&) = delete;

  // -- before the start --

  net::listener_options listening;
  net::http_options http;
  net::session_options session;
  net::service serves;

  void start(std::size_t loops = 1) {
    std::vector<net::io_loop*> all;
    for (std::size_t i = 0; i < loops; ++i)
      all.push_back(
        &loops_.emplace_back(std::make_unique<loop_thread>(counts, &log))
           ->loop());
    if (serves.inspect != nullptr)
      sockets_ = &serves.inspect->listener_counts();
    door_.emplace(all, desk, listening, http, session, *sockets_, log, serves);
    door_->open();
    for (auto& x : loops_)
      x->start();
  }

  void stop_loops() {
    for (auto& x : loops_)
      x->stop();
    door_.reset();
    loops_.clear();
  }

  // -- while it runs --

  net::listener& door() { return *door_; }

  std::uint16_t port() const { return door_->port(); }

  loop_thread& loop(std::size_t i = 0) { return *loops_.at(i); }

  /// Moves all clocks on.
  void advance(std::chrono::milliseconds span) {
    for (auto& x : loops_)
      x->advance(span);
  }

  http_client client(const std::string& from = {}) {
    return http_client{{.port = port(), .local_address = from}};
  }

  ws_options ws(const std::string& path = "/room/lobby") const {
    ws_options out;
    out.port = port();
    out.path = path;
    return out;
  }

  std::int64_t refused(errc why) const {
    return at(sockets_->refused, why).get();
  }

  std::int64_t open_sockets() const { return sockets_->connections_open.get(); }

  /// Waits for something that another thread does.
  static bool eventually(const std::function<bool()>& what) {
    deadline until{std::chrono::seconds{10}};
    while (!what()) {
      if (until.passed())
        return false;
      std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    return true;
  }

  metrics counts;
  fake_log log;
  echo_desk desk;

private:
  metrics* sockets_ = &counts; // what the door counts
  std::vector<std::unique_ptr<loop_thread>> loops_;
  std::optional<net::listener> door_;
};

} // namespace greenroom::test
