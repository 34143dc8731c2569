// Answers of the inspection listener that go on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>

#include "net/api/inspect_streams.hpp"
#include "net/api/trace_inbox.hpp"
#include "test/support/inspect_rig.hpp"
#include "test/support/line_reader.hpp"

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::HasSubstr;
using testing::StartsWith;

namespace {

struct InspectStreamTest : testing::Test, inspect_rig {
  line_reader read(std::string_view target, int receive_buffer = 0) {
    return line_reader{{.port = port(), .receive_buffer = receive_buffer},
                       target};
  }

  std::shared_ptr<trace_sink> follower() {
    std::shared_ptr<trace_sink> out;
    EXPECT_TRUE(
      eventually([&] { return (out = inside().follower()) != nullptr; }));
    return out;
  }

  static std::vector<box_row> events(std::size_t n, std::uint64_t from = 0) {
    std::vector<box_row> out(n);
    for (auto& x : out) {
      x.what = "post";
      x.room = "lobby";
      x.offset = ++from;
    }
    return out;
  }

  bool gone() {
    return eventually([&] { return service().streams() == 0; });
  }
};

std::uint64_t number(const std::optional<std::string>& line,
                     std::string_view kind, std::string_view field = {}) {
  auto value = boost::json::parse(line.value_or("{}")).as_object();
  auto found = value.find(kind);
  if (found == value.end())
    return UINT64_MAX;
  auto& x = found->value();
  return (field.empty() ? x : x.as_object()[field]).to_number<std::uint64_t>();
}

} // namespace

// -- pages ----------------------------------------------------------------------------

