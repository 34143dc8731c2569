#pragma once

#include <string>

namespace greenroom {

/// A short random name for a stream whose offsets start anew. Eight letters: with
/// the four that other servers use, rooms that come and go by the thousand would now
/// and then have two streams of one name. Any thread.
std::string make_epoch();

} // namespace greenroom
