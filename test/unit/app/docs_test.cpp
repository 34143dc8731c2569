// The documents say what the code does.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "actors/errc.hpp"
#include "actors/runtime/lifecycle.hpp"
#include "app/config.hpp"
#include "net/api/inspect_query.hpp"
#include "net/api/metrics_text.hpp"
#include "net/routes.hpp"

using namespace greenroom;
using testing::HasSubstr;
using testing::Not;

namespace {

const std::filesystem::path root = GREENROOM_SOURCE_DIR;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream in{path};
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// What stands between `<!-- name...-->` and `<!-- /name -->`.
std::string between(const std::string& text, const std::string& name) {
  auto begin = text.find("<!-- " + name);
  auto end = text.find("<!-- /" + name + " -->");
  if (begin == std::string::npos || end == std::string::npos)
    return {};
  begin = text.find("-->\n", begin) + 4;
  return text.substr(begin, end - begin);
}

/// The first cells of all rows of tables, without code marks.
std::vector<std::string> first_cells(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `"))
      continue;
    auto cell = line.substr(2, line.find(" | ", 2) - 2);
    std::erase(cell, '`');
    result.push_back(cell);
  }
  return result;
}

/// Names in the first cells of a chapter, where a cell may hold several.
std::set<std::string> names_under(const std::string& text,
                                  const std::string& heading) {
  auto begin = text.find("\n" + heading + "\n");
  EXPECT_NE(begin, std::string::npos) << heading;
  auto end = text.find("\n## ", begin + 1);
  std::set<std::string> result;
  for (auto& cell : first_cells(text.substr(begin, end - begin))) {
    std::istringstream names{cell};
    for (std::string name; std::getline(names, name, ',');) {
      name.erase(0, name.find_first_not_of(' '));
      result.insert(name);
    }
  }
  return result;
}

std::string help_of_binary(const std::string& arguments) {
  auto* pipe =
    popen((std::string{GREENROOM_BINARY} + " " + arguments).c_str(), "r");
  std::string result;
  char buffer[4096];
  while (auto n = fread(buffer, 1, sizeof(buffer), pipe))
    result.append(buffer, n);
  EXPECT_EQ(pclose(pipe), 0);
  return result;
}

} // namespace

TEST(DocsTest, TheTablesOfFlagsAreThoseOfTheCode) {
  EXPECT_EQ(between(text_of(root / "app/README.md"), "flags"),
            "\n" + flags_markdown() + "\n");
}

TEST(DocsTest, HelpShowsEveryFlagWithDefaultAndVariable) {
  auto help = help_of_binary("--help");
  auto rows = first_cells(flags_markdown());
  EXPECT_GT(rows.size(), 50u);
  std::regex row{R"(\| `([^`]*)` \| `([^`]*)` \| ([^|]*) \|)"};
  auto markdown =
    std::regex_replace(flags_markdown(), std::regex{R"(\\\|)"}, "/");
  std::size_t n = 0;
  for (std::sregex_iterator i{markdown.begin(), markdown.end(), row}, end;
       i != end; ++i, ++n) {
    auto flag = std::regex_replace((*i)[1].str(), std::regex{"/"}, "|");
    auto line = help.find("  " + flag + " ");
    ASSERT_NE(line, std::string::npos) << flag;
    auto text = help.substr(line, help.find('\n', line) - line);
    EXPECT_THAT(text, HasSubstr(" " + (*i)[3].str() + " "));
    EXPECT_TRUE(text.ends_with(" " + (*i)[2].str())) << text;
  }
  EXPECT_EQ(n, rows.size());
  EXPECT_EQ(help_of_binary("-h"), help);
  EXPECT_EQ(help_of_binary("serve --help"), help);
}

