#include "net/http_session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <thread>
#include <vector>

#include "test/support/http_rig.hpp"

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

namespace {

struct HttpSessionTest : testing::Test, http_rig {
  // The answer to bytes that end a connection.
  http_response last_answer(std::string_view request) {
    auto c = client();
    c.send(request);
    auto x = c.receive();
    EXPECT_TRUE(x.lists("Connection", "close"));
    c.expect_eof();
    return x;
  }

  int last_status(std::string_view request) {
    return last_answer(request).status;
  }

  // A request whose head has this many bytes.
  static std::string head_of(std::size_t bytes) {
    auto text = "GET /health HTTP/1.1\r\nHost: x\r\nA: "s;
    return text + std::string(bytes - text.size() - 4, 'a') + "\r\n\r\n";
  }

  // Until the kernel lets go of what the loops have closed.
  bool all_closed() {
    return eventually([this] { return open_sockets() == 0; });
  }
};

const auto health = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"s;

const auto handshake = "GET /room/lobby HTTP/1.1\r\nHost: x\r\n"
                       "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Sec-WebSocket-Version: 13\r\n\r\n"s;

// A PROXY header, version 2, for 192.0.2.1.
const auto proxy_header = "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"
                          "\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x1f\x40"s;

} // namespace

// -- answers ------------------------------------------------------------------------

TEST_F(HttpSessionTest, HealthAndReadyAreAnswered) {
  start();
  auto c = client();
  auto x = c.get("/health");
  EXPECT_EQ(x.status, 200);
  EXPECT_EQ(x.body, "{\"status\":\"ok\"}\n");
  EXPECT_EQ(x.header("Content-Type"), "application/json");
  EXPECT_EQ(x.header("Cache-Control"), "no-store");
  EXPECT_EQ(x.header("Connection"), "keep-alive");
  EXPECT_EQ(c.get("/ready").status, 200);
  desk.is_ready = false;
  x = c.get("/ready");
  EXPECT_EQ(x.status, 503);
  EXPECT_EQ(x.body, "{\"status\":\"draining\"}\n");
  EXPECT_EQ(x.header("Connection"), "close");
  c.expect_eof();
  EXPECT_EQ(http_get(port(), "/health").status, 200);
  c.stream().close();
  EXPECT_TRUE(all_closed());
}

TEST_F(HttpSessionTest, HeadIsAnsweredWithoutABody) {
  start();
  auto c = client();
  c.send("HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n" + health);
  auto x = c.receive(true);
  EXPECT_EQ(x.status, 200);
  EXPECT_EQ(x.header("Content-Length"), "16");
  EXPECT_EQ(c.receive().body, "{\"status\":\"ok\"}\n");
}

TEST_F(HttpSessionTest, RefusalsKeepTheConnectionWhereTheNextRequestIsClear) {
  start();
  auto c = client();
  auto x = c.get("/nothing");
  EXPECT_EQ(x.status, 404);
  EXPECT_EQ(x.body, "{\"error\":\"not_found\"}\n");
  c.send_request("DELETE", "/health");
  x = c.receive();
  EXPECT_EQ(x.status, 405);
  EXPECT_EQ(x.header("Allow"), "GET, HEAD");
  x = c.get("/room/lobby");
  EXPECT_EQ(x.status, 426);
  EXPECT_EQ(x.header("Upgrade"), "websocket");
  EXPECT_EQ(x.header("Sec-WebSocket-Version"), "13");
  EXPECT_TRUE(x.lists("Connection", "Upgrade"));
  EXPECT_EQ(c.get("/health").status, 200);
  EXPECT_EQ(refused(errc::not_found), 1);
  EXPECT_EQ(refused(errc::method_not_allowed), 1);
  EXPECT_EQ(refused(errc::upgrade_required), 1);
}

TEST_F(HttpSessionTest, ConnectionsStayAsTheClientWants) {
  start();
  EXPECT_EQ(last_status("GET /health HTTP/1.1\r\nHost: x\r\n"
                        "Connection: close\r\n\r\n"),
            200);
  EXPECT_EQ(last_status("GET /health HTTP/1.0\r\n\r\n"), 200);
  auto c = client();
  c.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(c.receive().header("Connection"), "keep-alive");
  EXPECT_EQ(c.get("/health").status, 200);
}

