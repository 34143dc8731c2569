#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "actors/ports.hpp"
#include "net/ws_frame.hpp"

namespace greenroom::test {

/// A broker that lets everybody in and sends each message back, and remembers
/// who came. Any thread.
class echo_desk final : public front_desk {
public:
  /// One connection that came in.
  struct guest {
    unit_id home = 0;
    std::string dialect;
    std::string room; ///< that it joins
    bool echo = false;
    bool raw = false;
    std::string address;
    std::string origin;
  };

  using told = std::function<void(unit_id)>;

  // -- what a test decides --

  std::atomic<bool> is_ready{true};
  std::atomic<unit_id> home{0};
  /// Keeps those who ask for a place waiting, for `held`.
  std::atomic<bool> hold{false};
  /// Refuses everybody with it.
  std::atomic<errc> refusal{errc::none};

  // -- what a test looks at --

  std::vector<guest> guests() const {
    std::lock_guard guard{mutex_};
    return guests_;
  }

  std::vector<std::string> rooms_asked_for() const {
    std::lock_guard guard{mutex_};
    return rooms_;
  }

  /// Those who wait for a place.
  std::vector<told> held() {
    std::lock_guard guard{mutex_};
    return std::exchange(held_, {});
  }

  // -- front_desk --

  void place(std::string room, told answer) override {
    {
      std::lock_guard guard{mutex_};
      rooms_.push_back(std::move(room));
      if (hold) {
        held_.push_back(std::move(answer));
        return;
      }
    }
    answer(home);
  }

  std::unique_ptr<socket_sink> open(unit_id at,
                                    std::shared_ptr<socket_port> socket,
                                    upgrade request) override {
    guest who{at,
              std::string{request.dialect->name()},
              {},
              false,
              request.raw,
              request.address,
              request.origin};
    for (auto& x : request.implied)
      if (x.what == verb::join) {
        who.room = x.room;
        who.echo = x.options.echo;
      }
    {
      std::lock_guard guard{mutex_};
      guests_.push_back(std::move(who));
    }
    if (refusal != errc::none)
      socket->refuse(refusal);
    else
      socket->accept();
    return std::make_unique<sink>(std::move(socket), std::move(request.flow));
  }

  bool ready() const noexcept override { return is_ready; }

private:
  class sink final : public socket_sink {
  public:
    sink(std::shared_ptr<socket_port> socket, flow_ptr flow)
      : socket_(std::move(socket)), flow_(std::move(flow)) {}

    void received(inbound message) override {
      wire_builder out;
      net::append_ws_frame(
        out, message.text ? net::ws_opcode::text : net::ws_opcode::binary,
        message.bytes);
      auto block = out.finish();
      flow_->add(block->size());
      socket_->append(std::move(block), retention::droppable);
      socket_->taken(1);
    }

    void received_beside(std::uint64_t) override {}

    void closed(errc, std::uint16_t) override {}

  private:
    std::shared_ptr<socket_port> socket_;
    flow_ptr flow_;
  };

  mutable std::mutex mutex_;
  std::vector<guest> guests_;
  std::vector<std::string> rooms_;
  std::vector<told> held_;
};

} // namespace greenroom::test
