#include "net/protocols/json_text.hpp"
#include "test/support/centrifuge_rig.hpp"
#include "test/support/seed.hpp"

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::net;
using namespace greenroom::test;

// -- anything at all ----------------------------------------------------------

namespace {

/// Commands, torn and stitched at random.
class nonsense {
public:
  explicit nonsense(std::uint64_t seed) : random_(seed) {}

  std::string next() {
    std::string text;
    for (auto n = below(4) + 1; n > 0; --n) {
      text += seeds[below(std::size(seeds))];
      if (below(8) != 0)
        text += '\n';
    }
    for (auto n = below(6); n > 0 && !text.empty(); --n)
      change(text);
    return text;
  }

private:
  static constexpr std::string_view seeds[] = {
    R"({"connect":{"name":"js"},"id":1})",
    R"({"subscribe":{"channel":"chat:1","flag":1},"id":2})",
    R"({"id":3,"publish":{"channel":"a","data":{"x":[1,2.5e3,"\ud83d"]}}})",
    R"({"id":4,"publish":{"channel":"a","data":"\u00e9\\\" \n"}})",
    R"({"id":5,"unsubscribe":{"channel":"chat:1"}})",
    R"({"id":6,"history":{"channel":"a","since":{"offset":1,"epoch":"x"}}})",
    R"({"send":{"data":null}})",
    R"({"id":7,"rpc":{"method":"m","data":[[[[]]]]}})",
    "{}",
    "[",
  };

  std::size_t below(std::size_t n) { return random_() % n; }

  void change(std::string& text) {
    auto at = below(text.size());
    switch (below(6)) {
      case 0:
        text.erase(at, below(8) + 1);
        break;
      case 1:
        text.insert(at, text.substr(below(text.size()), below(24)));
        break;
      case 2:
        text[at] = static_cast<char>(below(256));
        break;
      case 3:
        text[at] = "{}[]\",:\\\n 0eEu-+.tfn"[below(21)];
        break;
      case 4:
        text.resize(at);
        break;
      case 5:
        text.insert(at, below(70), "[{\"9"[below(4)]);
        break;
    }
  }

  std::mt19937_64 random_;
};

} // namespace

TEST(CentrifugeChanceTest, AnyMessageIsUnderstoodOrRefused) {
  nonsense source{random_seed()};
  auto dialect = make_dialect();
  std::size_t understood = 0;
  for (int round = 0; round < 20'000; ++round) {
    auto text = source.next();
    dialogue state{.client = 7, .greeted = round % 3 != 0, .pings_out = 1};
    auto by_line_state = state;
    std::vector<command> out;
    dialect.decode({text, true}, state, out);
    ASSERT_FALSE(out.empty()) << text;
    for (std::size_t i = 0; i < out.size(); ++i) {
      auto& x = out[i];
      auto last = i + 1 == out.size();
      // Whatever ends the connection is the last thing that is looked at.
      ASSERT_TRUE(last || x.what != verb::end) << text;
      if (x.what != verb::end && x.what != verb::pong) {
        ASSERT_NE(x.id, 0u) << text;
      }
      if (x.what == verb::join || x.what == verb::publish) {
        ++understood;
        ASSERT_FALSE(x.room.empty()) << text;
        ASSERT_LE(x.room.size(), 255u) << text;
      }
      if (x.what != verb::publish)
        continue;
      ASSERT_TRUE(is_json(x.data.bytes, 64)) << text;
      event told;
      told.what = x.data;
      auto push = message(encode({told}));
      ASSERT_EQ(lines(push).size(), 1u) << push;
      ASSERT_TRUE(is_json(push, 70)) << push;
    }
    // Line by line they are the same commands.
    std::vector<command> by_line;
    if (text.ends_with('\n'))
      text.pop_back();
    for (auto& line : lines(text)) {
      dialect.decode({line + '\n', true}, by_line_state, by_line);
      if (by_line.back().what == verb::end)
        break;
    }
    ASSERT_EQ(by_line.size(), out.size()) << text;
    for (std::size_t i = 0; i < out.size(); ++i)
      ASSERT_EQ(client::word(by_line[i]), client::word(out[i])) << text;
  }
  EXPECT_GT(understood, 1000u); // or the nonsense says nothing
}

TEST(CentrifugeChanceTest, AnyPublicationIsToldWholeAndInOrder) {
  std::mt19937_64 random{random_seed()};
  for (int round = 0; round < 300; ++round) {
    centrifuge_settings settings;
    settings.frame_bytes_max = 100 + random() % 5000;
    centrifuge_json dialect{settings, ids()};
    std::vector<event> events;
    std::vector<std::string> texts;
    for (auto n = random() % 50 + 1; n > 0; --n) {
      std::string text;
      for (auto length = random() % 300; length > 0; --length)
        text += static_cast<char>(random() % 128);
      events.push_back(publication(text, random() % 3, payload_form::text));
      texts.push_back(text);
    }
    auto without = random() % 3;
    std::vector<std::string> heard;
    for (auto& x : messages(dialect.encode(turn{"a", "", events}, without))) {
      auto all = lines(x);
      ASSERT_TRUE(x.size() <= settings.frame_bytes_max || all.size() == 1);
      for (auto& line : all) {
        auto push = boost::json::parse(line).at("push").at("pub");
        heard.emplace_back(push.at("data").as_string().c_str(),
                           push.at("data").as_string().size());
      }
    }
    std::vector<std::string> expected;
    for (std::size_t i = 0; i < events.size(); ++i)
      if (without == 0 || events[i].from != without)
        expected.push_back(texts[i]);
    ASSERT_EQ(heard, expected);
  }
}
