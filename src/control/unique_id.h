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
};

/// 16 random bytes. Throws Error.
Secret makeSecret();

signcclUniqueId toUniqueId(const MeetingPoint& point);

/// Throws signcclInvalidArgument if toUniqueId() did not make the id.
MeetingPoint fromUniqueId(const signcclUniqueId& id);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_UNIQUE_ID_H_
