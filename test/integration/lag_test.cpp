// One member of a thousand reads a kilobyte a second. Whoever looks inside sees who
// it is and how far behind, in the API and in `greenroom top`; and later, why it
// went. The page of the inspector shows the same (clients/inspect_lag.test.mjs).

#include "test/support/broker_fixture.hpp"
#include "test/support/line_reader.hpp"
#include "test/support/slow_room.hpp"
#include "test/support/terminal.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace greenroom::test;
using namespace std::chrono_literals;
using testing::HasSubstr;

namespace {

constexpr std::size_t members = sanitized ? 200 : 1000;
constexpr std::size_t head_lines = 5; // of top's screen above its first row
constexpr std::int64_t sample_ms = 1000;
/// What the ages may differ by: marks of sends are 67 ms apart, the client learns of
/// its own acknowledgements with its next step, and the machine is shared.
constexpr std::int64_t tolerance_ms = sanitized ? 900 : 400;

struct lag_page {
  std::int64_t came_at = 0;
  std::int64_t sampled_at = 0;
  std::int64_t client = 0; // in the first row
  std::int64_t lag_ms = 0; // of the first row, and of the second
  std::int64_t next_ms = 0;
};

lag_page parse(std::string_view line) {
  lag_page x;
  x.came_at = unix_ms();
  x.sampled_at = number_in(line, "sampled_at");
  auto rows = line.substr(std::min(line.find(R"("rows":[)"), line.size()));
  auto second = rows.find("},{");
  x.client = number_in(rows, "client");
  x.lag_ms = number_in(rows, "lag_ms");
  if (second != std::string_view::npos)
    x.next_ms = number_in(rows.substr(second), "lag_ms");
  return x;
}

struct top_line {
  std::int64_t at = 0;
  std::string client;
  double lag_ms = 0;
};

/// The first row of top's lag list; nothing if it is not complete.
std::optional<top_line> parse(const screen& x) {
  auto row = x.row(head_lines);
  std::vector<std::string> words;
  for (std::size_t at = 0; (at = row.find_first_not_of(' ', at)) != row.npos;) {
    auto end = std::min(row.find(' ', at), row.size());
    words.push_back(row.substr(at, end - at));
    at = end;
  }
  if (words.size() < 3)
    return {};
  char* unit = nullptr;
  auto value = std::strtod(words[2].c_str(), &unit);
  std::string_view name{unit};
  if (name != "s" && name != "ms")
    return {};
  return top_line{unix_ms(), words[0], name == "s" ? value * 1000 : value};
}

class LagTest : public testing::Test {
protected:
  LagTest()
    : broker({"--threads=2", "--room=lobby", "--connections-per-address=100000",
              "--messages-per-second=0", "--bytes-per-second=0",
              "--inspect-port=0", "--send-buffer=16KiB",
              "--member-outbound-max=32KiB", "--message-max=8KiB",
              "--turn-bytes-max=8KiB", "--lagging-min=8KiB",
              "--goodbye-timeout=200ms"}),
      inspect_port(static_cast<std::uint16_t>(
        number_in(broker.wait_log("inspecting").text, "port"))),
      room(broker.port(), "/room/lobby", members) {
    auto mine = fmt::format(R"("address":"{}")", slow_room::slow_address);
    auto line = broker.wait_log("client_up", [&](std::string_view x) {
      return x.find(mine) != std::string_view::npos;
    });
    slow = number_in(line.text, "client");
  }

  /// What the API says, once a second, until the slow member is gone.
  std::vector<lag_page> follow() const {
    std::vector<lag_page> pages;
    line_reader in({.port = inspect_port},
                   "/inspect/lag?limit=2&every=1000&seconds=60");
    while (auto line = in.next()) {
      if (!line->starts_with(R"({"page")"))
        continue;
      auto page = parse(*line);
      if (room.over())
        break;
      pages.push_back(page);
    }
    return pages;
  }

  broker_process broker;
  std::uint16_t inspect_port;
  slow_room room;
  std::int64_t slow = 0;
};

} // namespace

