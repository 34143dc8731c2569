// Limits of who may come in, and of what clients may send: both sides of each.

#include "test/conformance/flags.hpp"
#include "test/support/centrifuge_client.hpp"

#include <algorithm>
#include <chrono>
#include <future>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "actors/engine.hpp"
#include "actors/messages.hpp"

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::HasSubstr;

namespace {

std::string times(std::string_view what, std::size_t n) {
  std::string result;
  for (; n > 0; --n)
    result += what;
  return result;
}

/// A Centrifuge client that has greeted.
ws_client centrifuge(const flagged_broker& broker) {
  auto result = broker.client(centrifuge_path);
  result.send_text(centrifuge_greeting);
  EXPECT_THAT(result.receive_text(), HasSubstr(R"("id":1,"connect")"));
  return result;
}

} // namespace

// -- connections --------------------------------------------------------------------

TEST(ConnectionLimitTest, SocketsInAllAreBoundedAndComeFree) {
  flagged_broker broker{{"--connections-max=3"}};
  std::vector<ws_client> clients;
  for (int i = 0; i < 3; ++i)
    clients.push_back(broker.client());
  auto x = broker.refusal("/room/lobby");
  EXPECT_EQ(x.status, 503);
  EXPECT_EQ(x.body, error_body("connection_limit"));
  EXPECT_TRUE(x.header("Retry-After"));
  EXPECT_EQ(http_get(broker.port(), "/health").status, 200);
  clients[0].close();
  clients[0].drop();
  clients[1].reset();
  for (int i = 0; i < 2; ++i)
    clients.push_back(broker.client_soon(broker.at()));
  EXPECT_EQ(broker.refusal("/room/lobby").status, 503);
}

TEST(ConnectionLimitTest, SocketsOfOneAddressAreBoundedAndComeFree) {
  flagged_broker broker{{"--connections-per-address=2"}};
  auto ann = broker.client();
  auto bob = broker.client();
  auto x = broker.refusal("/room/lobby");
  EXPECT_EQ(x.status, 503);
  EXPECT_EQ(x.body, error_body("address_limit"));
  EXPECT_TRUE(x.header("Retry-After"));
  auto elsewhere = broker.at();
  elsewhere.local_address = "127.0.0.2";
  auto carl = ws_client::connect(elsewhere);
  ann.close();
  ann.drop();
  auto dora = broker.client_soon(broker.at());
  dora.send_text("in");
  EXPECT_EQ(carl.receive_text(), "in");
}

TEST(ConnectionLimitTest, AHandshakeHasToComeInTime) {
  flagged_broker broker{{"--handshake-timeout=300ms"}};
  auto begin = std::chrono::steady_clock::now();
  http_client slow{{.port = broker.port()}};
  slow.send("GET /room/lobby HTTP/1.1\r\nHost: x\r\n");
  auto c = broker.client();
  EXPECT_EQ(slow.receive().status, 408);
  EXPECT_GE(since(begin), 250ms);
  c.send_text("in time");
  EXPECT_EQ(c.receive_text(), "in time");
}

TEST(ConnectionLimitTest, PingsKeepAliveWhoAnswersThem) {
  flagged_broker broker{{"--ping-every=100ms", "--idle-timeout=400ms"}};
  auto options = broker.at();
  options.answer_pings = false;
  auto ann = broker.client();
  auto bob = ws_client::connect(options);
  auto begin = std::chrono::steady_clock::now();
  // Ann shows a sign of life whenever she is asked for one.
  while (since(begin) < 1s) {
    auto frame = ann.receive_frame();
    ASSERT_EQ(frame.header.op, opcode::ping);
    ann.send_pong(frame.payload);
  }
  ann.send_text("alive");
  EXPECT_EQ(ann.receive_text(), "alive");
  EXPECT_EQ(bob.expect_close().code, 1008);
  EXPECT_GE(bob.counts().pings_in, 2u);
  bob.drop();
  broker.log().wait_line("client_down", "reason=no_sign_of_life");
}

TEST(ConnectionLimitTest, AClientHasToGreetInTime) {
  flagged_broker broker{{"--greeting-timeout=200ms"}};
  auto ann = centrifuge(broker);
  auto begin = std::chrono::steady_clock::now();
  auto bob = broker.client("/connection/websocket");
  EXPECT_EQ(bob.expect_close().code, 3502);
  EXPECT_GE(since(begin), 180ms);
  ann.send_text(centrifuge_subscribe(2, "lobby"));
  EXPECT_THAT(ann.receive_text(), HasSubstr(R"("subscribe":{)"));
}

