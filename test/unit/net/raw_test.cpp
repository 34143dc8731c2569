#include "net/protocols/raw.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

using namespace greenroom;
using namespace greenroom::net;
using namespace std::string_literals;

namespace {

event publication(std::string bytes, payload_form form, client_id from = 1) {
  event x;
  x.from = from;
  x.what = {std::move(bytes), form};
  return x;
}

wire_ptr encode(const std::vector<event>& events, client_id without = 0) {
  return raw_relay().encode(turn{"lobby", "epoch", events}, without);
}

std::string bytes(const wire_ptr& x) {
  return x ? std::string{x->bytes()} : "nothing";
}

using query = std::vector<std::pair<std::string, std::string>>;

result<entrance> enter(query parameters) {
  visit in;
  in.names = {"lobby"};
  in.query = std::move(parameters);
  return enter_raw(in);
}

bool echo_of(query parameters) {
  auto way = enter(std::move(parameters));
  return way && way->implied.at(0).options.echo;
}

errc refusal_of(query parameters) {
  auto way = enter(std::move(parameters));
  return way ? errc::none : way.error().code;
}

} // namespace

// -- messages ---------------------------------------------------------------------

TEST(RawTest, EveryMessageIsAPublication) {
  std::vector<command> out;
  dialogue state;
  raw_relay().decode({"hello", true}, state, out);
  raw_relay().decode({"\x00\xff"s, false}, state, out);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].what, verb::publish);
  EXPECT_EQ(out[0].id, 0u);
  EXPECT_EQ(out[0].room, "");
  EXPECT_EQ(out[0].data.bytes, "hello");
  EXPECT_EQ(out[0].data.form, payload_form::text);
  EXPECT_EQ(out[1].data.bytes, "\x00\xff"s);
  EXPECT_EQ(out[1].data.form, payload_form::binary);
}

TEST(RawTest, AnEmptyMessageIsOneToo) {
  std::vector<command> out;
  dialogue state;
  raw_relay().decode({"", true}, state, out);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].what, verb::publish);
  EXPECT_EQ(bytes(encode({publication("", payload_form::text)})), "\x81\x00"s);
}

// -- frames -------------------------------------------------------------------------

TEST(RawTest, FormsBecomeOpcodes) {
  EXPECT_EQ(bytes(encode({publication("hi", payload_form::text)})),
            "\x81\x02hi");
  EXPECT_EQ(bytes(encode({publication("{}", payload_form::json)})),
            "\x81\x02{}");
  EXPECT_EQ(bytes(encode({publication("\x00\xff"s, payload_form::binary)})),
            "\x82\x02\x00\xff"s);
}

TEST(RawTest, LengthsTakeTheShortestForm) {
  auto head = [](std::size_t size) {
    auto x = encode({publication(std::string(size, 'x'), payload_form::text)});
    EXPECT_EQ(x->bytes().substr(x->size() - size), std::string(size, 'x'));
    return std::string{x->bytes().substr(0, x->size() - size)};
  };
  EXPECT_EQ(head(125), "\x81\x7d"s);
  EXPECT_EQ(head(126), "\x81\x7e\x00\x7e"s);
  EXPECT_EQ(head(65'535), "\x81\x7e\xff\xff"s);
  EXPECT_EQ(head(65'536), "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s);
}

TEST(RawTest, ATurnIsOneBlockInOrder) {
  auto before = wire::live_bytes();
  auto x = encode({publication("a", payload_form::text),
                   publication(std::string(200, 'b'), payload_form::binary),
                   publication("c", payload_form::json)});
  EXPECT_EQ(bytes(x), "\x81\x01"
                      "a\x82\x7e\x00\xc8"s
                        + std::string(200, 'b') + "\x81\x01" + "c");
  EXPECT_EQ(x->frames(), 3u);
  EXPECT_FALSE(x->closes());
  EXPECT_EQ(wire::live_bytes() - before, x->size()) << "reserved exactly";
}

TEST(RawTest, ASenderCanBeLeftOut) {
  std::vector<event> events{publication("a", payload_form::text, 7),
                            publication("b", payload_form::text, 8),
                            publication("c", payload_form::text, 7)};
  auto x = encode(events, 7);
  EXPECT_EQ(bytes(x), "\x81\x01"
                      "b");
  EXPECT_EQ(x->frames(), 1u);
  EXPECT_EQ(encode(events, 9)->frames(), 3u);
  EXPECT_EQ(encode(events, 0)->frames(), 3u);
}

TEST(RawTest, NothingIsLeftOfATurnOfOnesOwn) {
  EXPECT_FALSE(encode({publication("a", payload_form::text, 7)}, 7));
  EXPECT_FALSE(encode({}));
}

TEST(RawTest, WhatTheServerPublishesReachesEverybody) {
  EXPECT_TRUE(encode({publication("a", payload_form::text, 0)}, 0));
  EXPECT_TRUE(encode({publication("a", payload_form::text, 0)}, 7));
}

TEST(RawTest, ThereAreNoAnswersAndNoPings) {
  EXPECT_FALSE(raw_relay().encode(answer{}));
  EXPECT_FALSE(raw_relay().ping());
}

TEST(RawTest, ProblemsAreCloseCodes) {
  auto words = raw_relay().close_words(errc::slow_consumer);
  EXPECT_EQ(words.code, 1013);
  EXPECT_EQ(words.reason, "slow_consumer");
  EXPECT_FALSE(words.last);
}

// -- the way in -----------------------------------------------------------------------

TEST(RawTest, ThePathJoinsARoom) {
  auto way = enter({});
  ASSERT_TRUE(way);
  EXPECT_EQ(way->dialect, &raw_relay());
  EXPECT_EQ(way->room, "lobby");
  EXPECT_TRUE(way->raw);
  EXPECT_EQ(way->subprotocol, "");
  ASSERT_EQ(way->implied.size(), 1u);
  EXPECT_EQ(way->implied[0].what, verb::join);
  EXPECT_EQ(way->implied[0].room, "lobby");
}

TEST(RawTest, EchoIsAChoice) {
  EXPECT_TRUE(echo_of({}));
  EXPECT_TRUE(echo_of({{"echo", "1"}}));
  EXPECT_FALSE(echo_of({{"echo", "0"}}));
  EXPECT_EQ(refusal_of({{"echo", "0"}}), errc::none);
}

TEST(RawTest, ADoubtfulEchoIsRefused) {
  for (auto value : {"", "2", "00", "true", "no", " 0"})
    EXPECT_EQ(refusal_of({{"echo", value}}), errc::bad_request) << value;
  EXPECT_EQ(refusal_of({{"echo", "0"}, {"echo", "0"}}), errc::bad_request);
}

TEST(RawTest, ReservedParametersAreRefused) {
  for (auto key : {"token", "user", "since"}) {
    EXPECT_EQ(refusal_of({{key, "x"}}), errc::reserved_parameter) << key;
    EXPECT_EQ(refusal_of({{key, ""}}), errc::reserved_parameter) << key;
  }
}

TEST(RawTest, UnknownParametersAreNobodysBusiness) {
  EXPECT_EQ(refusal_of({{"utm_source", "x"}, {"Echo", "7"}}), errc::none);
}

TEST(RawTest, OnlyASenderThatSaidSoMissesItsOwn) {
  EXPECT_TRUE(raw_relay().echoes());
  EXPECT_EQ(raw_relay().name(), "raw");
}
