// Flags, variables, defaults and suggestions, with a table of the test's own.

#include "app/command_line.hpp"

#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace greenroom;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;
using testing::UnorderedElementsAre;

namespace {

class CommandLineTest : public testing::Test {
protected:
  std::vector<option> rows;
  std::vector<std::string> port, rooms_max, origin, fast;

  CommandLineTest() {
    add("port", port);
    add("rooms-max", rooms_max);
    add("origin", origin).repeatable = true;
    add("fast", fast).bare = true;
  }

  option& add(const std::string& key, std::vector<std::string>& to) {
    rows.push_back({key, "X", "1", "Group", "What " + key + " does.",
                    [&to](std::string_view text) -> std::string {
                      if (text == "bad")
                        return "is bad";
                      to.emplace_back(text);
                      return {};
                    }});
    return rows.back();
  }

  result<command_line> run(std::vector<std::string> args,
                           std::vector<std::string> env = {},
                           strangers unknown = strangers::refuse) {
    return read_command_line(rows, args, env, unknown);
  }

  std::string error(std::vector<std::string> args,
                    std::vector<std::string> env = {}) {
    auto line = run(std::move(args), std::move(env));
    return line ? "" : line.error().detail;
  }
};

} // namespace

// -- flags ------------------------------------------------------------------------

TEST_F(CommandLineTest, NothingGivesNothing) {
  auto line = run({});
  ASSERT_TRUE(line);
  EXPECT_TRUE(line->given.empty());
  EXPECT_TRUE(port.empty());
}

TEST_F(CommandLineTest, AFlagTakesTheNextWordOrWhatFollowsTheEqualsSign) {
  ASSERT_TRUE(run({"--port", "1", "--rooms-max=a=b,c"}));
  EXPECT_THAT(port, ElementsAre("1"));
  EXPECT_THAT(rooms_max, ElementsAre("a=b,c"));
}

TEST_F(CommandLineTest, ARepeatableFlagKeepsItsOrder) {
  ASSERT_TRUE(run({"--origin", "b", "--port", "1", "--origin", "a"}));
  EXPECT_THAT(origin, ElementsAre("b", "a"));
}

TEST_F(CommandLineTest, AnyOtherFlagIsGivenOnce) {
  EXPECT_EQ(error({"--port", "1", "--port", "1"}),
            "--port is given more than once");
}

TEST_F(CommandLineTest, ABareFlagMeansOn) {
  ASSERT_TRUE(run({"--fast", "--port", "1"}));
  EXPECT_THAT(fast, ElementsAre("on"));
  fast.clear();
  ASSERT_TRUE(run({"--fast=off"}));
  EXPECT_THAT(fast, ElementsAre("off"));
  fast.clear();
  ASSERT_TRUE(run({"--fast", "off"}));
  EXPECT_THAT(fast, ElementsAre("off"));
}

TEST_F(CommandLineTest, AnyOtherFlagNeedsAValue) {
  EXPECT_EQ(error({"--port"}), "--port needs a value");
  EXPECT_EQ(error({"--port", "--rooms-max", "1"}), "--port needs a value");
  EXPECT_EQ(error({"--port", "--rooms-max"}), "--port needs a value");
}

TEST_F(CommandLineTest, ABadValueIsToldWithItsFlag) {
  EXPECT_EQ(error({"--port", "bad"}), "--port bad: is bad");
}

TEST_F(CommandLineTest, AnUnknownFlagGetsASuggestion) {
  EXPECT_EQ(error({"--prot", "1"}),
            "unknown flag --prot, did you mean --port?");
  EXPECT_EQ(error({"--max-rooms=3"}),
            "unknown flag --max-rooms, did you mean --rooms-max?");
  EXPECT_EQ(error({"--room-max=3"}),
            "unknown flag --room-max, did you mean --rooms-max?");
  EXPECT_EQ(error({"--versoin"}),
            "unknown flag --versoin, did you mean --version?");
  EXPECT_EQ(error({"--nothing-like-it"}), "unknown flag --nothing-like-it");
  EXPECT_EQ(error({"-x"}), "unknown flag -x");
}

TEST_F(CommandLineTest, AStrayWordIsRefused) {
  EXPECT_EQ(error({"--port", "1", "2"}), "unexpected word '2'");
}

TEST_F(CommandLineTest, HelpAndVersionComeBeforeMistakes) {
  for (auto flag : {"-h", "--help"}) {
    auto line = run({"--wrong", flag});
    ASSERT_TRUE(line);
    EXPECT_TRUE(line->help);
  }
  for (auto flag : {"-V", "--version"}) {
    auto line = run({flag});
    ASSERT_TRUE(line);
    EXPECT_TRUE(line->version);
  }
}

// -- environment ------------------------------------------------------------------

