// Limits of how messages are sent: what the kernel takes, how long a room waits for its
// members, and how much compression may take. Both sides of each.

#include "test/conformance/flags.hpp"
#include "test/support/deflate_codec.hpp"

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

// -- what is sent -------------------------------------------------------------------

// What the kernel takes does not wait in the broker.
TEST(SendBufferLimitTest, TheKernelTakesSoMuchOfWhatWaits) {
  constexpr int count = 12; // of 8 KiB
  for (std::string size : {"4KiB", "256KiB"}) {
    SCOPED_TRACE(size);
    flagged_broker broker{{"--send-buffer=" + size}};
    auto slow = broker.stuck_client();
    auto ann = broker.client("/room/lobby?echo=0");
    for (int i = 0; i < count; ++i)
      ann.send_binary(std::string(8 * 1024, 'x'));
    wait_until(
      [&] { return broker.counts().deliveries.get() == count; }, 10s,
      [&] { return fmt::format("{}", broker.counts().deliveries.get()); });
    if (size == "256KiB") {
      broker.wait_books([](const books& x) { return x.bytes_queued == 0; });
    } else {
      // Twice that, for its own books; and the peer has a little of it.
      EXPECT_GT(broker.books().bytes_queued, 48u * 1024);
    }
    slow.resume_reading();
    for (int i = 0; i < count; ++i)
      EXPECT_EQ(slow.receive().payload.size(), 8u * 1024);
  }
}

namespace {

/// Publishes a burst, less than each member may have under way, while one of them
/// reads nothing. @returns how long another one waits for the last of it
std::chrono::milliseconds time_of_burst(const std::string& patience) {
  flagged_broker broker{{"--burst-patience=" + patience,
                         "--member-outbound-max=256KiB", "--message-max=16KiB",
                         "--turn-bytes-max=8KiB", "--send-buffer=8KiB",
                         "--messages-per-second=0", "--bytes-per-second=0"}};
  auto slow = broker.stuck_client();
  auto ann = broker.client();
  auto bob = broker.client("/room/lobby?echo=0");
  constexpr int count = 25;
  std::string burst;
  for (int i = 0; i < count; ++i)
    burst += make_frame({.op = opcode::binary}, std::string(8 * 1024, 'x'));
  auto begin = std::chrono::steady_clock::now();
  bob.send_raw(burst);
  for (int i = 0; i < count; ++i)
    ann.receive();
  auto result = since(begin);
  EXPECT_TRUE(broker.log().lines("limit").empty());
  return result;
}

} // namespace

// It waits 100 ms at once at most. On a busy machine what was sent at once may be no
// burst, and what nobody waits for takes its time: so the best of some.
TEST(BurstLimitTest, ARoomWaitsForMembersAsLongAsItHasPatience) {
  auto takes = [](const std::string& patience, std::chrono::milliseconds least,
                  std::chrono::milliseconds below) {
    for (int tries = 0; tries < 20; ++tries)
      if (auto took = time_of_burst(patience); took >= least && took < below)
        return true;
    return false;
  };
  EXPECT_TRUE(takes("300ms", 95ms, 1h));
  EXPECT_TRUE(takes("60ms", 55ms, 95ms));
  EXPECT_TRUE(takes("0ms", 0ms, 55ms));
}

// -- compression --------------------------------------------------------------------

namespace {

/// What a member that offered compression gets of a text from this broker.
struct packed {
  std::string agreed;
  ws_message got;
};

packed pack(std::vector<std::string> flags, const std::string& text) {
  flags.emplace_back("--deflate=on");
  flagged_broker broker{std::move(flags)};
  auto how = broker.at();
  how.headers = {{"Sec-WebSocket-Extensions", "permessage-deflate"}};
  auto c = ws_client::connect(how);
  c.send_text(text);
  return {c.response().header("Sec-WebSocket-Extensions").value_or(""),
          c.receive()};
}

/// What has nothing in common with itself, the same each time.
std::string noise(std::size_t size) {
  std::mt19937 dice{2};
  std::string result;
  while (result.size() < size)
    result += static_cast<char>('!' + dice() % 90);
  return result;
}

std::string words(std::size_t size) {
  std::mt19937 dice{1};
  constexpr const char* each[] = {"room ", "message ", "hello ", "nobody ",
                                  "went ", "there ",   "and ",   "came "};
  std::string result;
  while (result.size() < size)
    result += each[dice() % std::size(each)];
  result.resize(size);
  return result;
}

} // namespace

TEST(DeflateLimitTest, AHigherLevelMakesItSmaller) {
  const auto text = words(32 * 1024);
  auto fast = pack({"--deflate-level=1"}, text);
  auto small = pack({"--deflate-level=9"}, text);
  for (auto* x : {&fast, &small}) {
    EXPECT_TRUE(x->got.compressed);
    EXPECT_EQ(inflate_message(x->got.payload), text);
  }
  EXPECT_LT(small.got.payload.size(), fast.got.payload.size() * 95 / 100);
}

TEST(DeflateLimitTest, SmallerMessagesStayPlain) {
  for (std::size_t least : {128, 500}) {
    SCOPED_TRACE(least);
    std::vector<std::string> flags;
    if (least != 128) // the default
      flags.push_back(fmt::format("--deflate-min={}", least));
    auto text = std::string(least, 'a');
    auto at = pack(flags, text);
    EXPECT_TRUE(at.got.compressed);
    EXPECT_EQ(inflate_message(at.got.payload), text);
    text.pop_back();
    auto below = pack(flags, text);
    EXPECT_FALSE(below.got.compressed);
    EXPECT_EQ(below.got.payload, text);
  }
}

TEST(DeflateLimitTest, NothingRefersBackFurtherThanTheWindow) {
  // To be found again by a window that holds it.
  const auto text = noise(4096) + noise(4096);
  auto wide = pack({}, text);
  EXPECT_THAT(wide.agreed, Not(HasSubstr("server_max_window_bits")));
  EXPECT_EQ(inflate_message(wide.got.payload), text);
  auto narrow = pack({"--deflate-window=9"}, text);
  EXPECT_THAT(narrow.agreed, HasSubstr("server_max_window_bits=9"));
  EXPECT_EQ(inflate_message(narrow.got.payload, 9), text);
  EXPECT_LT(wide.got.payload.size(), narrow.got.payload.size() * 2 / 3);
}

TEST(DeflateLimitTest, ClientsKeepToTheWindowTheyAreAskedFor) {
  flagged_broker broker{{"--deflate=on", "--deflate-client-context=on",
                         "--deflate-client-window=10"}};
  auto how = broker.at("/room/lobby?echo=0");
  how.headers = {
    {"Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"}};
  auto listener = broker.client();
  const auto text = noise(4096);
  for (int bits : {10, 15}) {
    SCOPED_TRACE(bits);
    auto c = ws_client::connect(how);
    EXPECT_THAT(c.response().header("Sec-WebSocket-Extensions").value_or(""),
                HasSubstr("client_max_window_bits=10"));
    message_deflater deflate{bits, true};
    c.send_frame({.op = opcode::text, .rsv = 4}, deflate(text));
    EXPECT_EQ(listener.receive_text(), text);
    // A wider window finds it in the message before.
    c.send_frame({.op = opcode::text, .rsv = 4}, deflate(text));
    if (bits == 10) {
      EXPECT_EQ(listener.receive_text(), text);
      EXPECT_TRUE(c.messages_until_pong().empty());
    } else {
      EXPECT_EQ(c.expect_close().code, 1007);
    }
  }
  expect_nothing_came(listener);
}
