#include "net/http_response.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

using namespace greenroom;
using namespace greenroom::net;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

TEST(HttpResponseTest, AnAnswerHasLengthDateAndConnection) {
  auto text = to_text({.status = 200, .body = "{}"}, connection_use::keep);
  EXPECT_THAT(text, MatchesRegex("HTTP/1.1 200 OK\r\n"
                                 "Date: ..., .. ... .... ..:..:.. GMT\r\n"
                                 "Content-Type: application/json\r\n"
                                 "Content-Length: 2\r\n"
                                 "Cache-Control: no-store\r\n"
                                 "Connection: keep-alive\r\n\r\n\\{\\}"));
  EXPECT_THAT(to_text({}, connection_use::close),
              HasSubstr("\r\nConnection: close\r\n\r\n"));
}

TEST(HttpResponseTest, AnAnswerToHeadSaysTheLengthOnly) {
  http_response x{.status = 200, .body = "12345"};
  auto whole = to_text(x, connection_use::keep);
  auto head = to_text(x, connection_use::keep, true);
  EXPECT_THAT(head, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_EQ(head + "12345", whole);
}

TEST(HttpResponseTest, ARefusalNamesItsReason) {
  auto x = refusal(errc::room_unknown);
  EXPECT_EQ(x.status, 404u);
  EXPECT_EQ(x.body, "{\"error\":\"room_unknown\"}\n");
  EXPECT_THAT(to_text(x, connection_use::close),
              HasSubstr("HTTP/1.1 404 Not Found\r\n"));
}

TEST(HttpResponseTest, ARefusalSaysWhatWouldBeRight) {
  EXPECT_EQ(refusal(errc::method_not_allowed, "GET, HEAD").fields,
            "Allow: GET, HEAD\r\n");
  auto text = to_text(refusal(errc::upgrade_required), connection_use::close);
  EXPECT_THAT(text, HasSubstr("\r\nUpgrade: websocket\r\n"));
  EXPECT_THAT(text, HasSubstr("\r\nSec-WebSocket-Version: 13\r\n"));
  EXPECT_THAT(text, HasSubstr("\r\nConnection: Upgrade, close\r\n"));
  EXPECT_EQ(refusal(errc::bad_request).fields, "");
}

TEST(HttpResponseTest, ThoseWhoShallComeBackAreSpreadOverSomeSeconds) {
  std::set<std::string> seen;
  for (int i = 0; i < 500; ++i) {
    auto x = refusal(errc::connection_limit);
    EXPECT_EQ(x.status, 503u);
    EXPECT_THAT(x.fields, MatchesRegex("Retry-After: [1-5]\r\n"));
    seen.insert(x.fields);
  }
  EXPECT_EQ(seen.size(), 5u);
}

TEST(HttpResponseTest, EveryReasonHasAStatusWithAPhrase) {
  for (auto& row : errc_table())
    EXPECT_THAT(to_text(refusal(row.code), connection_use::close),
                Not(HasSubstr("Unknown")))
      << row.name;
}
