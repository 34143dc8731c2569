#include "test/support/verifier.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>

namespace greenroom::test {

namespace {

constexpr std::size_t faults_kept = 20;

/// What text has at its start, if there is room: 2, 3 and 4 bytes of UTF-8.
constexpr std::string_view utf8_sample = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";

/// Numbers that follow from a seed (splitmix64).
class sequence_of_numbers {
public:
  explicit sequence_of_numbers(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    auto x = state_ += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

private:
  std::uint64_t state_;
};

/// What a message looks like, and where its body comes from.
struct plan {
  sequence_of_numbers numbers;
  opcode op;
  std::size_t length;

  plan(const verifier_options& options, std::uint64_t id)
    : numbers(sequence_of_numbers{options.seed}.next() ^ id) {
    op = numbers.next() % 1000 < options.binary_per_mille ? opcode::binary
                                                          : opcode::text;
    auto span = options.length_max - options.length_min + 1;
    length = options.length_min + numbers.next() % span;
  }

  std::string_view sample() const {
    auto room = length - verifier::header_size;
    return op == opcode::text && room >= utf8_sample.size()
             ? utf8_sample
             : std::string_view{};
  }

  /// Eight bytes of body; in a text the letters a to p, that need no escape.
  std::uint64_t next_word() {
    auto word = numbers.next();
    return op == opcode::binary
             ? word
             : (word & 0x0f0f0f0f0f0f0f0f) + 0x6161616161616161;
  }
};

std::uint64_t to_id(std::size_t publisher, std::uint32_t sequence) {
  return std::uint64_t{publisher} << 32 | sequence;
}

std::size_t publisher_of(std::uint64_t id) {
  return id >> 32;
}

std::uint32_t sequence_of(std::uint64_t id) {
  return static_cast<std::uint32_t>(id);
}

std::optional<std::uint32_t> parse_hex(std::string_view text) {
  std::uint32_t result = 0;
  auto last = text.data() + text.size();
  auto [end, error] = std::from_chars(text.data(), last, result, 16);
  if (error != std::errc{} || end != last)
    return std::nullopt;
  return result;
}

std::string describe(std::uint64_t id) {
  return fmt::format("message {} of publisher {}", sequence_of(id),
                     publisher_of(id));
}

} // namespace

verifier::verifier(verifier_options options) : options_(options) {
  if (options.length_min < header_size
      || options.length_max < options.length_min)
    throw std::invalid_argument("messages shorter than their header");
}

// -- who there is -------------------------------------------------------------

std::size_t verifier::add_room() {
  rooms_.emplace_back();
  return rooms_.size() - 1;
}

std::size_t verifier::add_publisher(std::size_t room) {
  auto& home = rooms_.at(room);
  auto result = publishers_.size();
  if (result > 0xffff)
    throw std::length_error("a publisher has four hex digits");
  publishers_.push_back({.home = room, .index = home.publishers.size()});
  home.publishers.push_back(result);
  return result;
}

std::size_t verifier::add_member(std::size_t room,
                                 std::optional<std::size_t> without) {
  auto& home = rooms_.at(room);
  member_state result;
  result.home = room;
  result.without = without;
  result.whole = !without && home.published == 0;
  result.base = home.published;
  for (auto id : home.publishers)
    result.start.push_back(publishers_[id].next);
  if (without) {
    auto& own = publishers_.at(*without);
    result.own_base = own.next;
    ++own.excluded;
  }
  ++home.live;
  members_.push_back(std::move(result));
  return members_.size() - 1;
}

void verifier::remove_member(std::size_t member) {
  auto& who = members_.at(member);
  if (!who.live)
    return;
  missing_ -= lacking(who);
  who.live = false;
  --rooms_[who.home].live;
  if (who.without)
    --publishers_[*who.without].excluded;
}

void verifier::lose_tail(std::size_t publisher) {
  auto& from = publishers_.at(publisher);
  auto& home = rooms_[from.home];
  auto is_here = [&](const member_state& who) { return who.home == from.home; };
  auto cut = from.next_in_order;
  for (const auto& who : members_) {
    if (is_here(who) && from.index < who.expected.size())
      cut = std::max(cut, who.expected[from.index].value_or(0));
  }
  for (auto& who : members_) {
    if (!is_here(who))
      continue;
    if (who.start.size() <= from.index)
      who.start.resize(from.index + 1, 0);
    // What was lost before a member came does not count for it either way.
    auto& start = who.start[from.index];
    if (who.live && who.without != publisher)
      missing_ -= from.next - std::max(cut, start);
    if (start > cut)
      who.base -= start - cut;
    start = std::min(start, cut);
    if (who.without == publisher)
      who.own_base = std::min<std::uint64_t>(who.own_base, cut);
  }
  home.published -= from.next - cut;
  from.next = cut;
}

// -- what happens -------------------------------------------------------------

verifier::outgoing verifier::next(std::size_t publisher) {
  auto& from = publishers_.at(publisher);
  auto& home = rooms_[from.home];
  missing_ += home.live - from.excluded;
  ++home.published;
  ++published_;
  return invent(publisher, from.next++);
}

verifier::outgoing verifier::invent(std::size_t publisher,
                                    std::uint32_t sequence) const {
  plan what{options_, to_id(publisher, sequence)};
  outgoing result{what.op, fmt::format("{:04x}{:08x}", publisher, sequence)};
  result.payload += what.sample();
  while (result.payload.size() < what.length) {
    auto word = what.next_word();
    auto size = std::min(sizeof(word), what.length - result.payload.size());
    result.payload.append(reinterpret_cast<const char*>(&word), size);
  }
  return result;
}

bool verifier::matches(std::size_t publisher, std::uint32_t sequence, opcode op,
                       std::string_view payload) const {
  plan what{options_, to_id(publisher, sequence)};
  if (op != what.op || payload.size() != what.length)
    return false;
  payload.remove_prefix(header_size);
  if (!payload.starts_with(what.sample()))
    return false;
  payload.remove_prefix(what.sample().size());
  while (!payload.empty()) {
    auto word = what.next_word();
    auto size = std::min(sizeof(word), payload.size());
    if (std::memcmp(&word, payload.data(), size) != 0)
      return false;
    payload.remove_prefix(size);
  }
  return true;
}

void verifier::received(std::size_t member, opcode op,
                        std::string_view payload) {
  auto& who = members_.at(member);
  if (who.broken)
    return;
  auto from = parse_hex(payload.substr(0, 4));
  auto sequence =
    parse_hex(payload.substr(std::min<std::size_t>(4, payload.size()), 8));
  if (payload.size() < header_size || !from || !sequence
      || *from >= publishers_.size())
    return blame(member, "got something that is none of our messages");
  auto id = to_id(*from, *sequence);
  const char* fault = nullptr;
  if (publishers_[*from].home != who.home)
    fault = "from another room";
  else if (*sequence >= publishers_[*from].next)
    fault = "before it was sent";
  else if (!matches(*from, *sequence, op, payload))
    fault = "with other bytes, length or opcode than it was sent";
  else
    fault = who.whole ? take_in_order(who, id) : take_by_publisher(who, id);
  if (fault != nullptr)
    blame(member, fmt::format("got {} {}", describe(id), fault));
  ++delivered_;
}

const char* verifier::take_in_order(member_state& who, message_id id) {
  auto& home = rooms_[who.home];
  if (who.delivered < home.order.size()) {
    if (home.order[who.delivered] != id)
      return "in another order than other members";
  } else {
    // The first to get so far: only the publisher's order can be checked.
    auto& from = publishers_[publisher_of(id)];
    if (sequence_of(id) < from.next_in_order)
      return "a second time, or behind a later one";
    if (sequence_of(id) > from.next_in_order)
      return "with others before it missing";
    ++from.next_in_order;
    home.order.push_back(id);
  }
  ++who.delivered;
  missing_ -= who.live ? 1 : 0;
  return nullptr;
}

const char* verifier::take_by_publisher(member_state& who, message_id id) {
  auto from = publisher_of(id);
  if (from == who.without)
    return "although it is its own";
  auto index = publishers_[from].index;
  if (index >= who.start.size())
    who.start.resize(index + 1, 0);
  if (index >= who.expected.size())
    who.expected.resize(index + 1);
  auto& expected = who.expected[index];
  // What was sent before it came may begin anywhere; what was sent after may
  // not, and after its first message nothing may.
  if (!expected)
    expected = std::min(sequence_of(id), who.start[index]);
  if (sequence_of(id) < *expected)
    return "a second time, or behind a later one";
  if (sequence_of(id) > *expected)
    return "with others before it missing";
  ++*expected;
  who.seen.push_back(id);
  if (sequence_of(id) >= who.start[index]) {
    ++who.delivered;
    missing_ -= who.live ? 1 : 0;
  }
  return nullptr;
}

// -- what came of it ----------------------------------------------------------

std::uint64_t verifier::lacking(const member_state& who) const {
  auto due = rooms_[who.home].published - who.base;
  if (who.without)
    due -= publishers_[*who.without].next - who.own_base;
  return due - who.delivered;
}

const char* verifier::check_order(const member_state& who) const {
  const auto& order = rooms_[who.home].order;
  if (order.empty() || who.seen.empty())
    return nullptr;
  auto at = std::find(order.begin(), order.end(), who.seen.front());
  for (auto id : who.seen) {
    while (at != order.end() && publisher_of(*at) == who.without)
      ++at;
    if (at == order.end() || *at != id)
      return std::find(order.begin(), order.end(), id) == order.end()
               ? "got messages that others did not get"
               : "got messages in another order than other members";
    ++at;
  }
  return nullptr;
}

std::string verifier::report() {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const auto& who = members_[i];
    if (who.broken)
      continue;
    if (auto count = lacking(who); who.live && count != 0)
      blame(i, fmt::format("lacks {} messages", count));
    else if (const auto* fault = check_order(who))
      blame(i, fault);
  }
  if (fault_count_ == 0)
    return {};
  return fmt::format("seed {}: {} faults in {} deliveries of {} messages\n  {}",
                     options_.seed, fault_count_, delivered_, published_,
                     fmt::join(faults_, "\n  "));
}

void verifier::blame(std::size_t member, std::string what) {
  members_[member].broken = true;
  ++fault_count_;
  if (faults_.size() < faults_kept)
    faults_.push_back(fmt::format("member {} of room {} {}", member,
                                  members_[member].home, what));
}

std::uint64_t verifier::digest(std::size_t room) const {
  std::uint64_t result = options_.seed;
  for (auto id : rooms_.at(room).order)
    result = sequence_of_numbers{result ^ id}.next();
  return result;
}

} // namespace greenroom::test
