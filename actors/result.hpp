#pragma once

#include <string>
#include <utility>
#include <variant>

#include "actors/errc.hpp"

namespace greenroom {

/// Why something failed. `detail` is for the log, never for a client.
struct fault {
  errc code = errc::fault;
  std::string detail;
};

/// A value or a fault.
template <class T>
class [[nodiscard]] result {
public:
  result(T value) : content_(std::move(value)) {}

  result(fault why) : content_(std::move(why)) {}

  result(errc code) : content_(fault{code, {}}) {}

  explicit operator bool() const noexcept { return content_.index() == 0; }

  /// @pre this holds a value
  T& operator*() noexcept { return *std::get_if<0>(&content_); }

  const T& operator*() const noexcept { return *std::get_if<0>(&content_); }

  T* operator->() noexcept { return std::get_if<0>(&content_); }

  const T* operator->() const noexcept { return std::get_if<0>(&content_); }

  /// @pre this holds a fault
  const fault& error() const noexcept { return *std::get_if<1>(&content_); }

private:
  std::variant<T, fault> content_;
};

} // namespace greenroom
