#include "actors/epoch.hpp"

#include <random>

namespace greenroom {

std::string make_epoch() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  static constexpr char letters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  std::uniform_int_distribution<std::size_t> pick{0, sizeof(letters) - 2};
  std::string result(8, ' ');
  for (auto& c : result)
    c = letters[pick(random)];
  return result;
}

} // namespace greenroom
