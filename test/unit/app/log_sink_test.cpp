// Lines of the log, and a reader that is slow, stuck or gone.

#include "app/log_sink.hpp"

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/utf8.hpp"

using namespace greenroom;
using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

namespace {

/// 2023-11-14T22:13:20.042Z
constexpr wall_time some_time{1'700'000'000'042ms};

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    auto next = first_code_point(text);
    if (next.bytes == 0)
      return false;
    text.remove_prefix(next.bytes);
  }
  return true;
}

/// A pipe of one page, the smallest there is.
class LogSinkTest : public testing::Test {
protected:
  int in = -1;
  int out = -1;
  metrics counts;
  log_options options;
  std::string rest;
  std::vector<std::unique_ptr<log_sink>> sinks;

  LogSinkTest() {
    std::signal(SIGPIPE, SIG_IGN);
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    in = ends[0];
    out = ends[1];
    fcntl(out, F_SETPIPE_SZ, 4096);
  }

  ~LogSinkTest() override {
    // A thread that is stuck in a write ends by EPIPE; the descriptor is not to
    // be closed under it.
    close_reader();
    sinks.clear();
    ::close(out);
  }

  log_sink& open_sink() {
    return *sinks.emplace_back(
      std::make_unique<log_sink>(options, out, &counts));
  }

  void close_reader() {
    if (in >= 0)
      ::close(in);
    in = -1;
  }

  /// The next line, or an empty string if there is none for some seconds.
  std::string line() {
    for (;;) {
      if (auto end = rest.find('\n'); end != std::string::npos) {
        auto result = rest.substr(0, end);
        rest.erase(0, end + 1);
        return result;
      }
      pollfd waits{in, POLLIN, 0};
      if (poll(&waits, 1, 5000) != 1)
        return {};
      char buffer[4096];
      auto n = ::read(in, buffer, sizeof(buffer));
      if (n <= 0)
        return {};
      rest.append(buffer, static_cast<std::size_t>(n));
    }
  }

  boost::json::object object() {
    auto text = line();
    boost::json::error_code error;
    auto value = boost::json::parse(text, error);
    EXPECT_FALSE(error) << text;
    return value.is_object() ? value.as_object() : boost::json::object{};
  }

  static log_record numbered(int n) {
    return log_record{level::info, "line"}.with("n", n);
  }
};

} // namespace

// -- lines ------------------------------------------------------------------------

TEST_F(LogSinkTest, AJsonLineHasLevelTimeMessageAndFields) {
  auto line = log_record{level::warn, "limit"}
                .with("reason", "slow_consumer")
                .with("bytes", 1048577)
                .with("share", 0.5)
                .with("last", true);
  EXPECT_EQ(json_line(line, some_time),
            R"({"level":"warn","time":"2023-11-14T22:13:20.042Z",)"
            R"("message":"limit","reason":"slow_consumer","bytes":1048577,)"
            R"("share":0.5,"last":true})"
            "\n");
}

TEST_F(LogSinkTest, ALineMayBeBuiltStepByStep) {
  auto line = log_record{level::info, "x"}.with("a", 1);
  line = std::move(line).with("b", "two");
  EXPECT_THAT(json_line(line, some_time),
              HasSubstr(R"("message":"x","a":1,"b":"two"})"));
}

TEST_F(LogSinkTest, ATextLineIsForPeople) {
  auto line = log_record{level::info, "joined"}
                .with("room", "lobby")
                .with("members", 3)
                .with("note", "a b")
                .with("empty", "");
  EXPECT_EQ(text_line(line, some_time, false),
            "22:13:20.042Z info  joined room=lobby members=3 note=\"a b\" "
            "empty=\"\"\n");
}

TEST_F(LogSinkTest, ColourMarksWarningsAndErrorsOnly) {
  EXPECT_THAT(text_line({level::info, "x"}, some_time, true),
              Not(HasSubstr("\x1b")));
  EXPECT_THAT(text_line({level::warn, "x"}, some_time, true),
              HasSubstr("\x1b[33mwarn \x1b[0m x"));
  EXPECT_THAT(text_line({level::error, "x"}, some_time, true),
              HasSubstr("\x1b[31merror\x1b[0m x"));
}

