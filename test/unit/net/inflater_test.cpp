#include "net/inflater.hpp"

#include <zlib.h>

#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

using namespace greenroom::net;
using namespace std::string_literals;

namespace {

using outcome = inflater::outcome;

constexpr std::size_t plenty = 1 << 20;

/// A client's stream, which lasts from message to message.
class sender {
public:
  explicit sender(int window_bits = 15, int level = 6) {
    deflateInit2(&zlib_, level, Z_DEFLATED, -window_bits, 8,
                 Z_DEFAULT_STRATEGY);
  }

  sender(const sender&) = delete;
  sender& operator=(const sender&) = delete;

  ~sender() { deflateEnd(&zlib_); }

  std::string message(std::string_view text) {
    auto out = run(text, Z_SYNC_FLUSH);
    EXPECT_TRUE(out.ends_with("\0\0\xff\xff"s));
    out.resize(out.size() - 4);
    return out;
  }

  /// What was written behind a last block (§7.2.3.4).
  std::string last(std::string_view text) {
    auto out = run(text, Z_FINISH);
    deflateReset(&zlib_);
    return out;
  }

  void forget() { deflateReset(&zlib_); }

private:
  std::string run(std::string_view text, int flush) {
    std::string out(text.size() * 2 + 1000, '\0');
    zlib_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    zlib_.avail_in = static_cast<uInt>(text.size());
    zlib_.next_out = reinterpret_cast<Bytef*>(out.data());
    zlib_.avail_out = static_cast<uInt>(out.size());
    ::deflate(&zlib_, flush);
    out.resize(out.size() - zlib_.avail_out);
    return out;
  }

  z_stream zlib_{};
};

class InflaterTest : public testing::Test {
protected:
  /// @returns the message, or what is wrong with it
  std::string inflated(const std::string& payload,
                       std::size_t bytes_max = plenty) {
    std::string out;
    switch (x.inflate(payload, bytes_max, out)) {
      case outcome::too_big:
        return "(too big)";
      case outcome::broken:
        return "(broken)";
      case outcome::done:
        break;
    }
    return out;
  }

