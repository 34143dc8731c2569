#pragma once

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "test/support/http_client.hpp"

namespace greenroom::test {

/// Reads an answer that goes on, line by line, in HTTP/1.1 chunks (RFC 9112 §7.1).
class line_reader {
public:
  /// Asks, and reads the head of the answer.
  line_reader(http_options to, std::string_view target,
              const header_list& headers = {})
    : client_(std::move(to)) {
    client_.send_request("GET", target, headers);
    auto& in = client_.stream();
    for (;;) {
      if (auto found = parse_response_head(in.unread())) {
        head_ = std::move(found->first);
        in.consume(found->second);
        break;
      }
      if (!in.fill(patience()))
        throw std::runtime_error("the head is cut");
    }
  }

  const http_response& head() const { return head_; }

  http_client& client() { return client_; }

  /// The next line without its line feed; nothing once the last chunk came.
  std::optional<std::string> next() {
    for (;;) {
      auto feed = lines_.find('\n');
      if (feed != std::string::npos) {
        auto line = lines_.substr(0, feed);
        lines_.erase(0, feed + 1);
        return line;
      }
      if (!chunk())
        return std::nullopt;
    }
  }

private:
  static deadline patience() { return deadline{std::chrono::seconds{20}}; }

  void need(std::size_t bytes) {
    auto& in = client_.stream();
    while (in.unread().size() < bytes)
      if (!in.fill(patience()))
        throw std::runtime_error("the stream was cut");
  }

  bool chunk() {
    auto& in = client_.stream();
    std::size_t end = 0;
    while ((end = in.unread().find("\r\n")) == std::string_view::npos)
      need(in.unread().size() + 1);
    auto size =
      std::stoul(std::string{in.unread().substr(0, end)}, nullptr, 16);
    in.consume(end + 2);
    need(size + 2);
    lines_ += in.unread().substr(0, size);
    if (in.unread().substr(size, 2) != "\r\n")
      throw std::runtime_error("a chunk does not end");
    in.consume(size + 2);
    return size != 0;
  }

  http_client client_;
  http_response head_;
  std::string lines_;
};

} // namespace greenroom::test