TEST_F(LogSinkTest, HostileTextsStayValidJsonOnOneLine) {
  std::vector<std::string> hostile{
    "\"},{\"level\":\"error\"",
    "a\nb\r\tc",
    std::string{"nul\0inside", 10},
    "\x1b[2J\x1b[31m",
    "\xff\xfe\xc3\x28",
    "\xed\xa0\x80 surrogate",
    "\xf4\x90\x80\x80 too far",
    "\xc0\xaf overlong",
    "cut \xe2\x82",
    "\xe2\x80\xa8 line separator",
    "\xf0\x9f\x98\x80",
    "\\u0000 \\",
    std::string(100'000, '\x01'),
  };
  for (const auto& text : hostile) {
    auto line = log_record{level::info, text}.with("field", text).with(text, 1);
    auto json = json_line(line, some_time);
    EXPECT_TRUE(is_utf8(json)) << testing::PrintToString(text);
    EXPECT_EQ(json.find_first_of("\n\r"), json.size() - 1);
    boost::json::error_code error;
    auto value = boost::json::parse(json, error);
    ASSERT_FALSE(error) << json;
    EXPECT_EQ(value.at("level"), "info");
    EXPECT_LT(json.size(), 4u * 6 * 1024);

    auto words = text_line(line, some_time, false);
    EXPECT_TRUE(is_utf8(words)) << testing::PrintToString(text);
    for (std::string_view s = words; s.size() > 1;) {
      auto next = first_code_point(s);
      EXPECT_FALSE(control(next.value)) << testing::PrintToString(words);
      s.remove_prefix(next.bytes);
    }
  }
}

TEST_F(LogSinkTest, AGoodTextIsKeptByteForByte) {
  std::string text = "d\xc3\xa9j\xc3\xa0 \"vu\" \xf0\x9f\x98\x80";
  auto json =
    json_line(log_record{level::info, "x"}.with("f", text), some_time);
  EXPECT_EQ(boost::json::parse(json).at("f"), text.c_str());
}

TEST_F(LogSinkTest, ALongTextIsCutBetweenCharacters) {
  std::string text;
  while (text.size() < 2000)
    text += "\xe2\x82\xac";
  auto json =
    json_line(log_record{level::info, "x"}.with("f", text), some_time);
  auto kept = std::string{boost::json::parse(json).at("f").as_string()};
  EXPECT_LT(kept.size(), 1100u);
  EXPECT_TRUE(kept.ends_with("\xe2\x82\xac\xe2\x80\xa6"));
}

TEST_F(LogSinkTest, ANumberThatIsNoneBecomesNull) {
  auto line = log_record{level::info, "x"}
                .with("a", std::numeric_limits<double>::quiet_NaN())
                .with("b", std::numeric_limits<double>::infinity())
                .with("c", 1e300)
                .with("d", -0.25)
                .with("e", std::numeric_limits<std::int64_t>::min());
  auto value = boost::json::parse(json_line(line, some_time));
  EXPECT_TRUE(value.at("a").is_null());
  EXPECT_TRUE(value.at("b").is_null());
  EXPECT_EQ(value.at("c").to_number<double>(), 1e300);
  EXPECT_EQ(value.at("d").to_number<double>(), -0.25);
  EXPECT_EQ(value.at("e").to_number<std::int64_t>(), INT64_MIN);
}

// -- sink -------------------------------------------------------------------------

TEST_F(LogSinkTest, LinesArriveInOrder) {
  auto& aut = open_sink();
  for (int i = 0; i < 1000; ++i)
    aut.write(numbered(i));
  for (int i = 0; i < 1000; ++i)
    ASSERT_EQ(object()["n"], i);
  EXPECT_TRUE(aut.close(5s));
  EXPECT_EQ(counts.log_lost.get(), 0);
}

TEST_F(LogSinkTest, APipeGetsJsonUnlessTextIsAskedFor) {
  {
    auto& aut = open_sink();
    aut.write(numbered(1));
    EXPECT_EQ(line().front(), '{');
  }
  options.format = log_format::text;
  auto& aut = open_sink();
  aut.write(numbered(1));
  EXPECT_THAT(line(), HasSubstr("info  line n=1"));
}

TEST_F(LogSinkTest, QuietLinesAreLeftOut) {
  options.loudness = level::warn;
  auto& aut = open_sink();
  EXPECT_FALSE(aut.wants(level::info));
  EXPECT_TRUE(aut.wants(level::warn));
  EXPECT_TRUE(aut.wants(level::error));
  aut.write({level::info, "quiet"});
  aut.write({level::warn, "loud"});
  EXPECT_EQ(object()["message"], "loud");
}

TEST_F(LogSinkTest, ManyThreadsShareIt) {
  auto& aut = open_sink();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&aut, t] {
      for (int i = 0; i < 250; ++i)
        aut.write(log_record{level::info, "line"}.with("t", t).with("n", i));
    });
  int next[4] = {};
  for (int i = 0; i < 1000; ++i) {
    auto x = object();
    ASSERT_TRUE(x.contains("t"));
    ASSERT_EQ(x["n"], next[x["t"].as_int64()]++);
  }
  for (auto& t : threads)
    t.join();
}