  inflater x{15, false};
};

// -- the examples of RFC 7692 §7.2.3 -----------------------------------------------------

TEST_F(InflaterTest, S7231_AMessageInOneBlock) {
  EXPECT_EQ(inflated("\xf2\x48\xcd\xc9\xc9\x07\x00"s), "Hello");
}

TEST_F(InflaterTest, S7232_TheWindowIsShared) {
  x = inflater{15, true};
  EXPECT_EQ(inflated("\xf2\x48\xcd\xc9\xc9\x07\x00"s), "Hello");
  EXPECT_EQ(inflated("\xf2\x00\x11\x00\x00"s), "Hello");
}

TEST_F(InflaterTest, S7232_WithoutTakeoverThereIsNothingToReferTo) {
  EXPECT_EQ(inflated("\xf2\x48\xcd\xc9\xc9\x07\x00"s), "Hello");
  EXPECT_EQ(inflated("\xf2\x00\x11\x00\x00"s), "(broken)");
}

TEST_F(InflaterTest, S7233_ABlockWithoutCompression) {
  EXPECT_EQ(inflated("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"s), "Hello");
}

TEST_F(InflaterTest, S7234_ALastBlock) {
  EXPECT_EQ(inflated("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s), "Hello");
  // Without the byte behind it, as zlib leaves it.
  EXPECT_EQ(inflated("\xf3\x48\xcd\xc9\xc9\x07\x00"s), "Hello");
}

TEST_F(InflaterTest, S7235_TwoBlocksInOneMessage) {
  EXPECT_EQ(inflated("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"s),
            "Hello");
}

TEST_F(InflaterTest, S7236_AnEmptyMessage) {
  EXPECT_EQ(inflated("\x00"s), "");
  EXPECT_EQ(inflated(""), "");
  EXPECT_EQ(inflated("\x02\x00"s), "");
}

// -- what is none -----------------------------------------------------------------------

TEST_F(InflaterTest, WhatIsNoDeflateIsBroken) {
  EXPECT_EQ(inflated("\xff\xff\xff"s), "(broken)");
  EXPECT_EQ(inflated("Hello"), "(broken)");
  EXPECT_EQ(inflated("\x00\x05\x00\x00\x00Hello"s), "(broken)");
}

TEST_F(InflaterTest, AMessageThatEndsWithinABlockIsBroken) {
  sender client;
  std::string text;
  for (int i = 0; i < 500; ++i)
    text += std::to_string(i * i);
  auto whole = client.message(text);
  EXPECT_EQ(inflated(whole), text);
  for (std::size_t n = 1; n < whole.size(); ++n)
    ASSERT_EQ(inflated(whole.substr(0, n)), "(broken)") << n;
}

TEST_F(InflaterTest, ATailThatShouldHaveBeenCutOffIsBroken) {
  EXPECT_EQ(inflated("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff"s),
            "(broken)");
}

TEST_F(InflaterTest, AfterABrokenMessageTheThreadGoesOn) {
  EXPECT_EQ(inflated("\xff\xff\xff"s), "(broken)");
  EXPECT_EQ(inflated("\xf2\x48\xcd\xc9\xc9\x07\x00"s), "Hello");
}

TEST_F(InflaterTest, BytesAtRandomDoNoHarm) {
  std::mt19937 dice{4};
  std::string out;
  inflater remembers{15, true};
  for (int i = 0; i < 20'000; ++i) {
    std::string noise(dice() % 60, '\0');
    for (auto& c : noise)
      c = static_cast<char>(dice());
    x.inflate(noise, 500, out);
    EXPECT_LE(out.size(), 500u);
    remembers.inflate(noise, 500, out);
  }
}

TEST_F(InflaterTest, ADamagedMessageDoesNoHarm) {
  std::mt19937 dice{5};
  sender client;
  std::string text;
  for (int i = 0; i < 3000; ++i)
    text += std::to_string(i);
  auto whole = client.message(text);
  std::string out;
  for (int i = 0; i < 5'000; ++i) {
    auto damaged = whole;
    damaged[dice() % damaged.size()] ^= static_cast<char>(1 << dice() % 8);
    x.inflate(damaged, plenty, out);
  }
}

// -- last blocks -------------------------------------------------------------------------

TEST_F(InflaterTest, S7234_AMessageGoesOnBehindALastBlock) {
  sender client;
  auto first = client.last("one, ");
  EXPECT_EQ(inflated(first + client.message("two")), "one, two");
}

TEST_F(InflaterTest, S7234_ALastBlockDoesNotEndTheWindow) {
  x = inflater{15, true};
  EXPECT_EQ(inflated("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s), "Hello");
  EXPECT_EQ(inflated("\xf2\x00\x11\x00\x00"s), "Hello");
  // Within one message: a reference from behind a last block to before it.
  EXPECT_EQ(inflated("\xf3\x48\xcd\xc9\xc9\x07\x00"s + "\xf2\x00\x11\x00\x00"s),
            "HelloHello");
}

TEST_F(InflaterTest, AMessageOfNothingButLastBlocksIsBroken) {
  std::string many;
  for (int i = 0; i < 10'000; ++i)
    many += "\x03\x00"s; // empty, each costs a new start
  EXPECT_EQ(inflated(many), "(broken)");
}

// -- bounds ------------------------------------------------------------------------------

TEST_F(InflaterTest, TheLimitAppliesToWhatComesOut) {
  for (std::size_t size : {1, 100, 16'383, 16'384, 16'385, 32'768, 65'536}) {
    sender client;
    std::string text(size, 'a');
    auto payload = client.message(text);
    EXPECT_EQ(inflated(payload, size), text);
    EXPECT_EQ(inflated(payload, size - 1), "(too big)");
  }
}

TEST_F(InflaterTest, ABombIsNotUnpacked) {
  sender client{15, 9};
  auto bomb = client.message(std::string(std::size_t{64} << 20, '\0'));
  EXPECT_LT(bomb.size(), 100'000u);
  std::string out;
  EXPECT_EQ(x.inflate(bomb, 65'536, out), outcome::too_big);
  EXPECT_LE(out.capacity(), 131'072u);
}

TEST_F(InflaterTest, IncompressibleMessagesFitTheBound) {
  std::mt19937 dice{6};
  for (std::size_t size : {0, 1, 100, 10'000, 65'536, 1'000'000}) {
    std::string noise;
    for (std::size_t i = 0; i < size; ++i)
      noise += static_cast<char>(dice());
    for (int level : {0, 1, 9}) {
      sender client{15, level};
      EXPECT_LE(client.message(noise).size(), deflated_bytes_max(size));
    }
  }
}

// -- context takeover --------------------------------------------------------------------

TEST_F(InflaterTest, S7112_MessagesReferToEarlierOnes) {
  for (int bits : {9, 10, 11, 15}) {
    sender client{bits};
    x = inflater{bits, true};
    std::mt19937 dice{7};
    for (int i = 0; i < 300; ++i) {
      std::string text;
      auto size = dice() % 3 == 0 ? dice() % 50'000 : dice() % 200;
      while (text.size() < size)
        text += "room " + std::to_string(dice() % 50) + ", ";
      ASSERT_EQ(inflated(client.message(text)), text) << bits << ' ' << i;
      ASSERT_LE(x.remembered(), std::size_t{1} << bits);
    }
  }
}

TEST_F(InflaterTest, WithoutTakeoverNothingIsRemembered) {
  sender client;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(inflated(client.message(std::string(50'000, 'a'))),
              std::string(50'000, 'a'));
    client.forget();
  }
  EXPECT_EQ(x.remembered(), 0u);
}

TEST_F(InflaterTest, OnlyWhatWasSaidIsRemembered) {
  x = inflater{15, true};
  sender client;
  for (int i = 0; i < 10; ++i)
    inflated(client.message("little words " + std::to_string(i)));
  EXPECT_LE(x.remembered(), 512u);
}

TEST_F(InflaterTest, ConnectionsOfAThreadDoNotMix) {
  sender ann;
  sender bob;
  inflater from_ann{15, true};
  inflater from_bob{15, true};
  std::string out;
  for (int i = 0; i < 20; ++i) {
    auto n = std::to_string(i);
    EXPECT_EQ(from_ann.inflate(ann.message("ann says " + n), plenty, out),
              outcome::done);
    EXPECT_EQ(out, "ann says " + n);
    EXPECT_EQ(from_bob.inflate(bob.message("bob replies " + n), plenty, out),
              outcome::done);
    EXPECT_EQ(out, "bob replies " + n);
  }
}

} // namespace
