#include "net/ws_accept.hpp"

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <new>

namespace greenroom::net {

namespace {

constexpr std::string_view websocket_guid =
  "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

struct digest_closer {
  void operator()(EVP_MD_CTX* x) const noexcept { EVP_MD_CTX_free(x); }

  void operator()(EVP_MD* x) const noexcept { EVP_MD_free(x); }
};

} // namespace

std::string accept_token(std::string_view key) {
  // Looking SHA-1 up costs more than computing it: once will do.
  static const std::unique_ptr<EVP_MD, digest_closer> sha1{
    EVP_MD_fetch(nullptr, "SHA1", nullptr)};
  thread_local const std::unique_ptr<EVP_MD_CTX, digest_closer> context{
    EVP_MD_CTX_new()};
  std::array<unsigned char, 20> digest{};
  if (EVP_DigestInit_ex(context.get(), sha1.get(), nullptr) != 1
      || EVP_DigestUpdate(context.get(), key.data(), key.size()) != 1
      || EVP_DigestUpdate(context.get(), websocket_guid.data(),
                          websocket_guid.size())
           != 1
      || EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1)
    throw std::bad_alloc{};             // nothing else can go wrong
  std::array<unsigned char, 29> text{}; // 4/3 of 20 bytes, padded, and a NUL
  auto n = EVP_EncodeBlock(text.data(), digest.data(),
                           static_cast<int>(digest.size()));
  return {text.begin(), text.begin() + n};
}

wire_ptr make_upgrade_answer(const agreement& what) {
  wire_builder out{256};
  out.append("HTTP/1.1 101 Switching Protocols\r\n"
             "Upgrade: websocket\r\n"
             "Connection: upgrade\r\n"
             "Sec-WebSocket-Accept: ");
  out.append(accept_token(what.key));
  if (!what.subprotocol.empty()) {
    out.append("\r\nSec-WebSocket-Protocol: ");
    out.append(what.subprotocol);
  }
  if (!what.extensions.empty()) {
    out.append("\r\nSec-WebSocket-Extensions: ");
    out.append(what.extensions);
  }
  out.append("\r\nServer: greenroom\r\n\r\n");
  return out.finish();
}

} // namespace greenroom::net
