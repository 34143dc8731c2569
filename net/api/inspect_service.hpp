#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>

#include "actors/inspection.hpp"
#include "actors/log.hpp"
#include "actors/metrics.hpp"
#include "net/api/inspect_access.hpp"
#include "net/api/metrics_text.hpp"
#include "net/http_response.hpp"
#include "net/options.hpp"

namespace greenroom::net {

/// What the inspection listener is about: who may ask, and who answers. Shared with
/// whoever waits for an answer, which may come when the listener is no more. Any
/// thread, unless said otherwise.
class inspect_service : public std::enable_shared_from_this<inspect_service> {
public:
  /// @param port outlives the listener; it is asked from there only
  /// @param counts and @param log outlive this
  inspect_service(const inspect_options& options, inspection_port& port,
                  const greenroom::metrics& counts, log_port& log);

  const inspect_options& options() const noexcept { return options_; }

  const inspect_access& access() const noexcept { return access_; }

  inspection_port& port() const noexcept { return port_; }

  log_port& log() const noexcept { return log_; }

  metrics_text& metrics() noexcept { return metrics_; }

  /// What the listener counts: not among what clients do.
  greenroom::metrics& listener_counts() noexcept { return listener_counts_; }

  /// Why a request may not be answered, as its answer; nothing if it may.
  /// @param to where it leads; null: nowhere
  std::optional<http_response> refuse(const http_request& in,
                                      const http_target& target,
                                      const route* to) const;

  /// The place of one stream, given back by its destructor.
  class place {
  public:
    explicit place(std::shared_ptr<inspect_service> of) : of_(std::move(of)) {}
    place(place&&) noexcept = default;
    place& operator=(place&&) = delete;
    ~place();

  private:
    std::shared_ptr<inspect_service> of_;
  };

  /// Nothing if there are as many streams as there may be.
  std::optional<place> take_stream();

  /// Streams that are open.
  std::size_t streams() const noexcept {
    return streams_.load(std::memory_order_relaxed);
  }

private:
  inspect_options options_;
  inspect_access access_;
  inspection_port& port_;
  log_port& log_;
  greenroom::metrics listener_counts_;
  metrics_text metrics_;
  std::atomic<std::size_t> streams_{0};
};

} // namespace greenroom::net
