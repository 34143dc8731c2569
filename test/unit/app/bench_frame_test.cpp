#include "app/commands/client/frame.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "test/support/ws_wire.hpp"

using namespace greenroom;
using namespace greenroom::client;

namespace {

std::string frame(test::opcode op, std::string_view payload, bool fin = true) {
  return test::make_frame({.op = op, .fin = fin, .masked = false}, payload);
}

/// What a reader hands out of some bytes, as text: `1:hello 9:` and so on, with
/// the fault in the end if there is one.
std::string heard(const std::vector<std::string_view>& pieces,
                  std::size_t limit = 1'000'000) {
  frame_reader reader{limit};
  std::string result;
  for (auto piece : pieces) {
    // A copy of exact size, so that a sanitizer sees what is read beyond it.
    std::vector<char> copy(piece.begin(), piece.end());
    reader.feed({copy.data(), copy.size()});
    for (;;) {
      auto step = reader.next();
      if (step == frame_reader::step::need_more)
        break;
      if (step == frame_reader::step::broken)
        return result + '!' + reader.error();
      result += std::to_string(static_cast<int>(reader.opcode())) + ':'
                + std::string{reader.payload()} + ' ';
    }
  }
  return reader.within() ? result + "..." : result;
}

std::string heard(std::string_view bytes) {
  return heard(std::vector<std::string_view>{bytes});
}

/// A dialogue with all there is.
std::string everything() {
  return frame(test::opcode::text, "one") + frame(test::opcode::binary, "")
         + frame(test::opcode::text, std::string(125, 'a'))
         + frame(test::opcode::text, std::string(126, 'b'))
         + frame(test::opcode::text, "frag", false)
         + frame(test::opcode::ping, "?")
         + frame(test::opcode::continuation, "men", false)
         + frame(test::opcode::continuation, "ted")
         + frame(test::opcode::text, "", false)
         + frame(test::opcode::continuation, "")
         + frame(test::opcode::pong, std::string(125, 'p'))
         + frame(test::opcode::text, std::string(300, 'c'))
         + frame(test::opcode::close, test::close_payload(1000, "bye"));
}

std::string everything_heard() {
  return "1:one 2: 1:" + std::string(125, 'a') + " 1:" + std::string(126, 'b')
         + " 9:? 1:fragmented 1: 10:" + std::string(125, 'p')
         + " 1:" + std::string(300, 'c') + " 8:\x03\xe8" + "bye ";
}

} // namespace

// -- in ---------------------------------------------------------------------------

TEST(ClientFrameTest, MessagesComeOutWhole) {
  EXPECT_EQ(heard(everything()), everything_heard());
}

TEST(ClientFrameTest, AnySplitGivesTheSame) {
  auto bytes = everything();
  std::string_view all{bytes};
  for (std::size_t i = 0; i <= all.size(); ++i)
    ASSERT_EQ(heard({all.substr(0, i), all.substr(i)}), everything_heard())
      << i;
  for (std::size_t size = 1; size < 12; ++size) {
    std::vector<std::string_view> pieces;
    for (std::size_t at = 0; at < all.size(); at += size)
      pieces.push_back(all.substr(at, size));
    ASSERT_EQ(heard(pieces), everything_heard()) << size;
  }
}

