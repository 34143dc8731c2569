// permessage-deflate (RFC 7692) through the whole broker: who agreed to it gets what
// the others get, once compressed for all; what clients compress is bounded in time
// and memory.

#include "test/support/broker_fixture.hpp"
#include "test/support/centrifuge_client.hpp"
#include "test/support/deflate_codec.hpp"
#include "test/support/swarm.hpp"
#include "test/support/traffic.hpp"
#include "test/support/ws_client.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

constexpr auto browser = "permessage-deflate; client_max_window_bits";
constexpr auto bare = "permessage-deflate";
constexpr auto small_windows =
  "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9";

ws_client connect(std::uint16_t port, std::string path, std::string offer) {
  ws_options how{.port = port, .path = std::move(path)};
  if (!offer.empty())
    how.headers.emplace_back("Sec-WebSocket-Extensions", std::move(offer));
  return ws_client::connect(how);
}

/// What the server agreed to; empty: nothing.
std::string agreed(const ws_client& x) {
  return x.response().header("Sec-WebSocket-Extensions").value_or("");
}

void send_deflated(ws_client& x, std::string_view payload,
                   opcode op = opcode::text) {
  x.send_frame({.op = op, .rsv = 4}, payload);
}

std::string text_of(const ws_message& x, int window_bits = 15) {
  return x.compressed ? inflate_message(x.payload, window_bits) : x.payload;
}

/// Words that compress, about `size` bytes of them.
std::string chatter(std::mt19937_64& dice, std::size_t size) {
  constexpr const char* words[] = {"room ", "message ", "hello ",   "nobody\t",
                                   "42 ",   "\xc3\xbc", "{\"a\":1}"};
  std::string out;
  while (out.size() < size)
    out += dice() % 4 == 0 ? std::to_string(dice() % 100'000)
                           : words[dice() % std::size(words)];
  return out;
}

broker_options deflating() {
  auto options = roomy_options();
  options.rooms.front().options.compressed = true;
  options.room_defaults.compressed = true;
  options.supervisor.rooms_on_demand = true;
  options.supervisor.spread_members = 4; // outlets take part
  return options;
}

void expect_nothing_wrong(const test_broker& broker) {
  EXPECT_EQ(broker.counts().crashes.get(), 0);
  EXPECT_EQ(broker.counts().dropped.get(), 0);
}

} // namespace

// -- what is sent -----------------------------------------------------------------------

TEST(DeflateTest, CompressedAndPlainMembersGetTheSame) {
  test_broker broker{deflating()};
  std::mt19937_64 dice{test_seed()};
  const auto* room = "/room/lobby";
  struct seat {
    ws_client who;
    int window_bits;
    std::vector<ws_message> got = {};
  };
  std::vector<seat> raw;
  for (auto [offer, bits] : {std::pair{"", 15},
                             {browser, 15},
                             {small_windows, 9},
                             {bare, 15},
                             {browser, 15},
                             {"", 15},
                             {small_windows, 9},
                             {"mux", 15}})
    raw.push_back({connect(broker.port(), room, offer), bits});
  EXPECT_EQ(agreed(raw[1].who),
            "permessage-deflate; server_no_context_takeover; "
            "client_no_context_takeover; client_max_window_bits=11");
  EXPECT_EQ(agreed(raw[2].who),
            "permessage-deflate; server_no_context_takeover; "
            "client_no_context_takeover; server_max_window_bits=9; "
            "client_max_window_bits=9");
  EXPECT_EQ(agreed(raw[7].who), "");
  std::vector<ws_client> talkers;
  for (auto offer : {"", bare}) {
    auto& x =
      talkers.emplace_back(connect(broker.port(), centrifuge_path, offer));
    x.send_text(centrifuge_greeting);
    x.receive();
    x.send_text(centrifuge_subscribe(2, "lobby"));
    x.receive();
  }

  constexpr std::size_t messages = 200;
  message_deflater plainly{15};
  message_deflater narrowly{9};
  std::vector<std::string> sent;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < messages; ++i) {
    auto size = dice() % 3 == 0 ? dice() % 8000 : dice() % 300;
    auto text = fmt::format("{} {}", i, chatter(dice, size));
    bytes += text.size();
    switch (i % 3) {
      case 0:
        raw[0].who.send_text(text);
        break;
      case 1:
        send_deflated(raw[3].who, plainly(text));
        break;
      case 2:
        send_deflated(raw[2].who, narrowly(text));
        break;
    }
    sent.push_back(std::move(text));
  }
  for (auto& x : raw)
    while (x.got.size() < messages)
      x.got.push_back(x.who.receive());
  auto texts = [](const seat& x) {
    std::vector<std::string> out;
    for (auto& m : x.got) {
      EXPECT_EQ(m.op, opcode::text);
      out.push_back(text_of(m, x.window_bits));
    }
    return out;
  };
  const auto order = texts(raw[0]);
  for (auto& x : raw)
    EXPECT_EQ(texts(x), order);
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  std::sort(sent.begin(), sent.end());
  EXPECT_EQ(sorted, sent);
  // One set of bytes for all who agreed on the same.
  EXPECT_EQ(raw[1].got, raw[4].got);
  EXPECT_EQ(raw[1].got, raw[3].got);
  EXPECT_EQ(raw[2].got, raw[6].got);
  EXPECT_NE(raw[1].got, raw[2].got);
  std::size_t wire = 0;
  for (auto& m : raw[1].got) {
    wire += m.payload.size();
    if (text_of(m).size() < 128) {
      EXPECT_FALSE(m.compressed);
    }
  }
  EXPECT_LT(wire, bytes * 2 / 3);
  for (std::size_t i : {0, 5, 7})
    for (auto& m : raw[i].got)
      EXPECT_FALSE(m.compressed);

  // Centrifuge joins what a turn brings, so the messages are the same as well.
  std::size_t squeezed = 0;
  for (std::size_t lines = 0; lines < messages;) {
    auto plain = talkers[0].receive();
    auto packed = talkers[1].receive();
    EXPECT_FALSE(plain.compressed);
    squeezed += packed.compressed ? 1 : 0;
    ASSERT_EQ(text_of(packed), plain.payload);
    lines += 1
             + static_cast<std::size_t>(
               std::count(plain.payload.begin(), plain.payload.end(), '\n'));
  }
  EXPECT_GT(squeezed, 0u);
  expect_nothing_wrong(broker);
}

