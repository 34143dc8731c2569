// The settings of the broker: both sides of every rule.

#include "app/config.hpp"

#include <cstdlib>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "app/values.hpp"

using namespace greenroom;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

using words = std::vector<std::string>;

broker_options good(const words& args, const words& env = {}) {
  auto read = read_invocation(args, env);
  EXPECT_TRUE(read) << read.error().detail;
  return read ? read->options : broker_options{};
}

std::string error(const words& args, const words& env = {}) {
  auto read = read_invocation(args, env);
  EXPECT_FALSE(read) << testing::PrintToString(args);
  auto line = read ? std::string{} : read.error().detail;
  EXPECT_EQ(line.find('\n'), std::string::npos) << line;
  return line;
}

bool accepted(const std::string& flag, const std::string& value) {
  return static_cast<bool>(read_invocation(words{flag, value}, {}));
}

} // namespace

// -- defaults ---------------------------------------------------------------------

TEST(ConfigTest, NothingSaidIsTheDefaults) {
  auto x = good({});
  broker_options defaults;
  EXPECT_EQ(x.listener.bind, "127.0.0.1");
  EXPECT_EQ(x.listener.port, 8000);
  EXPECT_EQ(x.session.message_bytes_max, 64u * 1024);
  EXPECT_EQ(x.supervisor.rooms_max, 10'000u);
  EXPECT_EQ(x.supervisor.rooms_per_connection_max, 128u);
  EXPECT_EQ(x.member.outbound_bytes_max, 1024u * 1024);
  EXPECT_EQ(x.room_defaults.members_max, defaults.room_defaults.members_max);
  EXPECT_EQ(x.drain_timeout, 10s);
  EXPECT_FALSE(x.supervisor.rooms_on_demand);
  EXPECT_TRUE(x.rooms.empty());
  EXPECT_TRUE(x.http.origins.empty());
}

TEST(ConfigTest, AutoFollowsTheMachine) {
  auto x = good({});
  EXPECT_EQ(x.threads, std::min<std::size_t>(usable_cores(), 256));
  EXPECT_EQ(x.member.process_bytes_max,
            std::min<std::uint64_t>(1 << 30, usable_memory() / 4));
  x = good({"--threads", "auto", "--process-outbound-max", "auto"});
  EXPECT_EQ(x.threads, std::min<std::size_t>(usable_cores(), 256));
  x = good({"--threads", "3", "--process-outbound-max", "2GiB"});
  EXPECT_EQ(x.threads, 3u);
  EXPECT_EQ(x.member.process_bytes_max, 2ull << 30);
}

// -- every setting reaches its place -------------------------------------------------

TEST(ConfigTest, EverySettingReachesItsPlace) {
  auto x = good({"--rooms-on-demand",
                 "--rooms-max=11",
                 "--rooms-linger=12ms",
                 "--rooms-per-connection=12",
                 "--room-name-max=13",
                 "--room-members=14",
                 "--room-publish=off",
                 "--room-echo=off",
                 "--room-raw=read-only",
                 "--room-overflow=conflate",
                 "--room-write-delay=15ms",
                 "--deflate=on",
                 "--deflate-level=9",
                 "--deflate-min=500",
                 "--deflate-window=12",
                 "--deflate-client-context",
                 "--deflate-client-window=10",
                 "--deflate-require-window",
                 "--bind=::1",
                 "--port=16",
                 "--origin=https://a.example",
                 "--origin=*",
                 "--trusted-proxy=10.0.0.0/8",
                 "--threads=17",
                 "--io-uring=off",
                 "--backlog=18",
                 "--accept-backoff=19ms",
                 "--connections-max=20",
                 "--connections-per-address=21",
                 "--handshake-timeout=22ms",
                 "--ping-every=23ms",
                 "--idle-timeout=24ms",
                 "--write-timeout=25ms",
                 "--goodbye-timeout=26ms",
                 "--message-max=27",
                 "--messages-per-second=28",
                 "--bytes-per-second=29",
                 "--burst-seconds=30",
                 "--posts-max=31",
                 "--inbound-messages-max=32",
                 "--inbound-bytes-max=33k",
                 "--control-max=34k",
                 "--member-outbound-max=100k",
                 "--process-outbound-max=36m",
                 "--lagging-min=37",
                 "--send-buffer=38",
                 "--turn-bytes-max=39k",
                 "--turn-messages-max=40",
                 "--header-max=41k",
                 "--keep-alive-timeout=42ms",
                 "--keep-alive-max=43",
                 "--pipelined-max=44",
                 "--pong-timeout=12ms",
                 "--greeting-timeout=55ms",
                 "--room-crashes-max=45",
                 "--crashes-max=46",
                 "--crash-window=47ms",
                 "--drain-timeout=48ms",
                 "--drain-slice=49",
                 "--audit-every=158ms",
                 "--ends-max=56",
                 "--end-deadline=157ms",
                 "--spread-members=50",
                 "--placement-timeout=51ms",
                 "--log-format=text",
                 "--log-level=warn",
                 "--inspect-every=52ms",
                 "--log-lines-max=53",
                 "--log-bytes-max=54k",
                 "--anonymous=off",
                 "--room=lobby"});
  EXPECT_FALSE(x.reader.anonymous);
  EXPECT_TRUE(x.supervisor.rooms_on_demand);
  EXPECT_EQ(x.supervisor.rooms_max, 11u);
  EXPECT_EQ(x.supervisor.linger, 12ms);
  EXPECT_EQ(x.supervisor.rooms_per_connection_max, 12u);
  EXPECT_EQ(x.http.room_name_bytes_max, 13u);
  EXPECT_EQ(x.room_defaults.members_max, 14u);
  EXPECT_FALSE(x.room_defaults.publish);
  EXPECT_FALSE(x.room_defaults.echo);
  EXPECT_EQ(x.room_defaults.raw, raw_access::read_only);
  EXPECT_EQ(x.room_defaults.overflow, overflow_policy::conflate);
  EXPECT_EQ(x.room_defaults.write_delay, 15ms);
  EXPECT_TRUE(x.room_defaults.compressed);
  EXPECT_EQ(x.session.deflate.level, 9);
  EXPECT_EQ(x.session.deflate.bytes_min, 500u);
  EXPECT_EQ(x.session.deflate.window_bits, 12);
  EXPECT_TRUE(x.session.deflate.client_context);
  EXPECT_EQ(x.session.deflate.client_window_bits, 10);
  EXPECT_TRUE(x.session.deflate.require_client_window);
  EXPECT_EQ(x.listener.bind, "::1");
  EXPECT_EQ(x.listener.port, 16);
  EXPECT_THAT(x.http.origins, ElementsAre("https://a.example", "*"));
  EXPECT_THAT(x.listener.trusted_proxies, ElementsAre("10.0.0.0/8"));
  EXPECT_EQ(x.threads, 17u);
  EXPECT_EQ(x.io_uring, io_uring_use::off);
  EXPECT_EQ(x.listener.backlog, 18);
  EXPECT_EQ(x.listener.accept_backoff, 19ms);
  EXPECT_EQ(x.listener.connections_max, 20u);
  EXPECT_EQ(x.listener.connections_per_address_max, 21u);
  EXPECT_EQ(x.session.handshake_timeout, 22ms);
  EXPECT_EQ(x.session.ping_every, 23ms);
  EXPECT_EQ(x.reader.ping_every, 23ms);
  EXPECT_EQ(x.reader.pong_timeout, 12ms);
  EXPECT_EQ(x.reader.greeting_timeout, 55ms);
  EXPECT_EQ(x.session.idle_timeout, 24ms);
  EXPECT_EQ(x.session.write_progress_timeout, 25ms);
  EXPECT_EQ(x.session.goodbye_timeout, 26ms);
  EXPECT_EQ(x.audit.every, 158ms);
  EXPECT_EQ(x.supervisor.ends_max, 56u);
  EXPECT_EQ(x.supervisor.end_deadline, 157ms);
  EXPECT_EQ(x.session.message_bytes_max, 27u);
  EXPECT_EQ(x.reader.messages_per_second, 28u);
  EXPECT_EQ(x.reader.bytes_per_second, 29u);
  EXPECT_EQ(x.reader.burst_seconds, 30u);
  EXPECT_EQ(x.reader.posts_max, 31u);
  EXPECT_EQ(x.session.inbound_messages_max, 32u);
  EXPECT_EQ(x.session.inbound_bytes_max, 33u * 1024);
  EXPECT_EQ(x.session.control_bytes_max, 34u * 1024);
  EXPECT_EQ(x.member.outbound_bytes_max, 100u * 1024);
  EXPECT_EQ(x.member.process_bytes_max, 36u << 20);
  EXPECT_EQ(x.member.lagging_bytes, 37u);
  EXPECT_EQ(x.session.send_buffer_bytes, 38u);
  EXPECT_EQ(x.room.turn_bytes_max, 39u * 1024);
  EXPECT_EQ(x.room.turn_events_max, 40u);
  EXPECT_EQ(x.http.header_bytes_max, 41u * 1024);
  EXPECT_EQ(x.http.keep_alive_timeout, 42ms);
  EXPECT_EQ(x.http.keep_alive_max, 43u);
  EXPECT_EQ(x.http.pipelined_max, 44u);
  EXPECT_EQ(x.supervisor.restarts_max, 45u);
  EXPECT_EQ(x.supervisor.crashes_max, 46u);
  EXPECT_EQ(x.supervisor.restart_window, 47ms);
  EXPECT_EQ(x.drain_timeout, 48ms);
  EXPECT_EQ(x.supervisor.drain_slice, 49u);
  EXPECT_EQ(x.supervisor.spread_members, 50u);
  EXPECT_EQ(x.supervisor.placement_timeout, 51ms);
  EXPECT_EQ(x.log.format, log_format::text);
  EXPECT_EQ(x.log.loudness, level::warn);
  EXPECT_EQ(x.inspector.every, 52ms);
  EXPECT_EQ(x.log.lines_max, 53u);
  EXPECT_EQ(x.log.bytes_max, 54u * 1024);
  ASSERT_EQ(x.rooms.size(), 1u);
  EXPECT_EQ(x.rooms[0].options.members_max, 14u);
}

TEST(ConfigTest, AFlagBeatsItsVariableBeatsTheDefault) {
  EXPECT_EQ(good({}).listener.port, 8000);
  EXPECT_EQ(good({}, {"GREENROOM_PORT=1"}).listener.port, 1);
  EXPECT_EQ(good({"--port=2"}, {"GREENROOM_PORT=1"}).listener.port, 2);
}

TEST(ConfigTest, WhatWasChosenIsKnown) {
  auto read =
    read_invocation(words{"--connections-max=5"}, words{"GREENROOM_PORT=1"});
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->given.contains("connections-max"));
  EXPECT_TRUE(read->given.contains("port"));
  EXPECT_FALSE(read->given.contains("bind"));
}

