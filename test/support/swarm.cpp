#include "test/support/swarm.hpp"

#include "test/support/deflate_codec.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace greenroom::test {

namespace {

constexpr std::size_t chunk_size = 262'144;
constexpr std::size_t faults_kept = 20;
constexpr std::uint64_t wake_mark = ~std::uint64_t{0};

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::system_category(), what);
}

void raise_files_limit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

} // namespace

swarm::swarm(swarm_options options, message_handler handler)
  : options_(std::move(options)), handler_(std::move(handler)),
    epoll_(::epoll_create1(EPOLL_CLOEXEC)),
    wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), chunk_(chunk_size, '\0') {
  raise_files_limit();
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = wake_mark;
  if (!epoll_ || !wake_
      || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0)
    fail("epoll");
}

swarm::~swarm() = default;

// -- clients ------------------------------------------------------------------

swarm::index swarm::add(std::string path) {
  auto& who = clients_.emplace_back();
  who.path = std::move(path);
  ++by_state_[static_cast<std::size_t>(who.state)];
  return clients_.size() - 1;
}

swarm::index swarm::add(const std::string& path, std::size_t count) {
  auto first = clients_.size();
  for (std::size_t i = 0; i < count; ++i)
    add(path);
  return first;
}

void swarm::mark_dirty(index id) {
  auto& who = clients_[id];
  if (!std::exchange(who.dirty, true))
    dirty_.push_back(id);
}

void swarm::send(index id, opcode op, std::string_view payload) {
  auto& who = clients_.at(id);
  if (who.state != client_state::open || who.close_sent)
    throw std::logic_error(fmt::format("client {} is not open", id));
  append_frame(who.out, {.op = op}, payload);
  mark_dirty(id);
}

void swarm::send_raw(index id, std::string_view bytes) {
  auto& who = clients_.at(id);
  if (who.state != client_state::open)
    throw std::logic_error(fmt::format("client {} is not open", id));
  who.out += bytes;
  mark_dirty(id);
}

void swarm::close(index id, std::uint16_t code, std::string_view reason) {
  send(id, opcode::close, close_payload(code, reason));
  clients_[id].close_sent = true;
}

void swarm::reset(index id) {
  auto& who = clients_.at(id);
  if (who.state == client_state::closed || who.state == client_state::refused)
    return;
  close_with_reset(who.fd);
  end(id, client_state::closed);
}

void swarm::stop_reading(index id) {
  clients_.at(id).reading = false;
  watch(id);
}

void swarm::resume_reading(index id) {
  clients_.at(id).reading = true;
  watch(id);
}

void swarm::enter(record& who, client_state state) {
  --by_state_[static_cast<std::size_t>(who.state)];
  who.state = state;
  ++by_state_[static_cast<std::size_t>(state)];
}

void swarm::end(index id, client_state state) {
  auto& who = clients_[id];
  who.fd.reset();
  who.out.clear();
  enter(who, state);
}

void swarm::blame(index id, std::string_view what) {
  if (faults_.size() < faults_kept)
    faults_.push_back(
      fmt::format("client {} ({}): {}", id, clients_[id].path, what));
}

// -- opening ------------------------------------------------------------------

void swarm::open_more() {
  while (next_to_open_ < clients_.size()
         && count(client_state::connecting) + count(client_state::handshaking)
              < options_.handshakes_max) {
    auto id = next_to_open_++;
    if (clients_[id].state == client_state::waiting)
      start(id);
  }
}

void swarm::start(index id) {
  auto& who = clients_[id];
  tcp_options where{.host = options_.host,
                    .port = options_.port,
                    .receive_buffer = options_.receive_buffer};
  if (const auto& from = options_.local_addresses; !from.empty())
    where.local_address = from[id % from.size()];
  try {
    who.fd = start_connect(where);
  } catch (const std::system_error& error) {
    blame(id, error.what());
    enter(who, client_state::refused);
    return;
  }
  enter(who, client_state::connecting);
  epoll_event event = {};
  event.events = who.events = EPOLLOUT;
  event.data.u64 = id;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, who.fd.get(), &event) != 0)
    fail("epoll_ctl");
}

void swarm::on_connected(index id) {
  auto& who = clients_[id];
  if (auto code = connect_error(who.fd.get()); code != 0) {
    blame(id, "connect: " + std::system_category().message(code));
    end(id, client_state::refused);
    return;
  }
  enter(who, client_state::handshaking);
  auto headers = options_.headers;
  if (!options_.deflate_offer.empty() && id % options_.deflate_every == 0)
    headers.emplace_back("Sec-WebSocket-Extensions", options_.deflate_offer);
  who.request = make_handshake({.host = options_.host,
                                .port = options_.port,
                                .path = who.path,
                                .headers = std::move(headers),
                                .subprotocol = options_.subprotocol});
  who.out = who.request;
  write(id);
}

