#include "test/support/actor_fixture.hpp"

#include <gmock/gmock.h>

namespace greenroom::test {

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class RoomTest : public ActorTest {};

TEST_F(RoomTest, EveryMemberGetsAPublicationAndSoDoesItsSender) {
  start();
  auto ann = connect();
  auto bob = connect();
  ann->emit("hello");
  run();
  EXPECT_THAT(ann->got, ElementsAre("hello"));
  EXPECT_THAT(bob->got, ElementsAre("hello"));
}

TEST_F(RoomTest, AMemberWithoutEchoGetsEverythingButItsOwn) {
  start();
  auto ann = connect("lobby", {.echo = false});
  auto bob = connect();
  ann->emit("mine");
  bob->emit("yours");
  run();
  EXPECT_THAT(ann->got, ElementsAre("yours"));
  EXPECT_EQ(bob->got.size(), 2u);
}

} // namespace

} // namespace greenroom::test