TEST(ClientFrameTest, RandomSplitsOfLongMessagesGiveTheSame) {
  std::string bytes;
  std::string expected;
  std::mt19937 random{3};
  for (std::size_t size : {0, 1, 65'535, 65'536, 65'537, 200'000, 7}) {
    std::string payload(size, static_cast<char>('a' + size % 26));
    bytes += frame(test::opcode::binary, payload);
    expected += "2:" + payload + ' ';
  }
  for (int run = 0; run < 50; ++run) {
    std::vector<std::string_view> pieces;
    for (std::string_view rest = bytes; !rest.empty();) {
      auto n = std::min<std::size_t>(rest.size(), 1 + random() % 90'000);
      pieces.push_back(rest.substr(0, n));
      rest.remove_prefix(n);
    }
    ASSERT_TRUE(heard(pieces) == expected) << run;
  }
}

TEST(ClientFrameTest, AnUnfinishedOneIsKnown) {
  auto bytes = frame(test::opcode::text, "hello");
  EXPECT_EQ(heard(std::string_view{bytes}.substr(0, 4)), "...");
  EXPECT_EQ(heard(frame(test::opcode::text, "hello", false)), "...");
}

TEST(ClientFrameTest, WhatAServerMustNotSendIsAFault) {
  auto made = [](test::frame_spec spec, std::string_view payload) {
    spec.masked = false;
    return test::make_frame(spec, payload);
  };
  auto fault = [](const std::string& bytes, std::string_view part) {
    auto words = heard(bytes);
    return words.find('!') != std::string::npos
           && words.find(part) != std::string::npos;
  };
  EXPECT_TRUE(fault(test::make_frame({.op = test::opcode::text}, "x"),
                    "masked")); // RFC 6455 §5.1
  EXPECT_TRUE(fault(made({.rsv = 4}, "x"), "reserved bits"));
  EXPECT_TRUE(
    fault(made({.op = static_cast<test::opcode>(3)}, "x"), "reserved opcode"));
  EXPECT_TRUE(
    fault(made({.op = static_cast<test::opcode>(11)}, ""), "reserved opcode"));
  EXPECT_TRUE(
    fault(made({.length = test::length_form::two_bytes}, "x"), "shortest"));
  EXPECT_TRUE(
    fault(made({.length = test::length_form::eight_bytes}, "x"), "shortest"));
  EXPECT_TRUE(
    fault(made({.op = test::opcode::ping}, std::string(126, 'x')), "control"));
  EXPECT_TRUE(
    fault(made({.op = test::opcode::ping, .fin = false}, ""), "control"));
  EXPECT_TRUE(
    fault(frame(test::opcode::continuation, "x"), "without a beginning"));
  EXPECT_TRUE(fault(frame(test::opcode::text, "a", false)
                      + frame(test::opcode::text, "b"),
                    "within another"));
}

TEST(ClientFrameTest, NothingIsHeldOverTheLimit) {
  std::vector<std::string> all{
    frame(test::opcode::text, std::string(101, 'x')),
    frame(test::opcode::text, std::string(60, 'x'), false)
      + frame(test::opcode::continuation, std::string(41, 'x')),
    // The length alone is enough.
    test::make_frame({.masked = false,
                      .length = test::length_form::eight_bytes,
                      .claimed_length = ~std::uint64_t{0}},
                     ""),
  };
  for (const auto& bytes : all)
    EXPECT_NE(heard({std::string_view{bytes}}, 100).find("over the limit"),
              std::string::npos);
  auto fits = frame(test::opcode::text, std::string(100, 'x'));
  EXPECT_EQ(heard({std::string_view{fits}}, 100),
            "1:" + std::string(100, 'x') + ' ');
}

TEST(ClientFrameTest, CloseWordsAreRead) {
  auto words = read_close(test::close_payload(1008, "rate_limited"));
  EXPECT_EQ(words.code, 1008);
  EXPECT_EQ(to_string(words), "1008 rate_limited");
  EXPECT_EQ(to_string(read_close("")), "1005");
  EXPECT_EQ(to_string(close_words{1000, "\x1b[2J"}), "1000 ?[2J");
}

// -- out --------------------------------------------------------------------------

TEST(ClientFrameTest, WhatIsSentIsMaskedAndWellFormed) {
  for (std::size_t size : {0, 1, 7, 8, 9, 125, 126, 127, 65'535, 65'536}) {
    std::string payload;
    for (std::size_t i = 0; i < size; ++i)
      payload += static_cast<char>(i * 7);
    std::string bytes = "before";
    append_masked(bytes, ws_opcode::binary, payload);
    auto view = std::string_view{bytes}.substr(6);
    auto header = test::parse_frame_header(view);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->op, test::opcode::binary);
    EXPECT_TRUE(header->fin);
    EXPECT_TRUE(header->masked);
    EXPECT_EQ(header->rsv, 0);
    EXPECT_FALSE(header->wasteful);
    ASSERT_EQ(header->length, size);
    std::string body{view.substr(header->header_size)};
    test::apply_mask(body, header->mask_key);
    EXPECT_EQ(body, payload);
  }
}

TEST(ClientFrameTest, EveryFrameHasAnotherMask) {
  std::string one;
  std::string two;
  append_masked(one, ws_opcode::text, "same");
  append_masked(two, ws_opcode::text, "same");
  EXPECT_NE(one, two);
}

TEST(ClientFrameTest, ACloseFrameSaysCodeAndReason) {
  std::string bytes;
  append_close(bytes, 1001, "leaving");
  auto header = test::parse_frame_header(bytes);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->op, test::opcode::close);
  auto body = bytes.substr(header->header_size);
  test::apply_mask(body, header->mask_key);
  auto words = test::parse_close(body);
  EXPECT_EQ(words.code, 1001);
  EXPECT_EQ(words.reason, "leaving");
}