TEST(DeflateTest, ABigRoomWhereEveryOtherMemberAgreed) {
  test_broker broker{deflating()};
  auto seed = test_seed();
  traffic clients{{.port = broker.port(),
                   .deflate_offer = browser,
                   .deflate_every = 2,
                   .timeout = 60s}};
  clients.add({.room = "big",
               .members = sanitized ? 100u : 400u,
               .publishers = 4,
               .messages = 20,
               .what = {.seed = seed, .length_max = 4000}});
  for (std::size_t i = 0; i < 20; ++i)
    clients.add({.room = fmt::format("small-{}", i),
                 .members = 5,
                 .publishers = 2,
                 .messages = 20,
                 .what = {.seed = seed + i + 1, .length_max = 4000}});
  clients.open();
  clients.begin();
  EXPECT_EQ(clients.finish(90s), "");
  expect_nothing_wrong(broker);
}

TEST(DeflateTest, RoomsCompressOnlyWhereTheySaySo) {
  const std::string long_text(1000, 'a');
  auto compressed = [&](ws_client& x) {
    x.send_text(long_text);
    auto got = x.receive();
    EXPECT_EQ(text_of(got), long_text);
    return got.compressed;
  };
  for (auto by_default : {false, true}) {
    auto options = roomy_options({"loud", "quiet", "same"});
    options.supervisor.rooms_on_demand = true;
    options.room_defaults.compressed = by_default;
    options.rooms[0].options.compressed = true;
    options.rooms[1].options.compressed = false;
    options.rooms[2].options.compressed = by_default;
    test_broker broker{options};
    auto loud = connect(broker.port(), "/room/loud", bare);
    EXPECT_NE(agreed(loud), "");
    EXPECT_TRUE(compressed(loud));
    auto quiet = connect(broker.port(), "/room/quiet", bare);
    EXPECT_EQ(agreed(quiet), "");
    EXPECT_FALSE(compressed(quiet));
    auto same = connect(broker.port(), "/room/same", bare);
    EXPECT_EQ(agreed(same) != "", by_default);
    EXPECT_EQ(compressed(same), by_default);
    auto demanded = connect(broker.port(), "/room/demanded", bare);
    EXPECT_EQ(agreed(demanded) != "", by_default);
    // A connection of many rooms agrees if any of them may compress.
    auto many = connect(broker.port(), centrifuge_path, bare);
    EXPECT_NE(agreed(many), "");
    many.send_text(centrifuge_greeting);
    many.receive();
    for (auto room : {"loud", "quiet"}) {
      many.send_text(centrifuge_subscribe(2, room));
      many.receive();
      many.send_text(
        centrifuge_publish(3, room, fmt::format("\"{}\"", long_text)));
      // The answer may overtake it, but is for nobody else.
      auto got = many.receive();
      auto other = many.receive();
      if (text_of(got).find(long_text) == std::string::npos)
        std::swap(got, other);
      EXPECT_NE(text_of(got).find(long_text), std::string::npos);
      EXPECT_EQ(got.compressed, room == std::string_view{"loud"});
      EXPECT_FALSE(other.compressed);
    }
  }
  test_broker broker;
  auto off = connect(broker.port(), "/room/lobby", browser);
  EXPECT_EQ(agreed(off), "");
  EXPECT_FALSE(compressed(off));
  EXPECT_EQ(agreed(connect(broker.port(), centrifuge_path, browser)), "");
}

