#pragma once

#include <cstdint>

namespace greenroom::test {

/// The seed of a random test: from the environment (GREENROOM_SEED) or fresh;
/// printed, so that a failure can be played again.
std::uint64_t random_seed();

} // namespace greenroom::test
