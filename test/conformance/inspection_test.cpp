// Both sides of what the inspection listener allows, over the real broker.

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/conformance/flags.hpp"
#include "test/support/http_client.hpp"
#include "test/support/line_reader.hpp"

namespace greenroom::test {

namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

const std::string reader = "reader-reader-reader";
const std::string actor = "actor-actor-actor-actor";

header_list bearer(const std::string& token) {
  return {{"Authorization", "Bearer " + token}};
}

std::vector<std::string> with(std::vector<std::string> more) {
  more.emplace_back("--inspect-port=0");
  return more;
}

class InspectionTest : public testing::Test {
protected:
  void start(std::vector<std::string> flags = {}) {
    broker_.emplace(with(std::move(flags)));
  }

  flagged_broker& broker() { return *broker_; }

  std::uint16_t door() const { return broker_->inspect_port(); }

  http_response get(std::string_view target, const header_list& more = {}) {
    return http_get(door(), target, more);
  }

private:
  std::optional<flagged_broker> broker_;
};

} // namespace

TEST_F(InspectionTest, ItHasAPortOfItsOwn) {
  start();
  EXPECT_NE(door(), 0);
  EXPECT_NE(door(), broker().port());
  EXPECT_EQ(get("/inspect/overview").status, 200);
  EXPECT_EQ(get("/metrics").status, 200);
  EXPECT_EQ(get("/inspect").status, 200);
  for (auto path : {"/inspect", "/inspect/overview", "/inspect/kill",
                    "/inspect/trace?room=lobby", "/metrics"})
    EXPECT_EQ(http_get(broker().port(), path).status, 404) << path;
  EXPECT_EQ(get("/room/lobby").status, 404);
  EXPECT_EQ(get("/").status, 404);
}

TEST_F(InspectionTest, WithoutItThereIsNone) {
  flagged_broker without{{"--inspect-port=off"}};
  EXPECT_EQ(without.inspect_port(), 0);
  EXPECT_EQ(http_get(without.port(), "/metrics").status, 404);
}

TEST_F(InspectionTest, ATokenReadsAndAnotherOneActs) {
  start({"--inspect-token=" + reader, "--inspect-act-token=" + actor});
  EXPECT_EQ(get("/inspect/rooms").status, 401);
  EXPECT_EQ(get("/metrics").status, 401);
  EXPECT_EQ(get("/inspect/rooms", bearer(actor + "x")).status, 401);
  EXPECT_EQ(get("/inspect/rooms", bearer(reader)).status, 200);
  EXPECT_EQ(get("/metrics", bearer(reader)).status, 200);
  const std::string order = R"({"client":123456})";
  EXPECT_EQ(http_post(door(), "/inspect/kill", order).status, 401);
  EXPECT_EQ(http_post(door(), "/inspect/kill", order, bearer(reader)).status,
            403);
  EXPECT_EQ(http_post(door(), "/inspect/kill", order, bearer(actor)).status,
            404);
  for (auto message : {"inspect_action", "action", "request_refused"})
    for (auto& line : broker().log().lines(message)) {
      EXPECT_THAT(line, Not(HasSubstr(reader)));
      EXPECT_THAT(line, Not(HasSubstr(actor)));
    }
  EXPECT_EQ(broker().log().lines("inspect_action").size(), 1u);
}

TEST_F(InspectionTest, NobodyActsUntilThereIsAToken) {
  start();
  EXPECT_EQ(
    http_post(door(), "/inspect/kill", R"({"room":"lobby"})", bearer(actor))
      .status,
    403);
  auto member = broker().client();
  expect_nothing_came(member);
}

TEST_F(InspectionTest, AKillEndsAConnectionAndIsAReceipt) {
  start({"--inspect-act-token=" + actor});
  auto act = [this](std::string_view path, const std::string& body) {
    return http_post(door(), path, body, bearer(actor));
  };
  auto victim = broker().client();
  auto id = broker().newest_client();
  auto other = broker().client();
  auto x = act("/inspect/kill", fmt::format(R"({{"client":{}}})", id));
  EXPECT_EQ(x.status, 200);
  EXPECT_THAT(x.body, HasSubstr(R"("target":"connection")"));
  EXPECT_THAT(x.body, HasSubstr(R"("memberships":1,)"));
  EXPECT_THAT(x.body, HasSubstr(R"("clean":true,"left":[])"));
  EXPECT_EQ(victim.expect_close().code, 1008);
  // A restarted room keeps its members.
  x = act("/inspect/restart", R"({"room":"lobby"})");
  EXPECT_EQ(x.status, 200);
  EXPECT_THAT(x.body, HasSubstr(R"("moved":1,)"));
  expect_nothing_came(other);
  EXPECT_EQ(act("/inspect/kill", fmt::format(R"({{"client":{}}})", id)).status,
            404);
  EXPECT_EQ(act("/inspect/restart", R"({"room":"nowhere"})").status, 404);
  EXPECT_THAT(broker().log().wait_line("action", "target=connection"),
              HasSubstr("by=127.0.0.1"));
}

