#pragma once

#include "actors/log.hpp"
#include "actors/messages.hpp"
#include "actors/metrics.hpp"
#include "actors/runtime/lifecycle.hpp"
#include "actors/sample.hpp"

namespace greenroom {

/// How loud the line about `x` is.
level loudness_of(const lifecycle_event& x);

/// What happened as a line of the log; its fields stand in app/README.md.
log_record line_of(const lifecycle_event& x);

/// The snapshot line.
log_record snapshot_line(const unit_sample& all, const books& books,
                         const metrics& counts);

} // namespace greenroom
