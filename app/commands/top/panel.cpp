#include "app/commands/top/panel.hpp"

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "app/commands/top/views.hpp"

namespace greenroom::client {

namespace {

std::string value_of(std::string_view field, const boost::json::value& value,
                     bool ascii) {
  if (auto* x = value.if_string())
    return x->empty() ? "-" : tame({x->data(), x->size()}, ascii);
  if (auto* x = value.if_bool())
    return *x ? "yes" : "no";
  if (auto* x = value.if_int64())
    return short_of(kind_of_field(field), *x);
  return "-";
}

} // namespace

std::vector<std::string> details_of(const boost::json::object& row,
                                    const std::string& heading, bool ascii) {
  std::vector<std::string> lines{heading, ""};
  for (const auto& member : row) {
    std::string_view field{member.key().data(), member.key().size()};
    if (!member.value().is_array()) {
      lines.push_back(fmt::format("  {:<16} {}", tame(field, true),
                                  value_of(field, member.value(), ascii)));
      continue;
    }
    for (const auto& item : member.value().get_array())
      if (auto* seat = item.if_object()) // rooms of a closed connection
        lines.push_back(fmt::format("  {:<16} {} up to offset {}", "room",
                                    tame(text_of(*seat, "room"), ascii),
                                    number_of(*seat, "offset")));
  }
  return lines;
}

std::vector<std::string> receipt_of(const boost::json::object& receipt,
                                    const std::string& heading, bool ascii) {
  std::vector<std::string> lines{heading, ""};
  auto clean = number_of(receipt, "clean") != 0;
  lines.emplace_back(clean
                       ? "  Clean: nothing was left behind."
                       : "  NOT CLEAN: something was left at the deadline:");
  if (auto* left = receipt.if_contains("left");
      left != nullptr && left->is_array())
    for (const auto& x : left->get_array())
      if (auto* text = x.if_string())
        lines.push_back("    " + tame({text->data(), text->size()}, ascii));
  lines.emplace_back();
  for (std::string_view field :
       {"memberships", "presence", "timers", "bytes", "frames", "descriptors",
        "actors", "moved", "took_ms"})
    lines.push_back(
      fmt::format("  {:<16} {}", field,
                  short_of(kind_of_field(field), number_of(receipt, field))));
  return lines;
}

std::vector<std::string> top_help() {
  return {
    "Keys",
    "",
    "  1 2 3 4 5, Tab    tree, rooms, lag, connections, closed",
    "  Up Down j k       one line    PgUp PgDn  a page    Home End g G  all",
    "  Left Right < >    sort by the column before or behind     r  reverse",
    "  /                 search: part of a room, user or address, or an id;",
    "                    Esc clears it",
    "  Enter             open or close a branch of the tree; else details",
    "  i                 details of the line, in the tree as well",
    "  x                 end what the line shows, if a token allows it",
    "  R                 restart the room of the line",
    "  Space             pause       + -  ask more or less often",
    "  q, Ctrl-C         leave",
    "",
    "Sizes: K, M, G are powers of 1024. LAG is the age of the oldest byte",
    "that was not sent, or not acknowledged. A ? stands for a character that",
    "a terminal should not be sent, a ~ for what did not fit.",
  };
}

} // namespace greenroom::client
