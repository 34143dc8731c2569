#include "net/quota.hpp"

#include <random>
#include <utility>

namespace greenroom::net {

// -- quota ------------------------------------------------------------------------

std::shared_ptr<quota> quota::make(quota_options options, metrics& counts) {
  return std::shared_ptr<quota>{new quota{options, counts}};
}

quota::quota(quota_options options, metrics& counts)
  : options_(options), counts_(counts) {
  std::random_device random;
  seed_ = std::uint64_t{random()} << 32 | random();
}

quota::ticket quota::admit(const std::optional<ip_address>& client) {
  if (!take(open_, options_.connections_max))
    return refuse(errc::connection_limit);
  counts_.connections_open.add();
  ticket place{shared_from_this(), errc::none};
  if (client && !place.assign(*client))
    return refuse(errc::address_limit); // the place is given back
  return place;
}

quota::ticket quota::refuse(errc why) {
  if (!take(refusals_, options_.refusals_max))
    return {};
  counts_.connections_open.add();
  return {shared_from_this(), why};
}

std::size_t quota::clients() const {
  std::size_t n = 0;
  for (auto& x : shards_) {
    std::lock_guard guard{x.mutex};
    n += x.clients.size();
  }
  return n;
}

bool quota::take(std::atomic<std::size_t>& from, std::size_t most) noexcept {
  auto n = from.load(std::memory_order_relaxed);
  while (n < most)
    if (from.compare_exchange_weak(n, n + 1, std::memory_order_relaxed))
      return true;
  return false;
}

quota::client_key quota::key_of(const ip_address& x) const noexcept {
  client_key key;
  auto& bytes = x.bytes();
  for (std::size_t i = 0; i < 8; ++i) {
    key.high = key.high << 8 | bytes[i];
    key.low = key.low << 8 | bytes[i + 8];
  }
  if (!x.is_v4())
    key.low = 0;
  key.high ^= seed_;
  return key;
}

std::size_t quota::key_hash::operator()(const client_key& x) const noexcept {
  // The finalizer of MurmurHash3: every bit of the input moves every other.
  auto h = x.high ^ (x.low * 0x9e3779b97f4a7c15U);
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccdU;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53U;
  h ^= h >> 33;
  return static_cast<std::size_t>(h);
}

quota::shard& quota::shard_of(const client_key& x) noexcept {
  return shards_[key_hash{}(x) % shards_.size()];
}

// -- ticket -----------------------------------------------------------------------

quota::ticket::ticket(ticket&& x) noexcept
  : owner_(std::move(x.owner_)), client_high_(x.client_high_),
    client_low_(x.client_low_), refusal_(x.refusal_), assigned_(x.assigned_) {}

quota::ticket& quota::ticket::operator=(ticket&& x) noexcept {
  if (this != &x) {
    give_back();
    owner_ = std::move(x.owner_);
    client_high_ = x.client_high_;
    client_low_ = x.client_low_;
    refusal_ = x.refusal_;
    assigned_ = x.assigned_;
  }
  return *this;
}

quota::ticket::~ticket() {
  give_back();
}

bool quota::ticket::assign(const ip_address& client) {
  if (owner_ == nullptr || refusal_ != errc::none || assigned_)
    return true;
  auto key = owner_->key_of(client);
  auto& shard = owner_->shard_of(key);
  std::lock_guard guard{shard.mutex};
  auto found = shard.clients.find(key);
  auto n = found != shard.clients.end() ? found->second : 0;
  if (n >= owner_->options_.connections_per_address_max)
    return false;
  if (n == 0)
    shard.clients.emplace(key, 1);
  else
    ++found->second;
  client_high_ = key.high;
  client_low_ = key.low;
  assigned_ = true;
  return true;
}

void quota::ticket::give_back() noexcept {
  if (owner_ == nullptr)
    return;
  if (assigned_) {
    client_key key{client_high_, client_low_};
    auto& shard = owner_->shard_of(key);
    std::lock_guard guard{shard.mutex};
    auto found = shard.clients.find(key);
    if (--found->second == 0)
      shard.clients.erase(found);
  }
  auto& from = refusal_ == errc::none ? owner_->open_ : owner_->refusals_;
  from.fetch_sub(1, std::memory_order_relaxed);
  owner_->counts_.connections_open.sub();
  owner_.reset();
}

} // namespace greenroom::net
