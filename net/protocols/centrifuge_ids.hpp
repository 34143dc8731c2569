#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "actors/model.hpp"

namespace greenroom::net {

/// Names connections by UUID texts, as Centrifuge does, and finds them again:
/// the same name for a connection every time, no table, and none that a client
/// could guess or forge. Any thread.
///
/// A name is a sealed number: 58 bits are a keyed digest of the id, 64 bits are
/// the id under a mask made from the digest, and 6 bits are what RFC 9562 §5.4
/// asks of a random UUID.
class centrifuge_ids {
public:
  static constexpr std::size_t key_size = 16;
  static constexpr std::size_t name_size = 36;

  using key_type = std::array<unsigned char, key_size>;

  /// @param key same key, same names
  explicit centrifuge_ids(const key_type& key) noexcept : key_(key) {}

  /// With a random key of this process's own: names of its predecessor mean
  /// nothing to it.
  static const centrifuge_ids& of_this_process();

  /// Writes the name of `id`, lower case.
  void name(client_id id, std::span<char, name_size> to) const noexcept;

  /// Whose name it is; nothing if this object gave it to nobody.
  std::optional<client_id> find(std::string_view name) const noexcept;

private:
  std::uint64_t digest(std::uint64_t id) const noexcept;
  std::uint64_t mask(std::uint64_t digest) const noexcept;

  key_type key_;
};

} // namespace greenroom::net
