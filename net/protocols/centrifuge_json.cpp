#include "net/protocols/centrifuge_json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <limits>
#include <map>
#include <mutex>
#include <span>

#include <simdjson.h>

#include "greenroom_version.hpp"
#include "net/protocols/centrifuge_codes.hpp"
#include "net/protocols/centrifuge_protobuf.hpp"
#include "net/protocols/json_text.hpp"
#include "net/ws_frame.hpp"

namespace greenroom::net {

namespace {

namespace od = simdjson::ondemand;

// -- reading commands ---------------------------------------------------------

// A parser keeps its buffers: one per thread will do, since nothing of a
// command outlives its decoding.
od::parser& this_threads_parser() {
  thread_local od::parser instance;
  return instance;
}

bool read_null(od::value& from, bool& is_null) {
  od::json_type type;
  if (from.type().get(type) != simdjson::SUCCESS)
    return false;
  is_null = type == od::json_type::null;
  return true;
}

// Not UTF-8, so it is the name of nothing.
constexpr std::string_view unreadable = "\xff";

// Half a surrogate pair is JSON, but no text that anything could be called.
bool read_text(od::value& from, std::string_view& to) {
  od::json_type type;
  if (from.type().get(type) != simdjson::SUCCESS
      || type != od::json_type::string)
    return false;
  if (from.get_string().get(to) != simdjson::SUCCESS)
    to = unreadable;
  return true;
}

// Members of requests that this broker does not look at. The schema knows them,
// so they have to be of their type all the same (§2.1).
bool skip_member(std::string_view key, od::value& value) {
  constexpr std::array texts{"name",   "version", "epoch", "delta",
                             "cursor", "key",     "method"};
  constexpr std::array switches{"positioned", "recoverable", "join_leave",
                                "asc",        "removed",     "reverse"};
  constexpr std::array objects{"subs", "headers", "since"};
  auto is = [key](auto x) { return key == x; };
  if (std::any_of(texts.begin(), texts.end(), is)) {
    std::string_view ignored;
    return read_text(value, ignored);
  }
  if (std::any_of(switches.begin(), switches.end(), is)) {
    bool ignored = false;
    return value.get_bool().get(ignored) == simdjson::SUCCESS;
  }
  if (std::any_of(objects.begin(), objects.end(), is)) {
    od::object ignored;
    return value.get_object().get(ignored) == simdjson::SUCCESS;
  }
  if (key == "offset") {
    std::uint64_t ignored = 0;
    return value.get_uint64().get(ignored) == simdjson::SUCCESS;
  }
  if (key == "limit" || key == "phase") {
    std::int64_t ignored = 0;
    return value.get_int64().get(ignored) == simdjson::SUCCESS;
  }
  return true;
}

// The members of all requests have a type of their own wherever they appear (§3,
// §4); unknown ones are skipped.
bool read_member(std::string_view key, od::value& from,
                 centrifuge_request& to) {
  if (key == "channel")
    return read_text(from, to.channel);
  if (key == "token")
    return read_text(from, to.token);
  if (key == "data")
    return simdjson::to_json_string(from).get(to.data) == simdjson::SUCCESS;
  if (key == "recover")
    return from.get_bool().get(to.recover) == simdjson::SUCCESS;
  if (key == "flag")
    return from.get_int64().get(to.flag) == simdjson::SUCCESS;
  if (key == "type")
    return from.get_int64().get(to.type) == simdjson::SUCCESS;
  if (key == "tf") { // an empty one is none (§1)
    od::object filter;
    auto empty = true;
    if (from.get_object().get(filter) != simdjson::SUCCESS
        || filter.is_empty().get(empty) != simdjson::SUCCESS)
      return false;
    to.filtered = !empty;
    return true;
  }
  return skip_member(key, from);
}

// Calls `take(key, value)` for every member that is not null (§1: what is left
// out has its default); ends with it when it returns false.
template <class Take>
bool each_member(od::object& in, Take take) {
  for (auto item : in) {
    od::field field;
    std::string_view key;
    if (std::move(item).get(field) != simdjson::SUCCESS)
      return false;
    if (field.unescaped_key().get(key) != simdjson::SUCCESS)
      key = unreadable; // no member that we know
    auto& value = field.value();
    bool is_null = false;
    if (!read_null(value, is_null))
      return false;
    // Null is a value like any other only for the application.
    if (is_null && key != "data")
      continue;
    if (!take(key, value))
      return false;
  }
  return true;
}

centrifuge_ask ask_of(std::string_view key) noexcept {
  for (auto i = static_cast<int>(centrifuge_ask::connect);
       i <= static_cast<int>(centrifuge_ask::sub_refresh); ++i)
    if (key == centrifuge_word(static_cast<centrifuge_ask>(i)))
      return static_cast<centrifuge_ask>(i);
  return centrifuge_ask::nothing;
}

// @pre `line` is JSON and has SIMDJSON_PADDING readable bytes behind it
// @returns whether it is a command by its form (§2.1)
bool read_command(std::string_view line, centrifuge_request& to) {
  od::document document;
  od::object command;
  if (this_threads_parser()
          .iterate(line.data(), line.size(),
                   line.size() + simdjson::SIMDJSON_PADDING)
          .get(document)
        != simdjson::SUCCESS
      || document.get_object().get(command) != simdjson::SUCCESS)
    return false;
  bool strange = false;
  auto understood = each_member(command, [&](auto key, od::value& value) {
    if (key == "id") {
      std::uint64_t id = 0;
      if (value.get_uint64().get(id) != simdjson::SUCCESS
          || id > std::numeric_limits<request_id>::max())
        return false;
      to.id = static_cast<request_id>(id);
      return true;
    }
    auto what = ask_of(key);
    if (what == centrifuge_ask::nothing) {
      strange = true;
      return true;
    }
    od::object members;
    if (to.what != centrifuge_ask::nothing
        || value.get_object().get(members) != simdjson::SUCCESS)
      return false; // several requests, or one that is none
    to.what = what;
    return each_member(members, [&to](auto name, od::value& member) {
      return read_member(name, member, to);
    });
  });
  // Unknown members are ignored beside a request, and are none themselves.
  return understood && !(strange && to.what == centrifuge_ask::nothing);
}

// The same of a line that may be too deep: what is, is taken out first.
// @param flat keeps the text that the command points into
bool read_line(std::string_view line, std::size_t depth_max, std::string& flat,
               centrifuge_request& to) {
  if (is_json(line, depth_max))
    return read_command(line, to);
  flat = line;
  auto cuts = flatten_json(flat, depth_max);
  flat.reserve(flat.size() + simdjson::SIMDJSON_PADDING);
  if (cuts.empty() || !is_json(flat, depth_max) || !read_command(flat, to))
    return false;
  auto begin = to.data.empty()
                 ? flat.size()
                 : static_cast<std::size_t>(to.data.data() - flat.data());
  to.too_deep = std::any_of(cuts.begin(), cuts.end(), [&](auto at) {
    return at >= begin && at < begin + to.data.size();
  });
  return true;
}

// -- writing ------------------------------------------------------------------

// A text that is written often and read at once keeps its memory, but not after
// a message of unusual size.
class scratch {
public:
  explicit scratch(std::string& text) : text_(text) { text_.clear(); }

