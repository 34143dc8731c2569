#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace greenroom::client {

/// One key of a terminal.
struct top_key {
  enum class what : std::uint8_t {
    text, ///< `text` is one character, UTF-8
    enter,
    escape,
    tab,
    back_tab,
    backspace,
    up,
    down,
    left,
    right,
    page_up,
    page_down,
    home,
    end,
    unknown, ///< a sequence that means nothing here
  };

  what is = what::unknown;
  std::string text = {};

  bool operator==(const top_key&) const = default;
};

/// Takes what a terminal sends apart: characters, and the sequences of xterm and
/// its like (CSI and SS3).
class top_keyboard {
public:
  void feed(std::string_view bytes) { bytes_ += bytes; }

  /// @param idle nothing more came for a while: an escape is the key, and the begin
  /// of a character will not be completed
  std::optional<top_key> next(bool idle);

  /// What came is part of something: look again soon.
  bool waiting() const noexcept { return !bytes_.empty(); }

private:
  std::optional<top_key> sequence(bool idle);

  std::string bytes_;
};

} // namespace greenroom::client
