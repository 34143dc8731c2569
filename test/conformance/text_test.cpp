// RFC 6455 §5.6 and §8.1: text is UTF-8, whole messages of it.

#include "test/conformance/lobby.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::string_literals;

namespace {

class TextTest : public LobbyTest {};

const std::string good[] = {
  "\0"s,               // U+0000
  "\x7f"s,             // the last of one byte
  "\xc2\x80"s,         // the first of two
  "\xdf\xbf"s,         // the last of two
  "\xe0\xa0\x80"s,     // the first of three
  "\xed\x9f\xbf"s,     // in front of the surrogates
  "\xee\x80\x80"s,     // behind them
  "\xef\xbf\xbd"s,     // U+FFFD
  "\xef\xbf\xbe"s,     // U+FFFE, which is no character
  "\xef\xbf\xbf"s,     // U+FFFF
  "\xf0\x90\x80\x80"s, // the first of four
  "\xf4\x8f\xbf\xbf"s, // U+10FFFF
  "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"s, // the word of Autobahn
};

const std::string bad[] = {
  "\x80"s, // a continuation alone
  "\xbf"s,
  "\xc0\x80"s, // overlong
  "\xc1\xbf"s,
  "\xe0\x80\x80"s,
  "\xe0\x9f\xbf"s,
  "\xf0\x80\x80\x80"s,
  "\xf0\x8f\xbf\xbf"s,
  "\xed\xa0\x80"s, // surrogates
  "\xed\xbf\xbf"s,
  "\xed\xa0\x80\xed\xb0\x80"s,
  "\xf4\x90\x80\x80"s, // over U+10FFFF
  "\xf5\x80\x80\x80"s,
  "\xf8\x88\x80\x80\x80"s, // five bytes
  "\xfc\x84\x80\x80\x80\x80"s,
  "\xfe"s,
  "\xff"s,
  "\xc3("s, // cut off by something else
  "\xe2\x82("s,
  "\xf0\x9f\x98("s,
};

const std::string cut[] = {"\xc3"s, "\xe2\x82"s, "\xf0\x9f"s, "\xf0\x9f\x98"s};

} // namespace

TEST_F(TextTest, TextIsAnythingThatIsUtf8) {
  auto c = client();
  for (auto& x : good) {
    c.send_text("<" + x + ">");
    EXPECT_EQ(c.receive_text(), "<" + x + ">");
  }
}

TEST_F(TextTest, ACharacterMayBeSplitOverFragments) {
  auto c = client();
  for (auto& x : good)
    for (std::size_t n = 0; n <= x.size(); ++n) {
      c.send_fragments(opcode::text, {std::string_view{x}.substr(0, n), "",
                                      std::string_view{x}.substr(n)});
      EXPECT_EQ(c.receive_text(), x);
    }
}

TEST_F(TextTest, WhatIsNotUtf8EndsTheConnection) {
  for (auto& x : bad)
    for (auto& around : {""s, "0123456789abcdef0123456789abcdef"s})
      EXPECT_EQ(code_after(make_frame({}, around + x + around)), 1007)
        << testing::PrintToString(x);
}

TEST_F(TextTest, ATextDoesNotEndAmidACharacter) {
  for (auto& x : cut) {
    EXPECT_EQ(code_after(make_frame({}, x)), 1007);
    EXPECT_EQ(code_after(make_frame({.fin = false}, "ok" + x)
                         + make_frame({.op = opcode::continuation}, "")),
              1007);
  }
}

TEST_F(TextTest, WhatIsBrokenIsRefusedBeforeItsEnd) {
  // The message never ends, and neither does the frame.
  EXPECT_EQ(code_after(make_frame({.fin = false}, "bad \xff bad")), 1007);
  EXPECT_EQ(code_after(make_frame({.fin = false}, "\xed")
                       + make_frame({.op = opcode::continuation, .fin = false},
                                    "\xa0\x80")),
            1007);
}

TEST_F(TextTest, NothingOfItReachesTheRoom) {
  auto ann = client();
  for (auto& x : bad)
    code_after(make_frame({}, x));
  expect_nothing_came(ann);
}

TEST_F(TextTest, BinaryMessagesAndPingsAreAnyBytes) {
  auto c = client();
  for (auto& x : bad) {
    c.send_binary(x);
    EXPECT_EQ(c.receive().payload, x);
    c.send_ping(x);
    c.expect_pong(x);
  }
}

TEST_F(TextTest, AReasonToCloseIsUtf8) { // §5.5.1
  for (auto& x : bad) {
    // §8.1 wants the connection to be failed, and leaves it open with which code.
    auto code = code_after(make_frame({.op = opcode::close}, "\x03\xe8"s + x));
    EXPECT_TRUE(code == 1007 || code == 1002) << code;
  }
}
