#include "actors/ports.hpp"

namespace greenroom {

farewell protocol::close_words(errc why) const {
  auto& row = describe(why);
  return {why, row.close_code, std::string{row.name}, {}};
}

wire_ptr protocol::ping() const {
  return {};
}

} // namespace greenroom
