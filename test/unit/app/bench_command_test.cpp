#include "app/commands/bench.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include <chrono>
#include <string>
#include <vector>

#include <unistd.h>

#include "app/commands/bench/process.hpp"
#include "app/commands/bench/report.hpp"

using namespace greenroom;
using namespace greenroom::client;
using namespace std::chrono_literals;

namespace {

const std::string place = "ws://127.0.0.1:8000/room/{room}";

bench_request good(std::vector<std::string> args) {
  args.insert(args.begin(), place);
  auto x = read_bench(args);
  EXPECT_TRUE(x) << x.error().detail;
  return x ? *x : bench_request{};
}

std::string wrong(std::vector<std::string> args) {
  args.insert(args.begin(), place);
  auto x = read_bench(args);
  return x ? "understood" : x.error().detail;
}

} // namespace

TEST(BenchCommandTest, EveryWorkloadHasItsDefaults) {
  auto x = good({});
  EXPECT_EQ(x.what, workload::fanout);
  EXPECT_EQ(x.plan.rooms, 1u);
  EXPECT_EQ(x.plan.members, 100u);
  EXPECT_EQ(x.plan.publishers, 1u);
  EXPECT_EQ(x.rate, 100);
  EXPECT_EQ(x.window, 0u);
  EXPECT_EQ(x.size, 128u);
  EXPECT_EQ(x.duration, 10s);
  x = good({"rooms"});
  EXPECT_EQ(x.plan.rooms, 100u);
  EXPECT_EQ(x.plan.members, 10u);
  EXPECT_EQ(x.plan.publishers, 10u);
  EXPECT_EQ(x.rate, 1000);
  x = good({"ping"});
  EXPECT_EQ(x.plan.members, 2u);
  EXPECT_EQ(x.plan.publishers, 2u);
  EXPECT_EQ(x.window, 1u);
  EXPECT_EQ(x.rate, 0);
  EXPECT_EQ(good({"idle"}).connections_wanted(), 1000u);
  EXPECT_EQ(good({"churn"}).connections_wanted(), 64u);
}

TEST(BenchCommandTest, FlagsChangeThem) {
  auto x = good({"rooms", "--rooms", "7", "--members", "3", "--publishers", "2",
                 "--size", "1KiB", "--window", "5", "--duration", "500ms",
                 "--binary", "--parallel", "9", "--server-pid", "1,2"});
  EXPECT_EQ(x.plan.rooms, 7u);
  EXPECT_EQ(x.plan.connections(), 21u);
  EXPECT_EQ(x.plan.talkers(), 14u);
  EXPECT_EQ(x.size, 1024u);
  EXPECT_EQ(x.window, 5u);
  EXPECT_EQ(x.rate, 0);
  EXPECT_EQ(x.duration, 500ms);
  EXPECT_TRUE(x.binary);
  EXPECT_EQ(x.parallel, 9u);
  EXPECT_EQ(x.server_pids, (std::vector<pid_t>{1, 2}));
}

TEST(BenchCommandTest, WhatDoesNotFitTogetherIsTold) {
  EXPECT_NE(wrong({"fanuot"}).find("expected fanout, rooms"),
            std::string::npos);
  EXPECT_NE(wrong({"--rate", "5", "--window", "5"}).find("either"),
            std::string::npos);
  EXPECT_NE(wrong({"--members", "2", "--publishers", "3"}).find("more publish"),
            std::string::npos);
  EXPECT_NE(wrong({"ping", "--members", "3"}).find("two members"),
            std::string::npos);
  EXPECT_NE(wrong({"idle", "--rate", "3"}).find("sends no messages"),
            std::string::npos);
  EXPECT_NE(wrong({"--connections", "3"}).find("--members"), std::string::npos);
  EXPECT_NE(wrong({"--size", "31"}).find("expected 32"), std::string::npos);
  EXPECT_NE(wrong({"--duration", "0"}).find("expected a time"),
            std::string::npos);
  EXPECT_NE(wrong({"--duration", "25h"}).find("expected a time"),
            std::string::npos);
  EXPECT_NE(wrong({"--rate", "nan"}).find("expected messages"),
            std::string::npos);
  EXPECT_NE(wrong({"--rate", "-1"}).find("expected messages"),
            std::string::npos);
  EXPECT_NE(wrong({"--members", "0"}).find("expected a number"),
            std::string::npos);
  EXPECT_NE(wrong({"--members", "100000", "--publishers", "100000"})
              .find("fewer publishers"),
            std::string::npos);
  EXPECT_NE(wrong({"--server-pid", "x"}).find("process id"), std::string::npos);
  EXPECT_NE(wrong({"--mebmers", "3"}).find("did you mean --members"),
            std::string::npos);
  EXPECT_FALSE(read_bench(std::vector<std::string>{}));
}

TEST(BenchCommandTest, SeveralRoomsNeedAPlaceForTheirNames) {
  auto x = good({"rooms"});
  x.url = "ws://127.0.0.1:8000/room/lobby";
  auto got = run_bench(x);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, errc::bad_request);
  EXPECT_NE(got.error().detail.find("{room}"), std::string::npos);
}

