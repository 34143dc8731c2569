#include "actors/directory.hpp"

namespace greenroom {

client_entry& directory::add_client(member_ptr who) {
  auto id = who->id;
  owners_.emplace(who->reader->id(), id);
  owners_.emplace(who->writer->id(), id);
  auto& entry = clients_[id];
  entry.who = std::move(who);
  return entry;
}

client_entry* directory::client(client_id id) noexcept {
  auto i = clients_.find(id);
  return i == clients_.end() ? nullptr : &i->second;
}

void directory::erase_client(client_id id) {
  clients_.erase(id);
}

room_entry& directory::add_room(std::string name) {
  auto& entry = rooms_[name];
  entry.name = std::move(name);
  return entry;
}

room_entry* directory::room(const std::string& name) noexcept {
  auto i = rooms_.find(name);
  return i == rooms_.end() ? nullptr : &i->second;
}

void directory::erase_room(const std::string& name) {
  auto i = rooms_.find(name);
  if (i == rooms_.end())
    return;
  end_linger(i->second);
  rooms_.erase(i);
}

void directory::begin_linger(room_entry& x, steady_time now) {
  end_linger(x);
  x.empty_since = now;
  x.lingers = lingering_.insert(lingering_.end(), &x);
}

void directory::end_linger(room_entry& x) noexcept {
  if (!x.lingers)
    return;
  lingering_.erase(*x.lingers);
  x.lingers.reset();
}

client_id directory::owner_of(std::uint64_t actor) const noexcept {
  auto i = owners_.find(actor);
  return i == owners_.end() ? 0 : i->second;
}

void directory::forget_actor(std::uint64_t actor) {
  owners_.erase(actor);
}

} // namespace greenroom
