#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "actors/log.hpp"
#include "actors/metrics.hpp"
#include "actors/ports.hpp"
#include "net/address.hpp"
#include "net/fd.hpp"
#include "net/http_request.hpp"
#include "net/http_response.hpp"
#include "net/http_target.hpp"
#include "net/io_loop.hpp"
#include "net/options.hpp"
#include "net/origin.hpp"
#include "net/proxy_protocol.hpp"
#include "net/quota.hpp"
#include "net/refusal_log.hpp"
#include "net/routes.hpp"
#include "net/ws_session.hpp"

namespace greenroom::net {

/// What all HTTP sessions of a listener share.
struct http_context {
  http_options http;
  session_options session;
  std::vector<network> trusted;
  origin_rules origins;
  front_desk& desk;
  metrics& counts;
  refusal_log log;
  /// Where a WebSocket may live, by unit.
  std::vector<ws_home*> homes;
  /// What is found where, and who may ask for it.
  service serves = {};
  /// Connections that idle between two requests.
  std::atomic<std::size_t> idle{0};
};

/// A socket that was just accepted.
struct arrival {
  unique_fd fd;
  ip_address peer;
  quota::ticket place;
  steady_time at;
};

class http_session;

/// The HTTP sessions of one loop: owns them until they are over or have become
/// WebSockets. On the loop's thread.
class http_sessions {
public:
  /// How long a connection that is over may still be read, so that the client
  /// gets to read the last answer: closing a socket with unread bytes resets it
  /// (RFC 9112 §9.6).
  static constexpr std::chrono::milliseconds linger_timeout{2'000};

  /// How long a socket that is over a limit may take to ask for something, before
  /// it is told so all the same. The same while the broker drains.
  static constexpr std::chrono::milliseconds refused_timeout{2'000};

  /// Bodies of requests, where a route takes them. Over it: 413.
  static constexpr std::size_t body_bytes_max = 4 * 1024;

  http_sessions(http_context& context, io_loop& loop);

  http_sessions(const http_sessions&) = delete;
  http_sessions& operator=(const http_sessions&) = delete;

  /// Closes them. Not while the loop runs.
  ~http_sessions();

  /// Begins a session; it may be over when this returns.
  void open(arrival what);

  /// Ends those that wait for a request, and streams. The others get their answer
  /// or run into their limits; none is kept alive any more.
  void stop();

  bool stopping() const noexcept { return stopping_; }

  io_loop& loop() const noexcept { return loop_; }

  std::size_t size() const noexcept;

private:
  friend class http_session;

  http_context& context_;
  io_loop& loop_;
  std::list<http_session> all_;
  bool stopping_ = false;
};

/// One connection in its HTTP phase: reads requests, answers them in their order,
/// or hands the socket over to a WebSocket session. Bytes wait in two bounded
/// places: the request that is being read (`header_bytes_max`, `body_bytes_max`) and
/// the answers the client has not taken (`pipelined_max`); beyond either nothing is
/// read. Nor is it while an answer is being waited for, or goes on.
class http_session final : public fd_watcher, private timer {
public:
  http_session(http_sessions& all, arrival what);

  ~http_session() override;

private:
  friend class http_sessions;

  enum class phase : std::uint8_t {
    reading,   // requests
    placing,   // an upgrade, whose home is being looked for
    asking,    // a request, whose answer is being waited for
    streaming, // an answer that goes on
    lingering, // the last answer is out; what still comes is thrown away
    over,      // to be destroyed by whoever called in
  };

  // -- what calls in, and ends with `settle` ----------------------------------------

  void begin();
  void ready(std::uint32_t events) override;
  void fired() override;
  void abandoned() noexcept override;
  void go_on();
  void placed(unit_id home);
  void answered(std::uint64_t question, http_answer what);
  void pump();
  void stop();

  // Destroys the session if it is over: touch nothing behind it.
  void settle() noexcept;

  // -- reading ------------------------------------------------------------------

  void work();
  bool receive();
  bool take_proxy_header();
  bool take_request();
  bool take_head();
  void expect_body();
  void serve(const http_request& in, std::string_view body);
  bool let_in(const http_request& in, const http_target& target,
              const way& found);
  void ask(const http_call& in, http_asker whom);
  void enter(const http_request& in, const http_target& target, way found);
  void place();
  void throw_input_away();

  // -- answering ----------------------------------------------------------------

  void refuse(const fault& why, std::string_view path = {});
  void count(errc why, std::string_view detail, std::string_view path);
  void respond(const http_response& what, connection_use then);
  connection_use use_after(bool keep_alive);
  void put(std::string_view bytes);
  void start_stream(std::unique_ptr<http_stream> what);
  void feed();
  void send();
  void linger();

  // -- the rest -----------------------------------------------------------------

  http_context& context() const noexcept { return all_.context_; }

  steady_time now() const noexcept { return all_.loop_.timers().now(); }

  std::chrono::milliseconds patience() const noexcept;
  void wait_for_request();
  bool take_idle_place();
  void leave_idle_place() noexcept;
  std::shared_ptr<http_session*> handle();

  http_sessions& all_;
  std::list<http_session>::iterator self_; // set by whoever made it
  unique_fd fd_;
  ip_address peer_;   // or whom a PROXY header names
  ip_address client_; // of the latest request
  quota::ticket place_;
  errc refusal_;      // why upgrades are refused; else `none`
  steady_time since_; // the accept, or the begin of a later request
  phase phase_ = phase::reading;
  bool proxy_expected_; // a PROXY header may come first
  bool watched_ = false;
  bool readable_ = true;     // the kernel may have something
  bool hung_up_ = false;     // the peer's end was seen: read until it comes
  bool ended_ = false;       // it was read
  bool fresh_ = true;        // there was no request yet
  bool blank_line_ = false;  // in front of the request
  bool head_only_ = false;   // the request is a HEAD
  bool last_answer_ = false; // nothing is answered behind what waits
  bool idle_ = false;        // counted among those that idle
  std::string in_;
  head_scanner scanner_;
  std::size_t head_ = 0;   // bytes of a complete head that waits for its body
  std::size_t wanted_ = 0; // bytes of both; 0: the head is not complete
  std::string out_;
  std::size_t sent_ = 0;    // bytes of `out_`
  std::size_t answers_ = 0; // in `out_`
  std::size_t thrown_away_ = 0;
  // What is being asked or streamed.
  std::uint64_t question_ = 0;
  steady_time answer_until_;
  bool keep_alive_ = false; // the request wants the connection to stay
  bool version_1_1_ = true;
  std::string path_;
  std::unique_ptr<http_stream> stream_;
  // An upgrade that waits for its home, and the room that decides it.
  std::unique_ptr<ws_request> request_;
  std::string room_;
  // Tells what was posted whether the session still is; made on demand.
  std::shared_ptr<http_session*> handle_;
};

} // namespace greenroom::net
