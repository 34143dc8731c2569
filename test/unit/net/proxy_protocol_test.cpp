#include "net/proxy_protocol.hpp"

#include <gtest/gtest.h>

#include <string>

using namespace greenroom::net;
using state = proxy_header::state;
using namespace std::string_literals;

namespace {

// Signature, command, family, and a body behind its length.
std::string header(char command, char family, const std::string& body) {
  auto out = "\r\n\r\n\0\r\nQUIT\n"s;
  out += command;
  out += family;
  out += static_cast<char>(body.size() >> 8);
  out += static_cast<char>(body.size() & 0xff);
  return out + body;
}

// 192.0.2.1:4660 to 10.0.0.1:8000
const auto v4_body = "\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x1f\x40"s;
const auto v6_body = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01"s
                     + std::string(15, '\0') + "\x01\x12\x34\x1f\x40"s;
const auto request = "GET / HTTP/1.1\r\n\r\n"s;

} // namespace

TEST(ProxyProtocolTest, TheSourceOverIPv4IsTheClient) {
  auto bytes = header(0x21, 0x11, v4_body);
  auto x = parse_proxy_header(bytes + request);
  EXPECT_EQ(x.what, state::complete);
  EXPECT_EQ(x.size, bytes.size());
  ASSERT_TRUE(x.source);
  EXPECT_EQ(x.source->text(), "192.0.2.1");
}

TEST(ProxyProtocolTest, TheSourceOverIPv6IsTheClient) {
  auto x = parse_proxy_header(header(0x21, 0x21, v6_body));
  EXPECT_EQ(x.what, state::complete);
  ASSERT_TRUE(x.source);
  EXPECT_EQ(x.source->text(), "2001:db8::1");
}

TEST(ProxyProtocolTest, BytesMayComeOneByOne) {
  auto bytes = header(0x21, 0x11, v4_body);
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_EQ(parse_proxy_header(bytes.substr(0, n)).what, state::need_more)
      << n;
  EXPECT_EQ(parse_proxy_header(bytes).what, state::complete);
}

TEST(ProxyProtocolTest, ARequestIsNoHeader) {
  EXPECT_EQ(parse_proxy_header("G").what, state::absent);
  EXPECT_EQ(parse_proxy_header("\r\nGET").what, state::absent);
  EXPECT_EQ(parse_proxy_header("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n").what,
            state::absent);
}

TEST(ProxyProtocolTest, AProxyThatSpeaksForItselfNamesNobody) {
  auto x = parse_proxy_header(header(0x20, 0x00, ""));
  EXPECT_EQ(x.what, state::complete);
  EXPECT_FALSE(x.source);
  // Whatever the addresses are: receivers must ignore them.
  x = parse_proxy_header(header(0x20, 0x11, v4_body));
  EXPECT_EQ(x.what, state::complete);
  EXPECT_FALSE(x.source);
}

TEST(ProxyProtocolTest, ClientsWithoutAnInternetAddressAreNotNamed) {
  for (auto& bytes :
       {header(0x21, 0x00, ""), header(0x21, 0x00, "junk"),
        header(0x21, 0x31, std::string(216, 'x')), header(0x21, 0x12, v4_body),
        header(0x21, 0x22, v6_body)}) {
    auto x = parse_proxy_header(bytes);
    EXPECT_EQ(x.what, state::complete);
    EXPECT_FALSE(x.source);
    EXPECT_EQ(x.size, bytes.size());
  }
}

TEST(ProxyProtocolTest, ExtensionsAreSkipped) {
  auto bytes = header(0x21, 0x11, v4_body + "\x04\x00\x03xyz"s);
  auto x = parse_proxy_header(bytes + request);
  EXPECT_EQ(x.what, state::complete);
  EXPECT_EQ(x.size, bytes.size());
  ASSERT_TRUE(x.source);
  EXPECT_EQ(x.source->text(), "192.0.2.1");
}

TEST(ProxyProtocolTest, TheLengthIsBounded) {
  auto longest = proxy_header_bytes_max - 16;
  auto body = v4_body + std::string(longest - v4_body.size(), '\0');
  EXPECT_EQ(parse_proxy_header(header(0x21, 0x11, body)).what, state::complete);
  auto over = header(0x21, 0x11, body + "x");
  EXPECT_EQ(parse_proxy_header(over).what, state::malformed);
  // At once, not when so much has arrived.
  EXPECT_EQ(parse_proxy_header(over.substr(0, 16)).what, state::malformed);
}

TEST(ProxyProtocolTest, WhatTheProtocolDoesNotKnowIsMalformed) {
  for (auto& bytes :
       {header(0x11, 0x11, v4_body), header(0x22, 0x11, v4_body),
        header(0x01, 0x11, v4_body), header(0x21, 0x41, v4_body),
        header(0x21, 0x13, v4_body), header(0x21, 0x11, v4_body.substr(1)),
        header(0x21, 0x21, v4_body), header(0x21, 0x31, v4_body)})
    EXPECT_EQ(parse_proxy_header(bytes).what, state::malformed);
}