std::size_t swarm::parse_handshake(index id, std::string_view bytes) {
  auto& who = clients_[id];
  auto head = parse_response_head(bytes);
  if (!head)
    return 0;
  const auto& [response, size] = *head;
  if (response.status != 101) {
    who.refusal = response.status;
    end(id, client_state::refused);
    return bytes.size();
  }
  if (auto fault = fault_of_handshake(response, who.request); !fault.empty())
    throw std::runtime_error("the server's handshake has " + fault);
  who.request = {};
  who.deflate = response.header("Sec-WebSocket-Extensions").has_value();
  enter(who, client_state::open);
  watch(id);
  return size;
}

// -- reading ------------------------------------------------------------------

void swarm::on_readable(index id) {
  auto& who = clients_[id];
  auto count = ::recv(who.fd.get(), chunk_.data(), chunk_.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (count <= 0) {
    // 1006: the connection ended without a word (RFC 6455 §7.1.5).
    if (who.state == client_state::open && !who.words)
      who.words = close_words{1006, count == 0 ? "end" : "reset"};
    if (who.state == client_state::handshaking)
      blame(id, "the connection ended within the handshake");
    end(id, who.state == client_state::open ? client_state::closed
                                            : client_state::refused);
    return;
  }
  // Whole frames are used where they were read; only a rest is kept.
  std::string_view bytes{chunk_.data(), static_cast<std::size_t>(count)};
  std::string joined;
  if (!who.in.empty()) {
    who.in += bytes;
    joined.swap(who.in);
    bytes = joined;
  }
  try {
    if (who.state == client_state::handshaking)
      bytes.remove_prefix(parse_handshake(id, bytes));
    if (who.state == client_state::open)
      bytes.remove_prefix(parse_frames(id, bytes));
  } catch (const std::runtime_error& error) {
    blame(id, error.what());
    reset(id);
  }
  if (who.state != client_state::open && who.state != client_state::handshaking)
    return;
  if (joined.empty()) {
    who.in = bytes;
  } else {
    joined.erase(0, joined.size() - bytes.size());
    who.in.swap(joined);
  }
}

std::size_t swarm::parse_frames(index id, std::string_view bytes) {
  auto& who = clients_[id];
  auto size = bytes.size();
  while (who.state == client_state::open) {
    auto header = parse_frame_header(bytes);
    if (!header)
      break;
    if (const auto* fault = fault_of_server_frame(*header, who.deflate))
      throw std::runtime_error(fmt::format("the server sent {}", fault));
    if (bytes.size() - header->header_size < header->length)
      break;
    on_frame(id, *header, bytes.substr(header->header_size, header->length));
    bytes.remove_prefix(header->header_size + header->length);
  }
  return size - bytes.size();
}

void swarm::on_frame(index id, const frame_header& header,
                     std::string_view payload) {
  auto& who = clients_[id];
  if (who.words)
    throw std::runtime_error("the server sent a frame after its close");
  switch (header.op) {
    case opcode::ping:
      if (!who.close_sent)
        send(id, opcode::pong, payload);
      break;
    case opcode::pong:
      ++pongs_;
      break;
    case opcode::close:
      on_close(id, payload);
      break;
    default:
      on_data(id, header, payload);
  }
}

void swarm::on_close(index id, std::string_view payload) {
  auto& who = clients_[id];
  who.words = parse_close(payload);
  // The server ends the connection after our answer (RFC 6455 §7.1.1).
  if (!who.close_sent)
    send(id, opcode::close, payload.substr(0, 2));
  who.close_sent = true;
}

void swarm::on_data(index id, const frame_header& header,
                    std::string_view payload) {
  auto& who = clients_[id];
  auto first = header.op != opcode::continuation;
  if (first == who.fragmented)
    throw std::runtime_error(first ? "a message begun within another"
                                   : "a message continued that was not begun");
  auto op = first ? header.op : who.fragment_op;
  if (first)
    who.deflated = header.rsv != 0;
  if (!first || !header.fin) {
    who.fragments += payload;
    who.fragment_op = op;
    who.fragmented = !header.fin;
    if (who.fragmented)
      return;
    payload = who.fragments;
  }
  std::string inflated;
  if (who.deflated) {
    ++deflated_messages_;
    inflated = inflate_message(payload);
    payload = inflated;
  }
  ++who.messages;
  ++messages_;
  if (handler_)
    handler_(id, op, payload);
  if (!first)
    who.fragments.clear();
}

// -- writing ------------------------------------------------------------------

void swarm::write(index id) {
  auto& who = clients_[id];
  std::string_view rest = who.out;
  while (!rest.empty()) {
    auto count = ::send(who.fd.get(), rest.data(), rest.size(),
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR)
      continue;
    // A real error will be read as well, together with what came before it.
    if (count < 0 && errno != EAGAIN)
      rest = {};
    if (count < 0)
      break;
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  who.out.erase(0, who.out.size() - rest.size());
  watch(id);
}

void swarm::watch(index id) {
  auto& who = clients_[id];
  if (!who.fd || who.state == client_state::connecting)
    return;
  auto reading = who.reading || who.state == client_state::handshaking;
  auto events =
    (reading ? EPOLLIN : 0u) | (who.out.empty() ? 0u : std::uint32_t{EPOLLOUT});
  if (events == who.events)
    return;
  epoll_event event = {};
  event.events = who.events = events;
  event.data.u64 = id;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, who.fd.get(), &event) != 0)
    fail("epoll_ctl");
}

