// `greenroom top`: its parts, and the program on a pseudo-terminal before a made-up
// listener. test/integration/top_test.cpp has it before a broker.

#include <algorithm>
#include <atomic>
#include <clocale>
#include <csignal>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/commands/client/http.hpp"
#include "app/commands/top/keys.hpp"
#include "app/commands/top/list.hpp"
#include "app/commands/top/model.hpp"
#include "app/commands/top/paint.hpp"
#include "app/commands/top/text.hpp"
#include "app/commands/top/views.hpp"
#include "test/support/plain_server.hpp"
#include "test/support/process.hpp"
#include "test/support/terminal.hpp"

using namespace greenroom::client;
using greenroom::test::exit_status;
using greenroom::test::plain_server;
using greenroom::test::process;
using greenroom::test::screen;
using greenroom::test::tcp_stream;
using greenroom::test::terminal;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using namespace std::chrono_literals;

namespace {

/// Everything a terminal could be told to do, in a name: CSI and OSC, also as C1,
/// controls, directions, marks, joiners; and wide letters, which are welcome.
const std::string hostile =
  "\x1b[2J\x1b]0;owned\x07\u009b31m\r\n\x08\x7f\u202ee\u0301\u200b"
  "\U0001F468\u200d\U0001F469 部屋";

std::string escaped(std::string_view text) {
  std::string result;
  for (unsigned char c : text)
    result += c < 0x20 || c == '"' || c == '\\'
                ? fmt::format("\\u{:04x}", c)
                : std::string(1, static_cast<char>(c));
  return result;
}

// -- a made-up listener -----------------------------------------------------------

struct listener_options {
  std::vector<std::string> rooms = {"lobby", "news", hostile};
  std::size_t more_rooms = 0; ///< called room:N
  std::string token = {};
  std::string left = {}; ///< receipts say that this was left
};

/// The inspection API with rooms only, and a tree around them.
class listener {
public:
  explicit listener(listener_options how = {})
    : how_(std::move(how)), server_([this](tcp_stream& with) { serve(with); }) {
  }

  std::string address() const {
    return fmt::format("127.0.0.1:{}", server_.port());
  }

  std::vector<std::string> targets() const {
    std::lock_guard guard{mutex_};
    return targets_;
  }

  std::vector<std::string> bodies() const {
    std::lock_guard guard{mutex_};
    return bodies_;
  }

  /// Nobody gets an answer any more, as far as one is begun.
  void go_away() { away_ = true; }

private:
  /// One request a connection: the server takes one after the other, and `top` has
  /// several under way.
  void serve(tcp_stream& with) {
    auto head = take_request(with);
    if (away_)
      return;
    auto length = head.find("Content-Length: ");
    std::string body;
    if (length != std::string::npos) {
      auto size = std::stoul(head.substr(length + 16));
      while (with.unread().size() < size)
        with.fill(greenroom::test::deadline{10s});
      body = with.unread().substr(0, size);
      with.consume(size);
    }
    auto target = head.substr(head.find(' ') + 1);
    target.erase(target.find(' '));
    {
      std::lock_guard guard{mutex_};
      targets_.push_back(target);
      if (!body.empty())
        bodies_.push_back(target + ' ' + body);
    }
    auto may =
      how_.token.empty()
      || head.find("Bearer " + how_.token + "\r\n") != std::string::npos;
    auto answer = may ? answer_to(target) : "{\"error\":\"unauthorized\"}";
    with.send(fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n"
                          "Connection: close\r\n\r\n{}",
                          may ? "200 OK" : "401 Unauthorized", answer.size(),
                          answer),
              greenroom::test::deadline{10s}, false);
  }

  static std::string value(const std::string& target, const std::string& name) {
    auto at = target.find(name + "=");
    if (at == std::string::npos)
      return {};
    at += name.size() + 1;
    return target.substr(at, target.find('&', at) - at);
  }

