#include "test/support/centrifuge_client.hpp"

#include <stdexcept>

#include <fmt/format.h>

namespace greenroom::test {

std::string centrifuge_subscribe(std::uint32_t id, std::string_view room) {
  return fmt::format(R"({{"id":{},"subscribe":{{"channel":"{}"}}}})", id, room);
}

std::string centrifuge_publish(std::uint32_t id, std::string_view room,
                               std::string_view data) {
  return fmt::format(R"({{"id":{},"publish":{{"channel":"{}","data":{}}}}})",
                     id, room, data);
}

centrifuge_client::centrifuge_client(std::uint16_t port)
  : socket_(ws_client::connect({.port = port, .path = centrifuge_path})) {
  ask(centrifuge_greeting);
  if (auto line = next(); !line.starts_with(R"({"id":1,"connect":{)"))
    throw std::runtime_error("a greeting was answered by " + line);
}

void centrifuge_client::join(std::uint32_t id, std::string_view room) {
  ask(centrifuge_subscribe(id, room));
  if (auto line = next();
      line != fmt::format(R"({{"id":{},"subscribe":{{}}}})", id))
    throw std::runtime_error("a subscription was answered by " + line);
}

std::string centrifuge_client::next() {
  if (lines_.empty()) {
    auto text = socket_.receive_text();
    std::size_t begin = 0;
    for (auto end = text.find('\n'); end != std::string::npos;
         end = text.find('\n', begin)) {
      lines_.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    lines_.push_back(text.substr(begin));
  }
  auto line = std::move(lines_.front());
  lines_.pop_front();
  return line;
}

} // namespace greenroom::test
