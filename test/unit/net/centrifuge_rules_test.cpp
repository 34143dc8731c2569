#include "net/protocols/centrifuge_rules.hpp"

#include "test/support/centrifuge_rig.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

// Test names quote the sections of the protocol's description; frames marked as
// recorded there are data here.

using namespace greenroom;
using namespace greenroom::net;
using namespace greenroom::test;
using namespace std::string_literals;
using namespace std::chrono_literals;

// -- §2.2 replies -------------------------------------------------------------

TEST(CentrifugeRulesTest, S22_AReplyHasItsIdAndTheNameOfTheCommandOrAnError) {
  using ask = centrifuge_ask;
  for (auto what : {ask::subscribe, ask::unsubscribe, ask::publish}) {
    auto x = answer_to(what, 4294967295);
    EXPECT_EQ(message(make_dialect().encode(x)),
              "{\"id\":4294967295,\"" + std::string{centrifuge_word(what)}
                + "\":{}}");
    x.error = errc::bad_request;
    EXPECT_EQ(message(make_dialect().encode(x)),
              R"({"id":4294967295,"error":{"code":107,)"
              R"("message":"bad request"}})");
  }
}

// -- §3 connect ---------------------------------------------------------------

TEST(CentrifugeRulesTest, S3_ConnectMayBeEmptyOrFull) {
  EXPECT_EQ(stranger().asks(R"({"id":1,"connect":{}})"), "hello");
  EXPECT_EQ(stranger().asks(
              R"({"connect":{"token":"","data":{"hello":1},"name":"demo",)"
              R"("version":"1.2","subs":{"ns:carol":{"recover":true,)"
              R"("offset":1,"epoch":"yGQO"}},"headers":{"a":"b"},"flag":1},)"
              R"("id":1})"),
            "hello");
}

TEST(CentrifugeRulesTest, S3_ASecondConnectIsABadRequest) {
  auto ann = stranger();
  auto out = ann.says("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"connect\":{}}");
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(client::word(out[1]), "close 3501");
}

TEST(CentrifugeRulesTest, S3_ATokenNobodyCanCheckIsInvalid) {
  auto ann = stranger();
  EXPECT_EQ(ann.asks(R"({"connect":{"token":"JWT","name":"demo"},"id":1})"),
            "close 3500");
  EXPECT_FALSE(ann.state.greeted);
}

TEST(CentrifugeRulesTest, S3_TheResultNamesTheClientAndThePing) {
  auto x = answer_to(centrifuge_ask::connect, 1);
  x.what = verb::hello;
  x.ping_every = 25s;
  EXPECT_EQ(message(make_dialect().encode(x)),
            R"({"id":1,"connect":{"client":")" + name_of(7)
              + R"(","ping":25,"pong":true}})"); // recorded
  x.ping_every = 1500ms; // announced in seconds: never less than it is
  EXPECT_EQ(message(make_dialect().encode(x)),
            R"({"id":1,"connect":{"client":")" + name_of(7)
              + R"(","ping":2,"pong":true}})");
}

TEST(CentrifugeRulesTest, S3_TheServersVersionFollowsTheClient) {
  auto x = answer_to(centrifuge_ask::connect, 1);
  x.ping_every = 25s;
  centrifuge_json dialect{{.server_version = "0.1.0"}, ids()};
  EXPECT_EQ(message(dialect.encode(x)),
            R"({"id":1,"connect":{"client":")" + name_of(7)
              + R"(","version":"0.1.0","ping":25,"pong":true}})");
}

TEST(CentrifugeRulesTest, S3_AnonymousClientsCanBeUnauthorized) {
  auto x = answer_to(centrifuge_ask::connect, 1);
  x.error = errc::unauthorized;
  EXPECT_EQ(message(make_dialect().encode(x)),
            R"({"id":1,"error":{"code":101,"message":"unauthorized"}})");
}

TEST(CentrifugeRulesTest, S3_AClientMustGreet) {
  EXPECT_TRUE(make_dialect().greets());
}

// -- §4.1 subscribe -----------------------------------------------------------

TEST(CentrifugeRulesTest, S41_APlainChannelAnswersWithAnEmptyResult) {
  auto x = answer_to(centrifuge_ask::subscribe, 2);
  x.what = verb::join;
  x.room = "chat:1";
  x.offset = 17; // of a stream that the room does not keep
  x.epoch = "xvfo";
  EXPECT_EQ(message(make_dialect().encode(x)), R"({"id":2,"subscribe":{}})");
}

TEST(CentrifugeRulesTest, S41_WishesAreTakenAndNotGranted) {
  EXPECT_EQ(
    client{}.asks(R"({"subscribe":{"channel":"chat:1","positioned":true,)"
                  R"("recoverable":true,"join_leave":true,"flag":1,)"
                  R"("delta":"fossil"},"id":2})"),
    "join");
}

