#include "test/support/seed.hpp"

#include <cstdlib>
#include <iostream>
#include <random>

namespace greenroom::test {

std::uint64_t random_seed() {
  std::uint64_t seed = std::random_device{}();
  if (auto* given = std::getenv("GREENROOM_SEED"))
    seed = std::strtoull(given, nullptr, 10);
  std::cout << "GREENROOM_SEED=" << seed << std::endl;
  return seed;
}

} // namespace greenroom::test