TEST(ConnectionLimitTest, APingOfTheDialectHasToBeAnswered) {
  flagged_broker broker{{"--ping-every=400ms", "--pong-timeout=200ms"}};
  auto ann = centrifuge(broker);
  auto bob = centrifuge(broker);
  auto begin = std::chrono::steady_clock::now();
  while (since(begin) < 1s) {
    EXPECT_EQ(ann.receive_text(), "{}");
    ann.send_text("{}");
  }
  EXPECT_EQ(bob.expect_close().code, 3012);
  // The first ping comes after half an interval at the earliest.
  auto carl = centrifuge(broker);
  begin = std::chrono::steady_clock::now();
  EXPECT_EQ(carl.receive_text(), "{}");
  EXPECT_GE(since(begin), 180ms);
  begin = std::chrono::steady_clock::now();
  EXPECT_EQ(carl.expect_close().code, 3012);
  EXPECT_GE(since(begin), 150ms);
}

TEST(ConnectionLimitTest, StrangersMayBeKeptOut) {
  flagged_broker broker{{"--anonymous=off"}};
  auto c = broker.client("/connection/websocket");
  c.send_text(centrifuge_greeting);
  auto text = c.try_receive(5s);
  // An error of the greeting, or the end of the connection: nobody is let in.
  if (text) {
    EXPECT_THAT(text->payload, HasSubstr("101"));
  } else {
    EXPECT_EQ(c.expect_close().code, 3500);
  }
  auto raw = broker.client();
  raw.send_text("raw clients greet nobody");
  EXPECT_EQ(raw.receive_text(), "raw clients greet nobody");
}

// -- rooms --------------------------------------------------------------------------

TEST(RoomLimitTest, ARoomNobodyNamedIsUnknown) {
  flagged_broker broker;
  auto x = broker.refusal("/room/other");
  EXPECT_EQ(x.status, 404);
  EXPECT_EQ(x.body, error_body("room_unknown"));
  flagged_broker open{{"--rooms-on-demand"}};
  open.client("/room/other").close();
}

TEST(RoomLimitTest, RoomsAreBoundedAndGoWithTheirLastMember) {
  flagged_broker broker{
    {"--rooms-on-demand", "--rooms-max=3", "--rooms-linger=0ms"}};
  auto one = broker.client("/room/one");
  auto two = broker.client("/room/two");
  auto x = broker.refusal("/room/three");
  EXPECT_EQ(x.status, 503);
  EXPECT_EQ(x.body, error_body("too_many_rooms"));
  EXPECT_TRUE(x.header("Retry-After"));
  auto again = broker.client("/room/two");
  two.close();
  two.drop();
  EXPECT_EQ(broker.refusal("/room/three").status, 503);
  one.close();
  one.drop();
  auto three = broker.client_soon(broker.at("/room/three"));
  three.send_text("three");
  EXPECT_EQ(three.receive_text(), "three");
  EXPECT_EQ(broker.refusal("/room/one").status, 503);
}

TEST(RoomLimitTest, AnEmptyRoomStaysForAWhile) {
  flagged_broker broker{{"--rooms-on-demand", "--rooms-linger=300ms"}};
  auto one = broker.client("/room/one");
  auto begin = std::chrono::steady_clock::now();
  one.close();
  one.drop();
  broker.wait_books([](auto& x) { return x.clients == 0; });
  auto rooms = broker.books().rooms;
  if (since(begin) < 250ms) {
    EXPECT_EQ(rooms, 2u); // and the named one
  }
  broker.wait_books([](auto& x) { return x.rooms == 1; });
  EXPECT_GE(since(begin), 250ms);
}

TEST(RoomLimitTest, AnEmptyRoomGivesWay) {
  flagged_broker broker{
    {"--rooms-on-demand", "--rooms-max=2", "--rooms-linger=1h"}};
  auto one = broker.client("/room/one");
  EXPECT_EQ(broker.refusal("/room/two").status, 503);
  one.close();
  one.drop();
  auto two = broker.client_soon(broker.at("/room/two"));
  EXPECT_EQ(broker.books().rooms, 2u);
  EXPECT_EQ(broker.refusal("/room/one").status, 503);
}

