// Limits of where the broker listens, of what an operator sees and orders, and of what
// it does by itself: both sides of each.

#include "test/conformance/flags.hpp"
#include "test/support/http_client.hpp"
#include "test/support/line_reader.hpp"
#include "test/support/process.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <caf/actor_cast.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "actors/messages.hpp"
#include "actors/runtime/actor.hpp"
#include "actors/runtime/unit.hpp"

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;
using testing::HasSubstr;

namespace {

const std::string actor_token = "actor-actor-actor-actor";
const header_list may_act = {{"Authorization", "Bearer " + actor_token}};

/// The status of `/health`; nothing if nobody listens there.
std::optional<int> health(const std::string& host, std::uint16_t port) {
  try {
    return http_client{{.host = host, .port = port}}.get("/health").status;
  } catch (const std::system_error&) {
    return std::nullopt;
  }
}

std::size_t count_of(std::string_view what, std::string_view text) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != text.npos;
       at = text.find(what, at + what.size()))
    ++n;
  return n;
}

} // namespace

// -- listening ----------------------------------------------------------------------

TEST(ListeningLimitTest, OnlyTheBoundAddressAnswers) {
  flagged_broker one{{"--bind=127.0.0.2"}};
  EXPECT_EQ(health("127.0.0.2", one.port()), 200);
  EXPECT_EQ(health("127.0.0.1", one.port()), std::nullopt);
  flagged_broker all{{"--bind=0.0.0.0"}};
  EXPECT_EQ(health("127.0.0.2", all.port()), 200);
  EXPECT_EQ(health("127.0.0.1", all.port()), 200);
}

TEST(ListeningLimitTest, ATakenPortIsNotShared) {
  reserved_port free;
  auto start = [&] {
    return std::make_unique<process>(
      broker_command({fmt::format("--port={}", free.number())}));
  };
  auto first = start();
  EXPECT_EQ(first->wait_port(10s, R"("port":(\d+))"), free.number());
  auto second = start();
  EXPECT_EQ(second->wait_exit(), exit_status{1});
  EXPECT_EQ(health("127.0.0.1", free.number()), 200);
  first->signal(SIGTERM);
  EXPECT_EQ(first->wait_exit(), exit_status{0});
}

TEST(ListeningLimitTest, InspectionListensWhereItIsToldTo) {
  flagged_broker near{{"--inspect-bind=127.0.0.2", "--inspect-port=0"}};
  EXPECT_EQ(health("127.0.0.2", near.inspect_port()), 200);
  EXPECT_EQ(health("127.0.0.1", near.inspect_port()), std::nullopt);
  // Beyond this machine only with a token.
  process open{
    broker_command({"--port=0", "--inspect-port=0", "--inspect-bind=0.0.0.0"})};
  open.wait_line("needs --inspect-token");
  EXPECT_EQ(open.wait_exit(), exit_status{2});
  const std::string token = "reader-reader-reader";
  flagged_broker far{
    {"--inspect-bind=0.0.0.0", "--inspect-port=0", "--inspect-token=" + token}};
  for (auto host : {"127.0.0.1", "127.0.0.2"}) {
    http_client c{{.host = host, .port = far.inspect_port()}};
    EXPECT_EQ(c.get("/inspect/rooms").status, 401) << host;
    EXPECT_EQ(
      c.get("/inspect/rooms", {{"Authorization", "Bearer " + token}}).status,
      200)
      << host;
  }
}

TEST(ListeningLimitTest, RoomsAndConnectionsShareSoManyThreads) {
  for (std::size_t threads : {1, 3}) {
    SCOPED_TRACE(threads);
    broker_process broker{{fmt::format("--threads={}", threads),
                           "--room=lobby,members=100", "--spread-members=1",
                           "--inspect-port=0"}};
    auto inside = static_cast<std::uint16_t>(
      number_in(broker.wait_log("inspecting").text, "port"));
    // Members beside the first go wherever there are fewest.
    std::vector<ws_client> members;
    for (int i = 0; i < 9; ++i)
      members.push_back(
        ws_client::connect({.port = broker.port(), .path = "/room/lobby"}));
    members[0].send_text("to all threads");
    for (auto& c : members)
      EXPECT_EQ(c.receive_text(), "to all threads");
    auto text = http_get(inside, "/metrics").body;
    EXPECT_EQ(count_of("\ngreenroom_unit_turns_total{", text), threads);
    auto actors = http_get(inside, "/inspect/actors?limit=1000").body;
    EXPECT_EQ(count_of(R"("kind":"outlet")", actors), threads - 1);
    for (auto& c : members)
      c.drop();
    EXPECT_EQ(broker.finish(), exit_status{0});
  }
}

