#include "net/http_request.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

using namespace greenroom;
using namespace greenroom::net;
using namespace std::string_literals;

namespace {

head_state scan(std::string_view bytes) {
  return head_scanner{}.scan(bytes);
}

// A request's head with these lines; only views of it are kept, so it has to
// live as long as what was parsed.
std::string head(const std::vector<std::string>& lines) {
  std::string out;
  for (auto& x : lines)
    out += x + "\r\n";
  return out + "\r\n";
}

errc parse(const std::vector<std::string>& lines) {
  auto bytes = head(lines);
  if (scan(bytes) != head_state::complete)
    return errc::bad_request;
  auto x = parse_head(bytes);
  return x ? errc::none : x.error().code;
}

const std::vector<std::string> good = {
  "GET /room/lobby HTTP/1.1",
  "Host: broker.test",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version: 13",
};

// `good` with the lines of these names replaced, and others added.
std::vector<std::string> with(const std::vector<std::string>& lines) {
  auto out = good;
  auto name = [](const std::string& x) { return x.substr(0, x.find(':')); };
  for (auto& x : lines)
    std::erase_if(out, [&](auto& y) { return name(x) == name(y); });
  out.insert(out.end(), lines.begin(), lines.end());
  return out;
}

bool wants(const std::vector<std::string>& lines) {
  auto bytes = head(lines);
  auto x = parse_head(bytes);
  return x && wants_websocket(*x);
}

errc check(const std::vector<std::string>& lines) {
  auto bytes = head(lines);
  auto x = parse_head(bytes);
  if (!x)
    return x.error().code;
  EXPECT_TRUE(wants_websocket(*x));
  auto checked = check_handshake(*x, {}, x->header("Host"));
  return checked ? errc::none : checked.error().code;
}

} // namespace

// -- the end of a head ------------------------------------------------------------

TEST(HttpRequestTest, AHeadEndsWithAnEmptyLine) {
  auto bytes = head(good);
  head_scanner scanner;
  for (std::size_t n = 0; n < bytes.size(); ++n)
    ASSERT_EQ(scanner.scan(std::string_view{bytes}.substr(0, n)),
              head_state::need_more)
      << n;
  EXPECT_EQ(scanner.scan(bytes), head_state::complete);
  EXPECT_EQ(scanner.size(), bytes.size());
}

TEST(HttpRequestTest, WhatFollowsAHeadIsNotPartOfIt) {
  auto bytes = head(good);
  head_scanner scanner;
  EXPECT_EQ(scanner.scan(bytes + "\x81\x80\x01\n"), head_state::complete);
  EXPECT_EQ(scanner.size(), bytes.size());
}

TEST(HttpRequestTest, LinesEndInNothingButCrLf) {
  EXPECT_EQ(scan("GET / HTTP/1.1\n"), head_state::broken);
  EXPECT_EQ(scan("GET / HTTP/1.1\r\nHost: x\n\n"), head_state::broken);
  EXPECT_EQ(scan("GET / HTTP/1.1\rHost: x"), head_state::broken);
  EXPECT_EQ(scan("GET / HTTP/1.1\r\r\n"), head_state::broken);
  EXPECT_EQ(scan("\n"), head_state::broken);
}

TEST(HttpRequestTest, FoldedLinesAreRefused) {
  EXPECT_EQ(scan("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"), head_state::broken);
  EXPECT_EQ(scan("GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n"), head_state::broken);
  EXPECT_EQ(scan("GET / HTTP/1.1\r\n \r\n\r\n"), head_state::broken);
  EXPECT_EQ(scan(" GET / HTTP/1.1\r\n\r\n"), head_state::broken);
  EXPECT_EQ(scan("GET / HTTP/1.1\r\nA:  b \t c\r\n\r\n"), head_state::complete);
}

