// SPDX-License-Identifier: Apache-2.0
// The address of a setting at which ranks meet, such as that of SIGNCCL_COMM_ID.
#ifndef SIGNCCL_CONTROL_MEETING_ADDRESS_H_
#define SIGNCCL_CONTROL_MEETING_ADDRESS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <asio/ip/tcp.hpp>

namespace signccl {

struct HostAndPort {
  std::string host;
  std::uint16_t port = 0;
};

/// The parts of an address in a setting, "host:port" or "[IPv6 address]:port". Throws signcclInvalidUsage.
HostAndPort parseAddress(std::string_view setting, std::string_view value);

struct MeetingAddress {
  /// What the host resolves to, at least one: ranks try them in turn.
  std::vector<asio::ip::tcp::endpoint> candidates;
  /// Where rank 0 listens: at the address itself where the setting has one, and at all addresses of its host where it
  /// has a name. A host's own name often resolves to a loopback address on that host, or to an address of the family
  /// that the others do not use. "localhost" means the loopback address.
  asio::ip::tcp::endpoint listening;
};

/// Every address of this host, of both families where it has both.
asio::ip::tcp::endpoint everyAddress(std::uint16_t port);

/// Throws signcclInvalidUsage.
MeetingAddress resolveMeetingAddress(std::string_view setting, std::string_view value);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_MEETING_ADDRESS_H_