// -- orders -------------------------------------------------------------------------

namespace {

/// Somebody who does not answer the broker's goodbye, and how to end him.
struct victim {
  ws_client who;
  client_id id;

  std::string order() const { return fmt::format(R"({{"client":{}}})", id); }
};

victim stubborn(flagged_broker& broker) {
  auto how = broker.at();
  how.answer_close = false;
  auto who = ws_client::connect(how);
  return {std::move(who), broker.newest_client()};
}

std::size_t orders_under_way(flagged_broker& broker) {
  auto all = broker.actors();
  return static_cast<std::size_t>(
    std::count_if(all.begin(), all.end(),
                  [](auto& x) { return x.kind == actor_kind::reaper; }));
}

} // namespace

TEST(OrderLimitTest, SoManyMayBeUnderWay) {
  flagged_broker broker{{"--ends-max=2", "--inspect-port=0",
                         "--inspect-act-token=" + actor_token,
                         "--goodbye-timeout=7s"}};
  std::vector<victim> victims;
  std::vector<http_client> asked;
  for (std::size_t i = 0; i < 2; ++i) {
    auto& x = victims.emplace_back(stubborn(broker));
    asked.emplace_back(http_options{.port = broker.inspect_port()})
      .send_request("POST", "/inspect/kill", may_act, x.order());
    wait_until([&] { return orders_under_way(broker) == i + 1; }, 10s,
               [&] { return fmt::format("{}", orders_under_way(broker)); });
  }
  auto third = stubborn(broker);
  auto kill = [&] {
    return http_post(broker.inspect_port(), "/inspect/kill", third.order(),
                     may_act);
  };
  auto x = kill();
  EXPECT_EQ(x.status, 503);
  EXPECT_EQ(x.body, error_body("overloaded"));
  third.who.send_text("it lives");
  EXPECT_EQ(third.who.receive_text(), "it lives");
  for (std::size_t i = 0; i < 2; ++i) {
    victims[i].who.reset();
    auto receipt = asked[i].receive();
    EXPECT_EQ(receipt.status, 200);
    EXPECT_THAT(receipt.body, HasSubstr(R"("clean":true)"));
  }
  // Both places are free again.
  wait_until([&] { return orders_under_way(broker) == 0; }, 10s,
             [] { return "the orders do not end"; });
  auto last = std::async(std::launch::async, kill);
  EXPECT_EQ(third.who.expect_close().code, 1008);
  third.who.reset();
  x = last.get();
  EXPECT_EQ(x.status, 200);
  EXPECT_THAT(x.body, HasSubstr(R"("clean":true,"left":[])"));
}

TEST(OrderLimitTest, TheyAreAnsweredByTheDeadlineWithWhatIsLeft) {
  auto took = [](const std::string& deadline, const std::string& goodbye) {
    flagged_broker broker{{"--end-deadline=" + deadline, "--inspect-port=0",
                           "--inspect-act-token=" + actor_token,
                           "--goodbye-timeout=" + goodbye}};
    auto x = stubborn(broker);
    auto begin = std::chrono::steady_clock::now();
    auto receipt =
      http_post(broker.inspect_port(), "/inspect/kill", x.order(), may_act);
    auto span = since(begin);
    EXPECT_EQ(receipt.status, 200);
    x.who.reset();
    return std::pair{receipt.body, span};
  };
  auto [early, span] = took("400ms", "7s");
  EXPECT_THAT(early, HasSubstr(R"("clean":false)"));
  EXPECT_THAT(early, HasSubstr(R"("left":["socket")"));
  EXPECT_GE(span, 390ms);
  EXPECT_LT(span, 7s);
  auto [in_time, rest] = took("7s", "400ms");
  EXPECT_THAT(in_time, HasSubstr(R"("clean":true,"left":[])"));
  EXPECT_GE(rest, 390ms);
  EXPECT_LT(rest, 7s);
}

// -- what the broker does by itself -------------------------------------------------