// -- a reader that is slow, stuck or gone -------------------------------------------

TEST_F(LogSinkTest, AnUnreadPipeBlocksNobodyAndLossIsTold) {
  options.lines_max = 500;
  auto& aut = open_sink();
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20'000; ++i)
    aut.write(numbered(i));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  auto lost = counts.log_lost.get();
  EXPECT_GE(lost, 18'000);
  // What waited is still there, then the loss is told, then it goes on.
  std::int64_t told = 0;
  std::int64_t seen = 0;
  while (seen + told < 20'000) {
    auto x = object();
    ASSERT_TRUE(x.contains("message"));
    if (x["message"] == "log_lost") {
      EXPECT_EQ(x["level"], "warn");
      told += x["lines"].as_int64();
    } else {
      // the told ones are missing between the others
      ASSERT_EQ(x["n"], seen + told);
      ++seen;
    }
  }
  EXPECT_EQ(told, lost);
  aut.write(numbered(1));
  EXPECT_EQ(object()["n"], 1);
}

TEST_F(LogSinkTest, BytesThatWaitAreLimitedAsWell) {
  options.bytes_max = 64 * 1024;
  auto& aut = open_sink();
  for (int i = 0; i < 100; ++i)
    aut.write(log_record{level::info, "x"}.with("f", std::string(4096, 'x')));
  EXPECT_GE(counts.log_lost.get(), 80);
  EXPECT_LE(counts.log_lost.get(), 90);
}

TEST_F(LogSinkTest, ALineBiggerThanTheLimitFindsAnEmptyQueue) {
  options.bytes_max = 4096;
  auto& aut = open_sink();
  aut.write(log_record{level::info, "x"}.with("f", std::string(10'000, 'x')));
  EXPECT_EQ(object()["message"], "x");
  EXPECT_EQ(counts.log_lost.get(), 0);
}

TEST_F(LogSinkTest, CloseGivesUpOnAnUnreadPipe) {
  auto& aut = open_sink();
  for (int i = 0; i < 1000; ++i)
    aut.write(numbered(i));
  auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(aut.close(100ms));
  auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(took, 100ms);
  EXPECT_LT(took, 5s);
  aut.write(numbered(1)); // is lost, and does no harm
  EXPECT_EQ(counts.log_lost.get(), 1);
  EXPECT_FALSE(aut.close(0ms));
}

TEST_F(LogSinkTest, CloseWaitsForAReaderThatIsOnlySlow) {
  auto& aut = open_sink();
  for (int i = 0; i < 500; ++i)
    aut.write(numbered(i));
  std::thread reader{[this] {
    for (int i = 0; i < 500; ++i)
      EXPECT_EQ(object()["n"], i);
  }};
  EXPECT_TRUE(aut.close(10s));
  reader.join();
}

TEST_F(LogSinkTest, AReaderThatIsGoneEndsTheWritingOnly) {
  auto& aut = open_sink();
  close_reader();
  aut.write(numbered(0));
  // Sooner or later the thread has noticed, and lines are lost at once.
  for (int i = 0; i < 5000 && counts.log_lost.get() == 0; ++i) {
    std::this_thread::sleep_for(1ms);
    aut.write(numbered(i));
  }
  EXPECT_GT(counts.log_lost.get(), 0);
  EXPECT_FALSE(aut.close(5s));
}

// A disk that is full, for this one file: it may grow no further than 100 bytes.
TEST_F(LogSinkTest, AFullDiskIsWaitedForAndLossIsTold) {
  constexpr off_t size = 1 << 20;
  std::signal(SIGXFSZ, SIG_IGN);
  std::string path = testing::TempDir() + "greenroom-log-XXXXXX";
  int file = mkostemp(path.data(), O_APPEND | O_CLOEXEC);
  ASSERT_GE(file, 0);
  ::unlink(path.c_str());
  ASSERT_EQ(ftruncate(file, size), 0);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  auto size_now = [file] {
    struct stat x {};
    fstat(file, &x);
    return x.st_size;
  };
  auto wait_size = [&](off_t most) {
    auto until = std::chrono::steady_clock::now() + 10s;
    while (size_now() < most && std::chrono::steady_clock::now() < until)
      std::this_thread::yield();
    return size_now();
  };
  auto lines = [&] {
    std::string text(static_cast<std::size_t>(size_now() - size), '\0');
    EXPECT_EQ(pread(file, text.data(), text.size(), size),
              static_cast<ssize_t>(text.size()));
    return text;
  };
  rlimit full{static_cast<rlim_t>(size) + 100, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  options.lines_max = 3;
  log_sink sink{options, file, &counts};
  for (int i = 0; i < 5; ++i) {
    // Each is longer than what there is room for.
    sink.write(log_record{level::info, "line"}
                 .with("number", i)
                 .with("long", std::string(100, 'x')));
    if (i == 0) {
      EXPECT_EQ(wait_size(size + 100), size + 100);
    }
  }
  EXPECT_EQ(counts.log_lost.get(), 2);
  setrlimit(RLIMIT_FSIZE, &before);
  // The torn line is finished, those that waited follow.
  auto each = json_line(log_record{level::info, "line"}
                          .with("number", 0)
                          .with("long", std::string(100, 'x')),
                        some_time)
                .size();
  wait_size(size + static_cast<off_t>(3 * each + 1));
  sink.write(log_record{level::info, "after"});
  EXPECT_TRUE(sink.close(10s));
  std::istringstream text{lines()};
  std::vector<std::string> got;
  for (std::string line; std::getline(text, line);) {
    auto x = boost::json::parse(line).as_object();
    auto* n = x.if_contains("number");
    auto* lost = x.if_contains("lines");
    got.push_back(std::string{x.at("message").as_string()} + " "
                  + (n != nullptr      ? boost::json::serialize(*n)
                     : lost != nullptr ? boost::json::serialize(*lost)
                                       : ""));
  }
  EXPECT_THAT(got, testing::ElementsAre("line 0", "line 1", "line 2",
                                        "log_lost 2", "after "));
  ::close(file);
}

TEST_F(LogSinkTest, AFullDiskDoesNotHoldUpTheEnd) {
  int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  log_sink sink{options, full, &counts};
  sink.write(log_record{level::info, "for nobody"});
  auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(sink.close(10s));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  ::close(full);
}

TEST_F(LogSinkTest, ANonBlockingDescriptorIsWaitedFor) {
  fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
  auto& aut = open_sink();
  for (int i = 0; i < 1000; ++i)
    aut.write(numbered(i));
  for (int i = 0; i < 1000; ++i)
    ASSERT_EQ(object()["n"], i);
}
