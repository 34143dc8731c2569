#include "test/support/centrifuge_rig.hpp"

#include <string>

#include <gtest/gtest.h>

// Test names quote the sections of the protocol's description; frames marked as
// recorded there are data here.

using namespace greenroom;
using namespace greenroom::net;
using namespace greenroom::test;
using namespace std::string_literals;

// -- §1 framing ---------------------------------------------------------------

TEST(CentrifugeFramingTest, S1_ConnectAndSubscribesMayComeInOneMessage) {
  auto ann = stranger();
  auto out = ann.says("{\"connect\":{\"name\":\"js\"},\"id\":1}\n"
                      "{\"subscribe\":{\"channel\":\"chat:1\",\"flag\":1},"
                      "\"id\":2}"); // recorded
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].what, verb::hello);
  EXPECT_EQ(out[0].id, 1u);
  EXPECT_EQ(out[1].what, verb::join);
  EXPECT_EQ(out[1].id, 2u);
  EXPECT_EQ(out[1].room, "chat:1");
  EXPECT_TRUE(out[1].options.echo);
  EXPECT_TRUE(ann.state.greeted);
}

TEST(CentrifugeFramingTest, S1_ANewlineMayEndAMessage) {
  client ann;
  EXPECT_EQ(ann.asks("{\"id\":3,\"unsubscribe\":{\"channel\":\"a\"}}\n"),
            "leave");
}

TEST(CentrifugeFramingTest, S1_AnEmptyLineIsBroken) {
  client ann;
  EXPECT_EQ(ann.asks(""), "close 3501");
  EXPECT_EQ(ann.asks("\n"), "close 3501");
  EXPECT_EQ(ann.asks(" "), "close 3501");
  auto out = ann.says("{\"id\":3,\"unsubscribe\":{\"channel\":\"a\"}}\n\n"
                      "{\"id\":4,\"unsubscribe\":{\"channel\":\"a\"}}");
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(client::word(out[1]), "close 3501");
}

TEST(CentrifugeFramingTest, S1_UnknownMembersAreIgnored) {
  client ann;
  EXPECT_EQ(ann.asks(R"({"x":{"publish":1},"id":1,"publish":)"
                     R"({"y":[],"channel":"a","data":1,"z":null},"w":2})"),
            "publish");
}

TEST(CentrifugeFramingTest, S1_HalfASurrogatePairIsNoNameOfAnything) {
  EXPECT_EQ(client{}.asks(R"({"\ud800":1,"id":1,"publish":{"\udc00":{"x":1},)"
                          R"("channel":"a","data":1},"\ud83d":2})"),
            "publish");
  EXPECT_EQ(client{}.asks(R"({"id":1,"subscribe":{"channel":"a\ud800"}})"),
            "error 107");
  EXPECT_EQ(
    client{}.asks(R"({"id":1,"publish":{"data":1,"channel":"\udc00"}})"),
    "error 107");
  EXPECT_EQ(client{}.asks(R"({"id":1,"unsubscribe":{"channel":"\ud800"}})"),
            "leave");
}

TEST(CentrifugeFramingTest, S1_DefaultsMayBeWrittenOrLeftOut) {
  client ann;
  EXPECT_EQ(ann.asks(R"({"id":1,"subscribe":{"channel":"a","token":"",)"
                     R"("recover":false,"epoch":"","offset":0,"data":null,)"
                     R"("delta":"","tf":null,"flag":0,"type":0},)"
                     R"("publish":null})"),
            "join");
  EXPECT_EQ(ann.asks(R"({"id":1,"subscribe":{"channel":"a","tf":{}}})"),
            "join");
}

TEST(CentrifugeFramingTest, S1_NamesMayBeEscaped) {
  client ann;
  auto out = ann.says("{\"\\u0069d\":1,\"subs\\u0063ribe\":"
                      "{\"channel\":\"a\\u003a\\u0022b\"}}");
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].room, "a:\"b");
}

TEST(CentrifugeFramingTest, S1_ABinaryMessageIsABadRequest) {
  client ann;
  auto out =
    ann.says("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":1}}", false);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(client::word(out[0]), "close 3501");
}

