#pragma once

#include <string>

#include "actors/inspection.hpp"
#include "net/api/json_rows.hpp"

namespace greenroom::net {

/// Appends a page of rows as one JSON object, net/api/README.md.
void append_page(std::string& out, const inspect_query& asked,
                 const inspect_page& page);

} // namespace greenroom::net