  std::string answer_to(const std::string& target) {
    if (target.starts_with("/inspect/kill")
        || target.starts_with("/inspect/restart"))
      return fmt::format(
        "{{\"target\":\"room\",\"memberships\":7,\"bytes\":2048,\"clean\":{},"
        "\"left\":[{}]}}",
        how_.left.empty(),
        how_.left.empty() ? "" : '"' + escaped(how_.left) + '"');
    std::vector<std::string> rows;
    auto kind = value(target, "kind");
    if (target.starts_with("/inspect/overview"))
      rows.push_back(R"({"version":"9.9.9","now_at":90000,"started_at":1000,)"
                     R"("connections":12,"rooms":3,"memory_bytes":1048576,)"
                     R"("latency_p99_us":1500})");
    else if (target.starts_with("/inspect/rooms"))
      rows = all_rooms("members");
    else if (kind == "room")
      rows = all_rooms("id");
    else if (kind == "supervisor" || kind == "inspector" || kind == "outlet")
      rows.push_back(
        fmt::format(R"({{"id":1,"kind":"{}","state":"idle"}})", kind));
    else if (target.starts_with("/inspect/lag"))
      rows.push_back(R"({"room":"lobby","client":42,"lag_ms":61000})");
    auto total = rows.size();
    auto q = value(target, "q");
    if (!q.empty())
      std::erase_if(
        rows, [&](const auto& x) { return x.find(q) == std::string::npos; });
    if (value(target, "order") == "asc")
      std::reverse(rows.begin(), rows.end());
    total = rows.size();
    auto number = [&](const char* name, std::size_t fallback) {
      auto text = value(target, name);
      return text.empty() ? fallback : std::stoul(text);
    };
    auto offset = std::min(number("offset", 0), total);
    auto limit = std::min(number("limit", 100), total - offset);
    return fmt::format(
      R"({{"total":{},"sampled_at":{},"rows":[{}]}})", total, ++samples_,
      fmt::join(rows.begin() + static_cast<std::ptrdiff_t>(offset),
                rows.begin() + static_cast<std::ptrdiff_t>(offset + limit),
                ","));
  }

  std::vector<std::string> all_rooms(std::string_view field) const {
    auto names = how_.rooms;
    for (std::size_t i = 0; i < how_.more_rooms; ++i)
      names.push_back(fmt::format("room:{}", i));
    std::vector<std::string> result;
    for (std::size_t i = 0; i < names.size(); ++i)
      result.push_back(fmt::format(
        R"({{"room":"{}","kind":"room","{}":{},"bytes_queued":2048}})",
        escaped(names[i]), field, names.size() - i));
    return result;
  }

  const listener_options how_;
  mutable std::mutex mutex_;
  std::vector<std::string> targets_;
  std::vector<std::string> bodies_;
  std::atomic<bool> away_ = false;
  std::int64_t samples_ = 0;
  plain_server server_;
};

std::vector<std::string> top_on(const listener& at,
                                std::vector<std::string> more = {}) {
  more.insert(more.begin(), {GREENROOM_BINARY, "top", at.address()});
  return more;
}

const std::vector<std::string> utf8{"LC_ALL=C.UTF-8"};

/// Where in the list the rooms stand, from top to bottom.
std::vector<std::string> listed(const screen& x) {
  std::vector<std::string> result;
  for (std::size_t i = 5; i < 23; ++i)
    if (auto row = x.row(i); !row.empty())
      result.push_back(row.substr(0, row.find(' ')));
  return result;
}

boost::json::object page(std::string_view text) {
  return boost::json::parse({text.data(), text.size()}).as_object();
}

} // namespace

// -- text -----------------------------------------------------------------------------

TEST(TopTextTest, ATameNameMovesNoCursor) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  auto name = tame(hostile);
  EXPECT_THAT(name, AllOf(HasSubstr("?[2J?]0;owned?"), HasSubstr("部屋")));
  EXPECT_EQ(name.find('\x1b'), std::string::npos);
  screen aut{2, 200};
  aut.feed(name);
  EXPECT_THAT(aut.strange(), IsEmpty());
  EXPECT_EQ(aut.row(0), name);
  EXPECT_EQ(tame("grüße \xff", true), "gr??e ?");
}

