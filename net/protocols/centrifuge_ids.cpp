#include "net/protocols/centrifuge_ids.hpp"

#include <cstring>
#include <memory>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/rand.h>

namespace greenroom::net {

namespace {

constexpr int digest_bits = 58;
constexpr char digits[] = "0123456789abcdef";

bool dash_at(std::size_t i) noexcept {
  return i == 8 || i == 13 || i == 18 || i == 23;
}

/// AES-128 (FIPS 197) of one block: a keyed function nobody can tell from
/// chance. OpenSSL wants a context for it, so every thread keeps one.
class cipher {
public:
  cipher() : context_(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free) {}

  std::uint64_t apply(const centrifuge_ids::key_type& key, char purpose,
                      std::uint64_t input) noexcept {
    if (!ready_ || key != key_) {
      EVP_EncryptInit_ex(context_.get(), EVP_aes_128_ecb(), nullptr, key.data(),
                         nullptr);
      EVP_CIPHER_CTX_set_padding(context_.get(), 0);
      key_ = key;
      ready_ = true;
    }
    unsigned char block[16] = {static_cast<unsigned char>(purpose)};
    std::memcpy(block + 8, &input, sizeof input);
    unsigned char sealed[32];
    int size = 0;
    EVP_EncryptUpdate(context_.get(), sealed, &size, block, sizeof block);
    std::uint64_t result = 0;
    std::memcpy(&result, sealed, sizeof result);
    return result;
  }

private:
  std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context_;
  centrifuge_ids::key_type key_{};
  bool ready_ = false;
};

cipher& this_threads_cipher() {
  thread_local cipher instance;
  return instance;
}

} // namespace

const centrifuge_ids& centrifuge_ids::of_this_process() {
  static const centrifuge_ids instance = [] {
    key_type key;
    if (RAND_bytes(key.data(), static_cast<int>(key.size())) != 1)
      throw std::runtime_error("no random bytes for connection names");
    return centrifuge_ids{key};
  }();
  return instance;
}

std::uint64_t centrifuge_ids::digest(std::uint64_t id) const noexcept {
  return this_threads_cipher().apply(key_, 'd', id) >> (64 - digest_bits);
}

std::uint64_t centrifuge_ids::mask(std::uint64_t digest) const noexcept {
  return this_threads_cipher().apply(key_, 'm', digest);
}

void centrifuge_ids::name(client_id id,
                          std::span<char, name_size> to) const noexcept {
  auto seal = digest(id);
  auto masked = id ^ mask(seal);
  // 48 bits, version 4, 12 bits; variant 2, 62 bits.
  std::uint64_t halves[2] = {
    masked >> 16 << 16 | 0x4000 | (masked >> 4 & 0xFFF),
    std::uint64_t{2} << 62 | (masked & 0xF) << digest_bits | seal,
  };
  std::size_t nibble = 0;
  for (std::size_t i = 0; i < name_size; ++i) {
    if (dash_at(i)) {
      to[i] = '-';
      continue;
    }
    to[i] = digits[halves[nibble / 16] >> (60 - 4 * (nibble % 16)) & 0xF];
    ++nibble;
  }
}

std::optional<client_id> centrifuge_ids::find(
  std::string_view name) const noexcept {
  if (name.size() != name_size)
    return std::nullopt;
  std::uint64_t halves[2] = {0, 0};
  std::size_t nibble = 0;
  for (std::size_t i = 0; i < name_size; ++i) {
    if (dash_at(i))
      continue; // looked at below
    auto* digit = static_cast<const char*>(std::memchr(digits, name[i], 16));
    if (digit == nullptr)
      return std::nullopt;
    auto& half = halves[nibble / 16];
    half = half << 4 | static_cast<std::uint64_t>(digit - digits);
    ++nibble;
  }
  auto seal = halves[1] & ((std::uint64_t{1} << digest_bits) - 1);
  auto masked = halves[0] >> 16 << 16 | (halves[0] & 0xFFF) << 4
                | (halves[1] >> digest_bits & 0xF);
  auto id = masked ^ mask(seal);
  // Version, variant, dashes and digest all at once: it must be the one name.
  char known[name_size];
  this->name(id, known);
  if (name != std::string_view{known, name_size})
    return std::nullopt;
  return id;
}

} // namespace greenroom::net