TEST(DocsTest, HelpFitsATerminal) {
  for (auto command : {"--help", "health --help", "top --help"}) {
    std::istringstream lines{help_of_binary(command)};
    for (std::string line; std::getline(lines, line);)
      EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(DocsTest, EveryCommandIsExplained) {
  auto help = help_of_binary("--help");
  auto begin = help.find("\nCommands\n");
  auto end = help.find("\n\n", begin + 1);
  auto page = text_of(root / "app/README.md");
  std::regex command{R"(\n  greenroom (\w+) )"};
  auto list = help.substr(begin, end - begin);
  std::size_t n = 0;
  for (std::sregex_iterator i{list.begin(), list.end(), command}, none;
       i != none; ++i, ++n) {
    auto name = (*i)[1].str();
    std::regex row{"\\n\\| `greenroom \\[?" + name + "[^a-z]"};
    EXPECT_TRUE(std::regex_search(page, row)) << "app/README.md: " << name;
    EXPECT_THAT(help_of_binary(name + " --help"), Not(testing::IsEmpty()));
  }
  EXPECT_GE(n, 3u);
}

TEST(DocsTest, TheTableOfCloseCodesIsThatOfTheCode) {
  auto table = between(text_of(root / "app/README.md"), "codes");
  std::istringstream lines{table};
  std::vector<std::string> rows;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("| `"))
      rows.push_back(line);
  std::size_t i = 0;
  for (const auto& x : errc_table()) {
    if (x.code == errc::none)
      continue;
    auto row = fmt::format("| `{}` | {} | {} | {} | ", x.name, x.close_code,
                           x.http, to_string(x.loudness));
    ASSERT_LT(i, rows.size()) << row;
    EXPECT_TRUE(rows[i].starts_with(row)) << rows[i] << "\nexpected\n" << row;
    EXPECT_GT(rows[i].size(), row.size() + 4) << "no meaning: " << row;
    ++i;
  }
  EXPECT_EQ(i, rows.size());
}

TEST(DocsTest, ThePageKnowsWhyAConnectionEnds) {
  auto page = text_of(root / "app/web/inspect/reasons.js");
  std::set<std::string> told;
  std::regex key{R"(\n  (\w+): ')"};
  for (std::sregex_iterator i{page.begin(), page.end(), key}, end; i != end;
       ++i)
    told.insert((*i)[1]);
  // What ends a connection comes first; what refuses one begins behind
  // `out_of_step`.
  std::set<std::string> ends;
  for (const auto& x : errc_table())
    if (x.code != errc::none && x.code <= errc::out_of_step)
      ends.emplace(x.name);
  EXPECT_EQ(told, ends);
}

TEST(DocsTest, EveryLogMessageIsExplained) {
  std::set<std::string> written;
  // Where a dead connection had come to is remembered, and not logged.
  for (int i = 0; i < 256; ++i)
    if (auto name = to_string(static_cast<happening>(i));
        name != "unknown" && i != static_cast<int>(happening::seat_over))
      written.emplace(name);
  std::regex record{R"(log_record\{[^"}]*"([a-z_]+)\")"};
  for (auto folder : {"actors", "net", "app"})
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator{root / folder}) {
      if (entry.path().extension() != ".cpp")
        continue;
      auto text = text_of(entry.path());
      for (std::sregex_iterator i{text.begin(), text.end(), record}, end;
           i != end; ++i)
        written.insert((*i)[1]);
    }
  EXPECT_GT(written.size(), 20u);
  EXPECT_EQ(names_under(text_of(root / "app/README.md"), "## Log"), written);
}

TEST(DocsTest, TheTableOfMetricsIsThatOfTheCode) {
  EXPECT_EQ(between(text_of(root / "app/README.md"), "metrics"),
            "\n" + net::metrics_markdown() + "\n");
}

TEST(DocsTest, EveryCounterIsAMetric) {
  auto text = text_of(root / "actors/metrics.hpp");
  auto written = text_of(root / "net/api/metrics_text.cpp");
  std::regex field{
    R"((?:^|\n)  (?:errc_counters|policy_counters|counter) ([a-z_]+);)"};
  std::size_t n = 0;
  for (std::sregex_iterator i{text.begin(), text.end(), field}, end; i != end;
       ++i, ++n) {
    auto name = (*i)[1].str();
    if (name == "dropped")
      continue; // the sum of dropped_by
    EXPECT_TRUE(written.find("&metrics::" + name + "}") != std::string::npos
                || written.find("counts_." + name + ",") != std::string::npos)
      << name;
  }
  EXPECT_GT(n, 20u);
}

TEST(DocsTest, TheInspectionApiKnowsAllKindsOfActors) {
  std::vector<std::string_view> all;
  for (std::size_t i = 0; i < static_cast<std::size_t>(actor_kind::last_); ++i)
    all.push_back(to_string(static_cast<actor_kind>(i)));
  auto known = net::actor_kinds();
  EXPECT_EQ(std::vector<std::string_view>(known.begin(), known.end()), all);
}

TEST(DocsTest, TheInspectionApiIsDocumented) {
  auto page = text_of(root / "net/api/README.md");
  for (auto& x : net::inspect_routes())
    if (x.needs != net::right::page) {
      EXPECT_THAT(page, HasSubstr("`" + std::string{x.path} + "`"));
    }
}

TEST(DocsTest, LinksOfTheFrontPageLeadSomewhere) {
  auto text = text_of(root / "README.md");
  std::regex link{R"(\]\(([^)#:]+)\))"};
  for (std::sregex_iterator i{text.begin(), text.end(), link}, end; i != end;
       ++i)
    EXPECT_TRUE(std::filesystem::exists(root / (*i)[1].str())) << (*i)[1];
}
