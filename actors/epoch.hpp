#pragma once

#include <string>

namespace greenroom {

/// A short random name for a stream whose offsets start anew: four letters, as
/// clients of the Centrifuge protocol know it. Any thread.
std::string make_epoch();

} // namespace greenroom
