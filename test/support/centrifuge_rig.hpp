#pragma once

#include "net/protocols/centrifuge_codes.hpp"
#include "net/protocols/centrifuge_json.hpp"
#include "test/support/ws_wire.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

// What tests of the Centrifuge dialect ask it, and what they take from its frames.
namespace greenroom::test {

using namespace net;

inline const centrifuge_ids& ids() {
  static const centrifuge_ids instance{{1, 2, 3}};
  return instance;
}

inline centrifuge_json make_dialect() {
  return centrifuge_json{{}, ids()};
}

inline std::string name_of(client_id id) {
  std::string text(centrifuge_ids::name_size, ' ');
  ids().name(
    id, std::span<char, centrifuge_ids::name_size>{text.data(), text.size()});
  return text;
}

// -- asking -------------------------------------------------------------------

/// A dialogue that has been greeted, unless it says otherwise.
struct client {
  dialogue state{.client = 7, .greeted = true};

  std::vector<command> says(std::string text, bool is_text = true) {
    std::vector<command> out;
    make_dialect().decode({std::move(text), is_text}, state, out);
    return out;
  }

  /// What a single command came to, in a word.
  std::string asks(std::string text) {
    auto out = says(std::move(text));
    return out.size() == 1 ? word(out.front())
                           : std::to_string(out.size()) + " commands";
  }

  static std::string word(const command& x) {
    switch (x.what) {
      case verb::hello:
        return "hello";
      case verb::join:
        return "join";
      case verb::leave:
        return "leave";
      case verb::publish:
        return "publish";
      case verb::pong:
        return "pong";
      case verb::refuse:
        return "error " + std::to_string(centrifuge_error_of(x.why).code);
      case verb::end:
        return "close " + std::to_string(centrifuge_disconnect_of(x.why).code);
    }
    return "?";
  }
};

inline client stranger() {
  return {{.client = 7}};
}

// -- being told ---------------------------------------------------------------

/// The text messages in a block; everything else is a failure.
inline std::vector<std::string> messages(const wire_ptr& block) {
  std::vector<std::string> result;
  if (!block)
    return result;
  auto bytes = block->bytes();
  while (!bytes.empty()) {
    auto header = parse_frame_header(bytes);
    if (!header || header->op != opcode::text || !header->fin || header->masked
        || header->wasteful
        || bytes.size() < header->header_size + header->length) {
      ADD_FAILURE() << "no frame of text";
      return result;
    }
    result.emplace_back(bytes.substr(header->header_size, header->length));
    bytes.remove_prefix(header->header_size + header->length);
  }
  EXPECT_EQ(result.size(), block->frames());
  return result;
}

inline std::string message(const wire_ptr& block) {
  auto all = messages(block);
  return all.size() == 1 ? all.front()
                         : std::to_string(all.size()) + " messages";
}

inline std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::size_t begin = 0;
  for (auto end = text.find('\n'); end != std::string::npos;
       end = text.find('\n', begin)) {
    result.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  result.push_back(text.substr(begin));
  return result;
}

inline std::uint16_t kind(centrifuge_ask what) {
  return static_cast<std::uint16_t>(what);
}

inline answer answer_to(centrifuge_ask what, request_id id) {
  answer x;
  x.id = id;
  x.kind = kind(what);
  x.client = 7;
  return x;
}

inline std::string refused(errc why) {
  auto x = answer_to(centrifuge_ask::subscribe, 2);
  x.error = why;
  return message(make_dialect().encode(x));
}

inline event publication(std::string bytes, client_id from = 0,
                         payload_form form = payload_form::json) {
  event x;
  x.from = from;
  x.what = {std::move(bytes), form};
  return x;
}

inline wire_ptr encode(const std::vector<event>& events, client_id without = 0,
                       std::string_view room = "chat:1") {
  return make_dialect().encode(turn{room, "xvfo", events}, without);
}

inline std::string closing(errc why) {
  auto words = make_dialect().close_words(why);
  EXPECT_EQ(words.why, why);
  EXPECT_FALSE(words.last);
  return std::to_string(words.code) + " " + words.reason;
}

} // namespace greenroom::test
