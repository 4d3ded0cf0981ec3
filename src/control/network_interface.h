// SPDX-License-Identifier: Apache-2.0
// The network interfaces of this machine, and which of them a job uses.
#ifndef SIGNCCL_CONTROL_NETWORK_INTERFACE_H_
#define SIGNCCL_CONTROL_NETWORK_INTERFACE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <asio/ip/address.hpp>

#include "control/network_links.h"

namespace signccl {

struct NetworkInterface {
  std::string name;
  asio::ip::address address;
  std::uint32_t mbit = 0;  ///< its speed, 0: unknown
  LinkKind kind = LinkKind::kHardware;

  friend bool operator==(const NetworkInterface&, const NetworkInterface&) = default;
};

/// Interfaces that are up and have an address, IPv4 before IPv6, without link-local addresses. Throws Error.
std::vector<NetworkInterface> networkInterfaces();

/// Those of `all` that `filter` allows, in order. The grammar is NCCL's: a comma list of prefixes of names; = before
/// it: whole names; ^ before it, or ^= for whole names: all but these. Nothing: those of the best kind that there is,
/// so neither bridges of containers nor lo where the machine has a network. Throws signcclInvalidUsage if a filter
/// allows none.
std::vector<NetworkInterface> chooseInterfaces(const std::vector<NetworkInterface>& all,
                                               const std::optional<std::string>& filter);

/// Those that data travels over. `reached`: the address at which the others reach this host, as the connections of the
/// ranks to their meeting point show; unspecified: unknown. The user's choice where `filter` names interfaces, else the
/// one with that address: another one may lead elsewhere, or nowhere. Where `filter` excludes it, or no interface has
/// it, as chooseInterfaces().
std::vector<NetworkInterface> interfacesForData(const std::vector<NetworkInterface>& all,
                                                const std::optional<std::string>& filter,
                                                const asio::ip::address& reached);

/// The speed of the interface with this address in Mbit/s; 0: unknown.
std::uint32_t speedAt(const std::vector<NetworkInterface>& all, const asio::ip::address& address);

/// For messages: "eth0 10.0.0.1, eth1 10.0.1.1".
std::string describe(const std::vector<NetworkInterface>& interfaces);

/// Their names, each once, as a comma list.
std::string namesOf(const std::vector<NetworkInterface>& interfaces);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_NETWORK_INTERFACE_H_