TEST(CentrifugeFramingTest, S0_ClientsOfVersion1AreBadRequests) { // annex A
  EXPECT_EQ(stranger().asks(R"({"params":{"name":"js"},"id":1})"),
            "close 3501");
  EXPECT_EQ(stranger().asks(R"({"id":1,"method":1,"params":{"channel":"a"}})"),
            "close 3501");
  EXPECT_EQ(
    client{}.asks(R"({"method":1,"params":{"channel":"room1"},"id":2})"),
    "close 3501");
}

// -- §2.1 commands ------------------------------------------------------------

TEST(CentrifugeFramingTest, S21_TheFirstCommandMustBeConnect) {
  for (auto* text :
       {"{}", R"({"id":1,"subscribe":{"channel":"a"}})", R"({"send":{}})",
        R"({"id":1,"publish":{"channel":"a","data":1}})", R"({"id":1})"})
    EXPECT_EQ(stranger().asks(text), "close 3501") << text;
}

TEST(CentrifugeFramingTest, S21_ARequestNeedsAnIdUnlessItIsASend) {
  EXPECT_EQ(stranger().asks(R"({"connect":{}})"), "close 3501");
  EXPECT_EQ(client{}.asks(R"({"subscribe":{"channel":"a"}})"), "close 3501");
  EXPECT_EQ(client{}.asks(R"({"id":0,"subscribe":{"channel":"a"}})"),
            "close 3501");
  EXPECT_EQ(client{}.asks(R"({"send":{"data":1}})"), "close 3508");
}

TEST(CentrifugeFramingTest, S21_AnIdIsANumberOf32Bits) {
  client ann;
  auto out = ann.says(R"({"id":4294967295,"unsubscribe":{}})");
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].id, 4294967295u);
  for (auto* id : {"4294967296", "-1", "1.0", "1e0", "\"1\"", "true", "[1]",
                   "99999999999999999999"})
    EXPECT_EQ(client{}.asks("{\"id\":"s + id + ",\"unsubscribe\":{}}"),
              "close 3501")
      << id;
}

TEST(CentrifugeFramingTest, S21_ACommandHasExactlyOneRequest) {
  for (auto* text : {
         R"({"id":1})",
         R"({"id":1,"publish":null})",
         R"({"id":1,"shout":{}})",
         R"({"shout":{}})",
         R"({"id":1,"unsubscribe":{},"rpc":{}})",
         R"({"id":1,"unsubscribe":{},"unsubscribe":{}})",
         R"({"id":1,"unsubscribe":[]})",
         R"({"id":1,"unsubscribe":1})",
         R"({"id":1,"unsubscribe":"a"})",
       })
    EXPECT_EQ(client{}.asks(text), "close 3501") << text;
}

TEST(CentrifugeFramingTest, S21_BrokenJsonIsABadRequest) {
  for (auto* text : {
         "{",
         "nonsense",
         "[]",
         "1",
         "null",
         "\"{}\"",
         R"({"id":1,"unsubscribe":{}} x)",
         R"({"id":1,"unsubscribe":{}}{})",
         R"({"id":1,"unsubscribe":{},})",
         R"({"id":1 "unsubscribe":{}})",
         R"({"id":01,"unsubscribe":{}})",
         R"({'id':1,"unsubscribe":{}})",
         R"({"id":1,"unsubscribe":{"channel":"a\q"}})",
         R"({"id":1,"publish":{"channel":"a","data":nul}})",
         R"({"id":1,"publish":{"channel":"a","data":01}})",
         R"({"id":1,"publish":{"channel":"a","data":1e}})",
         R"({"id":1,"publish":{"channel":"a","data":1e99999999999.5}})",
         R"({"id":1,"publish":{"channel":"a","data":01e99999999999}})",
         R"({"id":1,"publish":{"channel":"a","data":{"x":}}})",
         R"({"id":1,"publish":{"channel":"a","data":"\q"}})",
         R"({"id":1,"publish":{"channel":"a","data":[1,]}})",
         // What we skip is looked at all the same.
         R"({"id":1,"unsubscribe":{"x":{"y":nul}}})",
         R"({"id":1,"unsubscribe":{},"x":tru})",
         "{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":\"\xff\"}}",
         "{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":\"a\tb\"}}",
       })
    EXPECT_EQ(client{}.asks(text), "close 3501") << text;
}