TEST(DeflateTest, OffersThatCannotBeHonouredAreDeclined) {
  test_broker broker{deflating()};
  for (auto offer : {"permessage-deflate; server_max_window_bits=8",
                     "permessage-deflate; server_max_window_bits",
                     "permessage-deflate; client_max_window_bits=99",
                     "permessage-deflate; unknown", "permessage-deflate; ;"}) {
    auto x = connect(broker.port(), "/room/lobby", offer);
    EXPECT_EQ(agreed(x), "") << offer;
    x.send_text(std::string(1000, 'a'));
    EXPECT_EQ(x.receive_text(), std::string(1000, 'a'));
    send_deflated(x, deflated_zeros(10));
    EXPECT_EQ(x.expect_close().code, 1002) << offer;
  }
}

TEST(DeflateTest, ClientsWithoutASmallerWindowMayBeDeclined) {
  auto options = deflating();
  options.session.deflate.require_client_window = true;
  test_broker broker{options};
  EXPECT_EQ(agreed(connect(broker.port(), "/room/lobby", bare)), "");
  EXPECT_NE(agreed(connect(broker.port(), "/room/lobby", browser)), "");
}

// -- what comes in ------------------------------------------------------------------------

TEST(DeflateTest, ClientsMayReferToEarlierMessages) {
  auto options = deflating();
  options.session.deflate.client_context = true;
  test_broker broker{options};
  std::mt19937_64 dice{test_seed()};
  auto listener = connect(broker.port(), "/room/lobby", "");
  for (auto [offer, bits] :
       {std::pair{bare, 15}, {browser, 11}, {small_windows, 9}}) {
    auto x = connect(broker.port(), "/room/lobby", offer);
    EXPECT_EQ(agreed(x).find("client_no_context_takeover"), std::string::npos);
    message_deflater deflate{bits, true};
    std::size_t wire = 0;
    std::size_t bytes = 0;
    for (int i = 0; i < 100; ++i) {
      auto text = chatter(dice, dice() % 4 == 0 ? dice() % 40'000 : 100);
      auto payload = deflate(text);
      wire += payload.size();
      bytes += text.size();
      send_deflated(x, payload);
      ASSERT_EQ(listener.receive_text(), text) << i;
      if (i % 10 == 0) {
        x.send_text("plain");
        ASSERT_EQ(listener.receive_text(), "plain");
      }
    }
    EXPECT_LT(wire, bytes);
    x.drop();
  }
}

TEST(DeflateTest, WhatWasNotAgreedOnEndsTheConnection) {
  test_broker broker{deflating()};
  auto listener = connect(broker.port(), "/room/lobby", "");
  message_deflater with_context{15, true};
  auto text = std::string(300, 'x');
  auto x = connect(broker.port(), "/room/lobby", bare);
  send_deflated(x, with_context(text));
  send_deflated(x, with_context(text)); // refers to the first
  EXPECT_EQ(x.expect_close().code, 1007);
  EXPECT_EQ(listener.receive_text(), text);
  EXPECT_TRUE(listener.messages_until_pong().empty());
}

TEST(DeflateTest, ACompressedMessageHasTheSameLimit) {
  test_broker broker{deflating()};
  auto listener = connect(broker.port(), "/room/lobby", "");
  message_deflater deflate;
  const std::string most(64 * 1024, 'x');
  auto x = connect(broker.port(), "/room/lobby", bare);
  send_deflated(x, deflate(most));
  EXPECT_EQ(listener.receive_text(), most);
  send_deflated(x, deflate(most + "x"));
  EXPECT_EQ(x.expect_close().code, 1009);
  EXPECT_TRUE(listener.messages_until_pong().empty());
}

// -- what it costs --------------------------------------------------------------------------

TEST(DeflateMemoryTest, ABombOfAMegabyteEndsItsSenderCheaply) {
  const auto bomb = deflated_zeros(std::size_t{1200} << 20);
  ASSERT_GT(bomb.size(), std::size_t{1} << 20);
  for (auto most : {"64KiB", "4MiB"}) {
    broker_process broker{
      {"--room=lobby", "--deflate", fmt::format("--message-max={}", most),
       "--member-outbound-max=16MiB", "--bytes-per-second=0"}};
    // What the first connection brings with it stays.
    connect(broker.port(), "/room/lobby", bare).close();
    auto listener = connect(broker.port(), "/room/lobby", bare);
    const auto before = broker.stat().rss;
    for (std::size_t piece :
         {bomb.size(), std::size_t{60'000}, std::size_t{1000}}) {
      auto x = connect(broker.port(), "/room/lobby", bare);
      std::string frames;
      for (std::size_t at = 0; at < bomb.size(); at += piece)
        append_frame(frames,
                     {.op = at == 0 ? opcode::text : opcode::continuation,
                      .fin = at + piece >= bomb.size(),
                      .rsv = static_cast<std::uint8_t>(at == 0 ? 4 : 0)},
                     std::string_view{bomb}.substr(at, piece));
      try {
        x.send_raw(frames);
      } catch (const std::runtime_error&) {
        // It may be ended before all is sent; its last words are here.
      }
      EXPECT_EQ(x.expect_close().code, 1009) << most << ' ' << piece;
    }
    auto peak = peak_rss(broker.child().pid());
    fmt::print("message-max {}: a bomb of {} KiB cost {} KiB\n", most,
               bomb.size() / 1024, (peak - before) / 1024);
    if (!sanitized) {
      EXPECT_LT(peak - before, std::size_t{16} << 20);
    }
    EXPECT_TRUE(listener.messages_until_pong().empty());
    listener.close();
    EXPECT_EQ(broker.finish(), exit_status{0});
  }
}

TEST(DeflateMemoryTest, AConnectionCostsItsWindow) {
  constexpr std::size_t count = sanitized ? 100 : 500;
  struct kind {
    const char* offer;
    bool context;
    double kib_max;
  };
  // Black boxes of the connection and of its room are 2.5 KiB of each.
  for (auto [offer, context, kib_max] : {kind{"", false, 14},
                                         {bare, false, 14},
                                         {browser, true, 24},
                                         {bare, true, 56}}) {
    auto flags = roomy_flags();
    for (auto x : {"--rooms-on-demand", "--deflate", "--inspect-every=100ms"})
      flags.emplace_back(x);
    flags.push_back(
      fmt::format("--deflate-client-context={}", context ? "on" : "off"));
    broker_process broker{flags};
    std::mt19937_64 dice{1};
    auto frames = [&] {
      message_deflater deflate{offer == browser ? 11 : 15, context};
      std::string out;
      for (auto& text : {chatter(dice, 40'000), std::string{"one more"}})
        if (offer == std::string_view{})
          append_frame(out, {}, text);
        else
          append_frame(out, {.rsv = 4}, deflate(text));
      return out;
    }();
    auto run = [&](std::string_view name, std::size_t connections,
                   std::int64_t published_before) {
      auto crowd = std::make_unique<swarm>(swarm_options{
        .port = broker.port(), .deflate_offer = offer, .timeout = 60s});
      for (std::size_t i = 0; i < connections; ++i)
        crowd->add(fmt::format("/room/{}-{}?echo=0", name, i));
      crowd->open_all();
      for (std::size_t i = 0; i < connections; ++i) {
        // One after the other: what many messages under way at once leave in the
        // heap is no cost of a connection.
        crowd->send_raw(i, frames);
        crowd->send(i, opcode::ping, {});
        crowd->run_until([&] { return crowd->pongs() > i; });
      }
      broker.wait_log(
        "snapshot",
        [&](std::string_view line) {
          return number_in(line, "publications")
                 == published_before
                      + static_cast<std::int64_t>(2 * connections);
        },
        60s);
      EXPECT_EQ(crowd->count_code(1007), 0u);
      return crowd;
    };
    constexpr std::size_t first = 20;
    auto warm = run("first", first, 0);
    const auto before = broker.stat().anonymous;
    auto crowd = run("other", count, 2 * first);
    auto each = static_cast<double>(broker.stat().anonymous - before)
                / static_cast<double>(count);
    fmt::print("offer '{}', context {}: {:.1f} KiB a connection and its room\n",
               offer, context ? "kept" : "not kept", each / 1024);
    if (!sanitized) {
      EXPECT_LE(each / 1024, kib_max) << offer << context;
    }
    warm.reset();
    crowd.reset();
    EXPECT_EQ(broker.finish(), exit_status{0});
  }
}
