// What a signcclUniqueId holds: where the hub of a group listens, and the secret that its ranks share.
#ifndef SIGNCCL_CONTROL_UNIQUE_ID_H_
#define SIGNCCL_CONTROL_UNIQUE_ID_H_

#include <cstdint>
#include <string>
#include <string_view>

#include <asio/ip/tcp.hpp>

#include "control/messages.h"
#include "signccl/signccl.h"

namespace signccl {

struct MeetingPoint {
  asio::ip::tcp::endpoint address;
  Secret secret{};

  friend bool operator==(const MeetingPoint&, const MeetingPoint&) = default;
};

/// 16 random bytes. Throws Error.
Secret makeSecret();

signcclUniqueId toUniqueId(const MeetingPoint& point);

/// Throws signcclInvalidArgument if toUniqueId() did not make the id.
MeetingPoint fromUniqueId(const signcclUniqueId& id);

struct HostAndPort {
  std::string host;
  std::uint16_t port = 0;
};

/// The parts of an address in a setting, "host:port" or "[IPv6 address]:port". Throws signcclInvalidUsage.
HostAndPort parseAddress(std::string_view setting, std::string_view value);

/// The same, of which the first address that the name resolves to is taken. Throws signcclInvalidUsage.
asio::ip::tcp::endpoint resolveAddress(std::string_view setting, std::string_view value);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_UNIQUE_ID_H_
