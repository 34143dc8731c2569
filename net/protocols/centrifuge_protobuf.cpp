#include "net/protocols/centrifuge_protobuf.hpp"

#include <string>

#include "net/protocols/centrifuge_codes.hpp"
#include "net/protocols/centrifuge_rules.hpp"

namespace greenroom::net {

namespace {

class refusal final : public protocol {
public:
  std::string_view name() const noexcept override {
    return "centrifuge_protobuf";
  }

  void decode(inbound, dialogue&, std::vector<command>& out) const override {
    end_centrifuge(errc::not_available, out);
  }

  wire_ptr encode(const turn&, client_id) const override { return {}; }

  wire_ptr encode(const answer&) const override { return {}; }

  farewell close_words(errc why) const override {
    auto end = centrifuge_disconnect_of(why);
    return {why, end.code, std::string{end.reason}, {}};
  }

  bool greets() const noexcept override { return true; }
};

} // namespace

const protocol& no_centrifuge_protobuf() noexcept {
  static const refusal instance;
  return instance;
}

} // namespace greenroom::net
