#include "net/routes.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "net/protocols/raw.hpp"

using namespace greenroom;
using namespace greenroom::net;

namespace {

struct fake_desk : front_desk {
  void place(std::string, std::function<void(unit_id)>) override {}

  std::unique_ptr<socket_sink> open(unit_id, std::shared_ptr<socket_port>,
                                    upgrade) override {
    return nullptr;
  }

  bool ready() const noexcept override { return open_for_all; }

  bool open_for_all = true;
};

http_request request(std::string_view method) {
  http_request x;
  x.method = method;
  return x;
}

http_request upgrade_request() {
  auto x = request("GET");
  x.fields = {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}};
  return x;
}

way find(std::string_view target, const http_request& in) {
  auto parsed = parse_target(target);
  EXPECT_TRUE(parsed) << target;
  return find_way(in, *parsed, 255);
}

way find(std::string_view target, std::string_view method = "GET") {
  return find(target, request(method));
}

http_response ask(std::string_view target, const front_desk& desk) {
  auto in = request("GET");
  auto parsed = parse_target(target);
  auto found = find_way(in, *parsed, 255);
  EXPECT_EQ(found.refusal, errc::none);
  return found.to->answer({in, *parsed, desk});
}

http_response ask_nothing(const http_call&) {
  return {};
}

} // namespace

TEST(RoutesTest, ARoomIsReachedByAnUpgrade) {
  auto x = find("/room/a%20b", upgrade_request());
  EXPECT_EQ(x.refusal, errc::none);
  EXPECT_TRUE(x.upgrades);
  EXPECT_EQ(x.names, std::vector<std::string>{"a b"});
  auto in = x.to->enter({x.names, {}, {}});
  ASSERT_TRUE(in);
  EXPECT_EQ(in->dialect, &raw_relay());
  EXPECT_EQ(in->room, "a b");
}

TEST(RoutesTest, ARoomWithoutAnUpgradeSaysWhatIsMissing) {
  EXPECT_EQ(find("/room/lobby").refusal, errc::upgrade_required);
  EXPECT_EQ(find("/room/%00").refusal, errc::upgrade_required);
}

TEST(RoutesTest, OtherMethodsAreNamed) {
  for (auto method : {"POST", "HEAD", "PUT", "get"}) {
    auto x = find("/room/lobby", method);
    EXPECT_EQ(x.refusal, errc::method_not_allowed) << method;
    EXPECT_EQ(allowed_methods(*x.to), "GET");
  }
  auto x = find("/health", "POST");
  EXPECT_EQ(x.refusal, errc::method_not_allowed);
  EXPECT_EQ(allowed_methods(*x.to), "GET, HEAD");
  EXPECT_EQ(find("/health", "GET").refusal, errc::none);
  EXPECT_EQ(find("/health", "HEAD").refusal, errc::none);
}

TEST(RoutesTest, OtherPathsLeadNowhere) {
  for (auto target :
       {"/room", "/room/a/b", "/room/a/", "/rooms/a", "/Room/a", "/healthz",
        "/health/", "//health", "//room/a", "/room//a", "/x/room/a"}) {
    EXPECT_EQ(find(target, upgrade_request()).refusal, errc::not_found)
      << target;
    EXPECT_EQ(find(target, "POST").refusal, errc::not_found) << target;
  }
}

TEST(RoutesTest, OnlyARoomsNameIsOne) {
  auto refusal = [](const std::string& target) {
    return find(target, upgrade_request()).refusal;
  };
  EXPECT_EQ(refusal("/room/lobby?echo=0"), errc::none);
  EXPECT_EQ(refusal("/room/" + std::string(255, 'a')), errc::none);
  EXPECT_EQ(refusal("/room/" + std::string(256, 'a')), errc::bad_room_name);
  EXPECT_EQ(refusal("/room/"), errc::bad_room_name);
  for (auto name : {"%00", "%0a", "%7f", "%2F", "a%2fb", "%ff", "%c2%80", "..",
                    "%2e%2E", "."})
    EXPECT_EQ(refusal("/room/" + std::string{name}), errc::bad_room_name)
      << name;
}

TEST(RoutesTest, AnUpgradeOfAPlainPathIsIgnored) {
  // RFC 9110 §7.8: a server may. curl offers h2c everywhere.
  auto x = find("/health", upgrade_request());
  EXPECT_EQ(x.refusal, errc::none);
  EXPECT_FALSE(x.upgrades);
}

TEST(RoutesTest, ADialectIsOneRow) {
  static const route table[] = {
    {"/", nullptr, &ask_nothing},
    {"/connection/websocket",
     [](const visit& in) -> result<entrance> {
       entrance out;
       if (!in.subprotocols.empty())
         out.subprotocol = in.subprotocols.front();
       return out;
     },
     nullptr},
  };
  auto in = upgrade_request();
  auto x = find_way(in, *parse_target("/connection/websocket?a=b"), 255, table);
  EXPECT_TRUE(x.upgrades);
  EXPECT_EQ(x.to->enter({{}, {}, {"b", "a"}})->subprotocol, "b");
  EXPECT_EQ(find_way(in, *parse_target("/"), 255, table).to, &table[0]);
}

TEST(RoutesTest, HealthSaysThatTheProcessLives) {
  fake_desk desk;
  for (auto ready : {true, false}) {
    desk.open_for_all = ready;
    auto x = ask("/health", desk);
    EXPECT_EQ(x.status, 200u);
    EXPECT_EQ(x.body, "{\"status\":\"ok\"}\n");
  }
}

TEST(RoutesTest, ReadySaysWhetherConnectionsMayComeIn) {
  fake_desk desk;
  EXPECT_EQ(ask("/ready", desk).status, 200u);
  desk.open_for_all = false;
  auto x = ask("/ready", desk);
  EXPECT_EQ(x.status, 503u);
  EXPECT_EQ(x.body, "{\"status\":\"draining\"}\n");
}

TEST(RoutesTest, CentrifugeIsAtItsCustomaryPath) {
  EXPECT_TRUE(find("/connection/websocket", upgrade_request()).upgrades);
  EXPECT_EQ(find("/connection/websocket").refusal, errc::upgrade_required);
  EXPECT_EQ(find("/connection", upgrade_request()).refusal, errc::not_found);
}

TEST(RoutesTest, EveryPatternBeginsWithASlash) {
  for (auto& x : routes()) {
    EXPECT_TRUE(x.path.starts_with('/'));
    EXPECT_TRUE(x.enter != nullptr || x.answer != nullptr) << x.path;
  }
}
