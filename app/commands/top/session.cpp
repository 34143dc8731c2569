#include "app/commands/top/session.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <utility>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app/commands/client/http.hpp"
#include "app/commands/top/paint.hpp"
#include "app/commands/top/terminal.hpp"
#include "app/commands/top/text.hpp"

namespace greenroom::client {

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto answer_timeout = 10s;
constexpr auto retry_after = 2s;
/// Questions under way at once: all of a screen, so that the broker answers them
/// from one walk over its actors. One more line is for an end.
constexpr std::size_t lines_max = 9;
/// How long the rest of a key's sequence may take (a slow line, a serial one).
constexpr auto key_timeout = 50ms;

/// What a refusal says, on one printable line.
std::string words_of(const http_answer& answer) {
  if (answer.status == 0)
    return answer.words;
  boost::json::error_code error;
  auto told = boost::json::parse(answer.body, error);
  std::string name;
  if (!error && told.is_object())
    if (auto* x = told.get_object().if_contains("error");
        x != nullptr && x->is_string())
      name = tame({x->get_string().data(), x->get_string().size()}, true);
  if (answer.status == 401)
    return "a token is needed, or it is the wrong one";
  if (answer.status == 404 && name.empty())
    return "no inspection API here (404)";
  return name.empty() ? answer.words
                      : fmt::format("{} ({})", name, answer.status);
}

std::optional<boost::json::object> object_of(const http_answer& answer) {
  boost::json::error_code error;
  auto told = boost::json::parse(answer.body, error);
  if (error || !told.is_object())
    return std::nullopt;
  return std::move(told.get_object());
}

class session {
public:
  session(top_model& what, const top_target& where, int signals)
    : what_(what), where_(where), signals_(signals),
      painter_(std::getenv("NO_COLOR") == nullptr) {
    for (std::size_t i = 0; i < lines_max + 1; ++i)
      lines_.emplace_back(where.endpoints);
  }

  int run() {
    terminal_.enter();
    resized();
    while (!done_)
      turn();
    terminal_.leave();
    if (ended_by_ != 0) { // die of it, as a shell expects
      std::signal(ended_by_, SIG_DFL);
      std::raise(ended_by_);
      sigset_t one;
      sigemptyset(&one);
      sigaddset(&one, ended_by_);
      sigprocmask(SIG_UNBLOCK, &one, nullptr);
    }
    return 0;
  }

private:
  /// One request, under way or waiting.
  struct errand {
    top_request asked;
    std::uint64_t view = 0;
    bool acts = false;
  };

  struct line {
    explicit line(std::vector<endpoint> endpoints)
      : http(std::move(endpoints)) {}

    http_line http;
    errand what; ///< of the request, while it is busy
  };

  void turn();
  void on_keys();
  void on_signal();
  void resized();
  void press(const top_key& key);

  void ask();
  void start_next();
  bool busy() const;
  void on_answer(const errand& done, const http_answer& answer);
  void show();

  top_model& what_;
  const top_target& where_;
  int signals_;
  top_terminal terminal_;
  std::vector<line> lines_;
  top_painter painter_;
  top_keyboard keyboard_;
  std::deque<errand> errands_; ///< for which there is no line yet
  clock::time_point next_ask_ = clock::now();
  bool again_ = false; ///< asked before its time, for rows that were not known
  bool stale_ = true;  ///< the screen shows what is no more
  bool done_ = false;
  int ended_by_ = 0;
};

bool session::busy() const {
  return std::any_of(lines_.begin(), lines_.end(), [](const auto& x) {
    return x.http.busy() && !x.what.acts;
  });
}

void session::turn() {
  auto now = clock::now();
  if (!busy() && errands_.empty() && now >= next_ask_)
    ask();
  if (stale_ && !terminal_.writes())
    show();
  std::vector<pollfd> waits;
  waits.push_back({signals_, POLLIN, 0});
  waits.push_back(
    {terminal_.fd(),
     static_cast<short>(POLLIN | (terminal_.writes() ? POLLOUT : 0)), 0});
  auto until = busy() ? clock::time_point::max() : next_ask_;
  for (const auto& x : lines_)
    if (x.http.busy()) {
      until = std::min(until, x.http.due());
      waits.push_back({x.http.fd(), x.http.events(), 0});
    }
  if (keyboard_.waiting())
    until = std::min(until, now + key_timeout);
  auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now);
  auto n = ::poll(
    waits.data(), waits.size(),
    static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT_MAX)));
  if (n < 0 && errno != EINTR)
    throw std::system_error{errno, std::generic_category(), "poll"};
  if (waits[0].revents != 0)
    on_signal();
  if ((waits[1].revents & POLLIN) != 0)
    on_keys();
  else if ((waits[1].revents & (POLLHUP | POLLERR)) != 0)
    done_ = true; // the terminal is gone
  else if (keyboard_.waiting() && n == 0)
    while (auto key = keyboard_.next(true))
      press(*key);
  if (terminal_.writes() && !terminal_.flush())
    done_ = true;
  for (auto& x : lines_)
    if (x.http.busy())
      if (auto answer = x.http.step())
        on_answer(errand{x.what}, *answer);
  start_next();
}

// -- the terminal -------------------------------------------------------------------

void session::show() {
  terminal_.write(painter_.paint(
    draw(what_, terminal_.size(), "http://" + where_.to.authority),
    terminal_.size()));
  stale_ = false;
}

void session::resized() {
  auto size = terminal_.size();
  what_.set_height(size.rows > top_frame_lines ? size.rows - top_frame_lines
                                               : 1);
  next_ask_ = clock::now();
  stale_ = true;
}

