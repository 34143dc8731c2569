#pragma once

#include <cstddef>
#include <string_view>

namespace greenroom::net {

/// Whether a decoded name may be a room's: not empty, at most `bytes_max` bytes
/// of UTF-8, no control character (C0, DEL, C1), no `/`, and neither `.` nor
/// `..`, which clients remove from URLs before they send them.
bool valid_room_name(std::string_view name, std::size_t bytes_max) noexcept;

} // namespace greenroom::net
