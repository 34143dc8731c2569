#include "net/protocols/centrifuge_codes.hpp"

#include "net/protocols/json_text.hpp"
#include "test/support/centrifuge_rig.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

// Test names quote the sections of the protocol's description; frames marked as
// recorded there are data here.

using namespace greenroom;
using namespace greenroom::net;
using namespace greenroom::test;

// -- §7 codes -----------------------------------------------------------------

TEST(CentrifugeCodesTest, S71_TemporaryIsSetExactlyWhereClientsShallRetry) {
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

TEST(CentrifugeCodesTest, S71_ARoomInQuarantineIsNotTriedAgain) {
  for (auto why : {errc::room_quarantined, errc::room_closed})
    EXPECT_EQ(refused(why),
              R"({"id":2,"error":{"code":108,"message":"not available"}})");
}

TEST(CentrifugeCodesTest, S72_ReasonsHaveTheCodesThatClientsKnow) {
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

TEST(CentrifugeCodesTest, S72_AReasonIsShortAndNoJson) {
  for (auto& row : errc_table()) {
    auto words = make_dialect().close_words(row.code);
    EXPECT_FALSE(words.reason.empty()) << row.name;
    EXPECT_LE(words.reason.size(), 123u) << row.name;
    EXPECT_FALSE(is_json(words.reason, 32)) << row.name;
  }
}

TEST(CentrifugeCodesTest, S73_ARoomThatEndsIsToldByAPush) {
  answer x;
  x.what = verb::leave;
  x.error = errc::room_closed;
  x.room = "chat:1";
  EXPECT_EQ(message(make_dialect().encode(x)),
            R"({"push":{"channel":"chat:1","unsubscribe":)"
            R"({"code":2000,"reason":"server unsubscribe"}}})"); // recorded
}

TEST(CentrifugeCodesTest, WhatHasNoIdHasNoAnswer) {
  answer x;
  x.what = verb::publish;
  EXPECT_FALSE(make_dialect().encode(x));
  x.error = errc::room_forbidden;
  EXPECT_FALSE(make_dialect().encode(x));
}
