#include "app/commands/bench/verifier.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "app/commands/bench/message.hpp"

using namespace greenroom::client;

namespace {

using seen = delivery_verifier::seen;

/// Rooms of three members, the first two of which publish.
class DeliveryVerifierTest : public ::testing::Test {
protected:
  void publish(std::uint32_t publisher, int times = 1) {
    for (int i = 0; i < times; ++i)
      aut.publish(publisher);
  }

  seen take(std::size_t member, std::uint32_t publisher, std::uint64_t n) {
    return aut.take(member,
                    {plan.room_of_publisher(publisher), publisher, n, 0});
  }

  delivery_faults finish(bool echo = true) {
    return aut.finish(std::vector<bool>(plan.connections(), true),
                      std::vector<bool>(plan.rooms, echo));
  }

  layout plan{2, 3, 2};
  delivery_verifier aut{plan};
};

} // namespace

TEST_F(DeliveryVerifierTest, EverythingOnceAndInOrderIsRight) {
  publish(0, 100);
  for (std::uint64_t n = 1; n <= 100; ++n)
    for (std::size_t member : {0, 1, 2})
      EXPECT_EQ(take(member, 0, n), seen::fresh);
  EXPECT_EQ(finish().all(), 0u);
}

TEST_F(DeliveryVerifierTest, WhatNeverCameIsLostAlsoInTheEnd) {
  publish(0, 10);
  for (std::uint64_t n = 1; n <= 10; ++n) {
    take(0, 0, n);
    if (n != 4)
      take(1, 0, n);
    if (n < 9)
      take(2, 0, n);
  }
  EXPECT_EQ(finish().lost, 3u);
  EXPECT_EQ(finish().all(), 3u);
}

TEST_F(DeliveryVerifierTest, WhatCameTwiceIsRepeated) {
  publish(0, 3);
  for (std::size_t member : {0, 1, 2})
    for (std::uint64_t n : {1, 2, 3})
      take(member, 0, n);
  EXPECT_EQ(take(1, 0, 3), seen::repeated);
  EXPECT_EQ(take(1, 0, 1), seen::repeated);
  EXPECT_EQ(finish().repeated, 2u);
  EXPECT_EQ(finish().all(), 2u);
}

TEST_F(DeliveryVerifierTest, WhatCameLateIsReorderedAndNotLost) {
  publish(0, 4);
  for (std::size_t member : {0, 1, 2})
    for (std::uint64_t n : {1, 3, 4, 2})
      EXPECT_EQ(take(member, 0, n), seen::fresh);
  EXPECT_EQ(finish().reordered, 3u);
  EXPECT_EQ(finish().all(), 3u);
}

TEST_F(DeliveryVerifierTest, WhatCameTooLateIsRepeatedAndLost) {
  publish(0, 100);
  for (std::uint64_t n = 2; n <= 100; ++n)
    for (std::size_t member : {0, 1, 2})
      take(member, 0, n);
  EXPECT_EQ(take(0, 0, 1), seen::repeated);
  EXPECT_EQ(finish().repeated, 1u);
  EXPECT_EQ(finish().lost, 3u);
}

TEST_F(DeliveryVerifierTest, AMessageOfAnotherRoomIsMisrouted) {
  publish(2); // room 1
  EXPECT_EQ(take(0, 2, 1), seen::misrouted);
  for (std::size_t member : {3, 4, 5})
    EXPECT_EQ(take(member, 2, 1), seen::fresh);
  EXPECT_EQ(finish().misrouted, 1u);
  EXPECT_EQ(finish().all(), 1u);
}

TEST_F(DeliveryVerifierTest, WhatNobodyPublishedIsCorrupt) {
  EXPECT_EQ(take(0, 0, 1), seen::corrupt);
  EXPECT_EQ(aut.take(0, {0, 99, 1, 0}), seen::corrupt);
  EXPECT_EQ(aut.take(0, {1, 0, 0, 0}), seen::corrupt);
  EXPECT_EQ(finish().corrupt, 3u);
}

TEST_F(DeliveryVerifierTest, ARoomHasOneOrder) {
  publish(0, 2);
  publish(1, 2);
  for (std::size_t member : {0, 1}) {
    take(member, 0, 1);
    take(member, 1, 1);
    take(member, 0, 2);
    take(member, 1, 2);
  }
  take(2, 0, 1);
  take(2, 0, 2);
  take(2, 1, 1);
  take(2, 1, 2);
  EXPECT_EQ(finish().divergent, 1u);
  EXPECT_EQ(finish().all(), 1u);
}

TEST_F(DeliveryVerifierTest, WithoutEchoNobodyWaitsForTheirOwn) {
  publish(0, 2);
  publish(1, 2);
  for (std::uint64_t n : {1, 2}) {
    take(1, 0, n);
    take(2, 0, n);
    take(0, 1, n);
    take(2, 1, n);
  }
  EXPECT_EQ(finish(false).all(), 0u);
  EXPECT_EQ(finish(true).lost, 4u);
}

TEST_F(DeliveryVerifierTest, WhoWasNotThereMissesNothing) {
  publish(0);
  take(0, 0, 1);
  take(1, 0, 1);
  std::vector<bool> present{true, true, false, true, true, true};
  EXPECT_EQ(aut.finish(present, {true, true}).all(), 0u);
}

// -- payloads -----------------------------------------------------------------------

TEST(MessageFormatTest, WhatIsMadeIsRead) {
  for (std::size_t size : {32, 33, 128, 70'000}) {
    message_format format{12345, size};
    for (std::uint64_t n : {0, 1, 63, 64, 1'000'000}) {
      stamp out;
      std::string payload{
        format.make({stamp_id_max, 7, n, (std::uint64_t{1} << 48) - 1})};
      EXPECT_EQ(payload.size(), size);
      ASSERT_EQ(format.read(payload, out), verdict::ours);
      EXPECT_EQ(out.room, stamp_id_max);
      EXPECT_EQ(out.publisher, 7u);
      EXPECT_EQ(out.sequence, n);
      EXPECT_EQ(out.time, (std::uint64_t{1} << 48) - 1);
    }
  }
}

TEST(MessageFormatTest, EveryChangedByteIsFound) {
  message_format format{1, 200};
  std::string payload{format.make({3, 4, 5, 6})};
  stamp out;
  for (std::size_t i = 0; i < payload.size(); ++i)
    for (char change : {1, 64, -128}) {
      auto changed = payload;
      changed[i] = static_cast<char>(changed[i] ^ change);
      EXPECT_NE(format.read(changed, out), verdict::ours) << i;
    }
  EXPECT_EQ(format.read(payload.substr(0, 199), out), verdict::corrupt);
  EXPECT_EQ(format.read(payload + 'x', out), verdict::corrupt);
}

TEST(MessageFormatTest, MessagesOfOthersAreForeign) {
  message_format format{1, 64};
  message_format other{2, 64};
  stamp out;
  EXPECT_EQ(format.read(other.make({}), out), verdict::foreign);
  EXPECT_EQ(format.read("hello", out), verdict::foreign);
  EXPECT_EQ(format.read("", out), verdict::foreign);
}

TEST(MessageFormatTest, ItIsPlainText) {
  message_format format{99, 500};
  for (char c : format.make({1, 2, 3, 4}))
    EXPECT_TRUE(c > ' ' && c < 127 && c != '"' && c != '\\');
}