TEST_F(InspectStreamTest, PagesComeOneEverySoOften) {
  start();
  auto in = read("/inspect/rooms?every=1000&limit=3");
  EXPECT_EQ(in.head().status, 200);
  EXPECT_EQ(in.head().header("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(in.head().header("Transfer-Encoding"), "chunked");
  EXPECT_EQ(in.head().header("X-Content-Type-Options"), "nosniff");
  for (std::size_t i = 1; i < 5; ++i) {
    auto line = in.next();
    EXPECT_EQ(number(line, "page", "limit"), 3u) << line.value_or("");
    EXPECT_EQ(inside().queries().size(), i);
    advance(1s);
  }
}

TEST_F(InspectStreamTest, AStreamEndsWhenItsTimeIsOver) {
  start();
  auto in = read("/inspect/overview?every=60000&seconds=3");
  EXPECT_EQ(number(in.next(), "page", "total"), 1u);
  advance(4s);
  EXPECT_EQ(in.next(), R"({"end":"none"})");
  EXPECT_FALSE(in.next());
  in.client().expect_eof();
  EXPECT_TRUE(gone());
}

TEST_F(InspectStreamTest, AQuietStreamSaysThatItLives) {
  start();
  auto in = read("/inspect/overview?every=60000");
  in.next();
  advance(6s);
  EXPECT_THAT(in.next().value_or(""), StartsWith("{\"beat\":"));
  advance(6s);
  EXPECT_THAT(in.next().value_or(""), StartsWith("{\"beat\":"));
}

TEST_F(InspectStreamTest, AStreamOfAnInspectorThatSaysNothingEnds) {
  inspect.answer_timeout = 3s;
  inside().hold(true);
  start();
  auto in = read("/inspect/overview?every=1000");
  ASSERT_TRUE(eventually([&] {
    advance(1s);
    return service().streams() == 0;
  }));
  EXPECT_EQ(in.next(), R"({"end":"answer_timeout"})");
}

TEST_F(InspectStreamTest, AnInspectorThatIsBusyEndsIt) {
  inside().sees = [](auto&) {
    inspect_page out;
    out.why = errc::overloaded;
    return out;
  };
  start();
  auto in = read("/inspect/overview?every=1000");
  EXPECT_EQ(in.next(), R"({"end":"overloaded"})");
}

TEST_F(InspectStreamTest, HttpOneZeroGetsPlainLines) {
  start();
  auto c = client();
  c.send("GET /inspect/overview?every=60000&seconds=1 HTTP/1.0\r\n"
         "Host: localhost\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return !inside().queries().empty(); }));
  ASSERT_TRUE(eventually([&] {
    advance(1s);
    return service().streams() == 0;
  }));
  auto x = c.receive();
  EXPECT_FALSE(x.header("Transfer-Encoding"));
  EXPECT_THAT(x.body, StartsWith("{\"page\":{"));
  EXPECT_THAT(x.body, HasSubstr("}\n{\"end\":\"none\"}\n"));
}

TEST_F(InspectStreamTest, ASlowReaderGetsFewerPagesAndNoOlderOnes) {
  std::atomic<int> asked{0};
  inside().sees = [&](const inspect_query& what) {
    auto out = fake_inspection::usual(what);
    out.sampled_at = ++asked;
    out.rows = std::vector<room_row>(1000); // 400 KB
    return out;
  };
  start();
  auto in = read("/inspect/rooms?every=1000&limit=1000", 4096);
  // It reads nothing while time goes by: what the kernel takes at most.
  for (int i = 0; i < 9; ++i)
    advance(1s);
  EXPECT_LT(asked, 5);
  EXPECT_EQ(number(in.next(), "page", "sampled_at"), 1u);
  auto last = asked.load();
  // Those that were on their way, and then what is new.
  std::uint64_t n = 1;
  while (n <= static_cast<std::uint64_t>(last)) {
    auto line = in.next();
    ASSERT_TRUE(line);
    if (!line->starts_with("{\"beat\"")) {
      EXPECT_EQ(number(line, "page", "sampled_at"), ++n);
    }
    advance(1s);
  }
}

// -- traces ---------------------------------------------------------------------------

TEST_F(InspectStreamTest, ATraceIsFollowed) {
  start();
  auto in = read("/inspect/trace?room=lobby&seconds=60");
  auto to = follower();
  ASSERT_TRUE(to);
  EXPECT_EQ(inside().traces()[0].room, "lobby");
  EXPECT_EQ(inside().traces()[0].lasts, 60s);
  to->traced(events(2), 0);
  EXPECT_EQ(number(in.next(), "event", "offset"), 1u);
  EXPECT_EQ(number(in.next(), "event", "offset"), 2u);
  to->traced({}, 7);
  EXPECT_EQ(number(in.next(), "lost"), 7u);
  to->traced(events(1, 9), 0);
  to->ended(errc::not_found);
  to->traced(events(1, 99), 0); // behind the end: nobody hears
  EXPECT_EQ(number(in.next(), "event", "offset"), 10u);
  EXPECT_EQ(in.next(), R"({"end":"not_found"})");
  EXPECT_FALSE(in.next());
  to.reset();
  EXPECT_TRUE(gone());
  EXPECT_TRUE(eventually([&] { return inside().follower() == nullptr; }));
}

TEST_F(InspectStreamTest, WhoLeavesIsNotFollowedAnyMore) {
  start();
  {
    auto in = read("/inspect/trace?client=7");
    EXPECT_TRUE(follower());
  }
  EXPECT_TRUE(eventually([&] { return inside().follower() == nullptr; }));
  EXPECT_TRUE(gone());
}

TEST_F(InspectStreamTest, ASlowReaderOfATraceLosesEventsWithACount) {
  inspect.stream_bytes_max = 64 * 1024;
  start();
  auto in = read("/inspect/trace?room=lobby&seconds=3600", 4096);
  auto to = follower();
  ASSERT_TRUE(to);
  constexpr std::uint64_t sent = 400 * 1000;
  for (std::uint64_t i = 0; i < sent; i += 1000)
    to->traced(events(1000, i), 0);
  to->ended(errc::none);
  std::uint64_t got = 0;
  std::uint64_t lost = 0;
  std::uint64_t last = 0;
  for (;;) {
    auto line = in.next();
    ASSERT_TRUE(line);
    if (line->starts_with("{\"end\""))
      break;
    if (line->starts_with("{\"lost\"")) {
      lost += number(line, "lost");
      continue;
    }
    auto offset = number(line, "event", "offset");
    EXPECT_EQ(offset, got + lost + 1); // the count stands where the events did
    EXPECT_GT(offset, last);
    last = offset;
    ++got;
  }
  EXPECT_EQ(got + lost, sent);
  EXPECT_GT(lost, 0u);
}

TEST_F(InspectStreamTest, WhoNeverReadsIsCutAndTheOthersGoOn) {
  session.write_progress_timeout = 2s;
  start();
  auto stuck = read("/inspect/trace?room=lobby&seconds=3600", 4096);
  auto to = follower();
  ASSERT_TRUE(to);
  // More than the kernel takes.
  for (int i = 0; i < 400; ++i)
    to->traced(events(1000), 0);
  ASSERT_TRUE(eventually([&] {
    to->traced(events(1000), 0);
    advance(1s);
    return service().streams() == 0;
  }));
  EXPECT_EQ(refused(errc::write_stalled), 1);
  EXPECT_EQ(client().get("/inspect/rooms").status, 200);
}

TEST_F(InspectStreamTest, StreamsAreBounded) {
  inspect.streams_max = 2;
  start();
  auto a = read("/inspect/trace?room=lobby");
  auto b = read("/inspect/rooms?every=1000");
  auto x = client().get("/inspect/rooms?every=1000");
  EXPECT_EQ(x.status, 503);
  EXPECT_THAT(x.body, HasSubstr("--inspect-streams-max"));
  EXPECT_EQ(client().get("/inspect/trace?room=lobby").status, 503);
  EXPECT_EQ(client().get("/inspect/rooms").status, 200);
  a.client().stream().close();
  EXPECT_TRUE(eventually([&] { return service().streams() == 1; }));
  EXPECT_EQ(read("/inspect/trace?room=lobby").head().status, 200);
}

TEST_F(InspectStreamTest, WhatComesBehindAStreamIsNotRead) {
  start();
  auto c = client();
  c.send("GET /inspect/trace?room=lobby HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(follower());
  // A flood that a server which read it would have to keep.
  std::string flood(64 * 1024, 'x');
  std::size_t sent = 0;
  while (auto n = c.stream().send_some(flood))
    sent += n;
  EXPECT_LT(sent, 32u * 1024 * 1024);
  EXPECT_EQ(client().get("/inspect/rooms").status, 200);
  EXPECT_EQ(service().streams(), 1u);
}

TEST_F(InspectStreamTest, AListenerThatStopsSaysGoodbye) {
  start();
  auto in = read("/inspect/trace?room=lobby");
  ASSERT_TRUE(follower());
  door().stop();
  EXPECT_EQ(in.next(), R"({"end":"draining"})");
  EXPECT_FALSE(in.next());
}

// -- the inbox ------------------------------------------------------------------------

TEST(TraceInboxTest, ItSaysOnceThatSomethingWaits) {
  int told = 0;
  net::trace_inbox x{4096, [&] { ++told; }};
  std::vector<box_row> one(1);
  x.traced(one, 0);
  x.traced(one, 0);
  EXPECT_EQ(told, 1);
  std::string out;
  EXPECT_FALSE(x.take(out));
  x.traced({}, 0);
  EXPECT_EQ(told, 1);
  x.traced({}, 1);
  EXPECT_EQ(told, 2);
}

TEST(TraceInboxTest, ItHoldsSoManyBytes) {
  net::trace_inbox x{10 * sizeof(box_row), [] {}};
  x.traced(std::vector<box_row>(7), 0);
  x.traced(std::vector<box_row>(7), 2);
  std::string out;
  x.take(out);
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 10 + 2);
  EXPECT_THAT(out, HasSubstr("{\"lost\":2}\n"));
  EXPECT_THAT(out, testing::EndsWith("{\"lost\":4}\n"));
  x.close();
  x.traced(std::vector<box_row>(1), 0);
  out.clear();
  x.take(out);
  EXPECT_EQ(out, "");
}
