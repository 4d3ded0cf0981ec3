// SPDX-License-Identifier: Apache-2.0
// What a signcclUniqueId holds: where the hub of a group listens, and the secret that its ranks share.
#ifndef SIGNCCL_CONTROL_UNIQUE_ID_H_
#define SIGNCCL_CONTROL_UNIQUE_ID_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <asio/ip/tcp.hpp>

#include "control/messages.h"
#include "signccl/signccl.h"

namespace signccl {

struct MeetingPoint {
  asio::ip::tcp::endpoint address;
  Secret secret{};
  /// Of the same host, with the same port.
  std::vector<asio::ip::address> other_addresses = {};  // NOLINT(readability-redundant-member-init): GCC would warn

  /// All of them, the first one first: ranks try them in turn.
  [[nodiscard]] std::vector<asio::ip::tcp::endpoint> endpoints() const;
};

/// For messages: "10.0.0.1:4711 or 192.168.0.1:4711".
std::string toText(const std::vector<asio::ip::tcp::endpoint>& endpoints);

/// 16 random bytes. Throws Error.
Secret makeSecret();

/// Other addresses for which the id has no room are left out: for six of version 4 there always is room.
signcclUniqueId toUniqueId(const MeetingPoint& point);

/// Throws signcclInvalidArgument if toUniqueId() did not make the id.
MeetingPoint fromUniqueId(const signcclUniqueId& id);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_UNIQUE_ID_H_
