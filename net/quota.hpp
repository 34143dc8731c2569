#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "actors/metrics.hpp"
#include "net/address.hpp"

namespace greenroom::net {

struct quota_options {
  /// Open sockets in all. More costs descriptors and memory.
  std::size_t connections_max = 100'000;
  /// Open sockets of one client. More lets one client take more of the above.
  std::size_t connections_per_address_max = 1'000;
  /// Sockets over a limit that are being told so; beyond it they are closed
  /// without a word.
  std::size_t refusals_max = 256;
};

/// How many sockets are open, in all and per client. An IPv6 client is its /64
/// network, of which one host may use every address (RFC 8981). Any thread;
/// touched when a socket opens and closes only.
class quota : public std::enable_shared_from_this<quota> {
public:
  /// @param counts told of every socket; must outlive this and its tickets
  static std::shared_ptr<quota> make(quota_options options, metrics& counts);

  quota(const quota&) = delete;
  quota& operator=(const quota&) = delete;

  /// The place of one open socket. It travels with the socket and is given back
  /// by its destructor, on any thread.
  class ticket {
  public:
    ticket() noexcept = default;
    ticket(ticket&& x) noexcept;
    ticket& operator=(ticket&& x) noexcept;
    ~ticket();

    explicit operator bool() const noexcept { return owner_ != nullptr; }

    /// Why the socket is to be refused; `none` if it may stay.
    errc refusal() const noexcept { return refusal_; }

    /// Counts the socket for its client. Once it has succeeded, a later call
    /// does nothing.
    /// @returns false if the client has too many already
    bool assign(const ip_address& client);

  private:
    friend class quota;

    ticket(std::shared_ptr<quota> owner, errc refusal) noexcept
      : owner_(std::move(owner)), refusal_(refusal) {}

    void give_back() noexcept;

    std::shared_ptr<quota> owner_;
    std::uint64_t client_high_ = 0;
    std::uint64_t client_low_ = 0;
    errc refusal_ = errc::none;
    bool assigned_ = false;
  };

  /// A place for a socket that was just accepted. If the house is full it is a
  /// place to be refused in. Empty if there are too many of those as well: close
  /// the socket.
  /// @param client whose socket it is; nothing if that is not known yet
  ticket admit(const std::optional<ip_address>& client);

  /// Sockets that count against the limit.
  std::size_t open() const noexcept {
    return open_.load(std::memory_order_relaxed);
  }

  /// Clients with at least one socket.
  std::size_t clients() const;

private:
  struct client_key {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    friend bool operator==(const client_key&, const client_key&) = default;
  };

  struct key_hash {
    std::size_t operator()(const client_key& x) const noexcept;
  };

  // A lock for every client would be much memory, one for all a crowd at it.
  struct alignas(64) shard {
    mutable std::mutex mutex;
    std::unordered_map<client_key, std::size_t, key_hash> clients;
  };

  quota(quota_options options, metrics& counts);

  client_key key_of(const ip_address& x) const noexcept;
  shard& shard_of(const client_key& x) noexcept;
  ticket refuse(errc why);
  static bool take(std::atomic<std::size_t>& from, std::size_t most) noexcept;

  quota_options options_;
  metrics& counts_;
  std::uint64_t seed_; // keeps clients from choosing keys that collide
  std::atomic<std::size_t> open_{0};
  std::atomic<std::size_t> refusals_{0};
  std::array<shard, 16> shards_;
};

} // namespace greenroom::net
