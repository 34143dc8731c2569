#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/api/inspect_service.hpp"
#include "test/support/fake_inspection.hpp"
#include "test/support/http_rig.hpp"

namespace greenroom::test {

/// An inspection listener in this process, in front of a fake inspector.
class inspect_rig : public http_rig {
public:
  static constexpr std::string_view reader = "reader-reader-reader";
  static constexpr std::string_view actor = "actor-actor-actor-actor";

  ~inspect_rig() { stop_loops(); }

  net::inspect_options inspect; ///< before the start

  void start() {
    service_ =
      std::make_shared<net::inspect_service>(inspect, port_, counts, log);
    http.answer_timeout = inspect.answer_timeout;
    listening.connections_max = inspect.connections_max;
    serves = {net::inspect_routes(), service_.get()};
    http_rig::start();
  }

  static header_list bearer(std::string_view token) {
    return {{"Authorization", "Bearer " + std::string{token}}};
  }

  /// With the token that may act.
  http_response act(std::string_view path, std::string_view body) {
    return http_post(port(), path, body, bearer(actor));
  }

  fake_inspection& inside() { return port_; }

  net::inspect_service& service() { return *service_; }

private:
  fake_inspection port_;
  std::shared_ptr<net::inspect_service> service_;
};

} // namespace greenroom::test
