#include "app/commands/client/handshake.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <system_error>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/random.h>

#include "app/commands/client/args.hpp"

namespace greenroom::client {

namespace {

/// A refusal's body is read so far: one line for people is all that is shown.
constexpr std::size_t body_bytes_max = 1024;

std::string base64(const unsigned char* bytes, std::size_t size) {
  std::string result((size + 2) / 3 * 4, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(result.data()), bytes,
                  static_cast<int>(size));
  return result;
}

std::string accept_for(std::string_view key) {
  auto text = fmt::format("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha1(),
             nullptr);
  return base64(digest.data(), digest.size());
}

bool same(std::string_view a, std::string_view b) {
  auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

/// The value of a field of this head, trimmed.
std::optional<std::string_view> field(std::string_view head,
                                      std::string_view name) {
  for (auto at = head.find("\r\n"); at != std::string_view::npos;) {
    auto begin = at + 2;
    at = head.find("\r\n", begin);
    auto line =
      head.substr(begin, at == std::string_view::npos ? std::string_view::npos
                                                      : at - begin);
    auto colon = line.find(':');
    if (colon == std::string_view::npos || !same(line.substr(0, colon), name))
      continue;
    auto value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
      value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t'))
      value.remove_suffix(1);
    return value;
  }
  return std::nullopt;
}

handshake_answer broken(std::string words) {
  return {handshake_answer::kind::broken, 0, std::move(words)};
}

handshake_answer refusal(std::string_view bytes, std::size_t head_bytes,
                         bool ended) {
  auto head = bytes.substr(0, head_bytes);
  auto body = bytes.substr(head_bytes);
  std::size_t length = ended ? 0 : body_bytes_max;
  if (auto text = field(head, "Content-Length"))
    std::from_chars(text->data(), text->data() + text->size(), length);
  if (!ended && body.size() < std::min(length, body_bytes_max))
    return {};
  auto line = body.substr(0, std::min(body.find_first_of("\r\n"),
                                      std::min(body.size(), std::size_t{200})));
  auto status = head.substr(0, head.find("\r\n"));
  status.remove_prefix(std::min(status.size(), status.find(' ') + 1));
  handshake_answer result{handshake_answer::kind::refused, 0, {}};
  result.words = printable(line.empty() ? std::string{status}
                                        : fmt::format("{}: {}", status, line));
  return result;
}

} // namespace

handshake make_handshake(const url& to, std::string_view key) {
  return {fmt::format("GET {} HTTP/1.1\r\n"
                      "Host: {}\r\n"
                      "Upgrade: websocket\r\n"
                      "Connection: Upgrade\r\n"
                      "Sec-WebSocket-Key: {}\r\n"
                      "Sec-WebSocket-Version: 13\r\n"
                      "User-Agent: greenroom\r\n\r\n",
                      to.target, to.authority, key),
          accept_for(key)};
}

handshake make_handshake(const url& to) {
  std::array<unsigned char, 16> bytes;
  if (getrandom(bytes.data(), bytes.size(), 0)
      != static_cast<ssize_t>(bytes.size()))
    throw std::system_error{errno, std::generic_category(), "getrandom"};
  return make_handshake(to, base64(bytes.data(), bytes.size()));
}

handshake_answer read_answer(std::string_view bytes, std::string_view accept,
                             bool ended) {
  constexpr std::string_view http = "HTTP/1.1 ";
  if (bytes.substr(0, http.size()) != http.substr(0, bytes.size()))
    return broken("the server does not speak HTTP/1.1");
  auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos || end + 4 > answer_head_bytes_max) {
    if (bytes.size() > answer_head_bytes_max)
      return broken("the server's answer to the handshake is too long");
    return ended ? broken(bytes.empty() ? "closed without an answer"
                                        : "closed within its answer")
                 : handshake_answer{};
  }
  auto head = bytes.substr(0, end);
  if (!head.substr(http.size()).starts_with("101"))
    return refusal(bytes, end + 4, ended);
  auto upgrade = field(head, "Upgrade");
  if (!upgrade || !same(*upgrade, "websocket")
      || field(head, "Sec-WebSocket-Accept") != accept)
    return broken("the server's 101 does not fit our handshake");
  return {handshake_answer::kind::accepted, end + 4, {}};
}

} // namespace greenroom::client
