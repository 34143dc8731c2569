#include "app/signals.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <initializer_list>
#include <system_error>
#include <utility>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace greenroom {

namespace {

sigset_t set_of(std::initializer_list<int> numbers) {
  sigset_t set;
  sigemptyset(&set);
  for (int number : numbers)
    sigaddset(&set, number);
  return set;
}

} // namespace

void block_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  auto set = set_of({SIGTERM, SIGINT, SIGHUP});
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

signal_watch::signal_watch(std::function<void(int number)> told) {
  auto set = set_of({SIGTERM, SIGINT, SIGHUP});
  signals_ = signalfd(-1, &set, SFD_CLOEXEC);
  stop_ = eventfd(0, EFD_CLOEXEC);
  if (signals_ < 0 || stop_ < 0)
    throw std::system_error{errno, std::generic_category(),
                            "cannot wait for signals"};
  thread_ = std::thread{[this, told = std::move(told)] {
    pollfd waits[] = {{signals_, POLLIN, 0}, {stop_, POLLIN, 0}};
    while (waits[1].revents == 0) {
      if (poll(waits, 2, -1) < 0 || waits[0].revents == 0)
        continue;
      signalfd_siginfo info{};
      if (::read(signals_, &info, sizeof(info)) == sizeof(info))
        told(static_cast<int>(info.ssi_signo));
    }
  }};
  pthread_setname_np(thread_.native_handle(), "signals");
}

signal_watch::~signal_watch() {
  std::uint64_t one = 1;
  [[maybe_unused]] auto n = ::write(stop_, &one, sizeof(one));
  thread_.join();
  ::close(signals_);
  ::close(stop_);
  // What is left to do may be slow; nobody shall need SIGKILL for it.
  auto set = set_of({SIGTERM, SIGINT});
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

} // namespace greenroom