TEST(HttpRequestTest, ControlCharactersAreRefused) {
  for (char c : {'\0', '\x01', '\x08', '\x0b', '\x1f', '\x7f'})
    EXPECT_EQ(scan("GET / HTTP/1.1\r\nA: b"s + c), head_state::broken) << +c;
  EXPECT_EQ(scan("\x16\x03\x01\x02"), head_state::broken) << "TLS";
  EXPECT_EQ(scan("GET / HTTP/1.1\r\nA: \xc3\xa4\r\n\r\n"),
            head_state::complete);
}

// -- heads --------------------------------------------------------------------------

TEST(HttpRequestTest, AHeadIsTakenApart) {
  auto bytes = head({"GET /a?b HTTP/1.1", "Host: x", "A:  1 ", "a: 2, b"});
  auto x = parse_head(bytes);
  ASSERT_TRUE(x);
  EXPECT_EQ(x->method, "GET");
  EXPECT_EQ(x->target, "/a?b");
  EXPECT_TRUE(x->version_1_1);
  EXPECT_TRUE(x->keep_alive);
  EXPECT_FALSE(x->has_body());
  EXPECT_EQ(x->header("a"), "1");
  EXPECT_EQ(x->header("none"), "");
  EXPECT_EQ(x->count("A"), 2u);
  EXPECT_TRUE(x->lists("a", "B"));
  EXPECT_TRUE(x->lists("a", "1"));
  EXPECT_FALSE(x->lists("a", "2,"));
  EXPECT_EQ(x->values("a"), (std::vector<std::string_view>{"1", "2, b"}));
}

TEST(HttpRequestTest, ConnectionsStayAsTheVersionSays) {
  auto stays = [](const std::vector<std::string>& lines) {
    auto bytes = head(lines);
    return parse_head(bytes)->keep_alive;
  };
  EXPECT_TRUE(stays({"GET / HTTP/1.1", "Host: x"}));
  EXPECT_FALSE(stays({"GET / HTTP/1.1", "Host: x", "Connection: close"}));
  EXPECT_FALSE(stays({"GET / HTTP/1.0"}));
  EXPECT_TRUE(stays({"GET / HTTP/1.0", "Connection: keep-alive"}));
}

TEST(HttpRequestTest, ABodyIsSeen) {
  auto body = [](const std::vector<std::string>& lines) {
    auto bytes = head(lines);
    return parse_head(bytes)->has_body();
  };
  EXPECT_FALSE(body({"GET / HTTP/1.1", "Host: x", "Content-Length: 0"}));
  EXPECT_TRUE(body({"GET / HTTP/1.1", "Host: x", "Content-Length: 1"}));
  EXPECT_TRUE(
    body({"GET / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"}));
  EXPECT_TRUE(body({"GET / HTTP/1.1", "Host: x", "Transfer-Encoding: gzip"}));
  EXPECT_TRUE(body({"GET / HTTP/1.1", "Host: x", "Transfer-Encoding:"}));
}

TEST(HttpRequestTest, WhatTwoServersMayReadInTwoWaysIsRefused) {
  auto refused = [](const std::vector<std::string>& more) {
    std::vector<std::string> lines{"GET / HTTP/1.1", "Host: x"};
    lines.insert(lines.end(), more.begin(), more.end());
    return parse(lines) == errc::bad_request;
  };
  EXPECT_FALSE(refused({}));
  EXPECT_TRUE(refused({"Content-Length: 1", "Transfer-Encoding: chunked"}));
  EXPECT_TRUE(refused({"Transfer-Encoding: chunked", "Content-Length: 1"}));
  EXPECT_TRUE(refused({"Content-Length: 1", "Content-Length: 2"}));
  EXPECT_TRUE(refused({"Content-Length: 1, 2"}));
  EXPECT_TRUE(refused({"Content-Length: +1"}));
  EXPECT_TRUE(refused({"Content-Length: -1"}));
  EXPECT_TRUE(refused({"Content-Length: 0x1"}));
  EXPECT_TRUE(refused({"Content-Length: 99999999999999999999"}));
  EXPECT_TRUE(refused({"Content-Length:"}));
  EXPECT_TRUE(
    refused({"Transfer-Encoding: chunked", "Transfer-Encoding: chunked"}));
  EXPECT_TRUE(refused({"A : b"}));
  EXPECT_TRUE(refused({": b"}));
  EXPECT_TRUE(refused({"A"}));
  EXPECT_TRUE(refused({"A(b): c"}));
}

