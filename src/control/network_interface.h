// The network interfaces of this machine, and which of them a job uses.
#ifndef SIGNCCL_CONTROL_NETWORK_INTERFACE_H_
#define SIGNCCL_CONTROL_NETWORK_INTERFACE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <asio/ip/address.hpp>

namespace signccl {

struct NetworkInterface {
  std::string name;
  asio::ip::address address;
  std::uint32_t mbit = 0;  ///< its speed, 0: unknown

  friend bool operator==(const NetworkInterface&, const NetworkInterface&) = default;
};

/// Interfaces that are up and have an address, IPv4 before IPv6, without link-local addresses. Throws Error.
std::vector<NetworkInterface> networkInterfaces();

/// Those of `all` that `filter` allows, in order. The grammar is NCCL's: a comma list of prefixes of names; = before
/// it: whole names; ^ before it, or ^= for whole names: all but these. Nothing: all but lo and the bridges of
/// containers and virtual machines (docker, virbr, br-, veth); if that leaves none, all but lo; if that leaves none,
/// lo. Throws signcclInvalidUsage if a filter allows none.
std::vector<NetworkInterface> chooseInterfaces(const std::vector<NetworkInterface>& all,
                                               const std::optional<std::string>& filter);

/// Their names, each once, as a comma list.
std::string namesOf(const std::vector<NetworkInterface>& interfaces);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_NETWORK_INTERFACE_H_
