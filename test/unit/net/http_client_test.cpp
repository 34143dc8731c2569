// The HTTP client of the tests, against a server of a few lines.

#include "test/support/http_client.hpp"
#include "test/support/plain_server.hpp"

#include <string>

#include <gtest/gtest.h>

using namespace greenroom::test;
using namespace std::chrono_literals;

namespace {

/// A server that answers every request with the next of these texts.
plain_server::script answers(std::vector<std::string> texts) {
  return [texts = std::move(texts)](tcp_stream& stream) {
    for (const auto& text : texts) {
      take_request(stream);
      stream.send(text, deadline{10s}, true);
    }
  };
}

} // namespace

TEST(HttpClientTest, RequestsMayBePipelined) {
  plain_server server{answers(
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none",
     "HTTP/1.1 404 \r\nContent-Length: 0\r\nX: 1\r\nx:  2 \r\n\r\n",
     "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nto the end"})};
  http_client client{{.port = server.port()}};
  std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send(request + request + request + request);
  EXPECT_EQ(client.receive().body, "one");
  auto second = client.receive();
  EXPECT_EQ(second.status, 404);
  EXPECT_EQ(second.reason, "");
  EXPECT_EQ(second.count("X"), 2u);
  EXPECT_EQ(second.headers.back().second, "2");
  EXPECT_EQ(client.receive().body, "");
  EXPECT_EQ(client.receive().body, "to the end");
  EXPECT_EQ(client.expect_eof(), stream_end::fin);
}

TEST(HttpClientTest, ChunksArePutTogether) {
  plain_server server{
    answers({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
             "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n",
             "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!"})};
  http_client client{{.port = server.port()}};
  EXPECT_EQ(client.get("/").body, "abc0123456789");
  EXPECT_EQ(client.get("/").body, "!");
}

TEST(HttpClientTest, ACutResponseIsAnError) {
  plain_server server{
    answers({"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"})};
  EXPECT_THROW(http_get(server.port(), "/"), std::runtime_error);
}

TEST(HttpClientTest, ParsingIsStrict) {
  for (auto* bad : {"HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 200\r\n\r\n",
                    "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
                    "HTTP/1.1 200 OK\r\nName : x\r\n\r\n",
                    "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
                    "HTTP/1.1 200 OK\r\nA: b\r\n folded: d\r\n\r\n"})
    EXPECT_THROW(parse_response_head(bad), std::runtime_error) << bad;
  EXPECT_FALSE(parse_response_head("HTT"));
  EXPECT_FALSE(parse_response_head("HTTP/1.1 200 OK\r\nA: b\r\n"));
}