TEST_F(CommandLineTest, AVariableCountsWhereTheFlagIsMissing) {
  auto line = run({"--port", "1"},
                  {"GREENROOM_PORT=2", "GREENROOM_ROOMS_MAX=3", "PATH=/bin"});
  ASSERT_TRUE(line);
  EXPECT_THAT(port, ElementsAre("1"));
  EXPECT_THAT(rooms_max, ElementsAre("3"));
  EXPECT_EQ(line->given.at("port"), "--port");
  EXPECT_EQ(line->given.at("rooms-max"), "GREENROOM_ROOMS_MAX");
}

TEST_F(CommandLineTest, AVariableHoldsSeveralValuesBetweenSemicolons) {
  ASSERT_TRUE(run({}, {"GREENROOM_ORIGIN=a;b c;d=e"}));
  EXPECT_THAT(origin, ElementsAre("a", "b c", "d=e"));
}

TEST_F(CommandLineTest, AFlagReplacesTheWholeListOfItsVariable) {
  ASSERT_TRUE(run({"--origin", "x"}, {"GREENROOM_ORIGIN=a;b"}));
  EXPECT_THAT(origin, ElementsAre("x"));
}

TEST_F(CommandLineTest, AnEmptyVariableIsAbsent) {
  auto line = run({}, {"GREENROOM_PORT=", "GREENROOM_TYPO="});
  ASSERT_TRUE(line);
  EXPECT_TRUE(line->given.empty());
}

TEST_F(CommandLineTest, ABadValueIsToldWithItsVariable) {
  EXPECT_EQ(error({}, {"GREENROOM_PORT=bad"}), "GREENROOM_PORT=bad: is bad");
}

TEST_F(CommandLineTest, AnUnknownVariableGetsASuggestion) {
  EXPECT_EQ(error({}, {"GREENROOM_PROT=1"}),
            "unknown variable GREENROOM_PROT, did you mean GREENROOM_PORT?");
  EXPECT_TRUE(run({}, {"GREENROOM_PROT=1"}, strangers::ignore));
}

TEST_F(CommandLineTest, WhatKubernetesTellsOfAServiceIsNotASetting) {
  auto line =
    run({}, {"GREENROOM_PORT=tcp://10.0.0.1:8000",
             "GREENROOM_SERVICE_HOST=10.0.0.1", "GREENROOM_SERVICE_PORT=8000",
             "GREENROOM_SERVICE_PORT_WS=8000",
             "GREENROOM_PORT_8000_TCP=tcp://10.0.0.1:8000",
             "GREENROOM_PORT_8000_TCP_ADDR=10.0.0.1"});
  ASSERT_TRUE(line) << line.error().detail;
  EXPECT_TRUE(line->given.empty());
}

TEST_F(CommandLineTest, AFlagOfASubcommandHasNoVariable) {
  rows[0].flag_only = true;
  auto line = run({}, {"GREENROOM_PORT=1"}, strangers::ignore);
  ASSERT_TRUE(line);
  EXPECT_TRUE(port.empty());
  EXPECT_EQ(error({}, {"GREENROOM_PORT=1"}), "unknown variable GREENROOM_PORT");
}

// -- words ------------------------------------------------------------------------

TEST_F(CommandLineTest, TheNearestWordIsNear) {
  std::vector<std::string> words{"echo", "members", "overflow", "raw"};
  EXPECT_EQ(nearest("ehco", words), "echo");
  EXPECT_EQ(nearest("member", words), "members");
  EXPECT_EQ(nearest("overflo", words), "overflow");
  EXPECT_EQ(nearest("xyz", words), "");
  EXPECT_EQ(nearest("", words), "");
  EXPECT_EQ(nearest("raw", {}), "");
}

// -- help -------------------------------------------------------------------------

TEST_F(CommandLineTest, HelpNamesFlagDefaultVariableAndText) {
  auto help = help_of(rows);
  EXPECT_THAT(help, HasSubstr("\nGroup\n"));
  EXPECT_THAT(help, HasSubstr("  --rooms-max X   1  GREENROOM_ROOMS_MAX\n"
                              "      What rooms-max does.\n"));
  EXPECT_THAT(help, HasSubstr("  --origin X ...  1  GREENROOM_ORIGIN\n"));
}

TEST_F(CommandLineTest, LongTextsAreWrapped) {
  std::string text;
  for (int i = 0; i < 100; ++i)
    text += "word ";
  std::istringstream lines{wrap(text, 6)};
  std::string all;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 80u);
    EXPECT_EQ(line.substr(0, 7), "      w");
    all += line.substr(6) + ' ';
  }
  EXPECT_EQ(all, text);
}

TEST_F(CommandLineTest, MarkdownEscapesWhatWouldEndACell) {
  rows[0].placeholder = "a|b";
  EXPECT_THAT(markdown_of(rows),
              HasSubstr("| `--port a\\|b` | `GREENROOM_PORT` | 1 | What port "
                        "does. |\n"));
}
