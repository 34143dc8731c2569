// Negotiation of permessage-deflate: RFC 7692 §5 and §7, RFC 6455 §9.1. Tests are
// named after the sections.

#include "net/deflate_offer.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

using namespace greenroom::net;

namespace {

constexpr std::string_view agreed =
  "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

class DeflateOfferTest : public testing::Test {
protected:
  /// @returns the answer; empty if the extension is not used
  std::string answer_all(const std::vector<std::string_view>& fields) {
    terms = agree_on_deflate(fields, ours);
    return terms ? terms->answer : std::string{};
  }

  std::string answer(std::string_view field) { return answer_all({field}); }

  /// @param parameters with their leading semicolon
  std::string offer(std::string_view parameters) {
    return answer("permessage-deflate" + std::string{parameters});
  }

  /// What the answer says beyond the parameters it always has.
  std::string extra(std::string_view parameters) {
    auto text = offer(parameters);
    if (!text.starts_with(agreed))
      return "not " + text;
    return text.substr(agreed.size());
  }

  deflate_options ours;
  std::optional<deflate_terms> terms;
};

// -- the field (RFC 6455 §9.1) --------------------------------------------------------

TEST_F(DeflateOfferTest, NothingOfferedIsNothingAgreed) {
  EXPECT_EQ(answer_all({}), "");
  EXPECT_EQ(answer(""), "");
  EXPECT_EQ(answer("  "), "");
  EXPECT_EQ(answer(", ,"), "");
}

TEST_F(DeflateOfferTest, S91_OtherExtensionsAreIgnored) {
  EXPECT_EQ(answer("x-webkit-deflate-frame"), "");
  EXPECT_EQ(answer("permessage-bzip2; level=9"), "");
  EXPECT_EQ(answer("permessage-bzip2; level=9; x, permessage-deflate"), agreed);
  EXPECT_EQ(answer("permessage-deflate, mux; max=4"), agreed);
}

TEST_F(DeflateOfferTest, S91_FieldsFormOneList) {
  EXPECT_EQ(answer_all({"mux", "permessage-deflate"}), agreed);
  EXPECT_EQ(answer_all({"mux; x=1", "", "permessage-deflate"}), agreed);
}

TEST_F(DeflateOfferTest, S91_BlanksMayStandAroundMarks) {
  EXPECT_EQ(answer(" ,permessage-deflate\t;\tclient_max_window_bits = 10 , "),
            std::string{agreed} + "; client_max_window_bits=10");
  EXPECT_EQ(answer("permessage-deflate;client_max_window_bits=10,x;y"),
            std::string{agreed} + "; client_max_window_bits=10");
}

TEST_F(DeflateOfferTest, S91_AValueMayBeQuoted) {
  EXPECT_EQ(extra("; client_max_window_bits=\"10\""),
            "; client_max_window_bits=10");
  EXPECT_EQ(extra("; client_max_window_bits=\"1\\0\""),
            "; client_max_window_bits=10");
}

TEST_F(DeflateOfferTest, S91_AMalformedFieldIsDeclinedAsAWhole) {
  for (auto field : {
         "permessage-deflate;",
         "permessage-deflate; ;",
         "permessage-deflate; =10",
         "permessage-deflate; client_max_window_bits=",
         "permessage-deflate; client_max_window_bits=\"10",
         "permessage-deflate; client_max_window_bits=\"\"",
         "permessage-deflate; client_max_window_bits=\"1 0\"",
         "permessage-deflate; client_max_window_bits=10 9",
         "permessage-deflate client_max_window_bits",
         "permessage-deflate; client_max_window_bits==10",
         "permessage-deflate, (",
         "permessage-deflate, mux;",
         "@, permessage-deflate",
         "=, permessage-deflate",
         "permessage-deflate, x=1",
         "permessage-deflate; x=\"\\",
       })
    EXPECT_EQ(answer(field), "") << field;
  EXPECT_EQ(answer_all({"permessage-deflate", "mux;"}), "");
}

// -- offers (RFC 7692 §5.1, §7.1) -------------------------------------------------------

TEST_F(DeflateOfferTest, S71_ABareOfferIsAccepted) {
  EXPECT_EQ(offer(""), agreed);
  EXPECT_EQ(terms->server_window_bits, 15);
  EXPECT_EQ(terms->client_window_bits, 15);
  EXPECT_FALSE(terms->client_context);
}

TEST_F(DeflateOfferTest, S71_WhatBrowsersOfferIsAccepted) {
  EXPECT_EQ(extra("; client_max_window_bits"), "; client_max_window_bits=11");
  EXPECT_EQ(offer(""), agreed);
}

TEST_F(DeflateOfferTest, S71_AnUnknownParameterIsDeclined) {
  EXPECT_EQ(offer("; level=9"), "");
  EXPECT_EQ(offer("; client_max_window_bits; x"), "");
  EXPECT_EQ(offer("; Client_No_Context_Takeover"), "");
}

TEST_F(DeflateOfferTest, S71_AParameterGivenTwiceIsDeclined) {
  for (std::string x :
       {"; server_no_context_takeover", "; client_no_context_takeover",
        "; server_max_window_bits=15", "; client_max_window_bits",
        "; client_max_window_bits=10"}) {
    EXPECT_NE(offer(x), "") << x;
    EXPECT_EQ(offer(x + x), "") << x;
  }
  EXPECT_EQ(offer("; client_max_window_bits; client_max_window_bits=10"), "");
}

TEST_F(DeflateOfferTest, S51_TheFirstOfferThatCanBeHonouredCounts) {
  EXPECT_EQ(answer("permessage-deflate; server_max_window_bits=8, "
                   "permessage-deflate; client_max_window_bits=9, "
                   "permessage-deflate"),
            std::string{agreed} + "; client_max_window_bits=9");
  EXPECT_EQ(answer("permessage-deflate; level=9, permessage-deflate"), agreed);
  EXPECT_EQ(
    answer("permessage-deflate, permessage-deflate; client_max_window_bits"),
    agreed);
}

// -- context takeover (§7.1.1) ------------------------------------------------------------

TEST_F(DeflateOfferTest, S7111_TheServerNeverTakesItsContextOver) {
  EXPECT_EQ(offer("; server_no_context_takeover"), agreed);
  EXPECT_EQ(offer(""), agreed);
  EXPECT_EQ(offer("; server_no_context_takeover=1"), "");
  EXPECT_EQ(offer("; server_no_context_takeover=\"x\""), "");
}

TEST_F(DeflateOfferTest, S7112_TheClientMayOnlyWhereWeAllowIt) {
  constexpr std::string_view kept =
    "permessage-deflate; server_no_context_takeover";
  EXPECT_EQ(offer("; client_no_context_takeover"), agreed);
  EXPECT_FALSE(terms->client_context);
  ours.client_context = true;
  EXPECT_EQ(offer(""), kept);
  EXPECT_TRUE(terms->client_context);
  // It says that it will not, so nothing has to be kept for it.
  EXPECT_EQ(offer("; client_no_context_takeover"), agreed);
  EXPECT_FALSE(terms->client_context);
  EXPECT_EQ(offer("; client_no_context_takeover=0"), "");
}

// -- windows (§7.1.2) -----------------------------------------------------------------------

TEST_F(DeflateOfferTest, S712_BitsAreANumberFrom8To15WithoutLeadingZeros) {
  for (std::string value : {"0", "1", "7", "08", "09", "16", "20", "99", "010",
                            "015", "100", "+9", "9x", "x", "-9", "1.5"}) {
    EXPECT_EQ(offer("; server_max_window_bits=" + value), "") << value;
    EXPECT_EQ(offer("; client_max_window_bits=" + value), "") << value;
  }
}

TEST_F(DeflateOfferTest, S7121_TheServersWindowNeedsAValue) {
  EXPECT_EQ(offer("; server_max_window_bits"), "");
}

TEST_F(DeflateOfferTest, S7121_ALimitOnTheServersWindowIsKept) {
  EXPECT_EQ(extra("; server_max_window_bits=15"),
            "; server_max_window_bits=15");
  EXPECT_EQ(terms->server_window_bits, 15);
  // One small window for all who accept less than ours.
  for (std::string bits : {"9", "10", "14"}) {
    EXPECT_EQ(extra("; server_max_window_bits=" + bits),
              "; server_max_window_bits=9");
    EXPECT_EQ(terms->server_window_bits, 9);
  }
}

TEST_F(DeflateOfferTest, S7121_AWindowThatZlibCannotKeepIsDeclined) {
  EXPECT_EQ(offer("; server_max_window_bits=8"), "");
}

TEST_F(DeflateOfferTest, S7121_ASmallerWindowOfOursIsAnnounced) {
  ours.window_bits = 12;
  EXPECT_EQ(extra(""), "; server_max_window_bits=12");
  EXPECT_EQ(extra("; server_max_window_bits=15"),
            "; server_max_window_bits=12");
  EXPECT_EQ(extra("; server_max_window_bits=12"),
            "; server_max_window_bits=12");
  EXPECT_EQ(extra("; server_max_window_bits=11"), "; server_max_window_bits=9");
}

TEST_F(DeflateOfferTest, S7122_TheClientsWindowIsAskedForOnlyWhereOffered) {
  EXPECT_EQ(extra(""), "");
  EXPECT_EQ(terms->client_window_bits, 15);
  EXPECT_EQ(extra("; client_max_window_bits"), "; client_max_window_bits=11");
  EXPECT_EQ(terms->client_window_bits, 11);
  ours.client_window_bits = 15;
  EXPECT_EQ(extra("; client_max_window_bits"), "");
  EXPECT_EQ(terms->client_window_bits, 15);
}

TEST_F(DeflateOfferTest, S7122_TheSmallerOfBothWindowsIsTaken) {
  EXPECT_EQ(extra("; client_max_window_bits=15"),
            "; client_max_window_bits=11");
  EXPECT_EQ(extra("; client_max_window_bits=11"),
            "; client_max_window_bits=11");
  EXPECT_EQ(extra("; client_max_window_bits=8"), "; client_max_window_bits=8");
  EXPECT_EQ(terms->client_window_bits, 8);
}

TEST_F(DeflateOfferTest, S7122_ClientsThatOfferNoWindowMayBeDeclined) {
  ours.require_client_window = true;
  EXPECT_EQ(offer(""), "");
  EXPECT_EQ(offer("; client_no_context_takeover"), "");
  EXPECT_NE(offer("; client_max_window_bits"), "");
  EXPECT_NE(offer("; client_max_window_bits=15"), "");
  EXPECT_EQ(answer("permessage-deflate, permessage-deflate; "
                   "client_max_window_bits=10"),
            std::string{agreed} + "; client_max_window_bits=10");
}

TEST_F(DeflateOfferTest, S713_EverythingAtOnce) {
  EXPECT_EQ(offer("; client_max_window_bits=9; server_max_window_bits=10; "
                  "client_no_context_takeover; server_no_context_takeover"),
            std::string{agreed}
              + "; server_max_window_bits=9; client_max_window_bits=9");
}

} // namespace