TEST(RoomLimitTest, APlaceIsKeptForAWhile) {
  flagged_broker broker{
    {"--rooms-on-demand", "--rooms-max=2", "--placement-timeout=400ms"}};
  // What a handshake asks for that then gets lost on its way.
  std::promise<void> placed;
  auto begin = std::chrono::steady_clock::now();
  tell(broker.env().supervisor,
       place{"ghost", [&placed](unit_id) { placed.set_value(); }});
  ASSERT_EQ(placed.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_EQ(broker.refusal("/room/one").status, 503);
  auto one = broker.client_soon(broker.at("/room/one"));
  EXPECT_GE(since(begin), 380ms);
}

TEST(RoomLimitTest, APlaceThatNobodyTakesIsForgotten) {
  flagged_broker broker{
    {"--rooms-on-demand", "--rooms-max=3", "--placement-timeout=200ms"}};
  for (int i = 0; i < 200; ++i) {
    auto stream = tcp_stream::connect({.port = broker.port()}, deadline{10s});
    stream.send(make_handshake({.port = broker.port(),
                                .path = fmt::format("/room/{}", i),
                                .key = next_handshake_key()}),
                deadline{10s}, false);
    stream.reset();
  }
  auto one = broker.client_soon(broker.at("/room/one"));
  auto two = broker.client_soon(broker.at("/room/two"));
  EXPECT_EQ(broker.refusal("/room/three").status, 503);
}

TEST(RoomLimitTest, MembersAreBoundedAndComeFree) {
  flagged_broker broker{
    {"--room=small,members=2", "--room-members=3", "--room=wide"}};
  auto fills = [&](const std::string& path, std::size_t most) {
    std::vector<ws_client> members;
    for (std::size_t i = 0; i < most; ++i)
      members.push_back(broker.client(path));
    auto x = broker.refusal(path);
    EXPECT_EQ(x.status, 503);
    EXPECT_EQ(x.body, error_body("room_full"));
    EXPECT_TRUE(x.header("Retry-After"));
    members.pop_back();
    members.push_back(broker.client_soon(broker.at(path)));
    EXPECT_EQ(broker.refusal(path).status, 503);
  };
  fills("/room/small", 2);
  fills("/room/wide", 3);
}

TEST(RoomLimitTest, AConnectionIsInSoManyRooms) {
  for (int most : {128, 3}) {
    SCOPED_TRACE(most);
    std::vector<std::string> flags{"--rooms-on-demand"};
    if (most != 128) // the default
      flags.push_back(fmt::format("--rooms-per-connection={}", most));
    flagged_broker broker{flags};
    auto c = centrifuge(broker);
    for (int i = 1; i <= most; ++i) {
      c.send_text(centrifuge_subscribe(i + 1, fmt::format("r{}", i)));
      ASSERT_THAT(c.receive_text(), HasSubstr(R"("subscribe":{)")) << i;
    }
    c.send_text(centrifuge_subscribe(130, "more"));
    EXPECT_THAT(c.receive_text(), HasSubstr(R"("code":106)"));
    EXPECT_EQ(broker.books().memberships, static_cast<std::size_t>(most));
    c.send_text(R"({"id":131,"unsubscribe":{"channel":"r1"}})");
    EXPECT_THAT(c.receive_text(), HasSubstr(R"("id":131,"unsubscribe")"));
    c.send_text(centrifuge_subscribe(132, "more"));
    EXPECT_THAT(c.receive_text(), HasSubstr(R"("id":132,"subscribe":{)"));
  }
}

TEST(RoomLimitTest, FromSoManyMembersOnARoomIsOnAllThreads) {
  flagged_broker broker{{"--spread-members=4"}};
  auto outlets = [&] {
    auto all = broker.actors();
    return std::count_if(all.begin(), all.end(),
                         [](auto& x) { return x.kind == actor_kind::outlet; });
  };
  std::vector<ws_client> members;
  for (int i = 0; i < 4; ++i)
    members.push_back(broker.client());
  EXPECT_EQ(outlets(), 0);
  members.push_back(broker.client());
  EXPECT_EQ(outlets(), 1);
  members.back().send_text("all the same");
  for (auto& c : members)
    EXPECT_EQ(c.receive_text(), "all the same");
}

TEST(RoomLimitTest, ANameHas255BytesAfterOneDecoding) {
  flagged_broker broker{{"--rooms-on-demand"}};
  auto refused = [&](const std::string& name) {
    auto x = broker.refusal("/room/" + name);
    EXPECT_EQ(x.body, error_body("bad_room_name")) << name;
    return x.status == 400;
  };
  auto plain = broker.client("/room/" + times("a", 255));
  EXPECT_TRUE(refused(times("a", 256)));
  auto coded = broker.client("/room/" + times("%61", 255));
  coded.send_text("the same room");
  EXPECT_EQ(plain.receive_text(), "the same room");
  EXPECT_TRUE(refused(times("%61", 256)));
  broker.client("/room/" + times("%C3%A4", 127) + "a").close();
  EXPECT_TRUE(refused(times("%C3%A4", 128)));
  // Once: this is a name of three characters.
  auto once = broker.client("/room/%2561");
  auto a = broker.client("/room/a");
  once.send_text("not a");
  EXPECT_EQ(once.receive_text(), "not a");
  expect_nothing_came(a);
  for (auto bad : {"%00", "%0A", "%7F", "a%2Fb", "%FF", "%C3", "%ED%A0%80",
                   "%C2%80", "..", "%2e%2e", "."})
    EXPECT_TRUE(refused(bad)) << bad;
  flagged_broker shorter{{"--room-name-max=8", "--rooms-on-demand"}};
  shorter.client("/room/12345678").close();
  EXPECT_EQ(shorter.refusal("/room/123456789").status, 400);
}

TEST(RoomLimitTest, ProtectedNamesAreClosed) {
  flagged_broker broker{{"--rooms-on-demand"}};
  for (auto name : {"$system", "%24system", "private-talk", "presence-talk"}) {
    auto x = broker.refusal("/room/"s + name);
    EXPECT_EQ(x.status, 403) << name;
    EXPECT_EQ(x.body, error_body("room_forbidden")) << name;
  }
  for (auto name : {"system$", "private", "public-talk"})
    broker.client("/room/"s + name).close();
}

TEST(RoomLimitTest, RawClientsMayDoWhatTheRoomSays) {
  flagged_broker broker{
    {"--room=news,raw=read-only", "--room=inner,raw=off", "--room-raw=on"}};
  auto x = broker.refusal("/room/inner");
  EXPECT_EQ(x.status, 403);
  EXPECT_EQ(x.body, error_body("room_forbidden"));
  auto reader = broker.client("/room/news");
  auto writer = centrifuge(broker);
  writer.send_text(centrifuge_subscribe(2, "news"));
  EXPECT_THAT(writer.receive_text(), HasSubstr(R"("id":2,"subscribe")"));
  writer.send_text(
    R"({"id":3,"publish":{"channel":"news","data":{"it":"rains"}}})");
  EXPECT_THAT(reader.receive_text(), HasSubstr("rains"));
  auto loud = broker.client("/room/news");
  loud.send_text("me too");
  auto words = loud.expect_close();
  EXPECT_EQ(words.code, 1008);
  EXPECT_EQ(words.reason, "read_only");
  writer.send_text(
    R"({"id":4,"publish":{"channel":"news","data":{"it":"snows"}}})");
  EXPECT_THAT(reader.receive_text(), HasSubstr("snows"));
}

TEST(RoomLimitTest, WhoMayOnlyListenIsToldSoInItsDialect) {
  flagged_broker broker{
    {"--room=news", "--room=talk,publish=on", "--room-publish=off"}};
  auto quiet = broker.client("/room/news");
  auto ann = centrifuge(broker);
  for (auto room : {"news", "talk"}) {
    ann.send_text(centrifuge_subscribe(2, room));
    EXPECT_THAT(ann.receive_text(), HasSubstr(R"("id":2,"subscribe")"));
  }
  ann.send_text(centrifuge_publish(3, "news", "1"));
  EXPECT_THAT(ann.receive_text(), HasSubstr(R"("id":3,"error":{"code":103)"));
  ann.send_text(centrifuge_publish(4, "talk", "2"));
  EXPECT_THAT(ann.receive_text(), HasSubstr(R"("channel":"talk")"));
  quiet.send_text("me too");
  auto words = quiet.expect_close();
  EXPECT_EQ(words.code, 1008);
  EXPECT_EQ(words.reason, "read_only");
  EXPECT_EQ(words.skipped, 0u);
}

TEST(RoomLimitTest, ReservedParametersMeanNothingYet) {
  flagged_broker broker;
  for (auto query : {"token=x", "user=x", "since=1", "token", "echo=0&user=x",
                     "%74oken=x"}) {
    auto x = broker.refusal("/room/lobby?"s + query);
    EXPECT_EQ(x.status, 400) << query;
    EXPECT_EQ(x.body, error_body("reserved_parameter")) << query;
  }
  EXPECT_EQ(broker.refusal("/room/lobby?echo=2").status, 400);
  broker.client("/room/lobby?echo=1").close();
}

TEST(RoomLimitTest, EchoIsAsTheFlagTheRoomAndTheClientSay) {
  flagged_broker broker{{"--room-echo=off", "--room=loud,echo=on"}};
  auto hears_itself = [&](const std::string& path) {
    auto c = broker.client(path);
    auto other = broker.client(path.substr(0, path.find('?')));
    c.send_text("me");
    EXPECT_EQ(other.receive_text(), "me");
    other.send_text("other");
    return c.receive_text() == "me";
  };
  EXPECT_FALSE(hears_itself("/room/lobby"));
  EXPECT_TRUE(hears_itself("/room/lobby?echo=1"));
  EXPECT_TRUE(hears_itself("/room/loud"));
  EXPECT_FALSE(hears_itself("/room/loud?echo=0"));
}

// -- messages -----------------------------------------------------------------------

TEST(MessageLimitTest, AMessageHas64KiB) {
  flagged_broker broker;
  auto ann = broker.client();
  const std::string most(64 * 1024, 'x');
  auto code_of = [&](auto send) {
    auto c = broker.client("/room/lobby?echo=0");
    send(c);
    return c.expect_close().code;
  };
  ann.send_binary(most);
  EXPECT_TRUE(ann.receive().payload == most);
  ann.send_fragments(opcode::binary, {most.substr(1), "x"});
  EXPECT_TRUE(ann.receive().payload == most);
  EXPECT_EQ(code_of([&](auto& c) { c.send_binary(most + "x"); }), 1009);
  EXPECT_EQ(code_of([&](auto& c) {
              c.send_fragments(opcode::text, {most, "x"});
            }),
            1009);
  // A header is enough, whatever it promises.
  for (auto length : {std::uint64_t{65537}, std::uint64_t{1} << 32,
                      (std::uint64_t{1} << 63) - 1})
    EXPECT_EQ(
      code_of([&](auto& c) { c.send_frame({.claimed_length = length}, ""); }),
      1009)
      << length;
  expect_nothing_came(ann);
}

TEST(MessageLimitTest, MessagesASecondAndTheirBurstAreBounded) {
  for (int burst : {1, 3}) {
    flagged_broker broker{
      {"--messages-per-second=2", fmt::format("--burst-seconds={}", burst)}};
    auto ann = broker.client();
    auto bob = broker.client("/room/lobby?echo=0");
    auto allowed = static_cast<std::size_t>(2 * burst);
    bob.send_raw(times(make_frame({}, "m"), allowed));
    EXPECT_TRUE(bob.messages_until_pong().empty());
    bob.send_raw(times(make_frame({}, "m"), allowed + 1));
    auto words = bob.expect_close();
    EXPECT_EQ(words.code, 1008);
    EXPECT_EQ(words.reason, "rate_limited");
    ann.send_text("end");
    std::size_t arrived = 0;
    while (ann.receive_text() != "end")
      ++arrived;
    EXPECT_GE(arrived, allowed);
    EXPECT_LE(arrived, 2 * allowed);
  }
  flagged_broker broker{{"--messages-per-second=0"}};
  auto ann = broker.client();
  ann.send_raw(times(make_frame({}, "m"), 3000));
  for (int i = 0; i < 3000; ++i)
    ASSERT_EQ(ann.receive_text(), "m");
}

TEST(MessageLimitTest, BytesASecondAreBounded) {
  flagged_broker broker{
    {"--message-max=1KiB", "--bytes-per-second=4KiB", "--burst-seconds=1"}};
  auto message = make_frame({}, std::string(1024, 'b'));
  auto ann = broker.client();
  auto bob = broker.client("/room/lobby?echo=0");
  bob.send_raw(times(message, 4));
  EXPECT_TRUE(bob.messages_until_pong().empty());
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(ann.receive_text().size(), 1024u);
  bob.send_raw(times(message, 5));
  auto words = bob.expect_close();
  EXPECT_EQ(words.code, 1008);
  EXPECT_EQ(words.reason, "rate_limited");
}

TEST(MessageLimitTest, NarrowWindowsLoseNothing) {
  flagged_broker broker{{"--posts-max=1", "--inbound-messages-max=1",
                         "--inbound-bytes-max=1KiB", "--messages-per-second=0",
                         "--bytes-per-second=0"}};
  auto ann = broker.client();
  std::string bytes;
  for (int i = 0; i < 1000; ++i)
    bytes += make_frame({}, fmt::format("{}", i) + std::string(i * 3, 'x'));
  ann.send_raw(bytes);
  for (int i = 0; i < 1000; ++i)
    ASSERT_EQ(ann.receive_text(),
              fmt::format("{}", i) + std::string(i * 3, 'x'));
}

namespace {

/// The unit of the supervisor and of the first room, held up while this lives.
class standstill {
public:
  explicit standstill(flagged_broker& broker) {
    std::promise<void> stopped;
    tell(broker.env().supervisor,
         ask_books{
           {}, 0, [&stopped, go_on = go_on_.get_future().share()](auto&&...) {
             stopped.set_value();
             go_on.wait();
           }});
    stopped.get_future().wait();
  }

  ~standstill() { go_on_.set_value(); }

private:
  std::promise<void> go_on_;
};

} // namespace

// Whoever is ahead of a room that does nothing is read so far and no further.
TEST(MessageLimitTest, AClientIsReadAsFarAsItsWindowsReach) {
  struct row {
    const char* limit;
    std::int64_t read;
  };
  constexpr int count = 40;
  for (auto& [limit, read] :
       {row{"--posts-max=1000", count}, row{"--inbound-messages-max=1", 1},
        row{"--inbound-messages-max=7", 7}, row{"--inbound-bytes-max=1KiB", 4},
        row{"--posts-max=10", 25}, row{"--posts-bytes-max=2KiB", 23},
        row{"--posts-bytes-max=64KiB", count}}) {
    SCOPED_TRACE(limit);
    // Of 256 bytes each.
    std::vector<std::string> flags{"--spread-members=1",
                                   "--messages-per-second=0"};
    auto is = [&](std::string_view x) {
      return std::string_view{limit}.starts_with(x);
    };
    if (!is("--posts"))
      flags.emplace_back("--posts-max=1");
    if (read != count && is("--posts"))
      flags.emplace_back("--inbound-messages-max=16");
    flags.emplace_back(limit);
    flagged_broker broker{flags};
    auto room = broker.room_actor("lobby");
    // Two that are not where the room is: one that talks, and one by which we
    // see that its unit has read all it wants to.
    std::vector<ws_client> near;
    std::vector<ws_client> far;
    while (far.size() < 2) {
      auto c = broker.client();
      auto here = broker.test_broker::client(broker.newest_client())->unit == 0;
      (here ? near : far).push_back(std::move(c));
      ASSERT_LT(near.size(), 10u);
    }
    const auto before = broker.counts().messages_in.get();
    {
      standstill stop{broker};
      std::string bytes;
      for (int i = 0; i < count; ++i)
        bytes +=
          make_frame({}, fmt::format("{:03}", i) + std::string(253, 'x'));
      far[0].send_raw(bytes);
      auto seen = [&] { return broker.counts().messages_in.get() - before; };
      wait_until([&] { return seen() >= read; }, 10s,
                 [&] { return fmt::format("{} were read", seen()); });
      for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(far[1].messages_until_pong().empty());
      EXPECT_EQ(seen(), read);
    }
    for (int i = 0; i < count; ++i)
      ASSERT_EQ(far[0].receive_text().substr(0, 3), fmt::format("{:03}", i));
  }
}

// -- HTTP ---------------------------------------------------------------------------

TEST(HttpLimitTest, AHeadHasSoManyBytes) {
  auto head_of = [](std::size_t bytes) {
    auto head = "GET /health HTTP/1.1\r\nHost: x\r\nA: "s;
    return head + std::string(bytes - head.size() - 4, 'a') + "\r\n\r\n";
  };
  for (std::size_t most : {1024, 8192}) {
    flagged_broker broker{{fmt::format("--header-max={}", most)}};
    http_client c{{.port = broker.port()}};
    c.send(head_of(most));
    EXPECT_EQ(c.receive().status, 200);
    c.send(head_of(most + 1));
    auto x = c.receive();
    EXPECT_EQ(x.status, 431);
    EXPECT_EQ(x.body, error_body("header_too_big"));
    c.expect_eof();
  }
}

TEST(HttpLimitTest, OnlySoManyConnectionsAreKept) {
  flagged_broker broker{{"--keep-alive-max=2", "--keep-alive-timeout=1s"}};
  std::vector<http_client> clients;
  auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) {
    auto& c = clients.emplace_back(http_options{.port = broker.port()});
    auto x = c.get("/health");
    EXPECT_EQ(x.lists("Connection", "close"), i == 2) << i;
  }
  clients[2].expect_eof();
  EXPECT_LT(since(begin), 950ms) << "at once";
  for (std::size_t i = 0; i < 2; ++i) {
    clients[i].expect_eof();
    EXPECT_GE(since(begin), 950ms);
  }
  EXPECT_LT(since(begin), 5s);
}

