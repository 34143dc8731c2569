// The inspection listener over real sockets, in front of a fake inspector.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include <boost/json/parse.hpp>

#include "net/http_session.hpp"
#include "test/support/inspect_rig.hpp"

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace {

struct InspectApiTest : testing::Test, inspect_rig {
  boost::json::object rows(std::string_view target) {
    auto x = client().get(target);
    EXPECT_EQ(x.status, 200) << x.body;
    EXPECT_EQ(x.header("Content-Type"), "application/json");
    return boost::json::parse(x.body).as_object();
  }
};

} // namespace

// -- looking --------------------------------------------------------------------------

TEST_F(InspectApiTest, EveryViewIsAPath) {
  start();
  for (auto name : {"overview", "actors", "rooms", "connections", "lag",
                    "closed", "box?room=lobby"}) {
    auto page = rows("/inspect/"s + name);
    EXPECT_TRUE(std::string_view{name}.starts_with(
      std::string{page["view"].as_string()}));
    EXPECT_EQ(page["rows"].as_array().size(), 1u);
  }
  EXPECT_EQ(client().get("/inspect/edges").status, 404);
  EXPECT_EQ(client().get("/inspect/").status, 404);
}

TEST_F(InspectApiTest, TheQuestionIsHandedOn) {
  start();
  rows("/inspect/lag?room=a%2Fb&sort=bytes_queued&order=asc&limit=5&offset=10");
  auto asked = inside().queries();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].what, view::edges);
  EXPECT_EQ(asked[0].room, "a/b");
  EXPECT_EQ(asked[0].sort, "bytes_queued");
  EXPECT_FALSE(asked[0].descending);
  EXPECT_EQ(asked[0].limit, 5u);
  EXPECT_EQ(asked[0].offset, 10u);
}

TEST_F(InspectApiTest, AWrongQuestionIsToldAndKeepsTheConnection) {
  start();
  auto c = client();
  auto x = c.get("/inspect/rooms?limit=0");
  EXPECT_EQ(x.status, 400);
  auto body = boost::json::parse(x.body).as_object();
  EXPECT_EQ(body["error"], "bad_request");
  EXPECT_EQ(body["detail"], "limit: expected a number from 1 to 1000");
  EXPECT_EQ(c.get("/inspect/rooms").status, 200);
  EXPECT_EQ(refused(errc::bad_request), 1);
  EXPECT_TRUE(inside().queries().size() == 1);
}

TEST_F(InspectApiTest, AnInspectorThatIsBusySaysSo) {
  inside().sees = [](auto&) {
    inspect_page out;
    out.why = errc::overloaded;
    return out;
  };
  start();
  auto x = client().get("/inspect/rooms");
  EXPECT_EQ(x.status, 503);
  EXPECT_TRUE(x.header("Retry-After"));
  EXPECT_EQ(client().get("/metrics").status, 503);
}

TEST_F(InspectApiTest, HeadIsAnsweredWithoutABody) {
  start();
  auto c = client();
  for (auto path :
       {"/inspect/rooms", "/inspect/rooms?every=1000", "/metrics"}) {
    c.send_request("HEAD", path);
    auto x = c.receive(true);
    EXPECT_EQ(x.status, 200) << path;
    EXPECT_NE(x.header("Content-Length"), "0") << path;
  }
  c.send_request("HEAD", "/inspect/trace?room=x");
  EXPECT_EQ(c.receive(true).header("Content-Type"), "application/x-ndjson");
  EXPECT_THAT(inside().traces(), IsEmpty());
}

TEST_F(InspectApiTest, AnAnswerMayComeFromAnyThread) {
  inside().hold(true);
  start();
  auto c = client();
  c.send_request("GET", "/inspect/rooms");
  std::vector<fake_inspection::told_page> held;
  ASSERT_TRUE(eventually([&] { return !(held = inside().held()).empty(); }));
  std::thread{[&] { held[0](fake_inspection::usual({})); }}.join();
  EXPECT_EQ(c.receive().status, 200);
}

