#include "test/support/traffic.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

namespace greenroom::test {

namespace {

std::size_t publisher_in(std::string_view payload) {
  std::size_t result = ~std::size_t{0};
  if (payload.size() >= verifier::header_size)
    std::from_chars(payload.data(), payload.data() + 4, result, 16);
  return result;
}

} // namespace

traffic::traffic(swarm_options options)
  : clients_(std::move(options),
             [this](swarm::index client, opcode op, std::string_view payload) {
               received(client, op, payload);
             }) {
  clients_.call([this](swarm& x) { swarm_ = &x; });
}

// -- who there is ----------------------------------------------------------------

std::size_t traffic::add(const load& what) {
  return clients_.call([&](swarm&) {
    auto& where = rooms_.emplace_back(what);
    where.checks.add_room();
    for (std::size_t i = 0; i < what.members; ++i)
      add_member(where, i < what.publishers, false);
    for (std::size_t i = 0; i < what.silent_publishers; ++i)
      add_member(where, true, true);
    return rooms_.size() - 1;
  });
}

std::size_t traffic::add_member(room_state& where, bool publishes,
                                bool silent) {
  auto index = where.members.size();
  auto& who = where.members.emplace_back();
  who.silent = silent;
  if (publishes) {
    who.publisher = where.checks.add_publisher(0);
    where.owner_of_publisher.push_back(index);
  }
  return index;
}

std::string traffic::path_of(const room_state& where, bool silent) const {
  return fmt::format("/room/{}{}", where.what.room, silent ? "?echo=0" : "");
}

void traffic::enrol(room_state& where, member_state& who) {
  if (!who.checked)
    who.checked =
      where.checks.add_member(0, who.silent ? who.publisher : std::nullopt);
}

void traffic::open() {
  clients_.call([this](swarm& all) {
    for (std::size_t r = 0; r < rooms_.size(); ++r) {
      for (std::size_t m = 0; m < rooms_[r].members.size(); ++m) {
        auto& who = rooms_[r].members[m];
        who.client = all.add(path_of(rooms_[r], who.silent));
        member_of_[who.client] = {r, m};
      }
    }
  });
  clients_.run_until([](swarm& all) {
    if (all.count(client_state::refused) != 0)
      throw std::runtime_error("a client was refused: " + all.describe());
    return all.count(client_state::open) == all.size();
  });
}

void traffic::begin() {
  clients_.call([this](swarm&) {
    running_ = true;
    for (auto& where : rooms_)
      for (auto& who : where.members)
        enrol(where, who);
    for (auto& where : rooms_)
      for (auto& who : where.members)
        fill_window(where, who);
  });
}

traffic::member_id traffic::join(std::size_t room, bool publishes) {
  auto id = clients_.call([&](swarm& all) {
    auto& where = rooms_.at(room);
    auto m = add_member(where, publishes, false);
    auto client = where.members[m].client = all.add(path_of(where, false));
    member_of_[client] = {room, m};
    return member_id{room, m};
  });
  clients_.run_until([this, id](swarm& all) {
    auto& where = rooms_[id.room];
    auto& who = where.members[id.member];
    if (all.state(who.client) == client_state::refused)
      throw std::runtime_error("a client was refused: " + all.describe());
    if (all.state(who.client) != client_state::open)
      return false;
    enrol(where, who);
    fill_window(where, who);
    return true;
  });
  return id;
}

void traffic::expect_end(member_id id) {
  clients_.call([this, id](swarm&) {
    auto& where = rooms_.at(id.room);
    auto& who = where.members.at(id.member);
    who.ending = true;
    if (who.checked)
      where.checks.remove_member(*who.checked);
  });
}

void traffic::leave(member_id id) {
  expect_end(id);
  clients_.call([this, id](swarm& all) {
    auto& who = rooms_[id.room].members[id.member];
    who.leaving = true;
    all.close(who.client);
  });
  wait_end(id);
}

void traffic::stop_reading(member_id id) {
  clients_.call([this, id](swarm& all) {
    all.stop_reading(rooms_.at(id.room).members.at(id.member).client);
  });
}

// -- what happens ------------------------------------------------------------------

void traffic::received(swarm::index client, opcode op,
                       std::string_view payload) {
  auto [r, m] = member_of_.at(client);
  auto& where = rooms_[r];
  auto& who = where.members[m];
  enrol(where, who);
  where.checks.received(*who.checked, op, payload);
  ++where.deliveries;
  if (!where.last.empty() && !who.ending && payload.starts_with(where.last))
    ++where.last_seen;
  auto publisher = publisher_in(payload);
  if (publisher >= where.owner_of_publisher.size())
    return; // the verifier has said so
  auto owner = where.owner_of_publisher[publisher];
  auto& from = where.members[owner];
  // What a silent publisher sends comes back to the first member only.
  if (m == (from.silent ? 0 : owner))
    publish(where, from);
}

void traffic::publish(room_state& where, member_state& who) {
  const auto most = where.what.messages;
  if (who.leaving || (most != 0 ? who.sent >= most : !running_)
      || swarm_->state(who.client) != client_state::open
      || swarm_->words(who.client))
    return;
  auto next = where.checks.next(*who.publisher);
  ++who.sent;
  swarm_->send(who.client, next.op, next.payload);
}

void traffic::fill_window(room_state& where, member_state& who) {
  if (!who.publisher || !running_)
    return;
  for (std::size_t i = 0; i < where.what.window; ++i)
    publish(where, who);
}

void traffic::wait_progress(std::uint64_t messages,
                            std::chrono::milliseconds timeout) {
  auto marks = clients_.call([&](swarm&) {
    std::vector<std::uint64_t> result;
    for (auto& where : rooms_)
      result.push_back(where.deliveries + messages);
    return result;
  });
  clients_.run_until(
    [this, marks](swarm&) {
      for (std::size_t i = 0; i < marks.size(); ++i) {
        if (rooms_[i].deliveries < marks[i])
          return false;
      }
      return true;
    },
    timeout);
}

std::uint16_t traffic::wait_end(member_id id,
                                std::chrono::milliseconds timeout) {
  auto client = clients_.call(
    [&](swarm&) { return rooms_.at(id.room).members.at(id.member).client; });
  clients_.run_until(
    [client](swarm& all) { return all.state(client) == client_state::closed; },
    timeout);
  return clients_.call([client](swarm& all) {
    return all.words(client) ? all.words(client)->code : std::uint16_t{0};
  });
}

// -- the end -----------------------------------------------------------------------

// What a publisher that was cut off has sent last may be lost, or not: it is known
// when something has arrived that was published behind it.
void traffic::send_last() {
  for (auto& where : rooms_) {
    auto cut_off = [](const member_state& x) {
      return x.publisher && x.ending;
    };
    auto speaks = [](const member_state& x) {
      return x.publisher && !x.ending && !x.silent;
    };
    auto& all = where.members;
    if (std::none_of(all.begin(), all.end(), cut_off))
      continue;
    auto speaker = std::find_if(all.begin(), all.end(), speaks);
    if (speaker == all.end())
      throw std::logic_error("nobody is left to speak in the room");
    auto next = where.checks.next(*speaker->publisher);
    where.last = next.payload.substr(0, verifier::header_size);
    swarm_->send(speaker->client, next.op, next.payload);
  }
}

bool traffic::last_arrived() const {
  return std::all_of(rooms_.begin(), rooms_.end(), [](const room_state& where) {
    if (where.last.empty())
      return true;
    auto due = std::count_if(
      where.members.begin(), where.members.end(),
      [](const member_state& x) { return x.checked && !x.ending; });
    return where.last_seen >= static_cast<std::size_t>(due)
           || (where.checks.missing() != 0 && where.checks.finished());
  });
}

void traffic::lose_tails() {
  for (auto& where : rooms_) {
    if (where.last.empty())
      continue;
    for (auto& who : where.members) {
      if (who.publisher && who.ending)
        where.checks.lose_tail(*who.publisher);
    }
  }
}

bool traffic::arrived() const {
  return std::all_of(rooms_.begin(), rooms_.end(), [](const room_state& where) {
    // A fault makes waiting pointless.
    if (where.checks.missing() != 0 || !where.checks.finished())
      return where.checks.finished();
    return where.what.messages == 0
           || std::all_of(where.members.begin(), where.members.end(),
                          [&](const member_state& x) {
                            return !x.publisher || x.ending
                                   || x.sent == where.what.messages;
                          });
  });
}

std::string traffic::finish(std::chrono::milliseconds timeout) {
  std::string result;
  try {
    clients_.call([this](swarm&) {
      running_ = false;
      send_last();
    });
    clients_.run_until([this](swarm&) { return last_arrived(); }, timeout);
    clients_.call([this](swarm&) { lose_tails(); });
    clients_.run_until([this](swarm&) { return arrived(); }, timeout);
  } catch (const timeout_error& error) {
    result = error.what();
  }
  return clients_.call([&](swarm& all) {
    for (const auto& fault : all.faults())
      result += fmt::format("{}\n", fault);
    for (auto& where : rooms_) {
      if (auto text = where.checks.report(); !text.empty())
        result += fmt::format("room {}: {}\n", where.what.room, text);
    }
    return result;
  });
}

std::uint64_t traffic::delivered() {
  return clients_.call([this](swarm&) {
    std::uint64_t result = 0;
    for (const auto& where : rooms_)
      result += where.checks.delivered();
    return result;
  });
}

std::uint64_t traffic::published() {
  return clients_.call([this](swarm&) {
    std::uint64_t result = 0;
    for (const auto& where : rooms_)
      result += where.checks.published();
    return result;
  });
}

} // namespace greenroom::test