TEST(HttpLimitTest, PipelinedRequestsAreAllAnsweredInTheirOrder) {
  flagged_broker broker{{"--pipelined-max=2"}};
  http_client c{{.port = broker.port()}};
  std::string bytes;
  for (int i = 0; i < 200; ++i)
    bytes += fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n",
                         i % 2 == 0 ? "/health" : "/nowhere");
  c.send(bytes);
  for (int i = 0; i < 200; ++i)
    ASSERT_EQ(c.receive().status, i % 2 == 0 ? 200 : 404) << i;
}

// -- who is believed ----------------------------------------------------------------

TEST(TrustTest, ForeignPagesMayNotConnect) {
  flagged_broker broker{{"--origin=https://app.test"}};
  auto status = [&](const std::string& origin) {
    auto options = broker.at();
    options.origin = origin;
    auto x = ws_client::try_connect(options);
    auto* refused = std::get_if<http_response>(&x);
    return refused == nullptr ? 101 : refused->status;
  };
  EXPECT_EQ(status("https://app.test"), 101);
  EXPECT_EQ(status(""), 101) << "no browser";
  EXPECT_EQ(status(fmt::format("http://127.0.0.1:{}", broker.port())), 101);
  EXPECT_EQ(status("https://evil.test"), 403);
  EXPECT_EQ(status("http://app.test"), 403);
  EXPECT_EQ(status("null"), 403);
}