// -- running ------------------------------------------------------------------

void swarm::on_ready(index id, std::uint32_t events) {
  auto& who = clients_[id];
  // An earlier event of this step may have ended it.
  if (!who.fd)
    return;
  if (who.state == client_state::connecting)
    return on_connected(id);
  // A connection that broke while we do not read would be told for ever.
  if ((events & EPOLLIN) != 0 || (events & (EPOLLERR | EPOLLHUP)) != 0)
    on_readable(id);
  if ((events & EPOLLOUT) != 0 && who.fd)
    write(id);
}

void swarm::step(std::chrono::milliseconds span) {
  for (auto id : std::exchange(dirty_, {})) {
    clients_[id].dirty = false;
    if (clients_[id].fd)
      write(id);
  }
  open_more();
  std::array<epoll_event, 512> events;
  auto count =
    ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                 static_cast<int>(span.count()));
  if (count < 0 && errno != EINTR)
    fail("epoll_wait");
  for (int i = 0; i < count; ++i) {
    auto& event = events[static_cast<std::size_t>(i)];
    if (event.data.u64 != wake_mark) {
      on_ready(event.data.u64, event.events);
    } else {
      eventfd_t value;
      ::eventfd_read(wake_.get(), &value);
    }
  }
}

void swarm::run_until(const std::function<bool()>& done,
                      std::optional<std::chrono::milliseconds> timeout) {
  auto span = timeout.value_or(options_.timeout);
  deadline until{span};
  while (!done()) {
    if (until.passed())
      throw timeout_error(
        fmt::format("not within {} ms: {}", span.count(), describe()));
    step(std::chrono::milliseconds{until.remaining()});
  }
}

void swarm::open_all(std::optional<std::chrono::milliseconds> timeout) {
  auto refused = [this] { return count(client_state::refused) != 0; };
  auto settled = [this] {
    return count(client_state::waiting) + count(client_state::connecting)
             + count(client_state::handshaking)
           == 0;
  };
  run_until([&] { return settled() || refused(); }, timeout);
  if (refused())
    throw std::runtime_error("a client was refused: " + describe());
}

void swarm::flush(std::optional<std::chrono::milliseconds> timeout) {
  run_until(
    [this] {
      return dirty_.empty()
             && std::all_of(clients_.begin(), clients_.end(),
                            [](const record& who) { return who.out.empty(); });
    },
    timeout);
}

void swarm::wake() {
  ::eventfd_write(wake_.get(), 1);
}

// -- looking ------------------------------------------------------------------

std::size_t swarm::count_code(std::uint16_t code) const {
  return static_cast<std::size_t>(
    std::count_if(clients_.begin(), clients_.end(), [code](const record& who) {
      return who.words && who.words->code == code;
    }));
}

std::string swarm::describe() const {
  auto result = fmt::format(
    "{} clients: {} waiting, {} connecting, {} handshaking, {} open, {} "
    "closed, {} refused; {} messages",
    clients_.size(), by_state_[0], by_state_[1], by_state_[2], by_state_[3],
    by_state_[4], by_state_[5], messages_);
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    if (auto status = clients_[i].refusal; status != 0) {
      result += fmt::format("\n  client {} ({}): status {}", i,
                            clients_[i].path, status);
      break;
    }
  }
  for (const auto& fault : faults_)
    result += "\n  " + fault;
  return result;
}

} // namespace greenroom::test
