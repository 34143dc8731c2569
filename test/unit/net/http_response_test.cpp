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
                                 "X-Content-Type-Options: nosniff\r\n"
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

TEST(HttpResponseTest, ARefusalMayHaveWordsForPeople) {
  auto x = refusal(fault{errc::bad_request, "a \"limit\""});
  EXPECT_EQ(x.status, 400u);
  EXPECT_EQ(x.body,
            "{\"error\":\"bad_request\",\"detail\":\"a \\\"limit\\\"\"}\n");
  EXPECT_EQ(x.why, errc::bad_request);
  EXPECT_EQ(refusal(fault{errc::not_found, {}}).body,
            "{\"error\":\"not_found\"}\n");
  EXPECT_THAT(refusal(errc::unauthorized).fields,
              HasSubstr("WWW-Authenticate: Bearer"));
  EXPECT_THAT(to_text(refusal(errc::host_refused), connection_use::keep),
              HasSubstr("HTTP/1.1 421 Misdirected Request\r\n"));
}

TEST(HttpResponseTest, AStreamComesInChunks) {
  auto head = stream_head("application/x-ndjson", true);
  EXPECT_THAT(head, HasSubstr("\r\nTransfer-Encoding: chunked\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("Content-Length")));
  EXPECT_THAT(stream_head("application/x-ndjson", false),
              Not(HasSubstr("chunked")));
  std::string out;
  append_chunk(out, "");
  append_chunk(out, std::string(26, 'x'));
  append_last_chunk(out);
  EXPECT_EQ(out, "1a\r\n" + std::string(26, 'x') + "\r\n0\r\n\r\n");
}
