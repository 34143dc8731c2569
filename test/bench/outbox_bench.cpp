#include <benchmark/benchmark.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/fd.hpp"
#include "net/outbox.hpp"
#include "net/ws_frame.hpp"

// What a turn costs at a connection: blocks are appended to its outbox and leave
// it with one call. Without a socket, over a pair of local sockets, and over TCP on
// loopback, where the kernel's own work is nearly all. Arguments: blocks of a turn
// (a room makes one of each turn; several rooms or answers make several), frames
// of 128 bytes in a block.

namespace greenroom::bench {

namespace {

constexpr std::size_t payload_bytes = 128;

using net::unique_fd;

struct pair_of_sockets {
  unique_fd ours;
  unique_fd theirs;
};

pair_of_sockets local_pair() {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return {};
  return {unique_fd{ends[0]}, unique_fd{ends[1]}};
}

pair_of_sockets tcp_pair() {
  unique_fd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto name = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener.get(), name, size) != 0
      || ::listen(listener.get(), 1) != 0
      || ::getsockname(listener.get(), name, &size) != 0)
    return {};
  unique_fd theirs{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (::connect(theirs.get(), name, size) != 0)
    return {};
  unique_fd ours{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  int one = 1;
  ::setsockopt(ours.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  return {std::move(ours), std::move(theirs)};
}

wire_ptr block_of(std::int64_t frames) {
  std::string text(payload_bytes, 'x');
  wire_builder out;
  for (std::int64_t i = 0; i < frames; ++i)
    net::append_ws_frame(out, net::ws_opcode::text, text);
  return out.finish();
}

/// Appends a turn and lets `send` take it. @param send gets parts and their
/// number, and returns how many bytes it took
template <class Send>
void turns(benchmark::State& state, Send send) {
  auto blocks = state.range(0);
  auto block = block_of(state.range(1));
  auto flow = std::make_shared<flow_counter>();
  net::outbox out{flow};
  std::vector<char> scratch(64 * 1024);
  for (auto _ : state) {
    for (std::int64_t i = 0; i < blocks; ++i) {
      flow->add(block->size());
      out.append(block, true);
    }
    while (!out.empty()) {
      net::send_job job{scratch.data(), scratch.size()};
      out.gather(job);
      auto n = send(job);
      if (n <= 0) {
        state.SkipWithError("send failed");
        return;
      }
      out.sent(static_cast<std::size_t>(n));
    }
  }
  state.SetItemsProcessed(state.iterations() * blocks * state.range(1));
}

void outbox_alone(benchmark::State& state) {
  turns(state,
        [](net::send_job& job) { return static_cast<ssize_t>(job.bytes); });
}

/// One call for a turn; the other end takes everything out, untimed where the
/// clock allows that, which it does not for so short a time: it is part of the
/// figure on both kinds of socket.
void outbox_to(benchmark::State& state, pair_of_sockets sockets) {
  std::vector<char> sink(256 * 1024);
  turns(state, [&](net::send_job& job) {
    msghdr message{};
    message.msg_iov = job.parts.data();
    message.msg_iovlen = job.count;
    auto n = job.count == 1
               ? ::send(sockets.ours.get(), job.parts[0].iov_base,
                        job.parts[0].iov_len, MSG_NOSIGNAL)
               : ::sendmsg(sockets.ours.get(), &message, MSG_NOSIGNAL);
    for (ssize_t taken = 0; taken < n;) {
      auto m = ::recv(sockets.theirs.get(), sink.data(), sink.size(), 0);
      if (m <= 0)
        return ssize_t{-1};
      taken += m;
    }
    return n;
  });
}

void outbox_over_socketpair(benchmark::State& state) {
  outbox_to(state, local_pair());
}

void outbox_over_tcp(benchmark::State& state) {
  outbox_to(state, tcp_pair());
}

void shapes(benchmark::internal::Benchmark* x) {
  x->ArgNames({"blocks", "frames"});
  for (auto [blocks, frames] :
       {std::pair{1, 1}, {1, 16}, {1, 64}, {4, 1}, {16, 1}, {64, 1}})
    x->Args({blocks, frames});
}

BENCHMARK(outbox_alone)->Apply(shapes);
BENCHMARK(outbox_over_socketpair)->Apply(shapes);
BENCHMARK(outbox_over_tcp)->Apply(shapes);

} // namespace

} // namespace greenroom::bench
