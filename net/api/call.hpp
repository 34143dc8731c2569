#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "actors/ports.hpp"
#include "net/http_request.hpp"
#include "net/http_response.hpp"
#include "net/http_target.hpp"

namespace greenroom::net {

class inspect_service;
class io_loop;

/// A plain HTTP request and what its answer may be made of. Lives as long as the
/// handler runs.
struct http_call {
  const http_request& request;
  const http_target& target;
  const front_desk& desk;
  /// What came behind the head; empty unless the route takes a body.
  std::string_view body = {};
  /// The address of the client, behind trusted proxies.
  std::string_view client = {};
  /// Of the inspection listener; null elsewhere.
  inspect_service* inspect = nullptr;
};

/// Answers at once, on a loop's thread: it must not wait.
using http_handler = http_response (*)(const http_call&);

// -- answers that come later ------------------------------------------------------

/// An answer that goes on. On its loop's thread; destroyed with its connection.
class http_stream {
public:
  virtual ~http_stream() = default;

  /// For Content-Type.
  virtual std::string_view content_type() const noexcept = 0;

  /// The head is on its way.
  /// @param more says that `next` has something again; any thread, also later
  /// than this lives
  virtual void begin(io_loop& loop, std::function<void()> more) = 0;

  /// Appends what there is to send. Asked again only when the client has taken
  /// that: what comes meanwhile is the stream's to keep, bounded.
  /// @returns false if that was all
  virtual bool next(std::string& to) = 0;

  /// The listener ends: `next` says the last words.
  virtual void stop() = 0;
};

using http_answer = std::variant<http_response, std::unique_ptr<http_stream>>;

/// Where an answer goes that comes later. Any thread; it does nothing once the
/// client has gone or was told that it took too long.
class http_reply {
public:
  explicit http_reply(std::function<void(http_answer)> to)
    : to_(std::move(to)) {}

  /// Once.
  void operator()(http_answer x) const { to_(std::move(x)); }

private:
  std::function<void(http_answer)> to_;
};

/// Begins to answer, on a loop's thread: it must not wait.
using http_asker = void (*)(const http_call&, http_reply);

} // namespace greenroom::net
