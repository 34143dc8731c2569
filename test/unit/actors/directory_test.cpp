#include "actors/directory.hpp"

#include <gmock/gmock.h>

#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

namespace {

class DirectoryTest : public ActorTest {
protected:
  void SetUp() override { start({}); }

  void TearDown() override {
    for (auto& who : people)
      for (auto* x : {&who->reader, &who->writer}) {
        tell(*x, caf::exit_msg{{}, caf::exit_reason::kill});
        *x = nullptr;
      }
    run();
    ActorTest::TearDown();
  }

  member_ptr person(client_id id) {
    auto who = std::make_shared<member>();
    who->id = id;
    who->reader = spawn_puppet(0, {});
    who->writer = spawn_puppet(0, {});
    people.push_back(who);
    return who;
  }

  directory aut;
  std::vector<member_ptr> people;
};

TEST_F(DirectoryTest, AClientIsFoundByItsIdAndByItsActors) {
  auto ann = person(1);
  auto bob = person(2);
  auto& entry = aut.add_client(ann);
  aut.add_client(bob);
  EXPECT_EQ(aut.client(1), &entry);
  EXPECT_EQ(aut.client(1)->who, ann);
  EXPECT_EQ(aut.client(3), nullptr);
  EXPECT_EQ(aut.owner_of(ann->reader->id()), 1u);
  EXPECT_EQ(aut.owner_of(ann->writer->id()), 1u);
  EXPECT_EQ(aut.owner_of(bob->writer->id()), 2u);
  EXPECT_EQ(aut.owner_of(0), 0u);
  aut.forget_actor(ann->reader->id());
  EXPECT_EQ(aut.owner_of(ann->reader->id()), 0u);
  aut.erase_client(1);
  EXPECT_EQ(aut.client(1), nullptr);
}

TEST_F(DirectoryTest, EntriesStayWhereTheyAre) {
  auto* first = &aut.add_room("room0");
  for (int i = 1; i < 1000; ++i)
    aut.add_room("room" + std::to_string(i));
  EXPECT_EQ(aut.room("room0"), first);
  EXPECT_EQ(first->name, "room0");
  aut.erase_room("room500");
  EXPECT_EQ(aut.room("room500"), nullptr);
  EXPECT_EQ(aut.rooms().size(), 999u);
}

TEST_F(DirectoryTest, AClientIsOverWhenTheLastOfItIsGone) {
  client_entry x;
  EXPECT_FALSE(x.ending());
  x.reader_down = true;
  EXPECT_TRUE(x.ending());
  EXPECT_FALSE(x.over());
  x.writer_down = true;
  EXPECT_FALSE(x.over());
  x.socket_gone = true;
  EXPECT_TRUE(x.over());
}

} // namespace

} // namespace greenroom::test
