#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace greenroom::net {

/// Whether `text` is exactly one JSON value (RFC 8259), nested no deeper than
/// `depth_max` objects and arrays. Numbers may be as long as they like. Allocates
/// nothing that lasts.
bool is_json(std::string_view text, std::size_t depth_max);

/// Puts a `0` in the place of every object and array beyond the first `depth_max`
/// levels, at their offset; the rest becomes blanks. @returns the offsets
std::vector<std::size_t> flatten_json(std::string& text, std::size_t depth_max);

/// Appends `text` as a JSON string, quotes included.
/// @pre `text` is UTF-8
void append_json_string(std::string& out, std::string_view text);

/// Appends a JSON value as it stands, but on one line: dialects that part their
/// messages at newlines have no use for those between tokens, and none can
/// stand in a string (RFC 8259 §7).
/// @pre `is_json(json)`
void append_json_line(std::string& out, std::string_view json);

} // namespace greenroom::net
