#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "actors/errc.hpp"

namespace greenroom {

/// One line of the log before it is text: a stable name of what happened and its
/// fields. Never a payload, never a token.
struct log_record {
  using value = std::variant<std::int64_t, double, bool, std::string>;

  level loudness = level::info;
  /// snake_case, stable: documented in app/README.md.
  std::string message;
  std::vector<std::pair<std::string, value>> fields;

  log_record(level how, std::string_view what) : loudness(how), message(what) {}

  void add(std::string_view key, std::string_view text) {
    fields.emplace_back(std::string{key}, value{std::string{text}});
  }

  void add(std::string_view key, const char* text) {
    add(key, std::string_view{text});
  }

  void add(std::string_view key, bool flag) {
    fields.emplace_back(std::string{key}, value{flag});
  }

  template <class Number>
    requires(std::is_arithmetic_v<Number>)
  void add(std::string_view key, Number n) {
    if constexpr (std::is_floating_point_v<Number>)
      fields.emplace_back(std::string{key}, value{static_cast<double>(n)});
    else
      fields.emplace_back(std::string{key},
                          value{static_cast<std::int64_t>(n)});
  }

  /// As `add`, in a chain.
  template <class T>
  log_record with(std::string_view key, const T& x) && {
    add(key, x);
    return std::move(*this);
  }
};

/// Where log lines go. Any thread; never blocks: what finds no room is counted
/// and said later.
class log_port {
public:
  virtual ~log_port() = default;

  virtual void write(log_record line) noexcept = 0;

  /// Whether a line that loud would be written: spares the building of it.
  virtual bool wants(level x) const noexcept = 0;
};

} // namespace greenroom