TEST_F(InspectionTest, SoManyClosedConnectionsAreRemembered) {
  start({"--inspect-closed=3", "--inspect-sample=100ms"});
  std::vector<client_id> ids;
  for (int i = 0; i < 4; ++i) {
    auto x = broker().client();
    ids.push_back(broker().newest_client());
    x.close();
  }
  auto page = [this](client_id who) {
    return get(fmt::format("/inspect/closed?client={}", who)).body;
  };
  std::string last;
  wait_until(
    [&] {
      last = get("/inspect/closed").body;
      return last.find(fmt::format("\"client\":{},", ids[3])) != last.npos
             && last.find(R"("total":3,)") != last.npos;
    },
    10s, [&] { return last; });
  EXPECT_THAT(page(ids[0]), HasSubstr(R"("total":0,)")); // made room
  for (int i = 1; i < 4; ++i)
    EXPECT_THAT(page(ids[i]), HasSubstr(R"("reason":"peer_)"));
}

TEST_F(InspectionTest, WhoDoesNotReadIsFirstAmongThoseWhoLag) {
  start({"--member-outbound-max=64MiB", "--write-timeout=60s",
         "--messages-per-second=0", "--bytes-per-second=0"});
  auto stuck = broker().stuck_client();
  auto id = broker().newest_client();
  auto sender = broker().client();
  auto first = fmt::format(R"("rows":[{{"room":"lobby","client":{},)", id);
  // It has to be more than the kernel hides, and older than what is on its way to
  // the others.
  std::string page;
  wait_until(
    [&] {
      sender.send_text(std::string(32 * 1024, 'x'));
      sender.receive_text();
      page = get("/inspect/lag?limit=1").body;
      return page.find(first) != std::string::npos
             && page.find(R"("lag_ms":0,)") == std::string::npos;
    },
    30s, [&] { return page; });
}

TEST_F(InspectionTest, OnlyNamesThatAreOursAreAskedFor) {
  start({"--inspect-host=broker.internal"});
  auto status = [this](const std::string& host) {
    http_client c{{.port = door()}};
    c.send("GET /inspect/overview HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    return c.receive().status;
  };
  EXPECT_EQ(status("127.0.0.1:8001"), 200);
  EXPECT_EQ(status("localhost"), 200);
  EXPECT_EQ(status("broker.internal"), 200);
  EXPECT_EQ(status("rebound.example"), 421);
  EXPECT_EQ(get("/inspect", {{"Origin", "http://rebound.example"}}).status,
            403);
}

TEST_F(InspectionTest, ConnectionsAreBoundedAndComeFree) {
  start({"--inspect-connections-max=2"});
  http_client a{{.port = door()}};
  http_client b{{.port = door()}};
  EXPECT_EQ(a.get("/health").status, 200);
  EXPECT_EQ(b.get("/health").status, 200);
  EXPECT_EQ(get("/health").status, 503);
  // The clients' own door is another matter.
  auto member = broker().client();
  expect_nothing_came(member);
  a.stream().close();
  wait_until([&] { return get("/health").status == 200; }, 10s,
             [] { return "no place becomes free"; });
}

TEST_F(InspectionTest, StreamsAreBoundedAndComeFree) {
  start({"--inspect-streams-max=1"});
  {
    line_reader in{{.port = door()}, "/inspect/overview?every=1000"};
    EXPECT_THAT(in.next().value_or(""), HasSubstr("{\"page\":"));
    EXPECT_EQ(get("/inspect/rooms?every=1000").status, 503);
    EXPECT_EQ(get("/inspect/trace?room=lobby").status, 503);
  }
  wait_until(
    [&] {
      return get("/inspect/overview?every=60000&seconds=1").status == 200;
    },
    10s, [] { return "no place becomes free"; });
}

TEST_F(InspectionTest, ItStaysOpenWhileTheBrokerDrains) {
  start();
  line_reader in{{.port = door()}, "/inspect/overview?every=1000"};
  EXPECT_TRUE(in.next());
  EXPECT_EQ(broker().finish(), 0);
  std::string last;
  try {
    while (auto line = in.next())
      last = *line;
    EXPECT_EQ(last, R"({"end":"draining"})");
  } catch (const std::runtime_error&) {
    // Cut off at the very end: the README says so of streams without last words.
  }
}

TEST_F(InspectionTest, AllRoomsNobodyNamedAreOneSeries) {
  start({"--rooms-on-demand=on", "--rooms-max=100000",
         "--connections-per-address=100000"});
  auto series = [this] {
    auto text = get("/metrics").body;
    return std::count(text.begin(), text.end(), '\n');
  };
  auto before = series();
  std::vector<ws_client> members;
  for (int i = 0; i < 200; ++i)
    members.push_back(broker().client("/room/on-demand-" + std::to_string(i)));
  EXPECT_EQ(series(), before);
  EXPECT_THAT(get("/metrics").body, Not(HasSubstr("on-demand")));
}

} // namespace greenroom::test
