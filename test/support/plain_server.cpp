#include "test/support/plain_server.hpp"

#include "test/support/ws_wire.hpp"

#include <array>
#include <cerrno>
#include <exception>
#include <system_error>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace greenroom::test {

namespace {

deadline soon() {
  return deadline{std::chrono::seconds{10}};
}

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

} // namespace

plain_server::plain_server(script what)
  : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in self = {};
  self.sin_family = AF_INET;
  self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(self);
  auto* address = reinterpret_cast<sockaddr*>(&self);
  if (::bind(listener_.get(), address, size) != 0
      || ::listen(listener_.get(), 1024) != 0
      || ::getsockname(listener_.get(), address, &size) != 0)
    fail("listen");
  port_ = ntohs(self.sin_port);
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    fail("pipe2");
  stop_watch_ = unique_fd{ends[0]};
  stop_ = unique_fd{ends[1]};
  thread_ = std::thread{[this, what = std::move(what)] { serve(what); }};
}

plain_server::~plain_server() {
  stop_.reset();
  thread_.join();
}

void plain_server::serve(const script& what) {
  for (;;) {
    std::array<pollfd, 2> entries{
      {{listener_.get(), POLLIN, 0}, {stop_watch_.get(), POLLIN, 0}}};
    if (::poll(entries.data(), entries.size(), -1) < 0)
      continue;
    if (entries[1].revents != 0)
      return;
    unique_fd fd{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    if (!fd)
      continue;
    try {
      tcp_stream stream{std::move(fd)};
      what(stream);
    } catch (const std::exception&) {
      // The client's side of the test tells what went wrong.
    }
  }
}

std::string take_request(tcp_stream& from) {
  constexpr std::string_view end = "\r\n\r\n";
  for (;;) {
    auto bytes = from.unread();
    if (auto found = bytes.find(end); found != std::string_view::npos) {
      std::string result{bytes.substr(0, found + end.size())};
      from.consume(result.size());
      return result;
    }
    if (!from.fill(soon()))
      throw std::runtime_error("no request");
  }
}

std::string accept_handshake(tcp_stream& from,
                             const std::string& more_headers) {
  constexpr std::string_view name = "Sec-WebSocket-Key: ";
  auto request = take_request(from);
  auto start = request.find(name);
  if (start == std::string::npos)
    throw std::runtime_error("no handshake");
  start += name.size();
  auto key = request.substr(start, request.find("\r\n", start) - start);
  from.send(fmt::format("HTTP/1.1 101 Switching Protocols\r\n"
                        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: {}\r\n{}\r\n",
                        accept_for(key), more_headers),
            soon(), true);
  return request;
}

void echo_frames(tcp_stream& with) {
  for (;;) {
    auto bytes = with.unread();
    auto header = parse_frame_header(bytes);
    if (!header || bytes.size() < header->header_size + header->length) {
      if (!with.fill(soon()))
        return;
      continue;
    }
    std::string payload{bytes.substr(header->header_size, header->length)};
    with.consume(header->header_size + header->length);
    if (header->masked)
      apply_mask(payload, header->mask_key);
    if (header->op == opcode::ping)
      header->op = opcode::pong;
    with.send(make_frame({.op = header->op,
                          .fin = header->fin,
                          .rsv = header->rsv,
                          .masked = false},
                         payload),
              soon(), false);
    if (header->op == opcode::close)
      return;
  }
}

} // namespace greenroom::test
