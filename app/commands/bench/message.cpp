#include "app/commands/bench/message.hpp"

#include <array>
#include <cassert>
#include <cstring>
#include <random>

namespace greenroom::client {

namespace {

constexpr std::string_view alphabet =
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Bodies begin at one of so many places of a longer text.
constexpr std::size_t shifts = 64;

constexpr std::uint8_t no_digit = 0xff;

constexpr std::array<std::uint8_t, 256> digits = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(no_digit);
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    table[static_cast<unsigned char>(alphabet[i])] =
      static_cast<std::uint8_t>(i);
  return table;
}();

// Where each field of the head lies, in characters.
struct field {
  std::size_t at;
  std::size_t size;
};
constexpr field run_field{0, 5};
constexpr field room_field{5, 4};
constexpr field publisher_field{9, 4};
constexpr field sequence_field{13, 6};
constexpr field time_field{19, 8};
constexpr field check_field{27, 5};
static_assert(check_field.at + check_field.size == message_format::head_bytes);

void put(char* head, field where, std::uint64_t value) noexcept {
  for (auto i = where.size; i-- > 0;) {
    head[where.at + i] = alphabet[value & 63];
    value >>= 6;
  }
}

/// @returns false if it is no number
bool get(const char* head, field where, std::uint64_t& value) noexcept {
  std::uint64_t result = 0;
  unsigned wrong = 0;
  for (std::size_t i = 0; i < where.size; ++i) {
    auto digit = digits[static_cast<unsigned char>(head[where.at + i])];
    wrong |= digit & 0xc0U;
    result = result << 6 | (digit & 63U);
  }
  value = result;
  return wrong == 0;
}

/// Of the characters before it; 30 bits.
std::uint64_t check_of(const char* head) noexcept {
  std::uint64_t hash = 0x9e3779b97f4a7c15;
  for (std::size_t at : {0, 8, 16, 19}) { // 27 characters, some twice
    std::uint64_t word = 0;
    std::memcpy(&word, head + at, 8);
    hash = (hash ^ word) * 0xff51afd7ed558ccd;
    hash ^= hash >> 32;
  }
  return hash & ((1U << 30) - 1);
}

} // namespace

message_format::message_format(std::uint32_t run, std::size_t size)
  : size_(size), run_(run_field.size, 'A') {
  assert(size >= head_bytes);
  put(run_.data(), run_field, run);
  std::mt19937 random{run};
  text_.resize(size - head_bytes + shifts);
  for (auto& c : text_)
    c = alphabet[random() & 63];
  payload_.resize(size);
}

std::string_view message_format::body(std::uint32_t publisher,
                                      std::uint64_t sequence) const noexcept {
  return std::string_view{text_}.substr(
    (std::uint64_t{publisher} * 31 + sequence) % shifts, size_ - head_bytes);
}

std::string_view message_format::make(const stamp& what) {
  auto head = payload_.data();
  run_.copy(head, run_.size());
  put(head, room_field, what.room);
  put(head, publisher_field, what.publisher);
  put(head, sequence_field, what.sequence);
  put(head, time_field, what.time);
  put(head, check_field, check_of(head));
  body(what.publisher, what.sequence).copy(head + head_bytes, size_);
  return payload_;
}

verdict message_format::read(std::string_view payload,
                             stamp& out) const noexcept {
  if (!payload.starts_with(run_))
    return verdict::foreign;
  if (payload.size() != size_)
    return verdict::corrupt;
  auto head = payload.data();
  std::uint64_t room = 0;
  std::uint64_t publisher = 0;
  std::uint64_t sequence = 0;
  std::uint64_t time = 0;
  std::uint64_t check = 0;
  bool good = get(head, room_field, room);
  good &= get(head, publisher_field, publisher);
  good &= get(head, sequence_field, sequence);
  good &= get(head, time_field, time);
  good &= get(head, check_field, check);
  out = {static_cast<std::uint32_t>(room),
         static_cast<std::uint32_t>(publisher), sequence, time};
  return good && check == check_of(head)
             && payload.substr(head_bytes) == body(out.publisher, sequence)
           ? verdict::ours
           : verdict::corrupt;
}

} // namespace greenroom::client