  ~scratch() {
    if (text_.capacity() > 1024UL * 1024)
      std::string{}.swap(text_);
  }

  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;

private:
  std::string& text_;
};

void append_number(std::string& out, std::uint64_t x) {
  std::array<char, 20> digits;
  auto end = std::to_chars(digits.begin(), digits.end(), x).ptr;
  out.append(digits.begin(), end);
}

wire_ptr text_frame(std::string_view text) {
  wire_builder out{ws_header_size(text.size()) + text.size()};
  append_ws_frame(out, ws_opcode::text, text);
  return out.finish();
}

void append_data(std::string& out, const payload& what) {
  if (what.form == payload_form::json)
    append_json_line(out, what.bytes);
  else
    append_json_string(out, what.bytes);
}

void append_unsubscribed(std::string& out, const answer& what) {
  auto end = centrifuge_unsubscribe_of(what.error);
  out += R"({"push":{"channel":)";
  append_json_string(out, what.room);
  out += R"(,"unsubscribe":{"code":)";
  append_number(out, end.code);
  out += R"(,"reason":)";
  append_json_string(out, end.reason);
  out += "}}}";
}

// The parts of a text that become messages of their own.
class pages {
public:
  explicit pages(std::size_t bytes_max) : bytes_max_(bytes_max) {
    ends_.clear();
  }

