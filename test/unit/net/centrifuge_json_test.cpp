#include "net/protocols/centrifuge_json.hpp"

#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include "net/protocols/centrifuge_codes.hpp"
#include "net/protocols/json_text.hpp"
#include "test/support/ws_wire.hpp"

// Test names quote the sections of the protocol's description; frames marked as
// recorded there are data here.

using namespace greenroom;
using namespace greenroom::net;
using namespace std::string_literals;
using namespace std::chrono_literals;

namespace {

const centrifuge_ids& ids() {
  static const centrifuge_ids instance{{1, 2, 3}};
  return instance;
}

centrifuge_json make_dialect() {
  return centrifuge_json{{}, ids()};
}

std::string name_of(client_id id) {
  std::string text(centrifuge_ids::name_size, ' ');
  ids().name(
    id, std::span<char, centrifuge_ids::name_size>{text.data(), text.size()});
  return text;
}

// -- asking -------------------------------------------------------------------

/// A dialogue that has been greeted, unless it says otherwise.
struct client {
  dialogue state{.client = 7, .greeted = true};

  std::vector<command> says(std::string text, bool is_text = true) {
    std::vector<command> out;
    make_dialect().decode({std::move(text), is_text}, state, out);
    return out;
  }

  /// What a single command came to, in a word.
  std::string asks(std::string text) {
    auto out = says(std::move(text));
    return out.size() == 1 ? word(out.front())
                           : std::to_string(out.size()) + " commands";
  }

  static std::string word(const command& x) {
    switch (x.what) {
      case verb::hello:
        return "hello";
      case verb::join:
        return "join";
      case verb::leave:
        return "leave";
      case verb::publish:
        return "publish";
      case verb::pong:
        return "pong";
      case verb::refuse:
        return "error " + std::to_string(centrifuge_error_of(x.why).code);
      case verb::end:
        return "close " + std::to_string(centrifuge_disconnect_of(x.why).code);
    }
    return "?";
  }
};

client stranger() {
  return {{.client = 7}};
}

// -- being told ---------------------------------------------------------------

/// The text messages in a block; everything else is a failure.
std::vector<std::string> messages(const wire_ptr& block) {
  std::vector<std::string> result;
  if (!block)
    return result;
  auto bytes = block->bytes();
  while (!bytes.empty()) {
    auto header = test::parse_frame_header(bytes);
    if (!header || header->op != test::opcode::text || !header->fin
        || header->masked || header->wasteful
        || bytes.size() < header->header_size + header->length) {
      ADD_FAILURE() << "no frame of text";
      return result;
    }
    result.emplace_back(bytes.substr(header->header_size, header->length));
    bytes.remove_prefix(header->header_size + header->length);
  }
  EXPECT_EQ(result.size(), block->frames());
  return result;
}

std::string message(const wire_ptr& block) {
  auto all = messages(block);
  return all.size() == 1 ? all.front()
                         : std::to_string(all.size()) + " messages";
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::size_t begin = 0;
  for (auto end = text.find('\n'); end != std::string::npos;
       end = text.find('\n', begin)) {
    result.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  result.push_back(text.substr(begin));
  return result;
}

std::uint16_t kind(centrifuge_ask what) {
  return static_cast<std::uint16_t>(what);
}

answer answer_to(centrifuge_ask what, request_id id) {
  answer x;
  x.id = id;
  x.kind = kind(what);
  x.client = 7;
  return x;
}

std::string refused(errc why) {
  auto x = answer_to(centrifuge_ask::subscribe, 2);
  x.error = why;
  return message(make_dialect().encode(x));
}

event publication(std::string bytes, client_id from = 0,
                  payload_form form = payload_form::json) {
  event x;
  x.from = from;
  x.what = {std::move(bytes), form};
  return x;
}

wire_ptr encode(const std::vector<event>& events, client_id without = 0,
                std::string_view room = "chat:1") {
  return make_dialect().encode(turn{room, "xvfo", events}, without);
}

std::string closing(errc why) {
  auto words = make_dialect().close_words(why);
  EXPECT_EQ(words.why, why);
  EXPECT_FALSE(words.last);
  return std::to_string(words.code) + " " + words.reason;
}

} // namespace

// -- §1 framing ---------------------------------------------------------------

TEST(CentrifugeJsonTest, S1_ConnectAndSubscribesMayComeInOneMessage) {
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

TEST(CentrifugeJsonTest, S1_ANewlineMayEndAMessage) {
  client ann;
  EXPECT_EQ(ann.asks("{\"id\":3,\"unsubscribe\":{\"channel\":\"a\"}}\n"),
            "leave");
}

TEST(CentrifugeJsonTest, S1_AnEmptyLineIsBroken) {
  client ann;
  EXPECT_EQ(ann.asks(""), "close 3501");
  EXPECT_EQ(ann.asks("\n"), "close 3501");
  EXPECT_EQ(ann.asks(" "), "close 3501");
  auto out = ann.says("{\"id\":3,\"unsubscribe\":{\"channel\":\"a\"}}\n\n"
                      "{\"id\":4,\"unsubscribe\":{\"channel\":\"a\"}}");
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(client::word(out[1]), "close 3501");
}

TEST(CentrifugeJsonTest, S1_UnknownMembersAreIgnored) {
  client ann;
  EXPECT_EQ(ann.asks(R"({"x":{"publish":1},"id":1,"publish":)"
                     R"({"y":[],"channel":"a","data":1,"z":null},"w":2})"),
            "publish");
}

TEST(CentrifugeJsonTest, S1_HalfASurrogatePairIsNoNameOfAnything) {
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

TEST(CentrifugeJsonTest, S1_DefaultsMayBeWrittenOrLeftOut) {
  client ann;
  EXPECT_EQ(ann.asks(R"({"id":1,"subscribe":{"channel":"a","token":"",)"
                     R"("recover":false,"epoch":"","offset":0,"data":null,)"
                     R"("delta":"","tf":null,"flag":0,"type":0},)"
                     R"("publish":null})"),
            "join");
  EXPECT_EQ(ann.asks(R"({"id":1,"subscribe":{"channel":"a","tf":{}}})"),
            "join");
}

TEST(CentrifugeJsonTest, S1_NamesMayBeEscaped) {
  client ann;
  auto out = ann.says("{\"\\u0069d\":1,\"subs\\u0063ribe\":"
                      "{\"channel\":\"a\\u003a\\u0022b\"}}");
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].room, "a:\"b");
}

TEST(CentrifugeJsonTest, S1_ABinaryMessageIsABadRequest) {
  client ann;
  auto out =
    ann.says("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":1}}", false);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(client::word(out[0]), "close 3501");
}