TEST(TopTextTest, WhatDoesNotFitIsCutBetweenLetters) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  EXPECT_EQ(columns_of("部屋"), 4u);
  EXPECT_EQ(cut("部屋", 4), "部屋");
  EXPECT_EQ(cut("部屋", 3), "部~");
  EXPECT_EQ(cut("部屋", 2), "~"); // half a letter is none
  EXPECT_EQ(cut("lobby", 5), "lobby");
  EXPECT_EQ(cut("lobby", 4), "lob~");
  EXPECT_EQ(cut("lobby", 0), "");
}

TEST(TopTextTest, NumbersAreShort) {
  using kind = top_kind;
  EXPECT_EQ(short_of(kind::count, 9'999'999), "9999999");
  EXPECT_EQ(short_of(kind::count, 10'000'000), "10M");
  EXPECT_EQ(short_of(kind::bytes, 1023), "1023B");
  EXPECT_EQ(short_of(kind::bytes, 1536), "1.5K");
  EXPECT_EQ(short_of(kind::ms, 999), "999ms");
  EXPECT_EQ(short_of(kind::ms, 1500), "1.5s");
  EXPECT_EQ(short_of(kind::ms, 61'000), "1.0m");
  EXPECT_EQ(short_of(kind::ms, -1), "-");
  EXPECT_EQ(short_of(kind::us, 1500), "1.5ms");
  EXPECT_EQ(short_of(kind::id, 0), "-");
  for (auto x : {kind::count, kind::bytes, kind::ms, kind::us, kind::at})
    for (std::int64_t n = 1; n < INT64_C(1) << 50; n *= 3)
      EXPECT_LE(short_of(x, n).size(), 8u) << n;
}

// -- keys -----------------------------------------------------------------------------

TEST(TopKeysTest, SequencesAreKeysHoweverTheyArrive) {
  using what = top_key::what;
  std::string bytes = "q\x1b[A\x1bOB\x1b[5~\r\x7fü\x1b[99;5u\t\x1b[Z";
  for (std::size_t piece : {1u, 2u, 3u, 100u}) {
    top_keyboard aut;
    std::vector<top_key> keys;
    for (std::size_t i = 0; i < bytes.size(); i += piece) {
      aut.feed(std::string_view{bytes}.substr(i, piece));
      while (auto key = aut.next(false))
        keys.push_back(*key);
    }
    EXPECT_THAT(
      keys, ElementsAre(top_key{what::text, "q"}, top_key{what::up, ""},
                        top_key{what::down, ""}, top_key{what::page_up, ""},
                        top_key{what::enter, ""}, top_key{what::backspace, ""},
                        top_key{what::text, "ü"}, top_key{what::unknown, ""},
                        top_key{what::tab, ""}, top_key{what::back_tab, ""}));
  }
}

TEST(TopKeysTest, AnEscapeIsAKeyWhenNothingFollows) {
  top_keyboard aut;
  aut.feed("\x1b");
  EXPECT_EQ(aut.next(false), std::nullopt);
  EXPECT_EQ(aut.next(true), (top_key{top_key::what::escape, ""}));
  aut.feed("\x1b[" + std::string(100, '1')); // never ends: no key of a terminal
  EXPECT_EQ(aut.next(false), (top_key{}));
  EXPECT_FALSE(aut.waiting());
  aut.feed("\xff\xfe"
           "a");
  EXPECT_EQ(aut.next(true), (top_key{}));
  EXPECT_EQ(aut.next(true), (top_key{}));
  EXPECT_EQ(aut.next(true), (top_key{top_key::what::text, "a"}));
}

// -- http -----------------------------------------------------------------------------

TEST(TopHttpTest, AnswersAreReadHoweverTheyAreFramed) {
  using state = http_reading::state;
  auto read = [](std::string_view bytes, bool ended = false) {
    return read_http_answer(bytes, ended);
  };
  std::string plain = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
  for (std::size_t i = 0; i < plain.size(); ++i)
    EXPECT_EQ(read(plain.substr(0, i)).what, state::need_more) << i;
  EXPECT_EQ(read(plain).what, state::done);
  EXPECT_EQ(read(plain).answer.body, "{}");
  EXPECT_TRUE(read(plain).keeps);
  std::string chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                        "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
  for (std::size_t i = 0; i < chunked.size(); ++i)
    EXPECT_EQ(read(chunked.substr(0, i)).what, state::need_more) << i;
  EXPECT_EQ(read(chunked).answer.body, "abcde");
  auto ended = read("HTTP/1.0 503 Busy\r\n\r\nno", true);
  EXPECT_EQ(ended.what, state::done);
  EXPECT_EQ(ended.answer.status, 503);
  EXPECT_EQ(ended.answer.body, "no");
  EXPECT_FALSE(ended.keeps);
}

TEST(TopHttpTest, WhatIsNoAnswerIsSaid) {
  auto words = [](std::string_view bytes, bool ended = false) {
    auto reading = read_http_answer(bytes, ended);
    EXPECT_EQ(reading.what, http_reading::state::broken) << bytes;
    return reading.answer.words;
  };
  EXPECT_EQ(words("", true), "closed without an answer");
  EXPECT_EQ(words("SSH-2.0-x\r\n"), "does not speak HTTP");
  EXPECT_EQ(words("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", true),
            "closed within an answer");
  EXPECT_EQ(words("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"),
            "an answer that is too long");
  EXPECT_EQ(words("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
            "an answer of unknown length");
  EXPECT_EQ(
    words("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "an answer with broken chunks");
  EXPECT_EQ(words(std::string(20'000, 'H')), "does not speak HTTP");
}

// -- list -----------------------------------------------------------------------------

TEST(TopListTest, OnlyTheWindowIsAskedFor) {
  top_list aut{sections_of(1)};
  aut.set_height(10);
  // The window, and as much behind it.
  EXPECT_EQ(aut.wanted(0), (std::pair<std::size_t, std::size_t>{0, 20}));
  aut.take(0, 0, page(R"({"total":5000,"rows":[{"room":"a"}]})"));
  EXPECT_EQ(aut.size(), 5000u);
  aut.to_end();
  EXPECT_EQ(aut.wanted(0), (std::pair<std::size_t, std::size_t>{4980, 30}));
  EXPECT_EQ(aut.at(4999).is, top_line::what::unknown);
  EXPECT_FALSE(aut.complete());
  aut.take(0, 4990, page(R"({"total":3,"rows":[]})")); // most have gone
  EXPECT_EQ(aut.cursor(), 2u);
  EXPECT_EQ(aut.wanted(0).first, 0u);
  aut.take(0, 0, page(R"({"total":1000000,"rows":[]})"));
  aut.to_end();
  EXPECT_EQ(aut.cursor(), top_section::reach - 1); // sorted no further
}

TEST(TopListTest, ABranchIsShownUnderItsRow) {
  top_list aut{sections_of(top_tree)};
  aut.set_height(20);
  aut.take(0, 0, page(R"({"total":1,"rows":[{"kind":"supervisor","id":1}]})"));
  aut.take(1, 0, page(R"({"total":2,"rows":[{"kind":"room","id":5,"room":"a b"},
                          {"kind":"room","id":6,"room":"c"}]})"));
  ASSERT_EQ(aut.size(),
            6u); // with the titles of connections and probes as well
  aut.move(2);
  EXPECT_TRUE(aut.toggle());
  EXPECT_THAT(aut.children()->filter, HasSubstr("&room=a%20b"));
  aut.take_children(page(R"({"rows":[{"kind":"outlet","id":9}]})"));
  EXPECT_EQ(aut.size(), 7u);
  EXPECT_EQ(aut.at(3).is, top_line::what::child);
  EXPECT_EQ(number_of(*aut.at(4).row, "id"), 6);
  // Its room stands elsewhere now: so does the branch.
  aut.take(1, 0, page(R"({"total":2,"rows":[{"kind":"room","id":6,"room":"c"},
                          {"kind":"room","id":5,"room":"a b"}]})"));
  EXPECT_EQ(number_of(*aut.at(3).row, "id"), 5);
  EXPECT_EQ(aut.at(4).is, top_line::what::child);
  aut.move(-1); // the title of the rooms
  EXPECT_TRUE(aut.toggle());
  EXPECT_EQ(aut.size(), 4u);
}

// -- model ----------------------------------------------------------------------------

TEST(TopModelTest, AnEndIsOfWhatWasShownWhenItWasAsked) {
  top_model aut{false, true};
  aut.set_height(10);
  auto asked = aut.requests();
  auto rows = [&](std::string_view text) {
    aut.take(asked[1], aut.generation(), page(text));
  };
  rows(R"({"total":2,"rows":[{"room":"first"},{"room":"second"}]})");
  aut.press({top_key::what::text, "x"});
  EXPECT_EQ(aut.showing(), top_model::mode::confirm);
  rows(R"({"total":2,"rows":[{"room":"second"},{"room":"first"}]})");
  EXPECT_EQ(aut.act().words, "End room first");
  EXPECT_EQ(aut.press({top_key::what::text, "y"}), top_model::then::act);
  EXPECT_EQ(aut.act().path, "kill");
  EXPECT_EQ(aut.act().body, R"({"room":"first"})");
  // Anything else than yes is no.
  aut.press({top_key::what::text, "R"});
  EXPECT_EQ(aut.press({top_key::what::enter, ""}), top_model::then::draw);
  EXPECT_EQ(aut.showing(), top_model::mode::list);
}

TEST(TopModelTest, AnAnswerOfAnotherViewIsDropped) {
  top_model aut{false, false};
  auto asked = aut.requests();
  auto before = aut.generation();
  aut.press({top_key::what::text, "3"});
  aut.take(asked[1], before, page(R"({"total":7,"rows":[]})"));
  EXPECT_EQ(aut.list().size(), 0u);
}

// -- the program ----------------------------------------------------------------------

TEST(TopTest, TheScreenShowsRowsAndKeysSortThem) {
  listener broker;
  terminal aut{top_on(broker), utf8};
  aut.wait_text("lobby");
  EXPECT_TRUE(aut.shown().alternate());
  EXPECT_FALSE(aut.shown().cursor_shown());
  EXPECT_THAT(aut.shown().row(0), StartsWith("greenroom 9.9.9  http://127."));
  EXPECT_THAT(aut.shown().row(1), HasSubstr("connections 12  rooms 3"));
  EXPECT_THAT(aut.shown().row(4), HasSubstr("ROOM"));
  EXPECT_EQ(listed(aut.shown()).front(), "lobby");
  aut.type("r");
  aut.wait([](const screen& x) {
    return listed(x).size() == 3 && listed(x).back() == "lobby";
  });
  aut.type(">"); // by the next column
  aut.wait_text("lag_ms v");
  aut.type("/new");
  aut.wait_text("Search: new_");
  aut.type("\r");
  aut.wait([](const screen& x) {
    return listed(x) == std::vector<std::string>{"news"};
  });
  aut.type("\x1b");
  aut.wait([](const screen& x) { return listed(x).size() == 3; });
  aut.type("3");
  aut.wait_text("1.0m");
  aut.type("\r");
  aut.wait_text("Connection #42 in room lobby");
  aut.type("q"); // out of the details, not of the program
  aut.wait_text("1.0m");
  aut.type("?");
  aut.wait_text("reverse");
  aut.type(" q");
  EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
  EXPECT_THAT(aut.shown().strange(), IsEmpty());
}

TEST(TopTest, HostileNamesStayInTheirCells) {
  listener broker{{.rooms = {hostile, std::string(255, 'w'), "plain"}}};
  for (auto& env : {utf8, std::vector<std::string>{"LC_ALL=C"}}) {
    terminal aut{top_on(broker), env};
    aut.wait_text("plain");
    // All of its row behind the name is where it is in the other rows.
    auto column = [&](std::size_t row) {
      return columns_of(
        aut.shown().row(row).substr(0, aut.shown().row(row).find("2.0K")));
    };
    std::setlocale(LC_CTYPE, "C.UTF-8");
    EXPECT_EQ(column(5), column(7)) << aut.shown().text();
    EXPECT_EQ(column(6), column(7)) << aut.shown().text();
    for (auto keys : {"\r", " ", "1"}) {
      aut.type(keys);
      aut.wait([&](const screen& x) { return x.shows("?[2J"); });
    }
    aut.wait_text("supervisor");
    aut.type("q");
    EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
    EXPECT_THAT(aut.shown().strange(), IsEmpty());
  }
}

TEST(TopTest, ItFitsEverySize) {
  listener broker{{.more_rooms = 500}};
  terminal aut{top_on(broker), utf8};
  aut.wait_text("1-18/503");
  aut.resize(40, 160);
  aut.wait_text("1-34/503");
  aut.wait_text("RESTARTS"); // room for more columns
  aut.resize(5, 30);
  aut.wait_text("too small: 40x8");
  aut.resize(12, 50);
  aut.wait_text("1-6/503");
  aut.type("\x1b[F");
  aut.wait_text("498-503/503");
  aut.wait_text("room:499");
  aut.type("\x1b[5~\x1b[5~");
  aut.wait_text("room:490");
  aut.type("q");
  EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
  EXPECT_THAT(aut.shown().strange(), IsEmpty());
  for (const auto& target : broker.targets())
    EXPECT_THAT(target, Not(HasSubstr("limit=503"))); // pages, not all
}

TEST(TopTest, TheTerminalIsAsBeforeHoweverItEnds) {
  listener broker;
  for (int number : {0, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGABRT}) {
    terminal aut{top_on(broker), utf8};
    auto before = aut.settings();
    aut.wait_text("lobby");
    EXPECT_EQ(aut.settings().c_lflag & ICANON, 0u);
    if (number == 0)
      aut.type("q");
    else if (number == SIGINT)
      aut.type("\x03"); // the terminal makes the signal
    else
      aut.signal(number);
    EXPECT_EQ(aut.wait_exit(),
              (number == 0 ? exit_status{0, 0} : exit_status{-1, number}));
    auto after = aut.settings();
    EXPECT_EQ(after.c_lflag, before.c_lflag) << number;
    EXPECT_EQ(after.c_iflag, before.c_iflag) << number;
    EXPECT_EQ(after.c_oflag, before.c_oflag) << number;
    EXPECT_FALSE(aut.shown().alternate()) << number;
    EXPECT_TRUE(aut.shown().cursor_shown()) << number;
    EXPECT_TRUE(aut.shown().wraps()) << number;
    EXPECT_THAT(aut.shown().strange(), IsEmpty()) << number;
  }
}

TEST(TopTest, AStopGivesTheTerminalBackUntilItGoesOn) {
  listener broker;
  terminal aut{top_on(broker), utf8};
  auto before = aut.settings();
  aut.wait_text("lobby");
  aut.type("\x1a");
  aut.wait_stopped();
  EXPECT_FALSE(aut.shown().alternate());
  EXPECT_EQ(aut.settings().c_lflag, before.c_lflag);
  aut.signal(SIGCONT);
  aut.wait([](const screen& x) { return x.alternate() && x.shows("lobby"); });
  aut.type("q");
  EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
}

TEST(TopTest, AnEndNeedsATokenAndAYes) {
  {
    listener open;
    terminal aut{top_on(open), utf8};
    aut.wait_text("lobby");
    aut.type("x");
    aut.wait_text("Ending needs a token");
    aut.type("q");
    aut.wait_exit();
  }
  listener broker{{.token = "sesame", .left = hostile}};
  auto env = utf8;
  env.emplace_back("GREENROOM_INSPECT_ACT_TOKEN=sesame");
  terminal aut{top_on(broker), env};
  aut.wait_text("lobby");
  aut.type("x");
  aut.wait_text("End room lobby? y: yes");
  aut.type("n");
  aut.wait_text("Nothing was ended.");
  EXPECT_THAT(broker.bodies(), IsEmpty());
  aut.type("R");
  aut.wait_text("Restart room lobby? y: yes");
  aut.type("y");
  aut.wait_text("Receipt: Restart room lobby");
  aut.wait_text("NOT CLEAN");
  aut.wait_text("?[2J"); // what was left, tamed
  EXPECT_TRUE(aut.shown().shows("memberships      7"));
  EXPECT_TRUE(aut.shown().shows("bytes            2.0K"));
  EXPECT_THAT(broker.bodies(),
              ElementsAre(R"(/inspect/restart {"room":"lobby"})"));
  aut.type(" q");
  EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
  EXPECT_THAT(aut.shown().strange(), IsEmpty());
}

TEST(TopTest, ABrokerThatIsAwayIsWaitedFor) {
  listener broker;
  terminal aut{top_on(broker, {"--every", "250ms"}), utf8};
  aut.wait_text("lobby");
  broker.go_away();
  aut.wait_text("retrying");
  EXPECT_TRUE(aut.shown().shows("lobby")); // what was known stays
  aut.type("q");
  EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
}

// -- without a screen -------------------------------------------------------------------

TEST(TopTest, OnceIsOneTableAndJsonIsTheAnswer) {
  listener broker;
  {
    process aut{{.argv = top_on(broker, {"--once"}), .env = utf8}};
    EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
    auto lines = aut.lines(greenroom::test::output::out);
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_THAT(lines[0], StartsWith("ROOM "));
    EXPECT_THAT(lines[1], StartsWith("lobby "));
    EXPECT_THAT(lines[3], StartsWith("?[2J"));
  }
  {
    process aut{{.argv = top_on(broker, {"--once", "--limit", "2"})}};
    EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
    EXPECT_EQ(aut.lines(greenroom::test::output::out).size(), 3u);
  }
  {
    process aut{{.argv = top_on(broker, {"--json", "--search", "a b+c"})}};
    EXPECT_EQ(aut.wait_exit(), (exit_status{0, 0}));
    EXPECT_THAT(aut.text(greenroom::test::output::out),
                StartsWith(R"({"total":0,"sampled_at":)"));
    EXPECT_THAT(broker.targets().back(), HasSubstr("&q=a%20b%2Bc"));
  }
  process aut{{.argv = top_on(broker)}}; // its output is a pipe
  EXPECT_EQ(aut.wait_exit(), (exit_status{1, 0}));
  EXPECT_THAT(aut.text(greenroom::test::output::err), HasSubstr("no terminal"));
}

TEST(TopTest, WhatIsWrongIsOneLine) {
  listener broker{{.token = "sesame"}};
  auto complaint = [](std::vector<std::string> args, int status) {
    args.insert(args.begin(), {GREENROOM_BINARY, "top"});
    process aut{{.argv = args}};
    EXPECT_EQ(aut.wait_exit(), (exit_status{status, 0}));
    auto lines = aut.lines(greenroom::test::output::err);
    EXPECT_EQ(lines.size(), 1u);
    return lines.empty() ? "" : lines.front();
  };
  EXPECT_THAT(complaint({broker.address(), "--once"}, 1),
              HasSubstr("a token is needed"));
  EXPECT_THAT(complaint({"https://x", "--once"}, 2), HasSubstr("TLS"));
  EXPECT_THAT(complaint({"--view", "rums"}, 2), HasSubstr("expected tree"));
  EXPECT_THAT(complaint({"--sort", "x"}, 2), HasSubstr("no column of rooms"));
  EXPECT_THAT(complaint({"--token-file", "/nowhere"}, 2),
              HasSubstr("no token can be read"));
}
