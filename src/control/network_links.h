// SPDX-License-Identifier: Apache-2.0
// What kind of link each network interface of this machine is, as the kernel tells by netlink: whether it is likely to
// reach other hosts.
#ifndef SIGNCCL_CONTROL_NETWORK_LINKS_H_
#define SIGNCCL_CONTROL_NETWORK_LINKS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace signccl {

/// The better an interface reaches other hosts, the smaller.
enum class LinkKind : std::uint8_t {
  kHardware,  ///< a network card; a bond, VLAN or bridge over one
  kVirtual,   ///< an end of a virtual cable, macvlan and the like: the network of a container, often
  kInner,     ///< a bridge without a network card, for containers or virtual machines; a tunnel
  kLoopback
};

/// A link as netlink describes it.
struct NetworkLink {
  int index = 0;
  std::string name;
  std::string driver;  ///< "bridge", "veth", "vlan", ...; empty for hardware
  int master = 0;      ///< index of the bridge or bond that it is a port of; 0: none
  int lower = 0;       ///< index of the link that it is made over; 0: none
  bool is_loopback = false;
};

/// The links of this network namespace; none where the kernel does not tell.
std::vector<NetworkLink> networkLinks();

/// The kind of the link with this name; kHardware for one that is not in the list.
LinkKind kindOf(const std::string& name, const std::vector<NetworkLink>& links);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_NETWORK_LINKS_H_
