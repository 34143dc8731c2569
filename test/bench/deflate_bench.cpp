// What compressing and inflating a message costs (RFC 7692), by its size. The text is
// JSON of words and numbers, as chat and dashboards send it; `wire` is what is left.

#include "net/deflater.hpp"
#include "net/inflater.hpp"

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>

#include "net/ws_frame.hpp"

namespace greenroom {

namespace {

std::string chatter(std::size_t size) {
  constexpr const char* words[] = {
    "hello ",    "room ",  "user ",
    "message ",  "the ",   "lobby ",
    "id ",       "text ",  "green ",
    "update ",   "price ", "42 ",
    "x ",        "alice ", "bob ",
    "position ", "2026 ",  "https://example.org/ "};
  std::mt19937 dice{7};
  std::string out = R"({"channel":"lobby","data":{"text":")";
  while (out.size() + 3 < size) {
    out += words[dice() % std::size(words)];
    if (dice() % 3 == 0)
      out += std::to_string(dice() % 100'000);
  }
  out.resize(size - 3);
  return out + "\"}}";
}

wire_ptr block_of(std::string_view text) {
  wire_builder out;
  net::append_ws_frame(out, net::ws_opcode::text, text);
  return out.finish();
}

void compress(benchmark::State& state, int window_bits) {
  net::deflate_options how;
  how.level = static_cast<int>(state.range(1));
  how.bytes_min = 0;
  const net::deflater x{how, window_bits};
  auto plain = block_of(chatter(static_cast<std::size_t>(state.range(0))));
  std::size_t left = 0;
  for (auto _ : state) {
    auto packed = x.compress(plain);
    left = packed->size();
    benchmark::DoNotOptimize(packed);
  }
  state.counters["wire"] =
    static_cast<double>(left) / static_cast<double>(plain->size());
}

void inflate(benchmark::State& state, bool takeover) {
  net::deflate_options how;
  how.bytes_min = 0;
  auto packed = net::deflater{how, 15}.compress(
    block_of(chatter(static_cast<std::size_t>(state.range(0)))));
  auto header = packed->size() < 128 ? 2 : 4;
  std::string payload{packed->bytes().substr(static_cast<std::size_t>(header))};
  net::inflater x{15, takeover};
  std::string out;
  for (auto _ : state)
    benchmark::DoNotOptimize(x.inflate(payload, 1 << 20, out));
}

BENCHMARK_CAPTURE(compress, window_15, 15)
  ->ArgsProduct({{128, 256, 1024, 4096, 16'384, 65'536}, {1, 6}})
  ->ArgNames({"bytes", "level"});
BENCHMARK_CAPTURE(compress, window_9, 9)
  ->ArgsProduct({{1024, 65'536}, {1}})
  ->ArgNames({"bytes", "level"});
BENCHMARK_CAPTURE(inflate, no_context, false)->Arg(128)->Arg(1024)->Arg(65'536);
BENCHMARK_CAPTURE(inflate, context, true)->Arg(128)->Arg(1024)->Arg(65'536);

} // namespace

} // namespace greenroom