void session::on_signal() {
  signalfd_siginfo info{};
  if (::read(signals_, &info, sizeof(info)) != sizeof(info))
    return;
  switch (auto number = static_cast<int>(info.ssi_signo)) {
    case SIGWINCH:
      resized();
      break;
    case SIGTSTP:
      // Stopped as others are; what comes then is a SIGCONT.
      terminal_.leave();
      std::raise(SIGSTOP);
      terminal_.enter();
      painter_.forget();
      resized();
      break;
    default:
      ended_by_ = number;
      done_ = true;
      break;
  }
}

void session::on_keys() {
  std::array<char, 1024> bytes;
  auto n = ::read(terminal_.fd(), bytes.data(), bytes.size());
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
    done_ = true;
    return;
  }
  if (n < 0)
    return;
  keyboard_.feed({bytes.data(), static_cast<std::size_t>(n)});
  while (auto key = keyboard_.next(false))
    press(*key);
}

void session::press(const top_key& key) {
  stale_ = true;
  auto before = what_.generation();
  switch (what_.press(key)) {
    case top_model::then::draw:
      break;
    case top_model::then::quit:
      done_ = true;
      break;
    case top_model::then::refresh:
    case top_model::then::ask:
      next_ask_ = clock::now();
      // What nobody wants to see any more is not waited for.
      if (before == what_.generation())
        break;
      std::erase_if(errands_, [](const auto& x) { return !x.acts; });
      for (auto& x : lines_)
        if (x.http.busy() && !x.what.acts)
          x.http.abandon();
      break;
    case top_model::then::act:
      errands_.push_front({{}, 0, true});
      break;
  }
}

// -- questions and answers ----------------------------------------------------------

void session::ask() {
  next_ask_ = what_.paused()
                ? clock::time_point::max() - 1h
                : clock::now() + std::chrono::milliseconds{what_.every_ms()};
  if (what_.complete())
    again_ = false;
  for (auto& x : what_.requests())
    errands_.push_back({std::move(x), what_.generation(), false});
  start_next();
}

void session::start_next() {
  for (auto& x : lines_) {
    if (errands_.empty())
      return;
    if (x.http.busy() || (&x == &lines_.back() && !errands_.front().acts))
      continue;
    x.what = std::move(errands_.front());
    errands_.pop_front();
    x.http.start(x.what.acts ? request_of(
                   where_, "/inspect/" + what_.act().path, what_.act().body)
                             : request_of(where_, x.what.asked.target),
                 clock::now() + answer_timeout);
  }
}

void session::on_answer(const errand& done, const http_answer& answer) {
  stale_ = true;
  auto page = answer.status == 200 ? object_of(answer) : std::nullopt;
  auto why = page                   ? std::string{}
             : answer.status == 200 ? std::string{"an answer that is no JSON"}
                                    : words_of(answer);
  if (done.acts) {
    if (page)
      what_.took_receipt(*page);
    else
      what_.act_failed(what_.act().words + ": " + why);
    next_ask_ = clock::now();
  } else if (page) {
    what_.trouble({});
    what_.take(done.asked, done.view, *page);
    // There are more rows than was known. Once: what is gone meanwhile would be
    // asked for again and again.
    if (!busy() && errands_.empty() && !what_.complete()
        && !std::exchange(again_, true))
      next_ask_ = std::min(next_ask_, clock::now());
  } else {
    what_.trouble(why + ", retrying");
    // The others would go the same way, an end would not.
    std::erase_if(errands_, [](const auto& x) { return !x.acts; });
    next_ask_ = clock::now() + retry_after;
  }
}

} // namespace

std::string request_of(const top_target& where, const std::string& target,
                       const std::string& body) {
  auto prefix = where.to.target;
  while (prefix.ends_with('/'))
    prefix.pop_back();
  auto head = fmt::format("{} {}{} HTTP/1.1\r\nHost: {}\r\n"
                          "User-Agent: greenroom-top\r\n"
                          "Accept: application/json\r\n",
                          body.empty() ? "GET" : "POST", prefix, target,
                          where.to.authority);
  if (!where.token.empty())
    head += fmt::format("Authorization: Bearer {}\r\n", where.token);
  if (!body.empty())
    head += fmt::format("Content-Type: application/json\r\n"
                        "Content-Length: {}\r\n",
                        body.size());
  return head + "\r\n" + body;
}

result<std::vector<std::string>> ask_once(
  const top_target& where, const std::vector<std::string>& targets) {
  std::vector<http_line> lines;
  for (const auto& target : targets) {
    lines.emplace_back(where.endpoints);
    lines.back().start(request_of(where, target),
                       clock::now() + answer_timeout);
  }
  std::vector<std::string> bodies(targets.size());
  for (;;) {
    std::vector<pollfd> waits;
    auto due = clock::time_point::max();
    for (std::size_t i = 0; i < lines.size(); ++i) {
      auto answer = lines[i].step();
      if (answer && answer->status != 200)
        return fault{errc::bad_request, words_of(*answer)};
      if (answer)
        bodies[i] = std::move(answer->body);
      if (!lines[i].busy())
        continue;
      waits.push_back({lines[i].fd(), lines[i].events(), 0});
      due = std::min(due, lines[i].due());
    }
    if (waits.empty())
      return bodies;
    auto left =
      std::chrono::ceil<std::chrono::milliseconds>(due - clock::now());
    ::poll(waits.data(), waits.size(),
           static_cast<int>(std::max(left, 0ms).count()));
  }
}

int run_top(top_model& what, const top_target& where, int signals) {
  return session{what, where, signals}.run();
}

} // namespace greenroom::client
