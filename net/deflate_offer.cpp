#include "net/deflate_offer.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace greenroom::net {

namespace {

constexpr int window_bits_min = 9; // zlib cannot keep one of 8
constexpr int window_bits_max = 15;

// -- the grammar (RFC 6455 §9.1) ----------------------------------------------------

struct parameter {
  std::string_view name;
  std::optional<std::string> value;
};

struct extension {
  std::string_view name;
  std::vector<parameter> parameters;
};

bool is_token_char(char c) noexcept { // RFC 9110 §5.6.2
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
         || (c >= '0' && c <= '9') || marks.find(c) != std::string_view::npos;
}

/// Reads one field from the left.
class scanner {
public:
  explicit scanner(std::string_view text) : rest_(text) {}

  void skip_blanks() noexcept {
    auto n = rest_.find_first_not_of(" \t");
    rest_.remove_prefix(n == std::string_view::npos ? rest_.size() : n);
  }

  bool at_end() const noexcept { return rest_.empty(); }

  /// Takes `c` and the blanks on both sides of it.
  bool take(char c) noexcept {
    skip_blanks();
    if (!rest_.starts_with(c))
      return false;
    rest_.remove_prefix(1);
    skip_blanks();
    return true;
  }

  /// @returns an empty text where there is no token
  std::string_view token() noexcept {
    std::size_t n = 0;
    while (n < rest_.size() && is_token_char(rest_[n]))
      ++n;
    auto out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return out;
  }

  /// A token, or one between quotes, in which a backslash may precede any
  /// character.
  std::optional<std::string> value() {
    if (!rest_.starts_with('"')) {
      auto plain = token();
      return plain.empty() ? std::nullopt : std::optional{std::string{plain}};
    }
    std::string out;
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      auto c = rest_[i];
      if (c == '"') {
        rest_.remove_prefix(i + 1);
        return out.empty() ? std::nullopt : std::optional{std::move(out)};
      }
      if (c == '\\' && ++i < rest_.size())
        c = rest_[i];
      if (!is_token_char(c))
        return std::nullopt;
      out += c;
    }
    return std::nullopt;
  }

private:
  std::string_view rest_;
};

// @returns false if the field is malformed
bool parse_field(std::string_view field, std::vector<extension>& out) {
  scanner in{field};
  in.skip_blanks();
  while (!in.at_end()) {
    if (in.take(','))
      continue; // empty elements are to be ignored (RFC 9110 §5.6.1)
    extension x{in.token(), {}};
    if (x.name.empty())
      return false;
    while (in.take(';')) {
      parameter p{in.token(), std::nullopt};
      if (p.name.empty())
        return false;
      if (in.take('=') && !(p.value = in.value()))
        return false;
      x.parameters.push_back(std::move(p));
    }
    out.push_back(std::move(x));
    if (!in.at_end() && !in.take(','))
      return false;
  }
  return true;
}

// -- one offer (RFC 7692 §7.1) --------------------------------------------------------

struct offer {
  bool server_no_context = false;
  bool client_no_context = false;
  std::optional<int> server_window_bits;
  /// Whether the client lets itself be asked for a window.
  bool client_window = false;
  int client_window_bits = window_bits_max;
};

// A decimal number from 8 to 15 without leading zeros (§7.1.2).
std::optional<int> parse_bits(std::string_view text) noexcept {
  if (text.size() == 1 && (text[0] == '8' || text[0] == '9'))
    return text[0] - '0';
  if (text.size() == 2 && text[0] == '1' && text[1] >= '0' && text[1] <= '5')
    return 10 + (text[1] - '0');
  return std::nullopt;
}

// @returns nothing for an offer that must be declined
std::optional<offer> parse_offer(const extension& in) {
  offer out;
  for (const auto& p : in.parameters) {
    if (p.name == "server_no_context_takeover") {
      if (p.value || std::exchange(out.server_no_context, true))
        return std::nullopt;
    } else if (p.name == "client_no_context_takeover") {
      if (p.value || std::exchange(out.client_no_context, true))
        return std::nullopt;
    } else if (p.name == "server_max_window_bits") {
      auto bits = p.value ? parse_bits(*p.value) : std::nullopt;
      if (!bits || out.server_window_bits)
        return std::nullopt;
      out.server_window_bits = bits;
    } else if (p.name == "client_max_window_bits") {
      auto bits = p.value ? parse_bits(*p.value) : window_bits_max;
      if (!bits || std::exchange(out.client_window, true))
        return std::nullopt;
      out.client_window_bits = *bits;
    } else {
      return std::nullopt;
    }
  }
  return out;
}

// @returns nothing for an offer we cannot honour
std::optional<deflate_terms> answer_to(const offer& in,
                                       const deflate_options& ours) {
  deflate_terms out;
  out.server_window_bits = ours.window_bits;
  if (auto bits = in.server_window_bits; bits && *bits < ours.window_bits) {
    if (*bits < window_bits_min)
      return std::nullopt;
    out.server_window_bits = window_bits_min;
  }
  if (ours.require_client_window && !in.client_window)
    return std::nullopt;
  if (in.client_window)
    out.client_window_bits =
      std::min(ours.client_window_bits, in.client_window_bits);
  out.client_context = ours.client_context && !in.client_no_context;
  out.answer = "permessage-deflate; server_no_context_takeover";
  if (!out.client_context)
    out.answer += "; client_no_context_takeover";
  // §7.1.2.1: an offer that names a window is accepted by naming one.
  if (in.server_window_bits || out.server_window_bits < window_bits_max)
    out.answer +=
      "; server_max_window_bits=" + std::to_string(out.server_window_bits);
  // §7.1.2.2: only where the offer has it.
  if (in.client_window && out.client_window_bits < window_bits_max)
    out.answer +=
      "; client_max_window_bits=" + std::to_string(out.client_window_bits);
  return out;
}

} // namespace

std::optional<deflate_terms> agree_on_deflate(
  std::span<const std::string_view> fields, const deflate_options& ours) {
  std::vector<extension> offers;
  for (auto x : fields)
    if (!parse_field(x, offers))
      return std::nullopt;
  for (const auto& x : offers) {
    if (x.name != "permessage-deflate")
      continue;
    auto parsed = parse_offer(x);
    if (!parsed)
      continue;
    if (auto terms = answer_to(*parsed, ours))
      return terms;
  }
  return std::nullopt;
}

} // namespace greenroom::net