// -- values at their bounds --------------------------------------------------------

TEST(ConfigTest, NumbersHaveBounds) {
  struct bounds {
    const char* flag;
    const char* least;
    const char* most;
    const char* below;
    const char* above;
  };
  for (const auto& x : std::initializer_list<bounds>{
         {"--port", "0", "65535", "-1", "65536"},
         {"--threads", "1", "256", "0", "257"},
         {"--backlog", "1", "65535", "0", "65536"},
         {"--rooms-max", "1", "10000000", "0", "10000001"},
         {"--rooms-per-connection", "1", "100000", "0", "100001"},
         {"--room-name-max", "1", "1k", "0", "1025"},
         {"--room-members", "1", "10000000", "0", "10000001"},
         {"--connections-max", "1", "10000000", "0", "10000001"},
         {"--connections-per-address", "1", "10000000", "0", "10000001"},
         {"--burst-seconds", "1", "3600", "0", "3601"},
         {"--messages-per-second", "0", "100000000", "-1", "100000001"},
         {"--keep-alive-max", "0", "1000000", "-1", "1000001"},
         {"--message-max", "1", "512k", "0", "65m"},
         {"--send-buffer", "0", "64m", "-1", "65m"},
         {"--header-max", "1k", "1m", "1023", "1025k"},
         {"--write-timeout", "10ms", "10m", "9ms", "601s"},
         {"--inspect-every", "0", "24h", "-1s", "25h"},
         {"--room-write-delay", "0", "10s", "-1ms", "10001ms"},
         {"--deflate-level", "1", "9", "0", "10"},
         {"--deflate-window", "9", "15", "8", "16"},
         {"--deflate-client-window", "9", "15", "8", "16"},
       }) {
    EXPECT_TRUE(accepted(x.flag, x.least)) << x.flag;
    EXPECT_TRUE(accepted(x.flag, x.most)) << x.flag;
    EXPECT_FALSE(accepted(x.flag, x.below)) << x.flag;
    EXPECT_FALSE(accepted(x.flag, x.above)) << x.flag;
  }
}

