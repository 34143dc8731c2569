#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "actors/inspection_desk.hpp"
#include "test/support/actor_fixture.hpp"

namespace greenroom::test {

/// Asks the inside of a broker that is stepped by hand.
class InspectionTest : public ActorTest {
protected:
  /// Asks and does not run: the answer appears in `*result` when it is there.
  std::shared_ptr<std::optional<inspect_page>> ask(inspect_query what) {
    auto result = std::make_shared<std::optional<inspect_page>>();
    port.look(std::move(what), [result](inspect_page page) {
      EXPECT_FALSE(result->has_value()) << "answered twice";
      *result = std::move(page);
    });
    return result;
  }

  inspect_page look(inspect_query what) {
    auto result = ask(std::move(what));
    run();
    if (!*result)
      advance(2 * env.inspection.sample_every);
    EXPECT_TRUE(result->has_value()) << "no answer";
    return result->value_or(inspect_page{});
  }

  template <class Row>
  std::vector<Row> rows(inspect_query what) {
    auto page = look(std::move(what));
    EXPECT_EQ(page.why, errc::none);
    auto* found = std::get_if<std::vector<Row>>(&page.rows);
    return found != nullptr ? *found : std::vector<Row>{};
  }

  std::vector<actor_row> actors(inspect_query what = {}) {
    what.what = view::actors;
    return rows<actor_row>(std::move(what));
  }

  std::vector<room_row> rooms(inspect_query what = {}) {
    what.what = view::rooms;
    return rows<room_row>(std::move(what));
  }

  std::vector<connection_row> connections(inspect_query what = {}) {
    what.what = view::connections;
    return rows<connection_row>(std::move(what));
  }

  std::vector<edge_row> edges(inspect_query what = {}) {
    what.what = view::edges;
    return rows<edge_row>(std::move(what));
  }

  std::vector<closed_row> closed(inspect_query what = {}) {
    what.what = view::closed;
    return rows<closed_row>(std::move(what));
  }

  overview glance() {
    auto found = rows<overview>({});
    EXPECT_EQ(found.size(), 1u);
    return found.empty() ? overview{} : found.front();
  }

  /// Ends an actor of a kind by an exception, and lets everybody deal with it.
  void crash_one(actor_kind kind) {
    bool done = false;
    at(0).each_actor([&](const actor& x) {
      if (x.kind() == kind && !std::exchange(done, true))
        tell(caf::actor_cast<caf::actor>(x.address()), sabotage{});
    });
    run();
  }

  inspection_desk port{env};
};

} // namespace greenroom::test