TEST_F(LagTest, TheOneOfAThousandThatReadsSlowlyIsFirstWithItsTrueAge) {
  std::vector<lag_page> pages;
  std::vector<top_line> lines;
  {
    std::jthread api{[&] { pages = follow(); }};
    terminal top{{GREENROOM_BINARY, "top",
                  fmt::format("127.0.0.1:{}", inspect_port), "--view", "lag",
                  "--every", "250ms"},
                 {"LC_ALL=C.UTF-8"}};
    top.wait_text("1-");
    room.begin();
    // It ends by itself: the broker's patience is 32 KiB.
    top.wait(
      [&](const screen& x) {
        if (auto line = parse(x); line && !room.over())
          lines.push_back(*line);
        return room.over();
      },
      60s);
    // Why was it disconnected?
    top.type("5");
    top.wait_text("slow_consumer");
    EXPECT_THAT(top.shown().row(head_lines),
                HasSubstr(fmt::format("{}", slow)));
    top.type("i");
    top.wait_text("chain");
    EXPECT_TRUE(top.shown().shows("reader slow_consumer > writer")
                || top.shown().shows("writer slow_consumer > reader"))
      << top.shown().text();
    top.type("q");
    top.type("q");
    EXPECT_EQ(top.wait_exit(), (exit_status{0, 0}));
    EXPECT_THAT(top.shown().strange(), testing::IsEmpty());
  }
  auto truth = room.stop();
  ASSERT_THAT(truth.faults, testing::IsEmpty());
  auto late_at = truth.first_older_than(1000);
  ASSERT_NE(late_at, 0);
  const auto name = fmt::format("{}", slow);
  auto why =
    http_get(inspect_port, fmt::format("/inspect/closed?client={}", slow)).body;
  auto died_at = number_in(why, "closed_at");
  auto leaves_at = died_at - 300; // from here on it says goodbye

  // -- API --
  std::int64_t shown_at = 0;
  std::int64_t worst = 0;
  std::int64_t highest = 0;
  for (auto& x : pages) {
    if (x.sampled_at < late_at || x.sampled_at >= leaves_at)
      continue;
    if (shown_at == 0)
      shown_at = x.came_at;
    EXPECT_EQ(x.client, slow) << x.sampled_at - late_at << " ms after it was";
    EXPECT_GE(x.lag_ms + tolerance_ms, 1000);
    EXPECT_LT(x.next_ms, x.lag_ms);
    auto [low, high] =
      truth.age(x.sampled_at - tolerance_ms, x.sampled_at + tolerance_ms);
    auto off = std::max({low - x.lag_ms, x.lag_ms - high, std::int64_t{0}});
    EXPECT_EQ(off, 0) << "it shows " << x.lag_ms << " ms, true is " << low
                      << " to " << high;
    auto [now_low, now_high] = truth.age(x.sampled_at, x.sampled_at);
    worst = std::max(worst, std::abs(x.lag_ms - now_high));
    highest = std::max(highest, x.lag_ms);
  }
  ASSERT_NE(shown_at, 0) << "no page of that time";
  // It is in the first sample since then. There is one a second, and who asks once a
  // second may ask just before.
  EXPECT_LE(shown_at - late_at, 2 * sample_ms + tolerance_ms);
  EXPECT_GE(highest, 2000);

  // -- top --
  std::int64_t top_at = 0;
  for (auto& x : lines) {
    if (top_at == 0 && x.at >= late_at && x.client == name && x.lag_ms >= 1000)
      top_at = x.at;
    if (top_at == 0 || x.at >= leaves_at)
      continue;
    EXPECT_EQ(x.client, name);
    // What it shows is of its last sample, and rounded.
    auto [low, high] =
      truth.age(x.at - 2 * sample_ms - tolerance_ms, x.at + tolerance_ms);
    EXPECT_GE(x.lag_ms * 1.05, static_cast<double>(low));
    EXPECT_LE(x.lag_ms * 0.95, static_cast<double>(high));
  }
  ASSERT_NE(top_at, 0) << "top never showed it";
  EXPECT_LE(top_at - late_at, sample_ms + 250 + tolerance_ms);
  fmt::print(
    "older than 1 s: the API shows it {} ms later, top {} ms; {} pages, "
    "ages up to {} ms, off by {} ms at most\n",
    shown_at - late_at, top_at - late_at, pages.size(), highest, worst);

  // -- why --
  EXPECT_THAT(why, HasSubstr(R"("code":1013,)"));
  EXPECT_THAT(why, HasSubstr(R"("reason":"slow_consumer","first":"reader",)"));
  EXPECT_THAT(
    why, HasSubstr(R"("chain":"reader slow_consumer > writer slow_consumer")"));
  auto queued = number_in(why, "bytes_queued");
  auto kernel = number_in(why, "kernel_bytes");
  EXPECT_GT(queued, 16 * 1024);
  EXPECT_LE(queued, 32 * 1024);
  EXPECT_GT(kernel, 0);
  // All that was sent and had not reached it waited here or in the kernel.
  auto seats = why.substr(std::min(why.find(R"("seats":)"), why.size()));
  EXPECT_THAT(seats, HasSubstr(R"("room":"lobby","offset":)"));
  auto enqueued = number_in(seats, "offset")
                  * static_cast<std::int64_t>(slow_room::frame_bytes);
  auto missing = enqueued - truth.acknowledged(died_at);
  EXPECT_NEAR(static_cast<double>(queued + kernel),
              static_cast<double>(missing),
              4.0 * static_cast<double>(slow_room::frame_bytes))
    << why;
  auto [low, high] =
    truth.age(died_at - sample_ms - tolerance_ms, died_at + tolerance_ms);
  auto age =
    std::max(number_in(why, "queue_age_ms"), number_in(why, "kernel_age_ms"));
  EXPECT_GE(age, low);
  EXPECT_LE(age, high);
}