TEST(ConfigTest, AnErrorSaysWhatIsExpected) {
  EXPECT_EQ(error({"--port", "70000"}),
            "--port 70000: expected a number from 0 to 65535");
  EXPECT_EQ(error({"--threads", "0"}),
            "--threads 0: expected a number from 1 to 256, or auto");
  EXPECT_EQ(
    error({"--message-max", "many"}),
    "--message-max many: expected a size from 1 to 64MiB, such as 64KiB");
  EXPECT_EQ(error({"--ping-every", "25"}),
            "--ping-every 25: needs a unit: 25ms, 25s or 25m");
  EXPECT_EQ(error({"--ping-every", "soon"}),
            "--ping-every soon: expected a time from 10ms to 86400s, such as "
            "10s");
  EXPECT_EQ(error({"--log-level", "warning"}),
            "--log-level warning: expected trace, debug, info, warn or error");
  EXPECT_EQ(error({"--log-format", "jsno"}),
            "--log-format jsno: expected auto, json or text, did you mean "
            "json?");
  EXPECT_EQ(error({"--rooms-on-demand=maybe"}),
            "--rooms-on-demand maybe: expected on or off");
  EXPECT_EQ(error({"--bind", "*"}),
            "--bind *: expected an IP address, such as 127.0.0.1 or ::");
  EXPECT_EQ(error({"--trusted-proxy", "10.0.0.0/33"}),
            "--trusted-proxy 10.0.0.0/33: expected an address or a network, "
            "such as 10.0.0.0/8");
  EXPECT_EQ(error({"--origin", "https://a.example/x"}),
            "--origin https://a.example/x: expected scheme://host[:port] "
            "without a path, or *");
  EXPECT_EQ(error({}, {"GREENROOM_ORIGIN=https://a.example;example.org"}),
            "GREENROOM_ORIGIN=example.org: expected scheme://host[:port] "
            "without a path, or *");
}

