#pragma once

#include <caf/error.hpp>

#include "actors/errc.hpp"

namespace greenroom {

/// A reason as CAF's links and monitors carry it.
caf::error make_reason(errc code);

/// The reason in `x`: `none` for a normal exit, `fault` for what is not ours.
errc reason(const caf::error& x);

} // namespace greenroom
