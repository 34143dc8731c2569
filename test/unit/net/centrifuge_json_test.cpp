#include "net/protocols/centrifuge_json.hpp"

#include "test/support/centrifuge_rig.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

// Test names quote the sections of the protocol's description; frames marked as
// recorded there are data here.

using namespace greenroom;
using namespace greenroom::net;
using namespace greenroom::test;
using namespace std::string_literals;

// -- §9 recovery --------------------------------------------------------------

TEST(CentrifugeJsonTest, S9_ARoomWithoutAStreamSaysThatItWasAsked) {
  client ann;
  auto out = ann.says(
    R"({"subscribe":{"channel":"chat:1","flag":1,"recover":true,"offset":4,)"
    R"("epoch":"xvfo"},"id":5})"); // recorded
  ASSERT_EQ(out.size(), 1u);
  ASSERT_EQ(out[0].what, verb::join);
  answer x;
  x.what = verb::join;
  x.id = out[0].id;
  x.kind = out[0].kind;
  EXPECT_EQ(message(make_dialect().encode(x)),
            R"({"id":5,"subscribe":{"was_recovering":true}})");
}

TEST(CentrifugeJsonTest, S41_AClientMayWantAnErrorIfItCannotRecover) {
  EXPECT_EQ(client{}.asks(R"({"id":5,"subscribe":{"channel":"a","flag":3,)"
                          R"("recover":true,"offset":4,"epoch":"xvfo"}})"),
            "error 112");
  EXPECT_EQ(client{}.asks(R"({"id":5,"subscribe":{"channel":"a","flag":3}})"),
            "join");
}

// -- §2.3, §2.4 pushes --------------------------------------------------------

TEST(CentrifugeJsonTest, S23_APublicationOfTheServerHasNoInfo) {
  EXPECT_EQ(message(encode({publication(R"({"text":"from api"})")})),
            R"({"push":{"channel":"chat:1","pub":)"
            R"({"data":{"text":"from api"}}}})");
}

TEST(CentrifugeJsonTest, S24_APublicationOfAClientSaysWhose) {
  EXPECT_EQ(message(encode({publication(R"({"a":1})", 9)})),
            R"({"push":{"channel":"chat:1","pub":{"data":{"a":1},)"
            R"("info":{"user":"","client":")"
              + name_of(9) + "\"}}}}");
}

TEST(CentrifugeJsonTest, S1_PushesOfATurnAreJoinedInOrder) {
  auto text = message(encode({publication("1", 3), publication("2", 4),
                              publication("3", 3), publication("4")}));
  auto all = lines(text);
  ASSERT_EQ(all.size(), 4u);
  for (std::size_t i = 0; i < all.size(); ++i)
    EXPECT_NE(all[i].find("\"data\":" + std::to_string(i + 1)),
              std::string::npos);
  EXPECT_NE(all[0].find(name_of(3)), std::string::npos);
  EXPECT_NE(all[1].find(name_of(4)), std::string::npos);
  EXPECT_NE(all[2].find(name_of(3)), std::string::npos);
  EXPECT_EQ(all[3].find("info"), std::string::npos);
}

TEST(CentrifugeJsonTest, AMessageOfPushesIsBounded) {
  centrifuge_json dialect{{.frame_bytes_max = 200}, ids()};
  std::vector<event> events;
  for (int i = 0; i < 10; ++i)
    events.push_back(publication(std::to_string(i)));
  events.push_back(publication("\"" + std::string(500, 'x') + "\""));
  events.push_back(publication("11"));
  auto all = messages(dialect.encode(turn{"a", "", events}, 0));
  std::size_t n = 0;
  for (auto& text : all) {
    auto inside = lines(text);
    EXPECT_TRUE(text.size() <= 200 || inside.size() == 1) << text.size();
    n += inside.size();
  }
  EXPECT_EQ(n, events.size());
  EXPECT_EQ(all.size(), 5u); // 4 in a message, and the long one alone
}

TEST(CentrifugeJsonTest, S12_AnswersThatAreKnownTogetherAreOneMessage) {
  std::vector<answer> all;
  for (request_id id : {1, 2, 0, 3}) {
    all.push_back(answer_to(centrifuge_ask::publish, id));
    all.back().what = verb::publish;
  }
  all[1].error = errc::room_forbidden;
  EXPECT_EQ(message(make_dialect().encode_all(all)),
            "{\"id\":1,\"publish\":{}}\n"
            "{\"id\":2,\"error\":{\"code\":103,\"message\":"
            "\"permission denied\"}}\n"
            "{\"id\":3,\"publish\":{}}");
  const centrifuge_json small{{.frame_bytes_max = 50}, ids()};
  EXPECT_EQ(messages(small.encode_all(all)).size(), 3u);
  EXPECT_FALSE(make_dialect().encode_all({}));
}

TEST(CentrifugeJsonTest, WhoIsLeftOutGetsTheOthers) {
  auto text = message(
    encode({publication("1", 3), publication("2", 4), publication("3")}, 3));
  EXPECT_EQ(lines(text).size(), 2u);
  EXPECT_EQ(text.find("\"data\":1"), std::string::npos);
  EXPECT_FALSE(encode({publication("1", 3)}, 3));
}

