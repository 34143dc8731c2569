#include "net/room_name.hpp"

#include <simdjson.h>

namespace greenroom::net {

bool valid_room_name(std::string_view name, std::size_t bytes_max) noexcept {
  if (name.empty() || name.size() > bytes_max || name == "." || name == "..")
    return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    auto c = static_cast<unsigned char>(name[i]);
    if (c < 0x20 || c == 0x7f || c == '/')
      return false;
    // C1, U+0080 to U+009F
    if (c == 0xc2 && i + 1 < name.size()
        && static_cast<unsigned char>(name[i + 1]) < 0xa0)
      return false;
  }
  return simdjson::validate_utf8(name.data(), name.size());
}

} // namespace greenroom::net