  // A line is about to be appended.
  void begin_line(std::string& text) {
    line_ = text.size();
    if (line_ > page_)
      text += '\n';
  }

  // If the line is too much for its page, the page ends before it: at the
  // newline between them.
  void end_line(const std::string& text) {
    if (line_ == page_ || text.size() - page_ <= bytes_max_)
      return;
    ends_.push_back(line_);
    page_ = line_ + 1;
  }

  wire_ptr bind(std::string_view text) {
    if (text.empty())
      return {};
    ends_.push_back(text.size());
    std::size_t size = 0;
    each(text,
         [&size](auto x) { size += ws_header_size(x.size()) + x.size(); });
    wire_builder out{size};
    each(text, [&out](auto x) { append_ws_frame(out, ws_opcode::text, x); });
    return out.finish();
  }

private:
  template <class Take>
  void each(std::string_view text, Take take) {
    std::size_t begin = 0;
    for (auto end : ends_) {
      take(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }

  // Keeps its memory like the text; one turn at a time.
  inline static thread_local std::vector<std::size_t> ends_;

  std::size_t bytes_max_;
  std::size_t page_ = 0;
  std::size_t line_ = 0;
};

} // namespace

// -- the dialect --------------------------------------------------------------

centrifuge_json::centrifuge_json(centrifuge_settings settings,
                                 const centrifuge_ids& ids)
  : settings_(std::move(settings)), ids_(ids) {}

void centrifuge_json::decode(inbound message, dialogue& state,
                             std::vector<command>& out) const {
  auto& text = message.bytes;
  // The parser looks a little beyond its line, which is most often the last
  // one.
  text.reserve(text.size() + simdjson::SIMDJSON_PADDING);
  std::string_view rest{text};
  if (rest.ends_with('\n'))
    rest.remove_suffix(1);
  std::string flat;
  auto more = true;
  while (more) {
    auto line = rest.substr(0, rest.find('\n'));
    more = line.size() < rest.size();
    if (more)
      rest.remove_prefix(line.size() + 1);
    centrifuge_request request;
    // §2.1. The first look is at all of the line, the second one takes it for
    // granted that it is JSON.
    if (!message.text || !read_line(line, settings_.depth_max, flat, request)) {
      end_centrifuge(errc::bad_command, out);
      return;
    }
    if (!apply_centrifuge_rules(request, payload_form::json, settings_, state,
                                out))
      return;
  }
}

wire_ptr centrifuge_json::encode(const turn& events, client_id without) const {
  thread_local std::string text;
  thread_local std::string head;
  thread_local std::string info;
  const scratch text_memory{text};
  head = R"({"push":{"channel":)";
  append_json_string(head, events.room);
  head += R"(,"pub":{"data":)";
  pages frames{settings_.frame_bytes_max};
  client_id told = 0; // whom `info` is about
  for (auto& x : events.events) {
    if (!tells(x) || (without != 0 && x.from == without))
      continue;
    frames.begin_line(text);
    text += head;
    append_data(text, x.what);
    if (x.from != 0) {
      if (x.from != told) {
        told = x.from;
        info.clear();
        append_info(info, told);
      }
      text += info;
    }
    text += "}}}";
    frames.end_line(text);
  }
  return frames.bind(text);
}

wire_ptr centrifuge_json::encode(const answer& what) const {
  return encode_all({&what, 1});
}

wire_ptr centrifuge_json::encode_all(std::span<const answer> all) const {
  thread_local std::string text;
  const scratch memory{text};
  pages frames{settings_.frame_bytes_max};
  for (auto& x : all) {
    auto end = x.what == verb::leave && x.error != errc::none; // §7.3
    if (x.id == 0 && !end)
      continue;
    frames.begin_line(text);
    if (x.id == 0)
      append_unsubscribed(text, x);
    else
      append_reply(text, x);
    frames.end_line(text);
  }
  return frames.bind(text);
}

void centrifuge_json::append_reply(std::string& out, const answer& what) const {
  out += R"({"id":)";
  append_number(out, what.id);
  if (what.error != errc::none) {
    auto error = centrifuge_error_of(what.error); // §7.1
    out += R"(,"error":{"code":)";
    append_number(out, error.code);
    out += R"(,"message":)";
    append_json_string(out, error.message);
    out += error.temporary ? R"(,"temporary":true}})" : "}}";
    return;
  }
  // The member must be there even if it is empty (§2.2).
  auto ask = static_cast<centrifuge_ask>(what.kind & 0xFF);
  out += ",\"";
  out += centrifuge_word(ask);
  out += R"(":{)";
  if (ask == centrifuge_ask::connect)
    append_connected(out, what);
  // A room without a stream has no position, and nothing comes back (§4.1, §9).
  else if ((what.kind & centrifuge_recovering) != 0)
    out += R"("was_recovering":true)";
  out += "}}";
}

farewell centrifuge_json::close_words(errc why) const {
  auto end = centrifuge_disconnect_of(why);
  return {why, end.code, std::string{end.reason}, {}};
}

// Made anew every time: a block that lives on would count as under way.
wire_ptr centrifuge_json::ping() const {
  return settings_.pings ? text_frame("{}") : wire_ptr{};
}

// The members of a connect result in the order of the schema (§3).
void centrifuge_json::append_connected(std::string& out,
                                       const answer& what) const {
  out += R"("client":")";
  append_client(out, what.client);
  out += '"';
  if (!settings_.server_version.empty()) {
    out += R"(,"version":)";
    append_json_string(out, settings_.server_version);
  }
  auto seconds = std::chrono::ceil<std::chrono::seconds>(what.ping_every);
  if (settings_.pings && seconds.count() > 0) {
    out += R"(,"ping":)";
    append_number(out, static_cast<std::uint64_t>(seconds.count()));
    out += R"(,"pong":true)";
  }
}

// ClientInfo (§2.4): `user` and `client` are always written.
void centrifuge_json::append_info(std::string& out, client_id who) const {
  out += R"(,"info":{"user":"","client":")";
  append_client(out, who);
  out += "\"}";
}

void centrifuge_json::append_client(std::string& out, client_id who) const {
  std::array<char, centrifuge_ids::name_size> text;
  ids_.name(who, text);
  out.append(text.data(), text.size());
}

bool centrifuge_json::tells(const event& x) const noexcept {
  return x.kind == event_kind::publication
         && x.what.form != payload_form::binary;
}

// -- the way in ---------------------------------------------------------------

namespace {

// One object each for all connections, so that a room encodes a turn once. They
// are never given up: an operator chooses once how long names may be.
const centrifuge_json& dialect(bool pings, std::size_t name_bytes_max) {
  static std::mutex mutex;
  static std::map<std::pair<bool, std::size_t>, centrifuge_json> all;
  centrifuge_settings settings;
  settings.pings = pings;
  settings.channel_bytes_max =
    std::min(settings.channel_bytes_max, name_bytes_max);
  settings.server_version = version;
  const std::lock_guard guard{mutex};
  return all
    .try_emplace({pings, settings.channel_bytes_max}, std::move(settings))
    .first->second;
}

bool has(const visit& in, std::string_view key, std::string_view value) {
  return std::any_of(in.query.begin(), in.query.end(), [&](auto& x) {
    return x.first == key && x.second == value;
  });
}

} // namespace

result<entrance> enter_centrifuge(const visit& in) {
  entrance way;
  way.dialect =
    &dialect(!has(in, "cf_ws_frame_ping_pong", "true"), in.room_name_bytes_max);
  auto offered = [&in](std::string_view x) {
    return std::find(in.subprotocols.begin(), in.subprotocols.end(), x)
           != in.subprotocols.end();
  };
  // JSON if there is a choice.
  for (auto* x : {"centrifuge-json", "centrifuge-protobuf"})
    if (way.subprotocol.empty() && offered(x))
      way.subprotocol = x;
  if (way.subprotocol == "centrifuge-protobuf"
      || (way.subprotocol.empty()
          && (has(in, "cf_protocol", "protobuf")
              || has(in, "format", "protobuf"))))
    way.dialect = &no_centrifuge_protobuf();
  return way;
}

} // namespace greenroom::net