TEST_F(InspectApiTest, PipelinedQuestionsAreAnsweredInTheirOrder) {
  inside().hold(true);
  start();
  auto c = client();
  auto request = [](std::string_view path) {
    return "GET "s + std::string{path} + " HTTP/1.1\r\nHost: [::1]\r\n\r\n";
  };
  c.send(request("/inspect/rooms") + request("/health")
         + request("/inspect/rooms?limit=7"));
  std::vector<fake_inspection::told_page> held;
  ASSERT_TRUE(eventually([&] { return !(held = inside().held()).empty(); }));
  EXPECT_EQ(inside().queries().size(), 1u); // one after the other
  inside().hold(false);
  held[0](fake_inspection::usual(inside().queries()[0]));
  EXPECT_THAT(c.receive().body, HasSubstr("\"limit\":100"));
  EXPECT_THAT(c.receive().body, HasSubstr("ok"));
  EXPECT_THAT(c.receive().body, HasSubstr("\"limit\":7"));
}

TEST_F(InspectApiTest, WithoutAnAnswerInTimeItIs504AndTheEnd) {
  inside().hold(true);
  inspect.answer_timeout = 3s;
  start();
  auto c = client();
  c.send_request("GET", "/inspect/rooms");
  std::vector<fake_inspection::told_page> held;
  ASSERT_TRUE(eventually([&] { return !(held = inside().held()).empty(); }));
  advance(4s);
  auto x = c.receive();
  EXPECT_EQ(x.status, 504);
  EXPECT_EQ(x.body, "{\"error\":\"answer_timeout\"}\n");
  held[0](fake_inspection::usual({})); // too late: nobody is told
  c.expect_eof();
}

TEST_F(InspectApiTest, AClientThatLeavesGetsNoAnswer) {
  inside().hold(true);
  start();
  auto c = client();
  c.send_request("GET", "/inspect/rooms");
  std::vector<fake_inspection::told_page> held;
  ASSERT_TRUE(eventually([&] { return !(held = inside().held()).empty(); }));
  c.stream().reset();
  ASSERT_TRUE(eventually([&] { return open_sockets() == 0; }));
  held[0](fake_inspection::usual({}));
  EXPECT_EQ(client().get("/health").status, 200);
}

// -- who may --------------------------------------------------------------------------

