#include "actors/writer.hpp"

#include <gmock/gmock.h>

#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class WriterTest : public ActorTest {
protected:
  void SetUp() override {
    start({});
    socket = std::make_shared<fake_socket>(loop(0));
    socket->accept();
    who = std::make_shared<member>();
    who->id = 7;
    who->flow = socket->flow;
    aut = spawn_on<writer>(at(0), who, socket);
    run();
  }

  void TearDown() override {
    tell(aut, caf::exit_msg{{}, caf::exit_reason::kill});
    aut = nullptr;
    run();
    EXPECT_EQ(socket.use_count(), 1);
    EXPECT_EQ(who.use_count(), 1);
    EXPECT_EQ(socket->flow->queued(), 0u);
    socket.reset();
    ActorTest::TearDown();
  }

  void send(std::vector<std::string> frames) {
    auto x = make_wire(frames);
    socket->flow->add(x->size());
    tell(aut, deliver{std::move(x)});
  }

  socket_ptr socket;
  member_ptr who;
  caf::actor aut;
};

TEST_F(WriterTest, WhatATurnBringsIsAppendedInOrder) {
  send({"a", "b"});
  send({"c"});
  EXPECT_THAT(socket->got, IsEmpty());
  run_one_turn(0);
  EXPECT_THAT(socket->got, ElementsAre("a", "b", "c"));
}

TEST_F(WriterTest, TrimmingDropsTheOldestAndCountsFrames) {
  socket->stuck = true;
  send({"a", "b"}); // 4 bytes
  send({"c"});
  send({"d"});
  tell(aut, trim{4});
  run();
  EXPECT_EQ(counts.dropped.get(), 2);
  EXPECT_EQ(who->gaps.load(), 2u);
  EXPECT_EQ(socket->bytes_waiting(), 4u);
  socket->stuck = false;
  send({"e"});
  run();
  EXPECT_THAT(socket->got, ElementsAre("c", "d", "e"));
}

TEST_F(WriterTest, WhatItCannotSendAnyMoreIsGivenBackAndCounted) {
  send({"a"});
  tell(aut, caf::exit_msg{{}, caf::exit_reason::kill});
  send({"b", "c"});
  run();
  EXPECT_THAT(socket->got, ElementsAre("a"));
  send({"d"});
  EXPECT_EQ(socket->flow->queued(), 0u);
  EXPECT_EQ(counts.discarded.get(), 3);
}

} // namespace

} // namespace greenroom::test
