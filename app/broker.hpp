#pragma once

#include <cstdint>
#include <memory>

#include "actors/log.hpp"
#include "actors/metrics.hpp"
#include "app/config.hpp"

namespace greenroom {

struct engine;
class inspection_port;

/// The wiring: units, actors, listener, and the order of their birth and death. One
/// thread starts, drains and waits; it is not a unit's.
class broker {
public:
  /// @param log and @param counts outlive this
  broker(const broker_options& options, log_port& log, metrics& counts);

  ~broker();

  broker(const broker&) = delete;
  broker& operator=(const broker&) = delete;

  /// Binds, and logs nothing: who calls may fail before there is a broker. Clients
  /// wait from now on.
  /// @throws std::system_error if the address cannot be bound or descriptors ran
  /// out; its text is one line for the operator
  void bind();

  /// Binds, if that was not done, starts the units and opens the named rooms.
  /// @throws as `bind`
  void start();

  /// The port that is listened on, also if 0 was asked for. @pre bound
  std::uint16_t port() const;

  /// The port of the inspection listener; 0: there is none. @pre bound
  std::uint16_t inspect_port() const;

  /// Begins to end: no more connections, 1001 to everyone. Returns at once; later
  /// calls do nothing. Any thread.
  void drain();

  /// Waits until everything has ended: from the beginning of a drain at most its
  /// timeout, of which the last fifth (2 s at most) is for cutting off what is
  /// left and for the log.
  /// @returns the exit status: 0, or 70 if the supervisor crashed
  int wait();

  /// Looks inside. Any thread, from the start until this is destroyed.
  inspection_port& inspection() noexcept;

  /// The actors' side, for tests.
  engine& env() noexcept;

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace greenroom