TEST_F(InspectApiTest, WhoMayNotIsToldWhy) {
  inspect.token = reader;
  inspect.act_token = actor;
  start();
  auto c = client();
  auto x = c.get("/inspect/rooms");
  EXPECT_EQ(x.status, 401);
  EXPECT_THAT(x.header("WWW-Authenticate").value_or(""), HasSubstr("Bearer"));
  EXPECT_EQ(c.get("/metrics").status, 401);
  EXPECT_EQ(c.get("/inspect/rooms", bearer("x")).status, 401);
  EXPECT_EQ(c.get("/inspect/rooms", bearer(reader)).status, 200);
  EXPECT_EQ(c.get("/metrics", bearer(reader)).status, 200);
  EXPECT_EQ(c.get("/inspect/rooms", bearer(actor)).status, 200);
  EXPECT_EQ(c.get("/health").status, 200);
  EXPECT_EQ(c.post("/inspect/kill", R"({"client":1})", bearer(reader)).status,
            403);
  EXPECT_THAT(inside().orders(), IsEmpty());
  // A body that was refused unread ends the connection.
  c = client();
  EXPECT_EQ(c.get("/inspect/rooms", {{"Origin", "http://evil.example"}}).status,
            403);
  EXPECT_EQ(c.get("/inspect/rooms", {{"Sec-Fetch-Site", "cross-site"}}).status,
            403);
  c.send("GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  EXPECT_EQ(c.receive().status, 421);
  EXPECT_EQ(refused(errc::unauthorized), 3);
  EXPECT_EQ(refused(errc::forbidden), 1);
  EXPECT_EQ(refused(errc::host_refused), 1);
  EXPECT_EQ(at(counts.refused, errc::unauthorized).get(), 0); // clients' own
}

TEST_F(InspectApiTest, RightsAreToldToEverybody) {
  inspect.token = reader;
  start();
  EXPECT_EQ(client().get("/inspect/rights").body,
            R"({"read":false,"act":false,"read_token":true,"act_token":false})"
            "\n");
  EXPECT_EQ(client().get("/inspect/rights", bearer(reader)).body,
            R"({"read":true,"act":false,"read_token":true,"act_token":false})"
            "\n");
}

TEST_F(InspectApiTest, TokensAreNeitherLoggedNorTold) {
  inspect.token = reader;
  inspect.act_token = actor;
  start();
  std::string told;
  auto keep = [&](const http_response& x) {
    told += x.body;
    for (auto& [name, value] : x.headers)
      told += name + value;
  };
  keep(client().get("/inspect/rights", bearer(actor)));
  keep(client().get("/inspect/rooms?token="s + std::string{reader},
                    bearer(actor)));
  keep(client().get("/nothing", bearer(actor)));
  keep(client().get("/inspect/rooms", bearer("a-wrong-token-a-wrong-token")));
  keep(client().get("/metrics", bearer(reader)));
  keep(act("/inspect/kill", R"({"client":1})"));
  for (auto& line : log.records())
    for (auto& [key, value] : line.fields)
      told += key + field(line, key);
  EXPECT_THAT(told, Not(HasSubstr(std::string{reader})));
  EXPECT_THAT(told, Not(HasSubstr(std::string{actor})));
  EXPECT_THAT(told, Not(HasSubstr("a-wrong-token")));
}

TEST_F(InspectApiTest, NoAnswerIsForPagesOfElsewhere) {
  start();
  for (auto path : {"/inspect/rooms", "/nothing", "/metrics", "/health"}) {
    auto x = client().get(path);
    EXPECT_EQ(x.header("X-Content-Type-Options"), "nosniff") << path;
    EXPECT_EQ(x.header("Cache-Control"), "no-store") << path;
    EXPECT_FALSE(x.header("Access-Control-Allow-Origin")) << path;
  }
  auto c = client();
  c.send_request("OPTIONS", "/inspect/kill",
                 {{"Access-Control-Request-Method", "POST"}});
  auto x = c.receive(); // a preflight
  EXPECT_EQ(x.status, 403);
  EXPECT_FALSE(x.header("Access-Control-Allow-Origin"));
}

// -- acting ---------------------------------------------------------------------------

TEST_F(InspectApiTest, AKillIsAReceiptAndALine) {
  inspect.act_token = actor;
  start();
  auto x = act("/inspect/kill", R"({"client":17})");
  EXPECT_EQ(x.status, 200);
  auto got = boost::json::parse(x.body).as_object();
  EXPECT_EQ(got["target"], "connection");
  EXPECT_EQ(got["client"], 17);
  EXPECT_EQ(got["clean"], true);
  auto orders = inside().orders();
  ASSERT_EQ(orders.size(), 1u);
  EXPECT_EQ(orders[0].what, end_target::connection);
  EXPECT_EQ(orders[0].by, "127.0.0.1");
  EXPECT_THAT(log.lines("inspect_action"),
              ElementsAre("address=127.0.0.1 action=kill client=17"));
  EXPECT_EQ(act("/inspect/restart", R"({"room":"lobby"})").status, 200);
  EXPECT_EQ(inside().orders().back().what, end_target::restart);
}

TEST_F(InspectApiTest, WhatIsNotThereIs404) {
  inspect.act_token = actor;
  inside().ends = [](auto&) {
    receipt out;
    out.why = errc::not_found;
    return out;
  };
  start();
  EXPECT_EQ(act("/inspect/kill", R"({"client":17})").status, 404);
  EXPECT_THAT(log.lines("request_refused"),
              ElementsAre(HasSubstr("reason=not_found")));
}

TEST_F(InspectApiTest, WhatIsLeftIsNamed) {
  inspect.act_token = actor;
  inside().ends = [](auto&) {
    receipt out;
    out.left = {"socket", "membership a\"b"};
    return out;
  };
  start();
  auto x = act("/inspect/kill", R"({"client":17})");
  EXPECT_EQ(x.status, 200);
  EXPECT_THAT(
    x.body, HasSubstr(R"("clean":false,"left":["socket","membership a\"b"])"));
}

TEST_F(InspectApiTest, AReceiptForSomebodyWhoLeftHarmsNobody) {
  inspect.act_token = actor;
  inside().hold(true);
  start();
  auto c = client();
  c.send_request("POST", "/inspect/kill", bearer(actor), R"({"client":17})");
  std::vector<fake_inspection::told_receipt> held;
  ASSERT_TRUE(
    eventually([&] { return !(held = inside().held_receipts()).empty(); }));
  c.stream().reset();
  ASSERT_TRUE(eventually([&] { return open_sockets() == 0; }));
  held[0](receipt{});
  EXPECT_EQ(log.lines("inspect_action").size(), 1u);
  EXPECT_EQ(client().get("/health").status, 200);
}

TEST_F(InspectApiTest, ABodyMayComeInPieces) {
  inspect.act_token = actor;
  start();
  auto c = client();
  auto head = "POST /inspect/kill HTTP/1.1\r\nHost: localhost\r\n"
              "Authorization: Bearer "s
              + std::string{actor} + "\r\nContent-Length: 13\r\n\r\n";
  auto next = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"s;
  auto text = head + "{\"client\":17}" + next;
  for (auto& x : text)
    c.send({&x, 1});
  EXPECT_THAT(c.receive().body, HasSubstr("\"client\":17"));
  EXPECT_THAT(c.receive().body, HasSubstr("ok"));
  // And all at once, twice.
  c.send(text + text);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(c.receive().body, HasSubstr("\"client\":17"));
    EXPECT_THAT(c.receive().body, HasSubstr("ok"));
  }
}