TEST(CentrifugeJsonTest, S0_ClientsOfVersion1AreBadRequests) { // annex A
  EXPECT_EQ(stranger().asks(R"({"params":{"name":"js"},"id":1})"),
            "close 3501");
  EXPECT_EQ(stranger().asks(R"({"id":1,"method":1,"params":{"channel":"a"}})"),
            "close 3501");
  EXPECT_EQ(
    client{}.asks(R"({"method":1,"params":{"channel":"room1"},"id":2})"),
    "close 3501");
}

// -- §2.1 commands ------------------------------------------------------------

TEST(CentrifugeJsonTest, S21_TheFirstCommandMustBeConnect) {
  for (auto* text :
       {"{}", R"({"id":1,"subscribe":{"channel":"a"}})", R"({"send":{}})",
        R"({"id":1,"publish":{"channel":"a","data":1}})", R"({"id":1})"})
    EXPECT_EQ(stranger().asks(text), "close 3501") << text;
}

TEST(CentrifugeJsonTest, S21_ARequestNeedsAnIdUnlessItIsASend) {
  EXPECT_EQ(stranger().asks(R"({"connect":{}})"), "close 3501");
  EXPECT_EQ(client{}.asks(R"({"subscribe":{"channel":"a"}})"), "close 3501");
  EXPECT_EQ(client{}.asks(R"({"id":0,"subscribe":{"channel":"a"}})"),
            "close 3501");
  EXPECT_EQ(client{}.asks(R"({"send":{"data":1}})"), "close 3508");
}

