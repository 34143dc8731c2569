#include "actors/errc.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "actors/ports.hpp"
#include "actors/runtime/reason.hpp"

#include <caf/exit_reason.hpp>

namespace greenroom::test {

namespace {

TEST(ErrcTest, EveryReasonHasANameOfItsOwnThatFitsACloseFrame) {
  std::set<std::string_view> names;
  for (auto& row : errc_table()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_LE(row.name.size(), 123u);
    EXPECT_EQ(row.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_8"),
              std::string_view::npos)
      << row.name;
  }
}

TEST(ErrcTest, CloseCodesAreOnesAnEndpointMaySend) {
  // RFC 6455 §7.4.1; 1006 is never sent and stands for a silent end.
  for (auto& row : errc_table()) {
    auto code = row.close_code;
    bool known = code == 1006 || (code >= 1000 && code <= 1003)
                 || (code >= 1007 && code <= 1013);
    EXPECT_TRUE(known) << row.name << ' ' << code;
    EXPECT_EQ(code == 1006, row.code == errc::peer_gone);
  }
}

TEST(ErrcTest, EveryRefusalHasAStatusOfAnError) {
  for (auto& row : errc_table())
    if (row.code != errc::none) {
      EXPECT_GE(row.http, 400u) << row.name;
      EXPECT_LT(row.http, 600u) << row.name;
    }
}

TEST(ErrcTest, AReasonOutsideTheTableIsAFault) {
  EXPECT_EQ(describe(static_cast<errc>(250)).code, errc::fault);
}

TEST(ReasonTest, AReasonSurvivesTheWayThroughCaf) {
  for (auto& row : errc_table())
    EXPECT_EQ(reason(make_reason(row.code)), row.code) << row.name;
}

TEST(ReasonTest, ReasonsOfOthersAreTranslated) {
  EXPECT_EQ(reason({}), errc::none);
  EXPECT_EQ(reason(caf::exit_reason::normal), errc::none);
  EXPECT_EQ(reason(caf::exit_reason::unreachable), errc::none);
  EXPECT_EQ(reason(caf::exit_reason::kill), errc::kicked);
  EXPECT_EQ(reason(caf::exit_reason::user_shutdown), errc::kicked);
  EXPECT_EQ(reason(caf::exit_reason::out_of_workers), errc::fault);
}

TEST(ReasonTest, AnOrdinaryEndIsNoError) {
  EXPECT_FALSE(make_reason(errc::none));
  EXPECT_TRUE(make_reason(errc::peer_closed));
}

} // namespace

} // namespace greenroom::test