TEST_F(InspectApiTest, ABodyIsWaitedForOnlyAfterItWasAskedFor) {
  inspect.act_token = actor;
  start();
  auto c = client();
  c.send("POST /inspect/kill HTTP/1.1\r\nHost: localhost\r\n"
         "Authorization: Bearer "s
         + std::string{actor}
         + "\r\nContent-Length: 13\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(c.receive().status, 100);
  c.send("{\"client\":17}");
  EXPECT_EQ(c.receive().status, 200);
}

TEST_F(InspectApiTest, BodiesAreBounded) {
  inspect.act_token = actor;
  start();
  auto most = net::http_sessions::body_bytes_max;
  auto padded = [](std::size_t size) {
    auto body = R"({"client":17})"s;
    return body + std::string(size - body.size(), ' ');
  };
  EXPECT_EQ(act("/inspect/kill", padded(most)).status, 200);
  EXPECT_EQ(act("/inspect/kill", padded(most + 1)).status, 413);
  auto c = client();
  c.send("POST /inspect/kill HTTP/1.1\r\nHost: localhost\r\n"
         "Authorization: Bearer "s
         + std::string{actor}
         + "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  EXPECT_EQ(c.receive().status, 400);
  c.expect_eof();
  // Bodies of requests that take none.
  c = client();
  c.send_request("GET", "/inspect/rooms", {}, "x");
  EXPECT_EQ(c.receive().status, 413);
}

TEST_F(InspectApiTest, ABodyHasToComeInTime) {
  inspect.act_token = actor;
  session.handshake_timeout = 2s;
  start();
  auto c = client();
  c.send("POST /inspect/kill HTTP/1.1\r\nHost: localhost\r\n"
         "Authorization: Bearer "s
         + std::string{actor} + "\r\nContent-Length: 13\r\n\r\n{");
  while (loop().call([&] { return log.lines("request_refused").empty(); })) {
    advance(1s);
    std::this_thread::yield();
  }
  EXPECT_EQ(c.receive().status, 408);
  EXPECT_THAT(inside().orders(), IsEmpty());
}

TEST_F(InspectApiTest, EveryPathHasItsMethods) {
  inspect.act_token = actor;
  start();
  auto x = client().get("/inspect/kill", bearer(actor));
  EXPECT_EQ(x.status, 405);
  EXPECT_EQ(x.header("Allow"), "POST");
  x = http_post(port(), "/inspect/rooms", "", bearer(actor));
  EXPECT_EQ(x.status, 405);
  EXPECT_EQ(x.header("Allow"), "GET, HEAD");
}

TEST_F(InspectApiTest, OverTheLimitOfConnectionsNothingIsAnswered) {
  inspect.connections_max = 2;
  start();
  auto a = client();
  auto b = client();
  EXPECT_EQ(a.get("/inspect/rooms").status, 200);
  EXPECT_EQ(b.get("/inspect/rooms").status, 200);
  auto c = client();
  auto x = c.get("/inspect/rooms");
  EXPECT_EQ(x.status, 503);
  EXPECT_EQ(x.body, "{\"error\":\"connection_limit\"}\n");
  c.expect_eof();
  a.stream().close();
  EXPECT_TRUE(
    eventually([&] { return client().get("/inspect/rooms").status == 200; }));
}

TEST_F(InspectApiTest, ThePublicListenerServesNoneOfIt) {
  http_rig open;
  open.start();
  for (auto& x : net::inspect_routes())
    if (x.needs != net::right::none) {
      EXPECT_EQ(open.client().get(x.path).status, 404) << x.path;
    }
  EXPECT_EQ(http_post(open.port(), "/inspect/kill", "").status, 404);
}