TEST(CentrifugeFramingTest, S21_MembersOfTheWrongKindAreBroken) {
  for (auto* text : {
         R"({"id":1,"subscribe":{"channel":1}})",
         R"({"id":1,"subscribe":{"channel":["a"]}})",
         R"({"id":1,"subscribe":{"channel":"a","recover":1}})",
         R"({"id":1,"subscribe":{"channel":"a","flag":"1"}})",
         R"({"id":1,"subscribe":{"channel":"a","type":1.5}})",
         R"({"id":1,"subscribe":{"channel":"a","token":{}}})",
         R"({"id":1,"subscribe":{"channel":"a","tf":1}})",
         // Also those that nothing is done with.
         R"({"id":1,"subscribe":{"channel":"a","offset":"x"}})",
         R"({"id":1,"subscribe":{"channel":"a","offset":-1}})",
         R"({"id":1,"subscribe":{"channel":"a","epoch":5}})",
         R"({"id":1,"subscribe":{"channel":"a","positioned":1}})",
         R"({"id":1,"subscribe":{"channel":"a","delta":{}}})",
         R"({"id":1,"history":{"channel":"a","limit":"1"}})",
         R"({"id":1,"history":{"channel":"a","since":1}})",
         R"({"id":1,"rpc":{"method":1}})",
       })
    EXPECT_EQ(client{}.asks(text), "close 3501") << text;
}

TEST(CentrifugeFramingTest, S21_NothingIsReadBehindABadRequest) {
  client ann;
  auto out = ann.says("{\"id\":1,\"unsubscribe\":{}}\n"
                      "{\"id\":2}\n"
                      "{\"id\":3,\"unsubscribe\":{}}");
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(client::word(out[0]), "leave"); // is carried out
  EXPECT_EQ(client::word(out[1]), "close 3501");
}

TEST(CentrifugeFramingTest, S21_APingOfAClientIsABadRequest) {
  EXPECT_EQ(client{}.asks(R"({"id":1,"ping":{}})"), "close 3501");
}

TEST(CentrifugeFramingTest, ManyCommandsComeInTheirOrder) {
  client ann;
  std::string text;
  for (int i = 1; i <= 1000; ++i)
    text += "{\"id\":" + std::to_string(i)
            + ",\"publish\":{\"channel\":\"a\",\"data\":" + std::to_string(i)
            + "}}\n";
  auto out = ann.says(text);
  ASSERT_EQ(out.size(), 1000u);
  for (unsigned i = 0; i < 1000; ++i) {
    EXPECT_EQ(out[i].id, i + 1);
    EXPECT_EQ(out[i].data.bytes, std::to_string(i + 1));
  }
}

TEST(CentrifugeFramingTest, DataThatIsTooDeepIsRefusedAndNothingElse) {
  auto nested = [](std::size_t depth, std::string_view request) {
    return "{\"id\":1,\"" + std::string{request}
           + "\":{\"channel\":\"a\",\"data\":" + std::string(depth, '[')
           + std::string(depth, ']') + "}}";
  };
  const auto max = centrifuge_settings{}.depth_max - 2;
  EXPECT_EQ(client{}.asks(nested(max, "publish")), "publish");
  EXPECT_EQ(client{}.asks(nested(max + 1, "publish")), "error 107");
  EXPECT_EQ(client{}.asks(nested(30'000, "publish")), "error 107");
  client ann;
  auto out = ann.says(nested(100, "publish") + "\n" + nested(1, "publish"));
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].id, 1u);
  EXPECT_EQ(client::word(out[1]), "publish");
  // Where nobody looks it does no harm.
  EXPECT_EQ(client{}.asks(nested(100, "unsubscribe")), "leave");
  EXPECT_EQ(client{}.asks(R"({"id":1,"publish":{"channel":"a","data":"x","y":)"
                          + std::string(100, '[') + std::string(100, ']')
                          + "}}"),
            "publish");
  // What is broken stays so.
  EXPECT_EQ(client{}.asks(nested(100, "publish") + "]"), "close 3501");
  EXPECT_EQ(client{}.asks(R"({"id":1,"publish":{"channel":"a","data":)"
                          + std::string(100, '[')),
            "close 3501");
  EXPECT_EQ(client{}.asks(std::string(100, '[') + std::string(100, ']')),
            "close 3501");
}
