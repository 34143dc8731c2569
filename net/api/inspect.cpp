#include "net/api/inspect.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "net/api/inspect_query.hpp"
#include "net/api/inspect_rows.hpp"
#include "net/api/inspect_service.hpp"
#include "net/api/inspect_streams.hpp"

namespace greenroom::net {

namespace {

// What a client sent, in a log line.
constexpr std::size_t quoted_bytes_max = 255;

http_response lines(std::string body) {
  body += '\n';
  return {.status = 200, .body = std::move(body)};
}

http_response no_streams_left() {
  return refusal(
    fault{errc::overloaded, "as many streams as --inspect-streams-max"});
}

log_record about(log_record line, const end_order& what) {
  line.add("address", what.by);
  switch (what.what) {
    case end_target::actor:
      return std::move(line).with("action", "kill").with("actor", what.actor);
    case end_target::connection:
      return std::move(line).with("action", "kill").with("client", what.client);
    case end_target::room:
      return std::move(line)
        .with("action", "kill")
        .with("room", what.room.substr(0, quoted_bytes_max));
    case end_target::restart:
      return std::move(line)
        .with("action", "restart")
        .with("room", what.room.substr(0, quoted_bytes_max));
  }
  return line;
}

void act(const http_call& in, http_reply to, bool restart) {
  auto order = read_order(in.body, restart);
  if (!order) {
    to(refusal(order.error()));
    return;
  }
  order->by = in.client;
  // Before it is done: a broker that dies of it must not die without a word. What
  // became of it is logged by the actors, also if nobody waits for that.
  in.inspect->log().write(
    about(log_record{level::info, "inspect_action"}, *order));
  in.inspect->port().end(*order, [to = std::move(to)](const receipt& what) {
    if (what.why != errc::none) {
      to(refusal(fault{what.why, {}}));
      return;
    }
    std::string body;
    append_json(body, what);
    to(lines(std::move(body)));
  });
}

} // namespace

http_response answer_rights(const http_call& in) {
  auto& access = in.inspect->access();
  auto has = access.of(in.request);
  return lines(fmt::format(
    R"({{"read":{},"act":{},"read_token":{},"act_token":{}}})", has.read,
    has.act, access.needs_token_to_read(), access.anybody_acts()));
}

void ask_rows(const http_call& in, http_reply to) {
  auto what = view_of(in.target.segments.back());
  if (!what) {
    to(refusal(errc::not_found));
    return;
  }
  auto asked = read_question(*what, in.target);
  if (!asked) {
    to(refusal(asked.error()));
    return;
  }
  auto& service = *in.inspect;
  if (asked->every.count() != 0 && in.request.method != "HEAD") {
    auto place = service.take_stream();
    if (place)
      to(make_page_stream(*asked, std::move(*place), service));
    else
      to(no_streams_left());
    return;
  }
  service.port().look(asked->query, [query = asked->query, to = std::move(to)](
                                      const inspect_page& page) {
    if (page.why != errc::none) {
      to(refusal(fault{page.why, {}}));
      return;
    }
    std::string body;
    append_page(body, query, page);
    to(lines(std::move(body)));
  });
}

void ask_trace(const http_call& in, http_reply to) {
  auto what = read_trace(in.target);
  if (!what) {
    to(refusal(what.error()));
    return;
  }
  if (in.request.method == "HEAD") {
    to(http_response{.content_type = ndjson});
    return;
  }
  auto place = in.inspect->take_stream();
  if (place)
    to(make_trace_stream(*what, std::move(*place), *in.inspect));
  else
    to(no_streams_left());
}

void ask_kill(const http_call& in, http_reply to) {
  act(in, std::move(to), false);
}

void ask_restart(const http_call& in, http_reply to) {
  act(in, std::move(to), true);
}

void ask_metrics(const http_call& in, http_reply to) {
  if (!in.target.query.empty()) {
    to(refusal(fault{errc::bad_request, "metrics takes no parameter"}));
    return;
  }
  // Both at once, so that one walk over the actors answers them.
  struct halves {
    std::mutex mutex;
    std::optional<inspect_page> now;
    std::optional<inspect_page> rooms;
  };
  auto all = std::make_shared<halves>();
  auto half = [self = in.inspect->shared_from_this(), all,
               to = std::move(to)](std::optional<inspect_page> halves::*which) {
    return [self, all, to, which](inspect_page page) {
      {
        std::lock_guard guard{all->mutex};
        (*all).*which = std::move(page);
        if (!all->now || !all->rooms)
          return;
      }
      to(self->metrics().answer(*all->now, *all->rooms));
    };
  };
  auto& port = in.inspect->port();
  port.look({}, half(&halves::now));
  port.look(metrics_text::rooms_query(), half(&halves::rooms));
}

} // namespace greenroom::net