TEST(ConfigTest, MistakesInNamesGetASuggestion) {
  EXPECT_EQ(error({"--max-connections", "5"}),
            "unknown flag --max-connections, did you mean --connections-max?");
  EXPECT_EQ(error({}, {"GREENROOM_THREAD=5"}),
            "unknown variable GREENROOM_THREAD, did you mean "
            "GREENROOM_THREADS?");
}

TEST(ConfigTest, AnErrorIsOneLineWhateverWasTyped) {
  EXPECT_THAT(error({"--bind", "a\nb\x1b[31m"}),
              HasSubstr("--bind a\\x0ab\\x1b[31m: expected"));
  EXPECT_THAT(error({"--what\never"}), HasSubstr("--what\\x0aever"));
}

// -- rooms ------------------------------------------------------------------------

TEST(ConfigTest, ARoomHasAName) {
  auto x = good({"--room", "lobby", "--room", "a b=c"});
  ASSERT_EQ(x.rooms.size(), 2u);
  EXPECT_EQ(x.rooms[0].name, "lobby");
  EXPECT_EQ(x.rooms[1].name, "a b=c");
  EXPECT_EQ(error({"--room", ""}), "--room : a room needs a name");
  EXPECT_EQ(error({"--room", ",echo=off"}),
            "--room ,echo=off: a room needs a name");
  EXPECT_EQ(error({"--room", "a/b"}),
            "--room a/b: the name of a room has no /");
  EXPECT_THAT(error({"--room", "a\tb"}), HasSubstr("control characters"));
  EXPECT_THAT(error({"--room", "\xff"}), HasSubstr("UTF-8"));
  EXPECT_TRUE(accepted("--room", std::string(255, 'x')));
  EXPECT_FALSE(accepted("--room", std::string(256, 'x')));
  EXPECT_EQ(error({"--room", "toolong", "--room-name-max", "6"}),
            "--room toolong: the name of a room has at most 6 bytes, this one "
            "7");
}

