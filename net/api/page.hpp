#pragma once

#include <span>
#include <string_view>

#include "net/api/call.hpp"

namespace greenroom::net {

/// A file that the binary brings along.
struct page {
  std::string_view path; ///< of its URL
  std::string_view type; ///< for Content-Type
  std::string_view bytes;
};

/// All of them. Made from app/web by its CMakeLists.txt.
std::span<const page> pages() noexcept;

/// Answers with the page at the path of the request.
http_response answer_page(const http_call& in);

} // namespace greenroom::net
