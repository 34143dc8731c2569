#include "net/api/inspect_rows.hpp"

#include <variant>

#include "net/api/inspect_query.hpp"

namespace greenroom::net {

void append_page(std::string& out, const inspect_query& asked,
                 const inspect_page& page) {
  auto member = [&out](std::string_view name, const auto& value) {
    out += name;
    append_json(out, value);
  };
  member("{\"view\":", name_of(asked.what));
  member(",\"total\":", page.total);
  member(",\"sampled_at\":", page.sampled_at);
  member(",\"offset\":", asked.offset);
  member(",\"limit\":", asked.limit);
  out += ",\"rows\":";
  std::visit([&out](auto& rows) { append_json(out, rows); }, page.rows);
  out += '}';
}

} // namespace greenroom::net
