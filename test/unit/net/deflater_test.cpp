#include "net/deflater.hpp"

#include <cstddef>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/ws_frame.hpp"
#include "test/support/deflate_codec.hpp"
#include "test/support/ws_wire.hpp"

using namespace greenroom;
using namespace greenroom::net;
using greenroom::test::inflate_message;

namespace {

const std::string chatter = [] {
  std::string text;
  for (int i = 0; text.size() < 1000; ++i)
    text += "message " + std::to_string(i * 7919 % 100) + " of the lobby; ";
  return text;
}();

struct message {
  ws_opcode op = ws_opcode::text;
  std::string payload;
};

wire_ptr block_of(const std::vector<message>& messages) {
  wire_builder out;
  for (auto& x : messages)
    append_ws_frame(out, x.op, x.payload);
  return out.finish();
}

struct frame {
  test::frame_header header;
  std::string payload;
};

std::vector<frame> frames_of(const wire_ptr& block) {
  std::vector<frame> out;
  for (auto rest = block->bytes(); !rest.empty();) {
    auto header = test::parse_frame_header(rest);
    if (!header || rest.size() < header->header_size + header->length) {
      ADD_FAILURE() << "a torn frame";
      break;
    }
    EXPECT_EQ(test::fault_of_server_frame(*header, true), nullptr);
    EXPECT_FALSE(header->wasteful);
    rest.remove_prefix(header->header_size);
    out.push_back({*header, std::string{rest.substr(0, header->length)}});
    rest.remove_prefix(header->length);
  }
  return out;
}

/// Whether a client gets these messages out of `block`.
void expect_messages(const wire_ptr& block, const std::vector<message>& sent,
                     int window_bits) {
  auto got = frames_of(block);
  ASSERT_EQ(got.size(), sent.size());
  EXPECT_EQ(block->frames(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(static_cast<int>(got[i].header.op), static_cast<int>(sent[i].op));
    EXPECT_TRUE(got[i].header.fin);
    if (got[i].header.rsv == 4) {
      EXPECT_LT(got[i].payload.size(), sent[i].payload.size());
      EXPECT_EQ(inflate_message(got[i].payload, window_bits), sent[i].payload);
    } else {
      EXPECT_EQ(got[i].header.rsv, 0);
      EXPECT_EQ(got[i].payload, sent[i].payload);
    }
  }
}

TEST(DeflaterTest, AMessageIsCompressedAndMarked) {
  deflater x{{}, 15};
  auto plain = block_of({{ws_opcode::text, chatter}});
  auto packed = x.compress(plain);
  ASSERT_EQ(packed->frames(), 1u);
  EXPECT_FALSE(packed->closes());
  auto got = frames_of(packed);
  EXPECT_EQ(got[0].header.rsv, 4);
  EXPECT_LT(packed->size(), plain->size() / 2);
  expect_messages(packed, {{ws_opcode::text, chatter}}, 15);
}

TEST(DeflaterTest, S721_TheTailOfTheFlushIsNotSent) {
  deflater x{{}, 15};
  auto got = frames_of(x.compress(block_of({{ws_opcode::text, chatter}})));
  EXPECT_FALSE(got[0].payload.ends_with(std::string("\0\0\xff\xff", 4)));
}

TEST(DeflaterTest, S7111_NoMessageRefersToAnEarlierOne) {
  deflater x{{}, 15};
  auto once = x.compress(block_of({{ws_opcode::text, chatter}}));
  EXPECT_EQ(x.compress(block_of({{ws_opcode::text, chatter}}))->bytes(),
            once->bytes());
  auto twice = x.compress(
    block_of({{ws_opcode::text, chatter}, {ws_opcode::text, chatter}}));
  EXPECT_EQ(twice->bytes(),
            std::string{once->bytes()} + std::string{once->bytes()});
}

TEST(DeflaterTest, SmallMessagesStayPlainAmongOthers) {
  deflate_options how;
  how.bytes_min = 100;
  deflater x{how, 15};
  std::vector<message> sent{{ws_opcode::text, std::string(99, 'a')},
                            {ws_opcode::binary, std::string(100, 'a')},
                            {ws_opcode::text, ""},
                            {ws_opcode::text, chatter},
                            {ws_opcode::text, "end"}};
  auto packed = x.compress(block_of(sent));
  expect_messages(packed, sent, 15);
  std::vector<int> marks;
  for (auto& f : frames_of(packed))
    marks.push_back(f.header.rsv);
  EXPECT_EQ(marks, (std::vector{0, 4, 0, 4, 0}));
}

TEST(DeflaterTest, WhereNothingGetsSmallerTheBlockItselfIsShared) {
  deflater x{{}, 15};
  EXPECT_FALSE(x.compress({}));
  auto little = block_of({{ws_opcode::text, "hello"}});
  EXPECT_EQ(x.compress(little), little);
  std::mt19937 dice{1};
  std::string noise;
  for (int i = 0; i < 70'000; ++i)
    noise += static_cast<char>(dice());
  auto incompressible = block_of({{ws_opcode::binary, noise}});
  EXPECT_EQ(x.compress(incompressible), incompressible);
}

TEST(DeflaterTest, ControlFramesAndMarkedFramesPassAsTheyAre) {
  deflate_options how;
  how.bytes_min = 0;
  deflater x{how, 15};
  wire_builder b;
  append_ws_frame(b, ws_opcode::ping, std::string(100, 'p'));
  append_ws_frame(b, ws_opcode::text, chatter, true);
  append_ws_frame(b, ws_opcode::text, chatter);
  append_ws_frame(b, ws_opcode::close, std::string("\x03\xe8", 2));
  auto plain = b.finish();
  auto packed = x.compress(plain);
  auto got = frames_of(packed);
  ASSERT_EQ(got.size(), 4u);
  EXPECT_EQ(got[0].payload, std::string(100, 'p'));
  EXPECT_EQ(got[1].payload, chatter);
  EXPECT_EQ(inflate_message(got[2].payload, 15), chatter);
  EXPECT_TRUE(packed->closes());
}

TEST(DeflaterTest, TheWindowIsKept) {
  // The same half a kilobyte again at distances that small windows cannot reach.
  std::mt19937 dice{2};
  std::string text;
  for (int i = 0; i < 512; ++i)
    text += static_cast<char>('a' + dice() % 26);
  for (int i = 0; i < 5; ++i)
    text += text;
  std::size_t before = text.size();
  for (int bits : {9, 10, 12, 15}) {
    deflater x{{}, bits};
    auto packed = x.compress(block_of({{ws_opcode::text, text}}));
    expect_messages(packed, {{ws_opcode::text, text}}, bits);
    EXPECT_LE(packed->size(), before);
    before = packed->size();
  }
}

TEST(DeflaterTest, EveryLevelAndSizeSurvives) {
  std::mt19937 dice{3};
  for (int level = 1; level <= 9; ++level)
    for (std::size_t size :
         {1, 125, 126, 127, 300, 4000, 65'535, 65'536, 200'000}) {
      deflate_options how;
      how.level = level;
      how.bytes_min = 0;
      deflater x{how, 15};
      std::string text;
      while (text.size() < size)
        text += std::to_string(dice() % 1000) + ' ';
      text.resize(size);
      expect_messages(x.compress(block_of({{ws_opcode::text, text}})),
                      {{ws_opcode::text, text}}, 15);
    }
}

TEST(DeflaterTest, AResultKeepsNoMemoryForWhatItSaved) {
  auto before = wire::live_bytes();
  auto packed =
    deflater{{}, 15}.compress(block_of({{ws_opcode::text, chatter}}));
  EXPECT_EQ(wire::live_bytes() - before, packed->size());
}

TEST(DeflaterTest, ThreadsMayShareIt) {
  deflater x{{}, 15};
  auto expected = x.compress(block_of({{ws_opcode::text, chatter}}));
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i)
        EXPECT_EQ(x.compress(block_of({{ws_opcode::text, chatter}}))->bytes(),
                  expected->bytes());
    });
  for (auto& t : threads)
    t.join();
}

TEST(DeflaterTest, ThereIsOneForTheSameSettings) {
  deflate_options how;
  auto& x = deflater_of(how, 15);
  EXPECT_EQ(&x, &deflater_of(how, 15));
  EXPECT_NE(&x, &deflater_of(how, 9));
  how.client_window_bits = 9; // no matter to what is sent
  EXPECT_EQ(&x, &deflater_of(how, 15));
  how.level = 9;
  EXPECT_NE(&x, &deflater_of(how, 15));
}

} // namespace
