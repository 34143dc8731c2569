#include "net/frame_marks.hpp"

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "test/support/ws_wire.hpp"

using namespace greenroom::net;
using greenroom::test::frame_spec;
using greenroom::test::make_frame;
using greenroom::test::opcode;

namespace {

using kind = frame_marks::kind;

constexpr std::uint8_t rsv1 = 4;

/// Both carry the same mask key, or they could not be compared.
frame_spec spec(opcode op, bool fin, std::uint8_t rsv) {
  return {.op = op, .fin = fin, .rsv = rsv, .mask_key = 0x12345678};
}

struct case_of {
  std::string sent;
  std::string seen; ///< by Beast
  std::vector<kind> kinds = {};

  case_of& add(const frame_spec& x, const frame_spec& becomes,
               std::string_view payload) {
    sent += make_frame(x, payload);
    seen += make_frame(becomes, payload);
    return *this;
  }

  case_of& as_is(const frame_spec& x, std::string_view payload = "abc") {
    return add(x, x, payload);
  }
};

/// @param piece bytes at a time; 0: sizes at random
void expect_passed(const case_of& what, std::size_t piece) {
  frame_marks marks;
  std::mt19937 dice{8};
  auto bytes = what.sent;
  for (std::size_t at = 0; at < bytes.size();) {
    auto n = std::min(piece == 0 ? 1 + dice() % 40 : piece, bytes.size() - at);
    marks.pass({bytes.data() + at, n});
    at += n;
  }
  EXPECT_EQ(bytes, what.seen) << "in pieces of " << piece;
  for (auto x : what.kinds)
    EXPECT_EQ(marks.next(), x);
  EXPECT_EQ(marks.next(), kind::plain);
}

void expect_passed(const case_of& what) {
  for (std::size_t piece : {0, 1, 2, 3, 5, 7, 100'000})
    expect_passed(what, piece);
}

TEST(FrameMarksTest, S6_TheMarkIsTakenOffCompressedMessages) {
  case_of x;
  x.add(spec(opcode::text, true, rsv1), spec(opcode::binary, true, 0), "abc");
  x.add(spec(opcode::binary, true, rsv1), spec(opcode::binary, true, 0), "abc");
  x.as_is(spec(opcode::text, true, 0));
  x.as_is(spec(opcode::binary, true, 0));
  x.kinds = {kind::deflated_text, kind::deflated_binary, kind::plain,
             kind::plain};
  expect_passed(x);
}

TEST(FrameMarksTest, LengthsOfAllFormsAreUnderstood) {
  case_of x;
  for (std::size_t size : {0, 1, 125, 126, 127, 300, 65'535, 65'536, 70'000}) {
    x.add(spec(opcode::text, true, rsv1), spec(opcode::binary, true, 0),
          std::string(size, '\xC1'));
    x.kinds.push_back(kind::deflated_text);
  }
  x.as_is(spec(opcode::text, true, 0));
  expect_passed(x, 0);
  expect_passed(x, 1000);
  expect_passed(x, 1'000'000);
}

TEST(FrameMarksTest, S61_OnlyTheFirstFragmentIsMarked) {
  case_of x;
  x.add(spec(opcode::text, false, rsv1), spec(opcode::binary, false, 0), "ab");
  x.as_is(spec(opcode::continuation, false, 0), "");
  x.as_is(spec(opcode::ping, true, 0), "between");
  x.as_is(spec(opcode::continuation, true, 0), "cd");
  x.as_is(spec(opcode::text, false, 0));
  x.as_is(spec(opcode::continuation, true, 0));
  x.kinds = {kind::deflated_text, kind::plain};
  expect_passed(x);
}

TEST(FrameMarksTest, S6_MarksWhereNoneMayBePassAsTheyAre) {
  for (auto wrong : {
         spec(opcode::ping, true, rsv1),
         spec(opcode::close, true, rsv1),
         spec(opcode::continuation, true, rsv1),
         spec(static_cast<opcode>(3), true, rsv1),
       }) {
    case_of x;
    x.as_is(wrong);
    expect_passed(x);
  }
  for (std::uint8_t bits : {2, 1, 3, 6, 5, 7}) {
    case_of x;
    x.as_is(spec(opcode::text, true, bits));
    expect_passed(x);
  }
  // A message within a message.
  case_of x;
  x.as_is(spec(opcode::text, false, 0));
  x.as_is(spec(opcode::text, true, rsv1));
  x.kinds = {kind::plain};
  expect_passed(x);
}

TEST(FrameMarksTest, AFrameWithoutAMaskIsFollowedToItsEnd) {
  case_of x;
  x.as_is({.op = opcode::text, .masked = false}, "abcdef");
  x.as_is(spec(opcode::text, true, 0));
  x.kinds = {kind::plain, kind::plain};
  expect_passed(x);
}

TEST(FrameMarksTest, KindsComeInOrderWhileOthersArrive) {
  frame_marks marks;
  auto send = [&](std::uint8_t rsv) {
    auto bytes = make_frame(spec(opcode::text, true, rsv), "x");
    marks.pass(bytes);
  };
  for (int i = 0; i < 1000; ++i) {
    send(rsv1);
    send(0);
    EXPECT_EQ(marks.next(), i % 2 == 0 ? kind::deflated_text : kind::plain);
  }
}

TEST(FrameMarksTest, AClientThatNeverPausesTakesNoMemory) {
  frame_marks marks;
  auto send = [&] {
    auto bytes = make_frame(spec(opcode::text, true, rsv1), "x");
    marks.pass(bytes);
  };
  send();
  for (int i = 0; i < 100'000; ++i) {
    send(); // always one more that was not begun
    marks.next();
  }
  EXPECT_LE(marks.memory(), 512u);
}

TEST(FrameMarksTest, WhatIsForNobodyTakesNoMemory) {
  frame_marks marks;
  for (int i = 0; i < 100'000; ++i) {
    auto bytes = make_frame(spec(opcode::text, true, rsv1), "x");
    marks.pass(bytes);
    if (i % 100 == 0)
      marks.forget();
  }
  EXPECT_LE(marks.memory(), 512u);
}

} // namespace