TEST(CentrifugeRulesTest, S41_TypesOfNewerServersAreNotAvailable) {
  for (int type = 1; type <= 5; ++type)
    EXPECT_EQ(client{}.asks(R"({"id":1,"subscribe":{"channel":"a","type":)"
                            + std::to_string(type) + "}}"),
              "error 108")
      << type;
}

TEST(CentrifugeRulesTest, S41_FiltersAreABadRequest) {
  EXPECT_EQ(
    client{}.asks(R"({"id":1,"subscribe":{"channel":"a","tf":{"op":"eq"}}})"),
    "error 107");
}

TEST(CentrifugeRulesTest, S41_LongAndForeignNamesAreABadRequest) {
  auto join = [](const std::string& name) {
    return client{}.asks(R"({"id":1,"subscribe":{"channel":")" + name + "\"}}");
  };
  EXPECT_EQ(join(std::string(255, 'x')), "join");
  EXPECT_EQ(join(std::string(256, 'x')), "error 107");
  EXPECT_EQ(join(""), "error 107");
  EXPECT_EQ(join("caf\xC3\xA9"), "error 107");
  EXPECT_EQ(join("caf\\u00e9"), "error 107");
  EXPECT_EQ(join("a\\nb"), "error 107");
  EXPECT_EQ(join("a\\u007fb"), "error 107");
  // Names that no dialect has, and what the protocol reserves (§10).
  for (auto* name : {".", "..", "a/b", "/", "a*", "*&", "&"})
    EXPECT_EQ(join(name), "error 107") << name;
  EXPECT_EQ(join("..."), "join");
  EXPECT_EQ(client{}.asks(R"({"id":1,"subscribe":{}})"), "error 107");
}

TEST(CentrifugeRulesTest, S41_ProtectedNamesNeedATokenThatNobodyCanCheck) {
  for (auto* name : {"$room", "private-a", "presence-a"})
    EXPECT_EQ(
      client{}.asks(R"({"id":1,"subscribe":{"channel":")"s + name + "\"}}"),
      "error 103")
      << name;
  EXPECT_EQ(
    client{}.asks(R"({"id":1,"subscribe":{"channel":"$room","token":"JWT"}})"),
    "error 103");
  EXPECT_EQ(
    client{}.asks(R"({"id":1,"subscribe":{"channel":"room","token":"JWT"}})"),
    "error 103");
}

TEST(CentrifugeRulesTest, S10_NamesWithColonsArePlainNames) {
  client ann;
  auto out = ann.says(R"({"id":1,"subscribe":{"channel":"ns:a"}})");
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].what, verb::join);
  EXPECT_EQ(out[0].room, "ns:a");
}

TEST(CentrifugeRulesTest, S10_ChannelsOfCertainUsersAreClosedToNobodies) {
  for (auto* name : {"dialog#42,43", "#", "ns:a#42"})
    EXPECT_EQ(
      client{}.asks(R"({"id":1,"subscribe":{"channel":")"s + name + "\"}}"),
      "error 103")
      << name;
}

TEST(CentrifugeRulesTest, AnOperatorMayWantShorterNames) {
  const centrifuge_json dialect{{.channel_bytes_max = 8}, ids()};
  for (auto* request : {"subscribe", "publish"})
    for (std::size_t size : {8, 9}) {
      dialogue state{.client = 7, .greeted = true};
      std::vector<command> out;
      dialect.decode({"{\"id\":1,\""s + request
                        + "\":{\"data\":1,\"channel\":\""
                        + std::string(size, 'x') + "\"}}",
                      true},
                     state, out);
      ASSERT_EQ(out.size(), 1u);
      EXPECT_EQ(out[0].why, size == 9 ? errc::bad_room_name : errc::none);
    }
}

TEST(CentrifugeRulesTest, S41_ErrorsOfTheRoomHaveTheirCodes) {
  EXPECT_EQ(refused(errc::already_joined),
            R"({"id":2,"error":{"code":105,"message":"already subscribed"}})");
  EXPECT_EQ(refused(errc::room_unknown),
            R"({"id":2,"error":{"code":102,"message":"unknown channel"}})");
  EXPECT_EQ(refused(errc::room_forbidden),
            R"({"id":2,"error":{"code":103,"message":"permission denied"}})");
  EXPECT_EQ(refused(errc::too_many_rooms_joined),
            R"({"id":2,"error":{"code":106,"message":"limit exceeded"}})");
  EXPECT_EQ(refused(errc::bad_room_name),
            R"({"id":2,"error":{"code":107,"message":"bad request"}})");
}

// -- §4.2 unsubscribe ---------------------------------------------------------