TEST(HttpRequestTest, TheFirstLineHasThreeWords) {
  for (auto line :
       {"GET /", "GET  / HTTP/1.1", "GET / a HTTP/1.1", "GET / HTTP/1.1 ",
        "GET / http/1.1", "GET / HTTP/2.0", "GET / HTTP/0.9", "GET / HTTP/1.2",
        "GET / HTTP/11", "G@T / HTTP/1.1", "/ HTTP/1.1", "PRI * HTTP/2.0"})
    EXPECT_EQ(parse({line, "Host: x"}), errc::bad_request) << line;
  EXPECT_EQ(parse({"BREW / HTTP/1.1", "Host: x"}), errc::none);
}

TEST(HttpRequestTest, ThereIsOneHost) {
  EXPECT_EQ(parse({"GET / HTTP/1.1", "Host: x"}), errc::none);
  EXPECT_EQ(parse({"GET / HTTP/1.1", "Host: x:80"}), errc::none);
  EXPECT_EQ(parse({"GET / HTTP/1.1", "Host: [::1]:80"}), errc::none);
  EXPECT_EQ(parse({"GET / HTTP/1.1"}), errc::bad_request);
  EXPECT_EQ(parse({"GET / HTTP/1.0"}), errc::none);
  EXPECT_EQ(parse({"GET / HTTP/1.1", "Host: x", "Host: x"}), errc::bad_request);
  EXPECT_EQ(parse({"GET / HTTP/1.0", "Host: x", "Host: y"}), errc::bad_request);
  for (auto host : {"", "x/y", "a@x", "x, y", "x:port", "x:65536", "http://x",
                    "[::1", "x y"})
    EXPECT_EQ(parse({"GET / HTTP/1.1", "Host: "s + host}), errc::bad_request)
      << host;
}

// -- upgrades -----------------------------------------------------------------------

TEST(HttpRequestTest, AnUpgradeHasAMethodAVersionAndTwoFields) {
  EXPECT_TRUE(wants(good));
  EXPECT_TRUE(wants(with({"Connection: keep-alive, UPGRADE"})));
  EXPECT_TRUE(wants(with({"Connection: keep-alive", "Connection: upgrade"})));
  EXPECT_TRUE(wants(with({"Upgrade: h2c, WebSocket"})));
  EXPECT_FALSE(wants(with({"Connection: keep-alive"})));
  EXPECT_FALSE(wants(with({"Connection: upgraded"})));
  EXPECT_FALSE(wants(with({"Upgrade: h2c"})));
  EXPECT_FALSE(wants(with({"Upgrade: websockets"})));
  auto post = good;
  post[0] = "POST /room/lobby HTTP/1.1";
  EXPECT_FALSE(wants(post));
  auto old = good;
  old[0] = "GET /room/lobby HTTP/1.0";
  EXPECT_FALSE(wants(old));
}

TEST(HttpRequestTest, TheHandshakeOfTheRfcIsAccepted) {
  EXPECT_EQ(check(good), errc::none);
  auto bytes = head(with({"Origin: http://broker.test"}));
  auto x = parse_head(bytes);
  ASSERT_TRUE(x);
  auto checked = check_handshake(*x, {}, "broker.test");
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->key, "dGhlIHNhbXBsZSBub25jZQ==");
  EXPECT_EQ(checked->origin, "http://broker.test");
}

