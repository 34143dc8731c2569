#include "net/api/trace_inbox.hpp"

#include <utility>

#include "net/api/json_rows.hpp"

namespace greenroom::net {

void trace_inbox::traced(std::vector<box_row> what, std::uint64_t lost) {
  {
    std::lock_guard guard{mutex_};
    if (closed_ || why_)
      return;
    auto first = waiting_.empty();
    lose(lost);
    std::size_t fit = 0;
    for (; fit < what.size(); ++fit) {
      auto bytes = sizeof(box_row) + what[fit].room.size();
      if (bytes_ + bytes > bytes_max_)
        break;
      bytes_ += bytes;
    }
    auto rest = what.size() - fit;
    if (fit != 0) {
      what.resize(fit);
      waiting_.push_back({std::move(what), 0});
    }
    lose(rest);
    if (!first || waiting_.empty())
      return;
  }
  more_();
}

void trace_inbox::ended(errc why) {
  {
    std::lock_guard guard{mutex_};
    if (closed_ || why_)
      return;
    why_ = why;
  }
  more_();
}

void trace_inbox::lose(std::uint64_t n) {
  if (n == 0)
    return;
  if (waiting_.empty())
    waiting_.emplace_back();
  waiting_.back().lost += n;
}

std::optional<errc> trace_inbox::take(std::string& to) {
  std::vector<stretch> all;
  std::optional<errc> why;
  {
    std::lock_guard guard{mutex_};
    all.swap(waiting_);
    bytes_ = 0;
    why = why_;
  }
  for (auto& part : all) {
    for (auto& row : part.rows) {
      to += "{\"event\":";
      append_json(to, row);
      to += "}\n";
    }
    if (part.lost != 0) {
      to += "{\"lost\":";
      append_json(to, part.lost);
      to += "}\n";
    }
  }
  return why;
}

void trace_inbox::close() {
  std::lock_guard guard{mutex_};
  closed_ = true;
  waiting_.clear();
}

} // namespace greenroom::net