TEST(ConfigTest, ARoomHasOptionsOfItsOwn) {
  auto x = good({"--room",
                 "news,echo=off,members=500,raw=read-only,publish=off,"
                 "overflow=drop-oldest,write-delay=5ms,deflate=on",
                 "--room", "other"});
  const auto& news = x.rooms.at(0).options;
  EXPECT_FALSE(news.publish);
  EXPECT_FALSE(news.echo);
  EXPECT_EQ(news.members_max, 500u);
  EXPECT_EQ(news.raw, raw_access::read_only);
  EXPECT_EQ(news.overflow, overflow_policy::drop_oldest);
  EXPECT_EQ(news.write_delay, 5ms);
  EXPECT_TRUE(news.compressed);
  EXPECT_FALSE(x.rooms.at(1).options.compressed);
  EXPECT_TRUE(x.rooms.at(1).options.echo);
  EXPECT_TRUE(x.rooms.at(1).options.publish);
}

TEST(ConfigTest, TheDefaultsOfRoomsMayStandBehindThem) {
  auto x = good({"--room", "a", "--room", "b,members=7", "--room-members=9"});
  EXPECT_EQ(x.rooms.at(0).options.members_max, 9u);
  EXPECT_EQ(x.rooms.at(1).options.members_max, 7u);
}

TEST(ConfigTest, RoomsMayComeFromTheEnvironment) {
  auto x = good({}, {"GREENROOM_ROOM=lobby;news,echo=off"});
  ASSERT_EQ(x.rooms.size(), 2u);
  EXPECT_FALSE(x.rooms[1].options.echo);
  EXPECT_EQ(error({}, {"GREENROOM_ROOM=a;a"}),
            "GREENROOM_ROOM a: there is a room of this name already");
}

TEST(ConfigTest, MistakesInARoomAreNamed) {
  EXPECT_EQ(error({"--room", "news,ehco=off"}),
            "--room news,ehco=off: unknown room option 'ehco', did you mean "
            "echo?");
  EXPECT_EQ(error({"--room", "news,"}), "--room news,: unknown room option ''");
  EXPECT_EQ(error({"--room", "news,echo"}),
            "--room news,echo: echo needs a value, as in echo=...");
  EXPECT_EQ(error({"--room", "news,echo=sometimes"}),
            "--room news,echo=sometimes: echo: expected on or off");
  EXPECT_EQ(error({"--room", "news,members=0"}),
            "--room news,members=0: members: expected a number from 1 to "
            "10000000");
  EXPECT_EQ(error({"--room", "news,overflow=drop"}),
            "--room news,overflow=drop: overflow: expected disconnect, "
            "drop-newest, drop-oldest or conflate");
  EXPECT_EQ(error({"--room", "news,echo=on,echo=off"}),
            "--room news,echo=on,echo=off: echo is given more than once");
  EXPECT_EQ(error({"--room", "a", "--room", "a,echo=off"}),
            "--room a,echo=off: there is a room of this name already");
}

TEST(ConfigTest, AProtectedRoomCannotBeOpenedToRawClients) {
  for (std::string name : {"$a", "private-a", "presence-a"}) {
    EXPECT_TRUE(accepted("--room", name));
    EXPECT_TRUE(accepted("--room", name + ",raw=off"));
    EXPECT_THAT(error({"--room", name + ",raw=on"}), HasSubstr("never open"));
    EXPECT_THAT(error({"--room", name + ",raw=read-only"}),
                HasSubstr("never open"));
  }
}

// -- contradictions -----------------------------------------------------------------

TEST(ConfigTest, ClientsArePingedBeforeTheyAreGone) {
  good({"--idle-timeout", "25001ms"});
  EXPECT_EQ(error({"--idle-timeout", "25s"}),
            "--idle-timeout 25s is not more than --ping-every 25s: quiet "
            "clients would be ended before they are asked");
  EXPECT_EQ(error({}, {"GREENROOM_PING_EVERY=1h"}),
            "--idle-timeout 60s is not more than GREENROOM_PING_EVERY 3600s: "
            "quiet clients would be ended before they are asked");
}

TEST(ConfigTest, APongComesBeforeTheNextPing) {
  EXPECT_EQ(good({}).reader.pong_timeout, 10s);
  EXPECT_EQ(good({"--ping-every", "5s"}).reader.pong_timeout, 2500ms);
  good({"--pong-timeout", "24999ms"});
  EXPECT_EQ(error({"--pong-timeout", "25s"}),
            "--pong-timeout 25s is not less than --ping-every 25s: pings would "
            "overtake their answers");
}

