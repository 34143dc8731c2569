#pragma once

#include "actors/ports.hpp"

namespace greenroom::net {

/// What a client hears that wants the Centrifuge protocol in Protobuf: whatever it
/// says first ends the connection by code 3508, upon which it stays away. A refused
/// handshake would look like a broken network, and it would knock for ever.
const protocol& no_centrifuge_protobuf() noexcept;

} // namespace greenroom::net
