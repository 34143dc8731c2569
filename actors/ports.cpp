#include "actors/ports.hpp"

namespace greenroom {

wire_ptr protocol::encode_all(std::span<const answer> all) const {
  if (all.size() == 1)
    return encode(all.front());
  wire_builder out;
  for (auto& x : all)
    if (auto one = encode(x)) {
      out.append(one->bytes());
      for (auto n = one->frames(); n > 0; --n)
        out.end_frame();
    }
  return out.finish();
}

farewell protocol::close_words(errc why) const {
  auto& row = describe(why);
  return {why, row.close_code, std::string{row.name}, {}};
}

wire_ptr protocol::ping() const {
  return {};
}

} // namespace greenroom
