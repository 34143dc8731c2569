#pragma once

#include "actors/ports.hpp"
#include "net/options.hpp"

namespace greenroom::net {

/// Compresses the messages of a block, each by itself (RFC 7692 §7.2.1, without
/// context takeover): whoever agreed to this window may get the result. A message
/// that is small, or would not become smaller, stays as it is. Stateless; each
/// thread has one zlib stream per window, of about 260 KiB.
class deflater final : public compression {
public:
  /// @param window_bits log2 of the window, 9 to 15
  deflater(const deflate_options& options, int window_bits) noexcept;

  wire_ptr compress(const wire_ptr& plain) const override;

private:
  int level_;
  int window_bits_;
  std::size_t bytes_min_;
};

/// The one object for these settings: by it rooms know who gets the same bytes.
/// It lives until the process ends.
const compression& deflater_of(const deflate_options& options, int window_bits);

} // namespace greenroom::net