TEST(ConfigTest, TwoMessagesFitAMember) {
  good({"--message-max", "512k"});
  EXPECT_EQ(error({"--message-max", "513k"}),
            "--message-max 513KiB is more than half of --member-outbound-max "
            "1MiB: two messages would overflow a member");
  good({"--message-max", "2m", "--member-outbound-max", "4m"});
}

TEST(ConfigTest, TwoTurnsFitAMember) {
  good({"--turn-bytes-max", "512k"});
  EXPECT_THAT(error({"--turn-bytes-max", "513k"}), HasSubstr("two turns"));
}

TEST(ConfigTest, AMemberFitsTheProcess) {
  good({"--process-outbound-max", "1m"});
  EXPECT_EQ(error({"--process-outbound-max", "1023k"}),
            "--member-outbound-max 1MiB is more than --process-outbound-max "
            "1023KiB");
  // auto makes room
  good({"--member-outbound-max", "1GiB"});
}

TEST(ConfigTest, AMemberCanLag) {
  good({"--lagging-min", "1m"});
  EXPECT_THAT(error({"--lagging-min", "1025k"}), HasSubstr("nobody could lag"));
}

TEST(ConfigTest, TheLargestMessageFitsTheByteRate) {
  good({"--bytes-per-second", "32k"});
  EXPECT_EQ(error({"--bytes-per-second", "32767"}),
            "--bytes-per-second 32767 for --burst-seconds 2 is less than "
            "--message-max 64KiB: such a message could not be sent");
  good({"--bytes-per-second", "0"}); // no limit
}

TEST(ConfigTest, TheNamedRoomsFit) {
  good({"--room", "a", "--room", "b", "--rooms-max", "2"});
  EXPECT_EQ(error({"--room", "a", "--room", "b", "--rooms-max", "1"}),
            "--rooms-max 1 is less than the 2 rooms named by --room");
}

TEST(ConfigTest, ARoomIsQuarantinedBeforeTheBrokerEnds) {
  good({"--crashes-max", "5"});
  EXPECT_THAT(error({"--crashes-max", "4"}), HasSubstr("quarantined"));
}

TEST(ConfigTest, GoodbyesFitTheDrain) {
  good({"--drain-timeout", "7s"});
  good({"--drain-timeout", "10s", "--goodbye-timeout", "8s"});
  good({"--drain-timeout", "20s", "--goodbye-timeout", "18s"});
  EXPECT_EQ(
    error({"--drain-timeout", "6s"}),
    "--goodbye-timeout 5s does not fit into --drain-timeout 6s: goodbyes "
    "would be cut short");
}

// -- who may publish -----------------------------------------------------------------

TEST(ConfigTest, AnybodyMayPublishWhereNoTokenIsAskedFor) {
  EXPECT_FALSE(anybody_may_publish(good({})));
  EXPECT_TRUE(anybody_may_publish(good({"--room", "a"})));
  EXPECT_TRUE(anybody_may_publish(good({"--rooms-on-demand"})));
  EXPECT_FALSE(anybody_may_publish(good({"--room", "private-a"})));
  // Other dialects do not ask what raw clients may do.
  EXPECT_TRUE(anybody_may_publish(good({"--room", "a,raw=off"})));
  // This is for all of them.
  EXPECT_FALSE(anybody_may_publish(good({"--room", "a,publish=off"})));
  EXPECT_TRUE(
    anybody_may_publish(good({"--room", "a,publish=off", "--room", "b"})));
  EXPECT_FALSE(
    anybody_may_publish(good({"--rooms-on-demand", "--room-publish=off"})));
}

TEST(ConfigTest, RawAccessDecidesWhereTheOthersNeedAToken) {
  auto publishes = [](words args) {
    args.push_back("--anonymous=off");
    return anybody_may_publish(good(args));
  };
  EXPECT_TRUE(publishes({"--room", "a"}));
  EXPECT_FALSE(publishes({"--room", "a,raw=read-only"}));
  EXPECT_FALSE(publishes({"--room", "a,raw=off"}));
  EXPECT_FALSE(publishes({"--room", "a", "--room-raw=read-only"}));
  EXPECT_TRUE(publishes({"--rooms-on-demand"}));
  EXPECT_FALSE(publishes({"--rooms-on-demand", "--room-raw=off"}));
}