TEST_F(HttpSessionTest, AClientThatEndsItsDirectionGetsItsAnswers) {
  start();
  auto c = client();
  c.send(health + health);
  c.stream().shutdown_write();
  EXPECT_EQ(c.receive().status, 200);
  EXPECT_EQ(c.receive().status, 200);
  c.expect_eof();
  EXPECT_TRUE(all_closed());
}

TEST_F(HttpSessionTest, AnEmptyLineInFrontOfARequestIsIgnored) {
  start();
  auto c = client();
  c.send("\r\n" + health + "\r\n" + health);
  EXPECT_EQ(c.receive().status, 200);
  EXPECT_EQ(c.receive().status, 200);
  EXPECT_EQ(last_status("\r\n\r\n" + health), 400);
}

TEST_F(HttpSessionTest, TheTargetMayNameTheHost) {
  start();
  auto c = client();
  EXPECT_EQ(c.get("http://broker.test/health").status, 200);
  EXPECT_EQ(last_status("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
  EXPECT_EQ(last_status("CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
}

// -- broken requests ------------------------------------------------------------------

TEST_F(HttpSessionTest, BrokenRequestsAreToldSo) {
  start();
  std::vector<std::string> broken{
    "GET /health HTTP/1.1\r\n\r\n",
    "GET /health HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "GET /health HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "GET /health HTTP/1.1\r\nHost: x\n\r\n",
    "GET /health HTTP/1.1\r\nHost : x\r\n\r\n",
    "GET /health HTTP/2.0\r\nHost: x\r\n\r\n",
    "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    "\0"s,
    proxy_header + health, // from somebody who is not trusted
  };
  for (auto& x : broken)
    EXPECT_EQ(last_status(x), 400) << x;
  EXPECT_EQ(refused(errc::bad_request),
            static_cast<std::int64_t>(broken.size()));
  EXPECT_TRUE(all_closed());
}

TEST_F(HttpSessionTest, ARequestWithABodyIsTheLast) {
  start();
  auto request = [&](const std::string& line, const std::string& fields) {
    return line + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n\r\n";
  };
  // The body looks like a request; nobody may answer it.
  auto body = health;
  auto length = "Content-Length: " + std::to_string(body.size());
  EXPECT_EQ(last_status(request("GET /health", length) + body), 413);
  EXPECT_EQ(last_status(request("POST /health", length) + body), 405);
  EXPECT_EQ(last_status(request("POST /nothing", length) + body), 404);
  EXPECT_EQ(last_status(request("GET /health", "Transfer-Encoding: chunked")
                        + "1\r\na\r\n0\r\n\r\n"),
            400);
  EXPECT_EQ(last_status(request("GET /health", "Transfer-Encoding: chunked\r\n"
                                               "Content-Length: 3")
                        + "abc"),
            400);
  EXPECT_EQ(last_status(request("GET /health", "Content-Length: 1\r\n"
                                               "Content-Length: 2")),
            400);
}

TEST_F(HttpSessionTest, ARefusedClientCanReadWhyWhateverItStillSends) {
  start();
  auto c = client();
  c.send("\0"s + std::string(100'000, 'x'));
  EXPECT_EQ(c.receive().status, 400);
  EXPECT_EQ(c.expect_eof(), stream_end::fin);
  c.stream().close();
  EXPECT_TRUE(all_closed());
}

TEST_F(HttpSessionTest, ARefusedClientThatStaysIsCutOff) {
  start();
  auto c = client();
  c.send("\0"s);
  EXPECT_EQ(c.receive().status, 400);
  c.expect_eof();
  EXPECT_EQ(open_sockets(), 1);
  advance(net::http_sessions::linger_timeout + 100ms);
  EXPECT_EQ(open_sockets(), 0);
}

// -- limits ---------------------------------------------------------------------------

TEST_F(HttpSessionTest, AHeadMayHaveSoManyBytes) {
  start();
  auto c = client();
  c.send(head_of(http.header_bytes_max));
  EXPECT_EQ(c.receive().status, 200);
  EXPECT_EQ(last_status(head_of(http.header_bytes_max + 1)), 431);
  EXPECT_EQ(last_status("GET /" + std::string(http.header_bytes_max, 'a')),
            431);
  EXPECT_EQ(refused(errc::header_too_big), 2);
}

TEST_F(HttpSessionTest, ARequestHasToComeInTime) {
  start();
  auto silent = client();
  auto slow = client();
  slow.send("GET /health HTT");
  ASSERT_TRUE(eventually([&] { return open_sockets() == 2; }));
  advance(session.handshake_timeout - 500ms);
  EXPECT_EQ(open_sockets(), 2);
  EXPECT_EQ(refused(errc::handshake_timeout), 0);
  slow.send("P"); // does not prolong it
  advance(600ms);
  EXPECT_EQ(slow.receive().status, 408);
  EXPECT_EQ(silent.receive().status, 408);
  slow.expect_eof();
  silent.expect_eof();
  EXPECT_EQ(refused(errc::handshake_timeout), 2);
}

TEST_F(HttpSessionTest, AKeptConnectionMayIdleForAWhile) {
  start();
  auto c = client();
  EXPECT_EQ(c.get("/health").status, 200);
  advance(http.keep_alive_timeout - 500ms);
  EXPECT_EQ(c.get("/health").status, 200);
  advance(http.keep_alive_timeout - 500ms);
  EXPECT_EQ(open_sockets(), 1);
  advance(600ms);
  EXPECT_EQ(c.expect_eof(), stream_end::fin) << "without a word";
  EXPECT_TRUE(all_closed());
}

TEST_F(HttpSessionTest, ALaterRequestHasToComeInTimeAsWell) {
  start();
  auto c = client();
  EXPECT_EQ(c.get("/health").status, 200);
  advance(http.keep_alive_timeout - 500ms);
  c.send("GET ");
  // Until the byte is there: from then on the request's own limit counts.
  ASSERT_TRUE(eventually([&] {
    advance(1ms);
    return loop().call([&] { return counts.connections_open.get(); }) == 1;
  }));
  std::this_thread::sleep_for(50ms);
  advance(session.handshake_timeout - 500ms);
  EXPECT_EQ(open_sockets(), 1);
  advance(600ms);
  EXPECT_EQ(c.receive().status, 408);
}

TEST_F(HttpSessionTest, OnlySoManyConnectionsMayIdle) {
  http.keep_alive_max = 2;
  start();
  auto a = client();
  auto b = client();
  auto c = client();
  EXPECT_EQ(a.get("/health").header("Connection"), "keep-alive");
  EXPECT_EQ(b.get("/health").header("Connection"), "keep-alive");
  EXPECT_EQ(c.get("/health").header("Connection"), "close");
  c.expect_eof();
  c.stream().close();
  EXPECT_EQ(a.get("/health").header("Connection"), "keep-alive")
    << "it gave up its place when it asked again";
  b.stream().close();
  ASSERT_TRUE(eventually([&] { return open_sockets() <= 1; }));
  EXPECT_EQ(client().get("/health").header("Connection"), "keep-alive");
}

TEST_F(HttpSessionTest, PipelinedRequestsAreAnsweredInTheirOrder) {
  start();
  auto c = client();
  std::string all;
  for (int i = 0; i < 100; ++i)
    all += health + "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n";
  c.send(all + "GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
         + health);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(c.receive().status, 200) << i;
    ASSERT_EQ(c.receive().status, 404) << i;
  }
  EXPECT_EQ(c.receive().header("Connection"), "close");
  c.expect_eof();
}

TEST_F(HttpSessionTest, AClientThatDoesNotReadIsNotReadEither) {
  session.send_buffer_bytes = 4096;
  start();
  http_client c{{.port = port(), .receive_buffer = 32'768}};
  // Far more than the kernel holds in both directions.
  constexpr std::size_t most = 64 * 1024 * 1024;
  std::string many;
  for (int i = 0; i < 1'000; ++i)
    many += health;
  std::size_t sent = 0;
  while (sent < most && c.stream().wait_writable(deadline{300ms}))
    sent +=
      c.stream().send_some(std::string_view{many}.substr(sent % health.size()));
  EXPECT_LT(sent, most);
  // Nothing is lost once it reads: the rest of the torn request is sent, while
  // answers are taken.
  auto torn = sent % health.size();
  std::string rest = torn == 0 ? "" : health.substr(torn);
  auto requests = (sent + rest.size()) / health.size();
  c.stream().send(rest, deadline{10s}, true);
  for (std::size_t i = 0; i < requests; ++i)
    ASSERT_EQ(c.receive().status, 200) << i;
  EXPECT_EQ(c.get("/ready").status, 200);
}

TEST_F(HttpSessionTest, AClientThatNeverReadsIsCutOff) {
  session.send_buffer_bytes = 4096;
  start();
  http_client c{{.port = port(), .receive_buffer = 4096}};
  std::string many;
  for (int i = 0; i < 1'000; ++i)
    many += health;
  while (c.stream().wait_writable(deadline{300ms}))
    c.stream().send_some(many);
  EXPECT_EQ(open_sockets(), 1);
  advance(session.write_progress_timeout - 1s);
  EXPECT_EQ(open_sockets(), 1);
  advance(1100ms);
  EXPECT_EQ(open_sockets(), 0);
  EXPECT_EQ(refused(errc::write_stalled), 1);
}

// -- upgrades -------------------------------------------------------------------------

TEST_F(HttpSessionTest, AnUpgradeBecomesAWebSocket) {
  start();
  auto options = ws("/room/a%20b?echo=0");
  options.origin = "http://127.0.0.1:" + std::to_string(port());
  auto c = ws_client::connect(options);
  c.send_text("hello");
  EXPECT_EQ(c.receive_text(), "hello");
  auto all = desk.guests();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].dialect, "raw");
  EXPECT_EQ(all[0].room, "a b");
  EXPECT_FALSE(all[0].echo);
  EXPECT_TRUE(all[0].raw);
  EXPECT_EQ(all[0].address, "127.0.0.1");
  EXPECT_EQ(all[0].origin, options.origin);
  EXPECT_THAT(desk.rooms_asked_for(), ElementsAre("a b"));
  EXPECT_EQ(c.response().header("Sec-WebSocket-Protocol"), std::nullopt);
  c.drop();
  EXPECT_TRUE(all_closed());
}

TEST_F(HttpSessionTest, TheWebSocketLivesWhereItsRoomDoes) {
  start(3);
  for (unit_id home : {2, 0, 1, 1}) {
    desk.home = home;
    auto c = ws_client::connect(ws());
    c.send_text("hello");
    EXPECT_EQ(c.receive_text(), "hello");
    EXPECT_EQ(desk.guests().back().home, home);
    c.close();
  }
  EXPECT_TRUE(all_closed());
}

TEST_F(HttpSessionTest, BytesRightBehindTheHandshakeAreNotLost) {
  start(2);
  for (unit_id home : {0, 1}) {
    desk.home = home;
    for (int i = 0; i < 2; ++i) { // dealt to either loop
      auto options = ws();
      options.behind_handshake =
        make_frame({}, "early") + make_frame({}, "bird");
      auto c = ws_client::connect(options);
      EXPECT_EQ(c.receive_text(), "early");
      EXPECT_EQ(c.receive_text(), "bird");
      c.close();
    }
  }
  EXPECT_TRUE(all_closed());
}

TEST_F(HttpSessionTest, AnUpgradeMayFollowOtherRequests) {
  start();
  auto options = ws();
  options.raw_handshake = handshake;
  auto c = client();
  c.send(health + handshake + make_frame({}, "x"));
  EXPECT_EQ(c.receive().status, 200);
  auto x = c.receive();
  EXPECT_EQ(x.status, 101);
  EXPECT_EQ(x.header("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  deadline until{5s};
  while (c.stream().unread().size() < 3)
    ASSERT_TRUE(c.stream().fill(until));
  EXPECT_EQ(c.stream().unread(), "\x81\x01x");
}

TEST_F(HttpSessionTest, AClientMayLeaveBeforeItsPlaceIsFound) {
  desk.hold = true;
  start();
  {
    auto c = client();
    c.send(handshake);
    ASSERT_TRUE(eventually([&] { return !desk.rooms_asked_for().empty(); }));
    c.stream().reset();
  }
  EXPECT_TRUE(all_closed());
  for (auto& told : desk.held())
    told(0);
  EXPECT_TRUE(desk.guests().empty());
}

TEST_F(HttpSessionTest, APlaceMayBeFoundByAnyThread) {
  desk.hold = true;
  start(2);
  auto c = client();
  c.send(handshake);
  std::vector<echo_desk::told> held;
  ASSERT_TRUE(eventually([&] {
    held = desk.held();
    return !held.empty();
  }));
  std::thread{[&] { held[0](1); }}.join();
  EXPECT_EQ(c.receive().status, 101);
  held[0](1); // once more does no harm
  EXPECT_EQ(http_get(port(), "/health").status, 200);
  EXPECT_EQ(desk.guests().size(), 1u);
}

TEST_F(HttpSessionTest, APlaceHasToBeFoundInTime) {
  desk.hold = true;
  start();
  auto c = client();
  c.send(handshake);
  ASSERT_TRUE(eventually([&] { return !desk.rooms_asked_for().empty(); }));
  advance(session.handshake_timeout - 500ms);
  EXPECT_EQ(open_sockets(), 1);
  advance(600ms);
  EXPECT_EQ(c.receive().status, 503);
  c.expect_eof();
  EXPECT_EQ(refused(errc::overloaded), 1);
}

TEST_F(HttpSessionTest, ADrainingBrokerTakesNoUpgrades) {
  desk.is_ready = false;
  start();
  auto x = ws_client::expect_refusal(ws());
  EXPECT_EQ(x.status, 503);
  EXPECT_EQ(x.body, "{\"error\":\"draining\"}\n");
  EXPECT_TRUE(x.header("Retry-After"));
  EXPECT_EQ(refused(errc::draining), 1);
  EXPECT_TRUE(desk.rooms_asked_for().empty());
}

TEST_F(HttpSessionTest, WhatTheDeskRefusesIsToldAsAStatus) {
  desk.refusal = errc::room_unknown;
  start();
  EXPECT_EQ(ws_client::expect_refusal(ws()).status, 404);
  EXPECT_TRUE(all_closed());
}

TEST_F(HttpSessionTest, HandshakesThatAreNotRightAreRefused) {
  start();
  auto refusal = [&](const std::string& path, const std::string& from,
                     const std::string& to) {
    auto request = handshake;
    request.replace(request.find("/room/lobby"), 11, path);
    if (!from.empty())
      request.replace(request.find(from), from.size(), to);
    return last_status(request);
  };
  auto key = "dGhlIHNhbXBsZSBub25jZQ=="s;
  EXPECT_EQ(refusal("/room/lobby", key, "short"), 400);
  EXPECT_EQ(refusal("/room/lobby", "Version: 13", "Version: 8"), 426);
  EXPECT_EQ(refusal("/room/lobby", "Host: x", "Host: x\r\nOrigin: http://y"),
            403);
  EXPECT_EQ(refusal("/room/lobby", "Host: x", "Host: x\r\nContent-Length: 1"),
            400);
  EXPECT_EQ(refusal("/room/lobby?token=x", "", ""), 400);
  EXPECT_EQ(refusal("/room/lobby?echo=2", "", ""), 400);
  EXPECT_EQ(refused(errc::origin_refused), 1);
  EXPECT_EQ(refused(errc::reserved_parameter), 1);
  EXPECT_EQ(refused(errc::upgrade_required), 1);
  EXPECT_TRUE(desk.rooms_asked_for().empty());
  // These leave no doubt where the next request begins.
  auto c = client();
  auto request = handshake;
  request.replace(request.find("lobby"), 5, "a%2Fb");
  c.send(request + health);
  EXPECT_EQ(c.receive().body, "{\"error\":\"bad_room_name\"}\n");
  EXPECT_EQ(c.receive().status, 200);
}

// -- proxies --------------------------------------------------------------------------

TEST_F(HttpSessionTest, ATrustedProxyNamesTheClientInAField) {
  listening.trusted_proxies = {"127.0.0.1", "10.0.0.0/8"};
  start();
  auto options = ws();
  options.headers = {{"X-Forwarded-For", "6.6.6.6, 192.0.2.1"},
                     {"X-Forwarded-For", "10.0.0.1"}};
  auto c = ws_client::connect(options);
  EXPECT_EQ(desk.guests().back().address, "192.0.2.1");
  options.local_address = "127.0.0.2";
  auto d = ws_client::connect(options);
  EXPECT_EQ(desk.guests().back().address, "127.0.0.2") << "not trusted";
}

TEST_F(HttpSessionTest, ATrustedProxyNamesTheClientInFront) {
  listening.trusted_proxies = {"127.0.0.1"};
  start();
  auto c = client();
  for (auto x : proxy_header)
    c.send(std::string{x});
  c.send(handshake);
  EXPECT_EQ(c.receive().status, 101);
  EXPECT_EQ(desk.guests().back().address, "192.0.2.1");
}

TEST_F(HttpSessionTest, ATrustedProxyNeedNotNameAnybody) {
  listening.trusted_proxies = {"127.0.0.1"};
  start();
  auto c = ws_client::connect(ws());
  EXPECT_EQ(desk.guests().back().address, "127.0.0.1");
  auto d = client();
  d.send("\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"s + handshake); // LOCAL
  EXPECT_EQ(d.receive().status, 101);
  EXPECT_EQ(desk.guests().back().address, "127.0.0.1");
}

TEST_F(HttpSessionTest, AMalformedProxyHeaderEndsTheConnection) {
  listening.trusted_proxies = {"127.0.0.1"};
  start();
  auto c = client();
  c.send("\r\n\r\n\0\r\nQUIT\n\x11\x11\x00\x0c"s);
  c.expect_eof();
  EXPECT_EQ(refused(errc::bad_request), 1);
}

TEST_F(HttpSessionTest, AHeadMayBeAsLongBehindAProxyHeader) {
  listening.trusted_proxies = {"127.0.0.1"};
  start();
  auto c = client();
  c.send(proxy_header + head_of(http.header_bytes_max));
  EXPECT_EQ(c.receive().status, 200);
  EXPECT_EQ(last_status(proxy_header + head_of(http.header_bytes_max + 1)),
            431);
}

TEST_F(HttpSessionTest, ClientsBehindAProxyAreCountedOneByOne) {
  listening.trusted_proxies = {"127.0.0.1"};
  listening.connections_per_address_max = 1;
  start();
  auto options = ws();
  options.headers = {{"X-Forwarded-For", "192.0.2.1"}};
  auto c = ws_client::connect(options);
  auto x = ws_client::expect_refusal(options);
  EXPECT_EQ(x.status, 503);
  EXPECT_EQ(x.body, "{\"error\":\"address_limit\"}\n");
  auto in_front = client();
  in_front.send(proxy_header + handshake);
  EXPECT_EQ(in_front.receive().status, 503);
  options.headers = {{"X-Forwarded-For", "192.0.2.2"}};
  auto d = ws_client::connect(options);
  c.drop();
  options.headers = {{"X-Forwarded-For", "192.0.2.1"}};
  EXPECT_TRUE(eventually([&] {
    return std::holds_alternative<ws_client>(ws_client::try_connect(options));
  }));
}

// -- the end --------------------------------------------------------------------------

TEST_F(HttpSessionTest, AStopEndsWhoWaitsAndAnswersWhoAsked) {
  desk.hold = true;
  start(2);
  auto kept = client();
  EXPECT_EQ(kept.get("/health").status, 200);
  auto silent = client();
  auto asking = client();
  asking.send("GET /health HTTP/1.1\r\nHo");
  auto placing = client();
  placing.send(handshake);
  ASSERT_TRUE(eventually([&] { return !desk.rooms_asked_for().empty(); }));
  ASSERT_TRUE(eventually([&] { return open_sockets() == 4; }));
  door().stop();
  kept.expect_eof();
  silent.expect_eof();
  asking.send("st: x\r\n\r\n");
  auto x = asking.receive();
  EXPECT_EQ(x.status, 200);
  EXPECT_EQ(x.header("Connection"), "close");
  for (auto& told : desk.held())
    told(0);
  EXPECT_EQ(placing.receive().status, 101);
  EXPECT_THROW(client(), std::exception);
}

TEST_F(HttpSessionTest, AfterAStopAHalfRequestHasLittleTime) {
  start();
  auto c = client();
  c.send("GET /");
  ASSERT_TRUE(eventually([&] { return open_sockets() == 1; }));
  std::this_thread::sleep_for(20ms);
  door().stop();
  advance(net::http_sessions::refused_timeout + 100ms);
  EXPECT_EQ(c.receive().status, 408);
}

// -- the log --------------------------------------------------------------------------

TEST_F(HttpSessionTest, TheLogSaysWhyAndWhoButNoSecrets) {
  start();
  ws_client::expect_refusal(ws("/room/lobby?token=secret"));
  auto lines = log.lines("request_refused");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], HasSubstr("reason=reserved_parameter"));
  EXPECT_THAT(lines[0], HasSubstr("status=400"));
  EXPECT_THAT(lines[0], HasSubstr("address=127.0.0.1"));
  EXPECT_THAT(lines[0], HasSubstr("path=/room/lobby"));
  EXPECT_THAT(lines[0], Not(HasSubstr("secret")));
}

TEST_F(HttpSessionTest, AStormOfRefusalsIsNoStormOfLines) {
  start();
  for (int i = 0; i < 50; ++i)
    ws_client::expect_refusal(ws("/room/lobby?token=secret"));
  EXPECT_EQ(refused(errc::reserved_parameter), 50);
  EXPECT_LE(log.lines("request_refused").size(), 10u);
}