TEST(BenchCommandTest, AnAddressWhereNobodyListensIsTold) {
  auto x = good({});
  x.url = "ws://127.0.0.1:1/room/lobby";
  auto got = run_bench(x);
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().detail.find("refused"), std::string::npos);
}

TEST(BenchCommandTest, TheManualFitsATerminal) {
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(bench_command(std::vector<std::string>{"--help"}), 0);
  auto text = ::testing::internal::GetCapturedStdout();
  for (std::size_t at = 0; at < text.size();) {
    auto end = text.find('\n', at);
    EXPECT_LE(end - at, 80u) << text.substr(at, end - at);
    at = end + 1;
  }
}

// -- reports ------------------------------------------------------------------------

namespace {

bench_result some_result() {
  bench_result x;
  x.opened = 100;
  x.seconds = 2;
  x.delivery_seconds = 2;
  x.published = 200;
  x.expected = x.delivered = 20'000;
  x.complaints["503 \"full\""] = 3;
  for (std::uint64_t i = 1; i <= 1000; ++i)
    x.latency.add(i * 1000);
  server_usage used;
  used.before.pss = 1'000'000;
  used.begin.cpu = 1;
  used.end.cpu = 1.02;
  used.end.pss = 2'024'000;
  x.server = used;
  return x;
}

} // namespace

TEST(BenchReportTest, TheJsonSaysWhatWasMeasured) {
  auto text = json_report(good({}), some_result());
  auto json = boost::json::parse(text).as_object();
  EXPECT_EQ(json.at("workload").as_string(), "fanout");
  EXPECT_TRUE(json.at("passed").as_bool());
  EXPECT_EQ(json.at("delivered").to_number<int>(), 20'000);
  EXPECT_EQ(json.at("deliveries_per_s").to_number<double>(), 10'000);
  auto& latency = json.at("latency_us").as_object();
  EXPECT_EQ(latency.at("count").to_number<int>(), 1000);
  EXPECT_NEAR(latency.at("p50").to_number<double>(), 500, 5);
  EXPECT_EQ(latency.at("max").to_number<double>(), 1000);
  auto& server = json.at("server").as_object();
  EXPECT_NEAR(server.at("cpu_us_per_delivery").to_number<double>(), 1, 1e-6);
  EXPECT_EQ(server.at("pss_per_connection").to_number<double>(), 10'240);
  EXPECT_EQ(json.at("complaints").as_object().at("503 \"full\"").as_int64(), 3);
}

TEST(BenchReportTest, ThePageFitsATerminal) {
  for (auto kind : {"fanout", "rooms", "ping", "idle", "churn"}) {
    auto text = text_report(good({kind}), some_result());
    EXPECT_NE(text.find("passed"), std::string::npos);
    for (std::size_t at = 0; at < text.size();) {
      auto end = text.find('\n', at);
      EXPECT_LE(end - at, 80u) << text.substr(at, end - at);
      at = end + 1;
    }
  }
}

TEST(BenchReportTest, ARateThatWasNotReachedIsTold) {
  auto says = [](double rate) {
    auto asked = good({});
    asked.rate = rate;
    return text_report(asked, some_result()).find("rate was not reached")
           != std::string::npos;
  };
  EXPECT_FALSE(says(100)); // 200 messages in 2 s
  EXPECT_TRUE(says(120));
}

TEST(BenchReportTest, AnythingWrongIsAFailure) {
  EXPECT_TRUE(some_result().good());
  auto fails = [](auto change) {
    auto x = some_result();
    change(x);
    return !x.good()
           && text_report(good({}), x).find("FAILED") != std::string::npos
           && json_report(good({}), x).find("\"passed\": false")
                != std::string::npos;
  };
  EXPECT_TRUE(fails([](bench_result& x) { x.opened = 0; }));
  EXPECT_TRUE(fails([](bench_result& x) { x.refused = 1; }));
  EXPECT_TRUE(fails([](bench_result& x) { x.dropped = 1; }));
  EXPECT_TRUE(fails([](bench_result& x) { x.unreached = 1; }));
  EXPECT_TRUE(fails([](bench_result& x) { x.unanswered = 1; }));
  EXPECT_TRUE(fails([](bench_result& x) { x.stalled = 1; }));
  EXPECT_TRUE(fails([](bench_result& x) { x.faults.lost = 1; }));
  EXPECT_TRUE(fails([](bench_result& x) { x.faults.repeated = 1; }));
  EXPECT_TRUE(fails([](bench_result& x) { x.faults.reordered = 1; }));
  EXPECT_TRUE(fails([](bench_result& x) { x.faults.misrouted = 1; }));
  EXPECT_TRUE(fails([](bench_result& x) { x.faults.corrupt = 1; }));
  EXPECT_TRUE(fails([](bench_result& x) { x.faults.divergent = 1; }));
}

TEST(BenchProcessTest, AProcessIsSampled) {
  auto x = sample_processes({::getpid()});
  ASSERT_TRUE(x);
  EXPECT_GT(x->rss, 1'000'000u);
  EXPECT_GT(x->fds, 2u);
  EXPECT_GE(x->threads, 1u);
  EXPECT_NEAR(x->cpu, own_cpu(), 1);
  EXPECT_FALSE(sample_processes({INT32_MAX}));
}
