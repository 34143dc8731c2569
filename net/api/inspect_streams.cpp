#include "net/api/inspect_streams.hpp"

#include <algorithm>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "net/api/inspect_rows.hpp"
#include "net/api/trace_inbox.hpp"
#include "net/io_loop.hpp"

namespace greenroom::net {

namespace {

std::int64_t unix_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch())
    .count();
}

/// What both kinds have: a place, a time to live, a sign of life, last words.
class line_stream : public http_stream, private timer {
public:
  std::string_view content_type() const noexcept final { return ndjson; }

  void begin(io_loop& loop, std::function<void()> more) final {
    loop_ = &loop;
    more_ = std::move(more);
    ends_ = now() + lasts_;
    quiet_since_ = now();
    began();
    rearm();
  }

  bool next(std::string& to) final {
    auto before = to.size();
    if (now() >= ends_)
      end(errc::none);
    tell(to);
    if (to.size() != before)
      quiet_since_ = now();
    if (why_) {
      to += fmt::format("{{\"end\":\"{}\"}}\n", to_string(*why_));
      return false;
    }
    if (now() - quiet_since_ >= beat_every) {
      to += fmt::format("{{\"beat\":{}}}\n", unix_ms());
      quiet_since_ = now();
    }
    rearm();
    return true;
  }

  void stop() final { end(errc::draining); }

protected:
  line_stream(std::chrono::milliseconds lasts, inspect_service::place place)
    : lasts_(lasts), place_(std::move(place)) {}

  steady_time now() const { return loop_->timers().now(); }

  const std::function<void()>& more() const { return more_; }

  bool ending() const { return why_.has_value(); }

  /// The last words are due.
  void end(errc why) {
    if (!why_)
      why_ = why;
  }

  /// When `tick` is to be called beside.
  steady_time due_ = steady_time::max();

private:
  virtual void began() = 0;

  /// Appends the lines there are.
  virtual void tell(std::string& to) = 0;

  virtual void tick() {}

  void rearm() {
    if (loop_ != nullptr)
      loop_->timers().arm(*this,
                          std::min({ends_, due_, quiet_since_ + beat_every}));
  }

  void fired() final {
    if (now() >= ends_)
      end(errc::none);
    else if (now() >= due_)
      tick();
    // Then `next` arms it again, once the client has taken what waits.
    if (why_ || now() - quiet_since_ >= beat_every)
      more_();
    else
      rearm();
  }

  std::chrono::milliseconds lasts_;
  inspect_service::place place_;
  io_loop* loop_ = nullptr;
  std::function<void()> more_;
  steady_time ends_;
  steady_time quiet_since_;
  std::optional<errc> why_;
};

// -- pages ------------------------------------------------------------------------

/// Where an answer waits for its stream; any thread.
struct page_inbox {
  std::mutex mutex;
  std::optional<inspect_page> page;
};

class page_stream final : public line_stream {
public:
  page_stream(inspect_question what, inspect_service::place place,
              inspect_service& service)
    : line_stream(what.lasts, std::move(place)), asked_(std::move(what)),
      service_(service) {}

private:
  void began() override { ask(); }

  void ask() {
    due_ = now() + asked_.every;
    asked_at_ = now();
    waits_ = true;
    late_ = false;
    service_.port().look(asked_.query,
                         [inbox = inbox_, more = more()](inspect_page page) {
                           {
                             std::lock_guard guard{inbox->mutex};
                             inbox->page = std::move(page);
                           }
                           more();
                         });
  }

  void tell(std::string& to) override {
    std::optional<inspect_page> page;
    {
      std::lock_guard guard{inbox_->mutex};
      page = std::exchange(inbox_->page, std::nullopt);
    }
    if (!page) {
      // It has taken the last one.
      taken_ = !waits_;
      if (taken_ && late_ && !ending())
        ask();
      return;
    }
    waits_ = false;
    taken_ = false;
    if (page->why != errc::none) {
      end(page->why);
      return;
    }
    to += "{\"page\":";
    append_page(to, asked_.query, *page);
    to += "}\n";
  }

  void tick() override {
    if (waits_) {
      due_ = now() + asked_.every;
      if (now() - asked_at_ >= service_.options().answer_timeout)
        end(errc::answer_timeout);
    } else if (taken_) {
      ask();
    } else {
      due_ = steady_time::max(); // until it has
      late_ = true;
    }
  }

  inspect_question asked_;
  inspect_service& service_;
  std::shared_ptr<page_inbox> inbox_ = std::make_shared<page_inbox>();
  steady_time asked_at_;
  bool waits_ = false; // for an answer
  bool taken_ = false; // the client has the last page
  bool late_ = false;
};

// -- traces -----------------------------------------------------------------------

class trace_stream final : public line_stream {
public:
  trace_stream(trace_order what, inspect_service::place place,
               inspect_service& service)
    : line_stream(what.lasts, std::move(place)), order_(std::move(what)),
      service_(service) {}

  ~trace_stream() override {
    if (inbox_)
      inbox_->close();
  }

private:
  void began() override {
    inbox_ = std::make_shared<trace_inbox>(service_.options().stream_bytes_max,
                                           more());
    service_.port().follow(order_, inbox_);
  }

  void tell(std::string& to) override {
    if (auto why = inbox_->take(to))
      end(*why);
  }

  trace_order order_;
  inspect_service& service_;
  std::shared_ptr<trace_inbox> inbox_;
};

} // namespace

std::unique_ptr<http_stream> make_page_stream(inspect_question what,
                                              inspect_service::place place,
                                              inspect_service& service) {
  return std::make_unique<page_stream>(std::move(what), std::move(place),
                                       service);
}

std::unique_ptr<http_stream> make_trace_stream(trace_order what,
                                               inspect_service::place place,
                                               inspect_service& service) {
  return std::make_unique<trace_stream>(std::move(what), std::move(place),
                                        service);
}

} // namespace greenroom::net