TEST(CentrifugeJsonTest, S12_NewlinesOfAPayloadDoNotPartAMessage) {
  auto text = message(encode({publication("{\n  \"a\": [\n1,\r\n2\n]\n}")}));
  EXPECT_EQ(lines(text).size(), 1u);
  EXPECT_NE(text.find("{   \"a\": [ 1,\r 2 ] }"), std::string::npos) << text;
}

TEST(CentrifugeJsonTest, NamesOfRoomsAreEscaped) {
  EXPECT_EQ(message(encode({publication("1")}, 0, "a\"\\\n\xC3\xA9")),
            "{\"push\":{\"channel\":\"a\\\"\\\\\\n\xC3\xA9\",\"pub\":"
            "{\"data\":1}}}");
}

// What raw clients publish: net/README.md, Centrifuge

TEST(CentrifugeJsonTest, TextOfRawClientsIsAJsonString) {
  EXPECT_EQ(message(encode(
              {publication("{\"a\":\n1}\x01\xC3\xA9", 0, payload_form::text)})),
            "{\"push\":{\"channel\":\"chat:1\",\"pub\":"
            "{\"data\":\"{\\\"a\\\":\\n1}\\u0001\xC3\xA9\"}}}");
  EXPECT_EQ(message(encode({publication("", 0, payload_form::text)})),
            R"({"push":{"channel":"chat:1","pub":{"data":""}}})");
}

TEST(CentrifugeJsonTest, BinaryOfRawClientsIsLeftOut) {
  auto binary = publication("\x00\xff"s, 1, payload_form::binary);
  EXPECT_FALSE(make_dialect().tells(binary));
  EXPECT_TRUE(make_dialect().tells(publication("1")));
  EXPECT_FALSE(encode({binary}));
  EXPECT_EQ(message(encode({binary, publication("1"), binary})),
            R"({"push":{"channel":"chat:1","pub":{"data":1}}})");
}

// -- the way in ---------------------------------------------------------------

namespace {

result<entrance> enter(std::vector<std::string_view> subprotocols,
                       std::string key = "a", std::string value = "b") {
  visit in;
  in.subprotocols = std::move(subprotocols);
  in.query.emplace_back(std::move(key), std::move(value));
  return enter_centrifuge(in);
}

} // namespace

TEST(CentrifugeGateTest, S1_JsonIsChosenByNameOrByDefault) {
  for (auto& offered : std::vector<std::vector<std::string_view>>{
         {}, {"soap"}, {"centrifuge-json"}, {"soap", "centrifuge-json"}}) {
    auto way = enter(offered);
    ASSERT_TRUE(way);
    EXPECT_EQ(way->dialect->name(), "centrifuge_json");
    EXPECT_TRUE(way->dialect->ping());
    EXPECT_TRUE(way->implied.empty());
    EXPECT_FALSE(way->raw);
    EXPECT_EQ(way->room, "");
    // An unasked-for header would make browsers fail the connection.
    auto asked = !offered.empty() && offered.back() == "centrifuge-json";
    EXPECT_EQ(way->subprotocol, asked ? "centrifuge-json" : "");
  }
}

TEST(CentrifugeGateTest, S1_ProtobufHearsThatItIsNotAvailable) {
  for (auto& [way, name] :
       std::vector<std::pair<result<entrance>, std::string>>{
         {enter({"soap", "centrifuge-protobuf"}), "centrifuge-protobuf"},
         {enter({}, "cf_protocol", "protobuf"), ""},
         {enter({"soap"}, "format", "protobuf"), ""}}) {
    ASSERT_TRUE(way);
    // A browser would take a handshake without its subprotocol for broken.
    EXPECT_EQ(way->subprotocol, name);
    auto& dialect = *way->dialect;
    EXPECT_EQ(dialect.name(), "centrifuge_protobuf");
    EXPECT_TRUE(dialect.greets());
    dialogue state;
    std::vector<command> out;
    dialect.decode({"\x08\x01\x22\x04\x22\x02js", false}, state, out);
    ASSERT_EQ(out.size(), 1u);
    ASSERT_EQ(out[0].what, verb::end);
    auto words = dialect.close_words(out[0].why);
    EXPECT_EQ(words.code, 3508); // §7.2: no client comes back
    EXPECT_EQ(words.reason, "not available");
  }
  for (auto& way : {enter({"centrifuge-protobuf", "centrifuge-json"}),
                    enter({"centrifuge-json"}, "format", "protobuf"),
                    enter({}, "cf_protocol", "json")})
    EXPECT_EQ(way->dialect->name(), "centrifuge_json");
}

TEST(CentrifugeGateTest, TheLimitOfNamesIsTheBrokers) {
  visit in;
  in.room_name_bytes_max = 3;
  auto way = enter_centrifuge(in);
  ASSERT_TRUE(way);
  EXPECT_EQ(way->dialect, enter_centrifuge(in)->dialect); // one for all
  EXPECT_NE(way->dialect, enter({})->dialect);
  dialogue state{.client = 7, .greeted = true};
  std::vector<command> out;
  way->dialect->decode({R"({"id":1,"subscribe":{"channel":"abcd"}})", true},
                       state, out);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].why, errc::bad_room_name);
}

TEST(CentrifugeGateTest, S1_AClientMayAskForWebSocketPings) {
  auto way = enter({}, "cf_ws_frame_ping_pong", "true");
  ASSERT_TRUE(way);
  EXPECT_FALSE(way->dialect->ping());
  EXPECT_TRUE(way->dialect->greets());
}