TEST(CentrifugeJsonTest, S21_AnIdIsANumberOf32Bits) {
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

TEST(CentrifugeJsonTest, S21_ACommandHasExactlyOneRequest) {
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

TEST(CentrifugeJsonTest, S21_BrokenJsonIsABadRequest) {
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

TEST(CentrifugeJsonTest, S21_MembersOfTheWrongKindAreBroken) {
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

TEST(CentrifugeJsonTest, S21_NothingIsReadBehindABadRequest) {
  client ann;
  auto out = ann.says("{\"id\":1,\"unsubscribe\":{}}\n"
                      "{\"id\":2}\n"
                      "{\"id\":3,\"unsubscribe\":{}}");
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(client::word(out[0]), "leave"); // is carried out
  EXPECT_EQ(client::word(out[1]), "close 3501");
}

TEST(CentrifugeJsonTest, S21_APingOfAClientIsABadRequest) {
  EXPECT_EQ(client{}.asks(R"({"id":1,"ping":{}})"), "close 3501");
}

TEST(CentrifugeJsonTest, ManyCommandsComeInTheirOrder) {
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

TEST(CentrifugeJsonTest, DataThatIsTooDeepIsRefusedAndNothingElse) {
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

// -- §2.2 replies -------------------------------------------------------------

TEST(CentrifugeJsonTest, S22_AReplyHasItsIdAndTheNameOfTheCommandOrAnError) {
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

TEST(CentrifugeJsonTest, S3_ConnectMayBeEmptyOrFull) {
  EXPECT_EQ(stranger().asks(R"({"id":1,"connect":{}})"), "hello");
  EXPECT_EQ(stranger().asks(
              R"({"connect":{"token":"","data":{"hello":1},"name":"demo",)"
              R"("version":"1.2","subs":{"ns:carol":{"recover":true,)"
              R"("offset":1,"epoch":"yGQO"}},"headers":{"a":"b"},"flag":1},)"
              R"("id":1})"),
            "hello");
}

TEST(CentrifugeJsonTest, S3_ASecondConnectIsABadRequest) {
  auto ann = stranger();
  auto out = ann.says("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"connect\":{}}");
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(client::word(out[1]), "close 3501");
}

TEST(CentrifugeJsonTest, S3_ATokenNobodyCanCheckIsInvalid) {
  auto ann = stranger();
  EXPECT_EQ(ann.asks(R"({"connect":{"token":"JWT","name":"demo"},"id":1})"),
            "close 3500");
  EXPECT_FALSE(ann.state.greeted);
}

TEST(CentrifugeJsonTest, S3_TheResultNamesTheClientAndThePing) {
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

TEST(CentrifugeJsonTest, S3_TheServersVersionFollowsTheClient) {
  auto x = answer_to(centrifuge_ask::connect, 1);
  x.ping_every = 25s;
  centrifuge_json dialect{{.server_version = "0.1.0"}, ids()};
  EXPECT_EQ(message(dialect.encode(x)),
            R"({"id":1,"connect":{"client":")" + name_of(7)
              + R"(","version":"0.1.0","ping":25,"pong":true}})");
}

TEST(CentrifugeJsonTest, S3_AnonymousClientsCanBeUnauthorized) {
  auto x = answer_to(centrifuge_ask::connect, 1);
  x.error = errc::unauthorized;
  EXPECT_EQ(message(make_dialect().encode(x)),
            R"({"id":1,"error":{"code":101,"message":"unauthorized"}})");
}

TEST(CentrifugeJsonTest, S3_AClientMustGreet) {
  EXPECT_TRUE(make_dialect().greets());
}

// -- §4.1 subscribe -----------------------------------------------------------

TEST(CentrifugeJsonTest, S41_APlainChannelAnswersWithAnEmptyResult) {
  auto x = answer_to(centrifuge_ask::subscribe, 2);
  x.what = verb::join;
  x.room = "chat:1";
  x.offset = 17; // of a stream that the room does not keep
  x.epoch = "xvfo";
  EXPECT_EQ(message(make_dialect().encode(x)), R"({"id":2,"subscribe":{}})");
}

TEST(CentrifugeJsonTest, S41_WishesAreTakenAndNotGranted) {
  EXPECT_EQ(
    client{}.asks(R"({"subscribe":{"channel":"chat:1","positioned":true,)"
                  R"("recoverable":true,"join_leave":true,"flag":1,)"
                  R"("delta":"fossil"},"id":2})"),
    "join");
}

TEST(CentrifugeJsonTest, S41_TypesOfNewerServersAreNotAvailable) {
  for (int type = 1; type <= 5; ++type)
    EXPECT_EQ(client{}.asks(R"({"id":1,"subscribe":{"channel":"a","type":)"
                            + std::to_string(type) + "}}"),
              "error 108")
      << type;
}

TEST(CentrifugeJsonTest, S41_FiltersAreABadRequest) {
  EXPECT_EQ(
    client{}.asks(R"({"id":1,"subscribe":{"channel":"a","tf":{"op":"eq"}}})"),
    "error 107");
}

TEST(CentrifugeJsonTest, S41_LongAndForeignNamesAreABadRequest) {
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

TEST(CentrifugeJsonTest, S41_ProtectedNamesNeedATokenThatNobodyCanCheck) {
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

TEST(CentrifugeJsonTest, S10_NamesWithColonsArePlainNames) {
  client ann;
  auto out = ann.says(R"({"id":1,"subscribe":{"channel":"ns:a"}})");
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].what, verb::join);
  EXPECT_EQ(out[0].room, "ns:a");
}

TEST(CentrifugeJsonTest, S10_ChannelsOfCertainUsersAreClosedToNobodies) {
  for (auto* name : {"dialog#42,43", "#", "ns:a#42"})
    EXPECT_EQ(
      client{}.asks(R"({"id":1,"subscribe":{"channel":")"s + name + "\"}}"),
      "error 103")
      << name;
}

TEST(CentrifugeJsonTest, AnOperatorMayWantShorterNames) {
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

TEST(CentrifugeJsonTest, S41_ErrorsOfTheRoomHaveTheirCodes) {
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

TEST(CentrifugeJsonTest, S42_UnsubscribeIsNeverRefused) {
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

TEST(CentrifugeJsonTest, S43_DataIsKeptAsItWasWritten) {
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

TEST(CentrifugeJsonTest, S43_AnEmptyResultIsWritten) {
  auto x = answer_to(centrifuge_ask::publish, 3);
  x.what = verb::publish;
  x.offset = 4;
  EXPECT_EQ(message(make_dialect().encode(x)), R"({"id":3,"publish":{}})");
}

TEST(CentrifugeJsonTest, S43_WhatCannotBePublishedIsRefused) {
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

TEST(CentrifugeJsonTest, S44_WhatIsNotEnabledIsNotAvailable) {
  for (auto* request :
       {R"("presence":{"channel":"a"})", R"("presence_stats":{"channel":"a"})",
        R"("history":{"channel":"a","limit":10,"since":{"offset":1}})",
        R"("rpc":{"method":"m","data":{"x":1}})",
        R"("refresh":{"token":"JWT"})",
        R"("sub_refresh":{"channel":"$secret","token":"JWT"})"})
    EXPECT_EQ(client{}.asks("{\"id\":17,"s + request + "}"), "error 108")
      << request;
}

TEST(CentrifugeJsonTest, S46_AMessageWithoutAnAnswerEndsTheConnection) {
  EXPECT_EQ(client{}.asks(R"({"send":{"data":{"a":1}}})"), "close 3508");
}

// -- §6 liveness --------------------------------------------------------------

TEST(CentrifugeJsonTest, S6_APingIsAnEmptyReply) {
  EXPECT_EQ(message(make_dialect().ping()), "{}");
}

TEST(CentrifugeJsonTest, S6_APongAnswersAPing) {
  client ann;
  ann.state.pings_out = 1;
  EXPECT_EQ(ann.asks("{}"), "pong");
  EXPECT_EQ(ann.state.pings_out, 0u);
}

TEST(CentrifugeJsonTest, S6_APongWithoutAPingIsABadRequest) {
  EXPECT_EQ(client{}.asks("{}"), "close 3501");
  client ann;
  ann.state.pings_out = 1;
  auto out = ann.says("{}\n{}");
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(client::word(out[1]), "close 3501");
}

TEST(CentrifugeJsonTest, S1_WebSocketPingsMayTakeThePlaceOfOurs) {
  centrifuge_json quiet{{.pings = false}, ids()};
  EXPECT_FALSE(quiet.ping());
  auto x = answer_to(centrifuge_ask::connect, 1);
  x.ping_every = 25s;
  EXPECT_EQ(message(quiet.encode(x)),
            R"({"id":1,"connect":{"client":")" + name_of(7) + "\"}}");
}

// -- §7 codes -----------------------------------------------------------------

TEST(CentrifugeJsonTest, S71_TemporaryIsSetExactlyWhereClientsShallRetry) {
  EXPECT_EQ(refused(errc::fault),
            R"({"id":2,"error":{"code":100,"message":"internal server error",)"
            R"("temporary":true}})");
  EXPECT_EQ(refused(errc::rate_limited),
            R"({"id":2,"error":{"code":111,"message":"too many requests",)"
            R"("temporary":true}})");
  // By the reason and not by the code: what does not pass by itself must not be
  // tried for ever.
  const std::set<errc> passing{errc::fault,          errc::overloaded,
                               errc::draining,       errc::shutdown,
                               errc::answer_timeout, errc::rate_limited};
  const std::set<std::uint32_t> temporary{100, 111, 113};
  for (auto& row : errc_table()) {
    auto error = centrifuge_error_of(row.code);
    EXPECT_EQ(error.temporary, passing.contains(row.code)) << row.name;
    EXPECT_EQ(error.temporary, temporary.contains(error.code)) << row.name;
    EXPECT_TRUE(error.code >= 100 && error.code <= 113) << row.name;
  }
}

TEST(CentrifugeJsonTest, S71_ARoomInQuarantineIsNotTriedAgain) {
  for (auto why : {errc::room_quarantined, errc::room_closed})
    EXPECT_EQ(refused(why),
              R"({"id":2,"error":{"code":108,"message":"not available"}})");
}

TEST(CentrifugeJsonTest, S72_ReasonsHaveTheCodesThatClientsKnow) {
  EXPECT_EQ(closing(errc::shutdown), "3001 shutdown");
  EXPECT_EQ(closing(errc::draining), "3001 shutdown");
  EXPECT_EQ(closing(errc::fault), "3004 internal server error");
  EXPECT_EQ(closing(errc::slow_consumer), "3008 slow");
  EXPECT_EQ(closing(errc::overloaded), "3008 slow");
  EXPECT_EQ(closing(errc::write_stalled), "3009 write error");
  EXPECT_EQ(closing(errc::out_of_step), "3010 insufficient state");
  EXPECT_EQ(closing(errc::no_pong), "3012 no pong");
  EXPECT_EQ(closing(errc::rate_limited), "3013 too many requests");
  EXPECT_EQ(closing(errc::unauthorized), "3500 invalid token");
  EXPECT_EQ(closing(errc::bad_command), "3501 bad request");
  EXPECT_EQ(closing(errc::stale), "3502 stale");
  EXPECT_EQ(closing(errc::kicked), "3503 force disconnect");
  EXPECT_EQ(closing(errc::connection_limit), "3504 connection limit");
  EXPECT_EQ(closing(errc::not_available), "3508 not available");
  EXPECT_EQ(closing(errc::too_many_errors), "3509 too many errors");
  EXPECT_EQ(closing(errc::protocol_error), "1002 protocol error");
  EXPECT_EQ(closing(errc::bad_deflate), "1007 not deflated");
  EXPECT_EQ(closing(errc::bad_utf8), "1007 not UTF-8");
  EXPECT_EQ(closing(errc::message_too_big), "1009 message too big");
}

TEST(CentrifugeJsonTest, S72_AReasonIsShortAndNoJson) {
  for (auto& row : errc_table()) {
    auto words = make_dialect().close_words(row.code);
    EXPECT_FALSE(words.reason.empty()) << row.name;
    EXPECT_LE(words.reason.size(), 123u) << row.name;
    EXPECT_FALSE(is_json(words.reason, 32)) << row.name;
  }
}

TEST(CentrifugeJsonTest, S73_ARoomThatEndsIsToldByAPush) {
  answer x;
  x.what = verb::leave;
  x.error = errc::room_closed;
  x.room = "chat:1";
  EXPECT_EQ(message(make_dialect().encode(x)),
            R"({"push":{"channel":"chat:1","unsubscribe":)"
            R"({"code":2000,"reason":"server unsubscribe"}}})"); // recorded
}

TEST(CentrifugeJsonTest, WhatHasNoIdHasNoAnswer) {
  answer x;
  x.what = verb::publish;
  EXPECT_FALSE(make_dialect().encode(x));
  x.error = errc::room_forbidden;
  EXPECT_FALSE(make_dialect().encode(x));
}

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

// -- §3 the client's name -----------------------------------------------------

TEST(CentrifugeIdsTest, ANameIsAUuidAndFindsItsConnection) {
  std::set<std::string> names;
  std::mt19937_64 random{1};
  for (int i = 0; i < 1000; ++i) {
    auto id = i < 500 ? static_cast<client_id>(i) : random();
    auto name = name_of(id);
    EXPECT_TRUE(names.insert(name).second);
    EXPECT_EQ(name[14], '4') << name; // RFC 9562 §5.4
    EXPECT_NE("89ab"s.find(name[19]), std::string::npos) << name;
    EXPECT_EQ(name.find_first_not_of("0123456789abcdef-"), std::string::npos);
    EXPECT_EQ(ids().find(name), id);
    EXPECT_EQ(name_of(id), name); // the same every time
  }
}

TEST(CentrifugeIdsTest, NobodyGuessesAName) {
  auto name = name_of(7);
  for (std::size_t i = 0; i < name.size(); ++i) {
    auto other = name;
    other[i] = other[i] == '0' ? '1' : '0';
    EXPECT_EQ(ids().find(other), std::nullopt) << other;
  }
  EXPECT_EQ(ids().find(""), std::nullopt);
  EXPECT_EQ(ids().find(name + "0"), std::nullopt);
  EXPECT_EQ(ids().find(std::string(36, '\xff')), std::nullopt);
  const centrifuge_ids others{{4, 5, 6}};
  EXPECT_EQ(others.find(name), std::nullopt);
  EXPECT_EQ(centrifuge_ids::of_this_process().find(name), std::nullopt);
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

// -- anything at all ----------------------------------------------------------

namespace {

/// Commands, torn and stitched at random.
class nonsense {
public:
  explicit nonsense(std::uint64_t seed) : random_(seed) {}

  std::string next() {
    std::string text;
    for (auto n = below(4) + 1; n > 0; --n) {
      text += seeds[below(std::size(seeds))];
      if (below(8) != 0)
        text += '\n';
    }
    for (auto n = below(6); n > 0 && !text.empty(); --n)
      change(text);
    return text;
  }

private:
  static constexpr std::string_view seeds[] = {
    R"({"connect":{"name":"js"},"id":1})",
    R"({"subscribe":{"channel":"chat:1","flag":1},"id":2})",
    R"({"id":3,"publish":{"channel":"a","data":{"x":[1,2.5e3,"\ud83d"]}}})",
    R"({"id":4,"publish":{"channel":"a","data":"\u00e9\\\" \n"}})",
    R"({"id":5,"unsubscribe":{"channel":"chat:1"}})",
    R"({"id":6,"history":{"channel":"a","since":{"offset":1,"epoch":"x"}}})",
    R"({"send":{"data":null}})",
    R"({"id":7,"rpc":{"method":"m","data":[[[[]]]]}})",
    "{}",
    "[",
  };

  std::size_t below(std::size_t n) { return random_() % n; }

  void change(std::string& text) {
    auto at = below(text.size());
    switch (below(6)) {
      case 0:
        text.erase(at, below(8) + 1);
        break;
      case 1:
        text.insert(at, text.substr(below(text.size()), below(24)));
        break;
      case 2:
        text[at] = static_cast<char>(below(256));
        break;
      case 3:
        text[at] = "{}[]\",:\\\n 0eEu-+.tfn"[below(21)];
        break;
      case 4:
        text.resize(at);
        break;
      case 5:
        text.insert(at, below(70), "[{\"9"[below(4)]);
        break;
    }
  }

  std::mt19937_64 random_;
};

std::uint64_t chosen_seed() {
  if (auto* given = std::getenv("GREENROOM_SEED"))
    return std::strtoull(given, nullptr, 10);
  return std::random_device{}();
}

} // namespace

TEST(CentrifugeJsonTest, AnyMessageIsUnderstoodOrRefused) {
  auto seed = chosen_seed();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("GREENROOM_SEED=" + std::to_string(seed));
  nonsense source{seed};
  auto dialect = make_dialect();
  std::size_t understood = 0;
  for (int round = 0; round < 20'000; ++round) {
    auto text = source.next();
    dialogue state{.client = 7, .greeted = round % 3 != 0, .pings_out = 1};
    auto by_line_state = state;
    std::vector<command> out;
    dialect.decode({text, true}, state, out);
    ASSERT_FALSE(out.empty()) << text;
    for (std::size_t i = 0; i < out.size(); ++i) {
      auto& x = out[i];
      auto last = i + 1 == out.size();
      // Whatever ends the connection is the last thing that is looked at.
      ASSERT_TRUE(last || x.what != verb::end) << text;
      if (x.what != verb::end && x.what != verb::pong) {
        ASSERT_NE(x.id, 0u) << text;
      }
      if (x.what == verb::join || x.what == verb::publish) {
        ++understood;
        ASSERT_FALSE(x.room.empty()) << text;
        ASSERT_LE(x.room.size(), 255u) << text;
      }
      if (x.what != verb::publish)
        continue;
      ASSERT_TRUE(is_json(x.data.bytes, 64)) << text;
      event told;
      told.what = x.data;
      auto push = message(encode({told}));
      ASSERT_EQ(lines(push).size(), 1u) << push;
      ASSERT_TRUE(is_json(push, 70)) << push;
    }
    // Line by line they are the same commands.
    std::vector<command> by_line;
    if (text.ends_with('\n'))
      text.pop_back();
    for (auto& line : lines(text)) {
      dialect.decode({line + '\n', true}, by_line_state, by_line);
      if (by_line.back().what == verb::end)
        break;
    }
    ASSERT_EQ(by_line.size(), out.size()) << text;
    for (std::size_t i = 0; i < out.size(); ++i)
      ASSERT_EQ(client::word(by_line[i]), client::word(out[i])) << text;
  }
  EXPECT_GT(understood, 1000u); // or the nonsense says nothing
}

TEST(CentrifugeJsonTest, AnyPublicationIsToldWholeAndInOrder) {
  auto seed = chosen_seed();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("GREENROOM_SEED=" + std::to_string(seed));
  std::mt19937_64 random{seed};
  for (int round = 0; round < 300; ++round) {
    centrifuge_settings settings;
    settings.frame_bytes_max = 100 + random() % 5000;
    centrifuge_json dialect{settings, ids()};
    std::vector<event> events;
    std::vector<std::string> texts;
    for (auto n = random() % 50 + 1; n > 0; --n) {
      std::string text;
      for (auto length = random() % 300; length > 0; --length)
        text += static_cast<char>(random() % 128);
      events.push_back(publication(text, random() % 3, payload_form::text));
      texts.push_back(text);
    }
    auto without = random() % 3;
    std::vector<std::string> heard;
    for (auto& x : messages(dialect.encode(turn{"a", "", events}, without))) {
      auto all = lines(x);
      ASSERT_TRUE(x.size() <= settings.frame_bytes_max || all.size() == 1);
      for (auto& line : all) {
        auto push = boost::json::parse(line).at("push").at("pub");
        heard.emplace_back(push.at("data").as_string().c_str(),
                           push.at("data").as_string().size());
      }
    }
    std::vector<std::string> expected;
    for (std::size_t i = 0; i < events.size(); ++i)
      if (without == 0 || events[i].from != without)
        expected.push_back(texts[i]);
    ASSERT_EQ(heard, expected);
  }
}
