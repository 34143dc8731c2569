#include "net/api/inspect_service.hpp"

#include <utility>

namespace greenroom::net {

inspect_service::inspect_service(const inspect_options& options,
                                 inspection_port& port,
                                 const greenroom::metrics& counts,
                                 log_port& log)
  : options_(options), access_(options), port_(port), log_(log),
    metrics_(counts, listener_counts_) {
  // Kept sealed only.
  options_.token.clear();
  options_.act_token.clear();
}

std::optional<http_response> inspect_service::refuse(const http_request& in,
                                                     const http_target& target,
                                                     const route* to) const {
  auto why = access_.refuse(in, target, to);
  if (why.code == errc::none)
    return std::nullopt;
  return refusal(why);
}

std::optional<inspect_service::place> inspect_service::take_stream() {
  if (streams_.fetch_add(1, std::memory_order_relaxed)
      >= options_.streams_max) {
    streams_.fetch_sub(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  return place{shared_from_this()};
}

inspect_service::place::~place() {
  if (of_)
    of_->streams_.fetch_sub(1, std::memory_order_relaxed);
}

} // namespace greenroom::net