TEST(CentrifugeRulesTest, S42_UnsubscribeIsNeverRefused) {
  auto x = answer_to(centrifuge_ask::unsubscribe, 13);
  x.what = verb::leave;
  x.room = "chat:1";
  EXPECT_EQ(message(make_dialect().encode(x)),
            R"({"id":13,"unsubscribe":{}})"); // recorded
  client ann;
  auto out = ann.says(R"({"unsubscribe":{"channel":"chat:1"},"id":13})");
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].what, verb::leave);
  EXPECT_EQ(out[0].room, "chat:1");
  EXPECT_EQ(client{}.asks(R"({"id":1,"unsubscribe":{"channel":"$a"}})"),
            "leave");
  EXPECT_EQ(client{}.asks(R"({"id":1,"unsubscribe":{"channel":"\u00e9"}})"),
            "leave");
}

// -- §4.3 publish -------------------------------------------------------------

TEST(CentrifugeRulesTest, S43_DataIsKeptAsItWasWritten) {
  for (auto* data :
       {R"({"a":1.0,"a":1e2, "b" : 12345678901234567890123})", "1.00", "-0",
        "true", "null", "\"\"", "\"a\\u0000\\/\"", "[ ]", "{}", "1e99999999999",
        "[-1.5E+99999999999,1e-99999999999]",
        R"({"e9":1e99999999999,"\ud83d":"1e99999999999"})",
        R"("\ud800 half a pair")", R"(["\uDC00\uD83D","\\ud83d"])"}) {
    client ann;
    auto out = ann.says("{\"id\":3,\"publish\":{\"data\": "s + data
                        + " ,\"channel\":\"a\"}}");
    ASSERT_EQ(out.size(), 1u) << data;
    ASSERT_EQ(client::word(out[0]), "publish") << data;
    EXPECT_EQ(out[0].data.bytes, data);
    EXPECT_EQ(out[0].data.form, payload_form::json);
    EXPECT_EQ(out[0].room, "a");
    EXPECT_EQ(out[0].id, 3u);
  }
}

TEST(CentrifugeRulesTest, S43_AnEmptyResultIsWritten) {
  auto x = answer_to(centrifuge_ask::publish, 3);
  x.what = verb::publish;
  x.offset = 4;
  EXPECT_EQ(message(make_dialect().encode(x)), R"({"id":3,"publish":{}})");
}

TEST(CentrifugeRulesTest, S43_WhatCannotBePublishedIsRefused) {
  EXPECT_EQ(client{}.asks(R"({"id":1,"publish":{"channel":"a"}})"),
            "error 107");
  EXPECT_EQ(client{}.asks(R"({"id":1,"publish":{"data":1}})"), "error 107");
  EXPECT_EQ(client{}.asks(R"({"id":1,"publish":{"channel":"","data":1}})"),
            "error 107");
  EXPECT_EQ(
    client{}.asks(R"({"id":1,"publish":{"channel":"a","data":1,"type":1}})"),
    "error 108");
}

// -- §4.4 to §4.6, §8 ---------------------------------------------------------

TEST(CentrifugeRulesTest, S44_WhatIsNotEnabledIsNotAvailable) {
  for (auto* request :
       {R"("presence":{"channel":"a"})", R"("presence_stats":{"channel":"a"})",
        R"("history":{"channel":"a","limit":10,"since":{"offset":1}})",
        R"("rpc":{"method":"m","data":{"x":1}})",
        R"("refresh":{"token":"JWT"})",
        R"("sub_refresh":{"channel":"$secret","token":"JWT"})"})
    EXPECT_EQ(client{}.asks("{\"id\":17,"s + request + "}"), "error 108")
      << request;
}

TEST(CentrifugeRulesTest, S46_AMessageWithoutAnAnswerEndsTheConnection) {
  EXPECT_EQ(client{}.asks(R"({"send":{"data":{"a":1}}})"), "close 3508");
}

// -- §6 liveness --------------------------------------------------------------

TEST(CentrifugeRulesTest, S6_APingIsAnEmptyReply) {
  EXPECT_EQ(message(make_dialect().ping()), "{}");
}

TEST(CentrifugeRulesTest, S6_APongAnswersAPing) {
  client ann;
  ann.state.pings_out = 1;
  EXPECT_EQ(ann.asks("{}"), "pong");
  EXPECT_EQ(ann.state.pings_out, 0u);
}

TEST(CentrifugeRulesTest, S6_APongWithoutAPingIsABadRequest) {
  EXPECT_EQ(client{}.asks("{}"), "close 3501");
  client ann;
  ann.state.pings_out = 1;
  auto out = ann.says("{}\n{}");
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(client::word(out[1]), "close 3501");
}

TEST(CentrifugeRulesTest, S1_WebSocketPingsMayTakeThePlaceOfOurs) {
  centrifuge_json quiet{{.pings = false}, ids()};
  EXPECT_FALSE(quiet.ping());
  auto x = answer_to(centrifuge_ask::connect, 1);
  x.ping_every = 25s;
  EXPECT_EQ(message(quiet.encode(x)),
            R"({"id":1,"connect":{"client":")" + name_of(7) + "\"}}");
}
