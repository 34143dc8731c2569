#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "actors/inspection.hpp"

namespace greenroom::test {

/// An inspector without actors: a test decides what it answers and when, and sees
/// what it was asked. Any thread.
class fake_inspection final : public inspection_port {
public:
  using told_page = std::function<void(inspect_page)>;
  using told_receipt = std::function<void(receipt)>;

  // -- what a test decides; before it is asked --

  /// What is seen. By default one room called `lobby` and one overview.
  std::function<inspect_page(const inspect_query&)> sees = &usual;

  /// What becomes of an order.
  std::function<receipt(const end_order&)> ends = [](const end_order& what) {
    receipt out;
    out.target = "connection";
    out.client = what.client;
    out.room = what.room;
    out.clean = true;
    return out;
  };

  /// Keeps answers back, for `held` and `held_receipts`.
  void hold(bool x) {
    std::lock_guard guard{mutex_};
    hold_ = x;
  }

  // -- what a test looks at --

  std::vector<inspect_query> queries() const {
    std::lock_guard guard{mutex_};
    return queries_;
  }

  std::vector<end_order> orders() const {
    std::lock_guard guard{mutex_};
    return orders_;
  }

  std::vector<trace_order> traces() const {
    std::lock_guard guard{mutex_};
    return traces_;
  }

  /// Who follows the latest trace; null if nobody does any more.
  std::shared_ptr<trace_sink> follower() const {
    std::lock_guard guard{mutex_};
    return follower_.lock();
  }

  /// Those who wait for a page, and for a receipt.
  std::vector<told_page> held() {
    std::lock_guard guard{mutex_};
    return std::exchange(held_, {});
  }

  std::vector<told_receipt> held_receipts() {
    std::lock_guard guard{mutex_};
    return std::exchange(held_receipts_, {});
  }

  // -- inspection_port --

  void look(inspect_query what, told_page told) override {
    {
      std::lock_guard guard{mutex_};
      queries_.push_back(what);
      if (hold_) {
        held_.push_back(std::move(told));
        return;
      }
    }
    told(sees(what));
  }

  void end(end_order what, told_receipt told) override {
    {
      std::lock_guard guard{mutex_};
      orders_.push_back(what);
      if (hold_) {
        held_receipts_.push_back(std::move(told));
        return;
      }
    }
    told(ends(what));
  }

  void follow(trace_order what, std::weak_ptr<trace_sink> to) override {
    std::lock_guard guard{mutex_};
    traces_.push_back(std::move(what));
    follower_ = std::move(to);
  }

  static inspect_page usual(const inspect_query& what) {
    inspect_page out;
    out.total = 1;
    out.sampled_at = 1'764'000'000'000;
    switch (what.what) {
      case view::overview: {
        overview x;
        x.version = "0.1.0";
        x.units.resize(1);
        out.rows = std::vector<overview>{x};
        break;
      }
      case view::rooms: {
        room_row x;
        x.room = "lobby";
        x.named = true;
        out.rows = std::vector<room_row>{x};
        break;
      }
      case view::actors:
        out.rows = std::vector<actor_row>(1);
        break;
      case view::connections:
        out.rows = std::vector<connection_row>(1);
        break;
      case view::edges:
        out.rows = std::vector<edge_row>(1);
        break;
      case view::closed:
        out.rows = std::vector<closed_row>(1);
        break;
      case view::box:
        out.rows = std::vector<box_row>(1);
        break;
    }
    return out;
  }

private:
  mutable std::mutex mutex_;
  bool hold_ = false;
  std::vector<inspect_query> queries_;
  std::vector<end_order> orders_;
  std::vector<trace_order> traces_;
  std::weak_ptr<trace_sink> follower_;
  std::vector<told_page> held_;
  std::vector<told_receipt> held_receipts_;
};

} // namespace greenroom::test