// Its room forgets a member, of whom the supervisor has not said so.
TEST(AuditLimitTest, WhatDoesNotAgreeIsFoundWithinThePeriod) {
  auto forget = [](flagged_broker& broker) {
    auto c = broker.client();
    tell(broker.room_actor("lobby"), leave{broker.newest_client(), {}});
    return c;
  };
  flagged_broker blind{{"--audit-every=0"}};
  flagged_broker rare{{"--audit-every=1h"}};
  auto ann = forget(blind);
  auto bob = forget(rare);
  auto begin = std::chrono::steady_clock::now();
  flagged_broker broker{{"--audit-every=600ms"}};
  auto carl = forget(broker);
  EXPECT_EQ(carl.expect_close().code, 1012);
  EXPECT_EQ(sum(broker.counts().audit_faults), 1);
  EXPECT_LT(since(begin), 10s);
  // Nobody has looked there meanwhile.
  for (auto* x : {&ann, &bob})
    EXPECT_TRUE(x->messages_until_pong().empty());
  EXPECT_EQ(sum(blind.counts().audit_faults), 0);
  EXPECT_EQ(sum(rare.counts().audit_faults), 0);
}

// -- who looks inside ---------------------------------------------------------------

TEST(InspectLimitTest, EventsThatWaitForAReaderOfATraceAreBounded) {
  for (std::string size : {"2KiB", "4MiB"}) {
    SCOPED_TRACE(size);
    flagged_broker broker{{"--inspect-port=0",
                           "--inspect-stream-buffer=" + size,
                           "--messages-per-second=0"}};
    auto ann = broker.client();
    line_reader in{{.port = broker.inspect_port()},
                   "/inspect/trace?room=lobby&seconds=600"};
    // It follows as soon as it tells of something.
    std::int64_t seen = 0;
    std::int64_t lost = 0;
    std::int64_t sent = 0;
    auto read_line = [&] {
      auto line = in.next();
      ASSERT_TRUE(line);
      if (line->starts_with(R"({"lost")"))
        lost += number_in(*line, "lost");
      else
        seen = std::max(seen, number_in(*line, "offset"));
    };
    auto publish = [&](int count) {
      std::string frames;
      for (int i = 0; i < count; ++i)
        frames += make_frame({}, "x");
      ann.send_raw(frames);
      for (int i = 0; i < count; ++i)
        ann.receive();
      sent += count;
    };
    for (deadline until{20s}; seen == 0 && !until.passed();) {
      publish(1);
      if (in.client().stream().wait_readable(deadline{50ms}))
        read_line();
    }
    ASSERT_GT(seen, 0);
    // Each burst is handed over together, as a rule: far more than 2 KiB of lines.
    const int bursts = size == "2KiB" ? 50 : 3;
    for (int i = 0; i < bursts && lost == 0; ++i) {
      publish(200);
      for (deadline until{20s}; seen < sent && lost == 0;) {
        ASSERT_FALSE(until.passed());
        ASSERT_NO_FATAL_FAILURE(read_line());
      }
    }
    EXPECT_EQ(lost > 0, size == "2KiB");
  }
}

TEST(InspectLimitTest, AQuestionIsAnsweredInTimeOr504) {
  flagged_broker broker{{"--inspect-port=0", "--inspect-timeout=300ms",
                         "--inspect-sample=100ms", "--room=second"}};
  wait_until(
    [&] {
      return http_get(broker.inspect_port(), "/inspect/actors").status == 200;
    },
    10s, [] { return "no answer in time"; });
  // The inspector and its listener are on the first unit; a walk needs both.
  caf::actor elsewhere;
  for (auto room : {"lobby", "second"}) {
    auto x = broker.room_actor(room);
    auto* inner =
      static_cast<const actor*>(caf::actor_cast<caf::abstract_actor*>(x));
    if (inner->home().id() != 0)
      elsewhere = x;
  }
  ASSERT_TRUE(elsewhere);
  std::promise<void> stopped;
  std::promise<void> go_on;
  tell(elsewhere,
       show_box{[&stopped, until = go_on.get_future().share()](auto&&) {
         stopped.set_value();
         until.wait();
       }});
  stopped.get_future().wait();
  auto begin = std::chrono::steady_clock::now();
  std::optional<http_response> late;
  try { // the unit has to go on, whatever comes
    late = http_get(broker.inspect_port(), "/inspect/actors?q=x");
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
  auto took = since(begin);
  go_on.set_value();
  ASSERT_TRUE(late);
  EXPECT_EQ(late->status, 504);
  EXPECT_EQ(late->body, error_body("answer_timeout"));
  EXPECT_GE(took, 280ms);
  std::string last;
  wait_until(
    [&] {
      auto x = http_get(broker.inspect_port(), "/inspect/actors");
      last = x.body;
      return x.status == 200;
    },
    10s, [&] { return last; });
}