// DNS rebinding: a foreign name that leads here, so that the browser takes us for
// the page's own host.
TEST(TrustTest, AForeignNameOfThisMachineIsNotItsOwn) {
  flagged_broker broker;
  auto status = [&](const std::string& name) {
    auto host = fmt::format("{}:{}", name, broker.port());
    http_client page{{.port = broker.port()}};
    page.send(make_handshake({.host = name,
                              .port = broker.port(),
                              .path = "/room/lobby",
                              .origin = "http://" + host,
                              .key = next_handshake_key()}));
    return page.receive().status;
  };
  EXPECT_EQ(status("127.0.0.1"), 101);
  EXPECT_EQ(status("localhost"), 101);
  EXPECT_EQ(status("evil.example"), 403);
}

TEST(TrustTest, ATrustedProxySaysWhoTheClientIs) {
  const auto header = "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"
                      "\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x34\x1f\x40"s;
  flagged_broker broker{
    {"--trusted-proxy=127.0.0.1", "--connections-per-address=1"}};
  auto options = broker.at();
  options.headers = {{"X-Forwarded-For", "192.0.2.1"}};
  auto ann = ws_client::connect(options);
  broker.log().wait_line("client_up", "address=192.0.2.1");
  EXPECT_EQ(ws_client::expect_refusal(options).status, 503);
  auto handshake = make_handshake({.port = broker.port(),
                                   .path = "/room/lobby",
                                   .key = next_handshake_key()});
  http_client bob{{.port = broker.port()}};
  bob.send(header + handshake);
  EXPECT_EQ(bob.receive().status, 101);
  broker.log().wait_line("client_up", "address=192.0.2.7");
  // Nobody else's word is taken.
  options.local_address = "127.0.0.2";
  auto carl = ws_client::connect(options);
  broker.log().wait_line("client_up", "address=127.0.0.2");
  http_client dora{{.port = broker.port(), .local_address = "127.0.0.3"}};
  dora.send(header + handshake);
  EXPECT_EQ(dora.receive().status, 400);
}