TEST(HttpRequestTest, TheKeyIsBase64Of16Bytes) {
  auto key = [](const std::string& x) {
    return check(with({"Sec-WebSocket-Key: " + x}));
  };
  EXPECT_EQ(key("AAAAAAAAAAAAAAAAAAAAAA=="), errc::none);
  EXPECT_EQ(key("+/+/+/+/+/+/+/+/+/+/+w=="), errc::none);
  EXPECT_EQ(key(""), errc::bad_request);
  EXPECT_EQ(key("AAAAAAAAAAAAAAAAAAAAA==="), errc::bad_request);
  EXPECT_EQ(key("AAAAAAAAAAAAAAAAAAAAAAA="), errc::bad_request); // 17 bytes
  EXPECT_EQ(key("AAAAAAAAAAAAAAAAAAAA"), errc::bad_request);     // 15
  EXPECT_EQ(key("AAAAAAAAAAAAAAAAAAAAAAAAAAAA"), errc::bad_request);
  EXPECT_EQ(key("AAAAAAAAAAA_AAAAAAAAAA=="), errc::bad_request); // base64url
  EXPECT_EQ(key("AAAAAAAAAAA AAAAAAAAAA=="), errc::bad_request);
  auto none = good;
  std::erase_if(none, [](auto& x) { return x.starts_with("Sec-WebSocket-K"); });
  EXPECT_EQ(check(none), errc::bad_request);
}

TEST(HttpRequestTest, FieldsThatMustBeAloneAre) {
  auto twice = [](const std::string& line) {
    auto lines = good;
    lines.push_back(line);
    return check(lines);
  };
  EXPECT_EQ(twice("Accept: x"), errc::none);
  EXPECT_EQ(twice("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
            errc::bad_request);
  EXPECT_EQ(twice("Sec-WebSocket-Version: 13"), errc::bad_request);
  EXPECT_EQ(twice("Host: broker.test"), errc::bad_request);
}

TEST(HttpRequestTest, OnlyVersion13IsSpoken) {
  for (auto x : {"8", "12", "14", "013", "13, 8", ""})
    EXPECT_EQ(check(with({"Sec-WebSocket-Version: "s + x})),
              errc::upgrade_required)
      << x;
  auto none = good;
  none.pop_back();
  EXPECT_EQ(check(none), errc::upgrade_required);
}

TEST(HttpRequestTest, AnUpgradeHasNoBody) {
  EXPECT_EQ(check(with({"Content-Length: 0"})), errc::none);
  EXPECT_EQ(check(with({"Content-Length: 1"})), errc::bad_request);
  EXPECT_EQ(check(with({"Transfer-Encoding: chunked"})), errc::bad_request);
  EXPECT_EQ(check(with({"Transfer-Encoding: identity"})), errc::bad_request);
}

TEST(HttpRequestTest, ForeignPagesMayNotConnect) {
  EXPECT_EQ(check(with({"Origin: http://broker.test"})), errc::none);
  EXPECT_EQ(check(with({"Origin: http://evil.test"})), errc::origin_refused);
  EXPECT_EQ(check(with({"Origin: null"})), errc::origin_refused);
  EXPECT_EQ(check(with({"Origin:"})), errc::origin_refused);
  EXPECT_EQ(
    check(with({"Origin: http://broker.test", "Origin: http://broker.test"})),
    errc::bad_request);
}

TEST(HttpRequestTest, SubprotocolsAreOfferedInTheirOrder) {
  auto lines =
    with({"Sec-WebSocket-Protocol: b, a", "Sec-WebSocket-Protocol: c,,d.e"});
  auto bytes = head(lines);
  auto x = parse_head(bytes);
  ASSERT_TRUE(x);
  auto offered = check_handshake(*x, {}, "broker.test");
  ASSERT_TRUE(offered);
  EXPECT_EQ(offered->subprotocols,
            (std::vector<std::string_view>{"b", "a", "c", "d.e"}));
  EXPECT_EQ(check(with({"Sec-WebSocket-Protocol: a b"})), errc::bad_request);
  EXPECT_EQ(check(with({"Sec-WebSocket-Protocol: a, a"})), errc::bad_request);
  EXPECT_EQ(check(with({"Sec-WebSocket-Protocol: a/b"})), errc::bad_request);
}