// -- help -------------------------------------------------------------------------

TEST(ConfigTest, HelpFitsATerminal) {
  std::istringstream lines{flags_help()};
  for (std::string line; std::getline(lines, line);)
    EXPECT_LE(line.size(), 80u) << line;
}

// -- inspection ---------------------------------------------------------------------

TEST(ConfigTest, BeyondThisMachineLookingNeedsAToken) {
  const std::string token = "0123456789abcdef";
  for (auto address : {"0.0.0.0", "::", "192.0.2.1"}) {
    EXPECT_THAT(error({"--inspect-bind", address}),
                HasSubstr("needs --inspect-token"));
    EXPECT_EQ(
      good({"--inspect-bind", address, "--inspect-token", token}).inspect.bind,
      address);
    good({"--inspect-bind", address, "--inspect-port", "off"});
  }
  good({"--inspect-bind", "::1"});
  good({"--inspect-bind", "127.0.0.2"});
}

TEST(ConfigTest, TheInspectionPortMayBeOff) {
  EXPECT_TRUE(good({}).inspect.on);
  EXPECT_EQ(good({}).inspect.port, 8001);
  EXPECT_TRUE(good({}).inspect.port_is_a_wish);
  auto x = good({"--inspect-port", "9001"}).inspect;
  EXPECT_EQ(x.port, 9001);
  EXPECT_FALSE(x.port_is_a_wish);
  EXPECT_FALSE(good({"--inspect-port", "off"}).inspect.on);
  EXPECT_THAT(error({"--inspect-port", "65536"}), HasSubstr("or off"));
}

TEST(ConfigTest, TokensAreHardToGuessAndNotTheSame) {
  const std::string token = "0123456789abcdef";
  EXPECT_EQ(good({"--inspect-token", token}).inspect.token, token);
  EXPECT_EQ(
    good({}, {"GREENROOM_INSPECT_ACT_TOKEN=" + token}).inspect.act_token,
    token);
  EXPECT_THAT(error({"--inspect-token", token, "--inspect-act-token", token}),
              HasSubstr("whoever looks could act"));
  for (auto bad : {"short", "with a blank in it", "0123456789abcdef\n",
                   "0123456789\xc3\xbc"
                   "abcdef"})
    EXPECT_THAT(error({"--inspect-token", bad}), HasSubstr("at least 16"));
}

TEST(ConfigTest, ATokenIsNotRepeatedInAnError) {
  for (auto& line : {error({"--inspect-token", "hunter2"}),
                     error({}, {"GREENROOM_INSPECT_TOKEN=hunter2"}),
                     error({"--inspect-act-token", "hunter2"}),
                     error({"--inspect-tokn=hunter2"}),
                     error({"--inspect-token", "@/hunter2"})})
    EXPECT_EQ(line.find("hunter2"), std::string::npos) << line;
}

TEST(ConfigTest, ATokenMayStandInAFile) {
  char path[] = "/tmp/greenroom-token-XXXXXX";
  auto fd = ::mkstemp(path);
  ASSERT_GE(fd, 0);
  const std::string text = "0123456789abcdef\n";
  EXPECT_EQ(::write(fd, text.data(), text.size()),
            static_cast<ssize_t>(text.size()));
  ::close(fd);
  EXPECT_EQ(good({"--inspect-token", std::string{"@"} + path}).inspect.token,
            "0123456789abcdef");
  ::unlink(path);
  EXPECT_THAT(error({"--inspect-token", std::string{"@"} + path}),
              HasSubstr("cannot be read"));
}

TEST(ConfigTest, InspectionHostsAreNames) {
  EXPECT_THAT(good({"--inspect-host", "Broker.Internal", "--inspect-host", "b"})
                .inspect.hosts,
              ElementsAre("broker.internal", "b"));
  EXPECT_FALSE(accepted("--inspect-host", "broker.internal:8001"));
  EXPECT_FALSE(accepted("--inspect-host", "http://broker.internal"));
  EXPECT_FALSE(accepted("--inspect-host", ""));
}
