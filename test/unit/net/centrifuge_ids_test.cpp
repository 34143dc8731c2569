#include "net/protocols/centrifuge_ids.hpp"

#include "test/support/centrifuge_rig.hpp"

#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

using namespace greenroom;
using namespace greenroom::net;
using namespace greenroom::test;
using namespace std::string_literals;

// -- §3 the client's name -----------------------------------------------------

TEST(CentrifugeIdsTest, ANameIsAUuidAndFindsItsConnection) {
  std::set<std::string> names;
  std::mt19937_64 random{1};
  for (int i = 0; i < 1000; ++i) {
    auto id = i < 500 ? static_cast<client_id>(i) : random();
    auto name = name_of(id);
    EXPECT_TRUE(names.insert(name).second);
    EXPECT_EQ(name[14], '4') << name; // RFC 9562 §5.4
    EXPECT_NE("89ab"s.find(name[19]), std::string::npos) << name;
    EXPECT_EQ(name.find_first_not_of("0123456789abcdef-"), std::string::npos);
    EXPECT_EQ(ids().find(name), id);
    EXPECT_EQ(name_of(id), name); // the same every time
  }
}

TEST(CentrifugeIdsTest, NobodyGuessesAName) {
  auto name = name_of(7);
  for (std::size_t i = 0; i < name.size(); ++i) {
    auto other = name;
    other[i] = other[i] == '0' ? '1' : '0';
    EXPECT_EQ(ids().find(other), std::nullopt) << other;
  }
  EXPECT_EQ(ids().find(""), std::nullopt);
  EXPECT_EQ(ids().find(name + "0"), std::nullopt);
  EXPECT_EQ(ids().find(std::string(36, '\xff')), std::nullopt);
  const centrifuge_ids others{{4, 5, 6}};
  EXPECT_EQ(others.find(name), std::nullopt);
  EXPECT_EQ(centrifuge_ids::of_this_process().find(name), std::nullopt);
}
