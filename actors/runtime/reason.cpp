#include "actors/runtime/reason.hpp"

#include <caf/atom.hpp>
#include <caf/exit_reason.hpp>

namespace greenroom {

namespace {

constexpr auto category = caf::atom("greenroom"); // at most 10 characters

} // namespace

caf::error make_reason(errc code) {
  return caf::error{static_cast<std::uint8_t>(code), category};
}

errc reason(const caf::error& x) {
  if (!x)
    return errc::none;
  if (x.category() == category)
    return static_cast<errc>(x.code());
  if (x == caf::exit_reason::normal || x == caf::exit_reason::unreachable)
    return errc::none;
  if (x == caf::exit_reason::kill || x == caf::exit_reason::user_shutdown)
    return errc::kicked;
  return errc::fault;
}

} // namespace greenroom
