// SPDX-License-Identifier: Apache-2.0
#include "control/network_interface.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <ifaddrs.h>
#include <memory>
#include <string_view>

#include <net/if.h>
#include <netinet/in.h>

#include "base/error.h"
#include "base/joined.h"

namespace signccl {
namespace {

std::uint32_t speedOf(const std::string& name) {
  std::ifstream file("/sys/class/net/" + name + "/speed");
  long mbit = 0;
  return file >> mbit && mbit > 0 ? static_cast<std::uint32_t>(mbit) : 0;
}

std::optional<asio::ip::address> addressOf(const sockaddr* address) {
  if (address == nullptr) return std::nullopt;
  if (address->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, address, sizeof v4);
    return asio::ip::address_v4(ntohl(v4.sin_addr.s_addr));
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, address, sizeof v6);
    asio::ip::address_v6::bytes_type bytes{};
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    asio::ip::address_v6 result(bytes);
    if (!result.is_link_local()) return result;
  }
  return std::nullopt;
}

std::vector<std::string> splitAtCommas(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (comma > 0) parts.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return parts;
}

bool startsWithOne(const std::string& name, const std::vector<std::string>& prefixes) {
  return std::ranges::any_of(prefixes, [&](const std::string& prefix) { return name.starts_with(prefix); });
}

template <typename Allows>
std::vector<NetworkInterface> those(const std::vector<NetworkInterface>& all, const Allows& allows) {
  std::vector<NetworkInterface> chosen;
  std::ranges::copy_if(all, std::back_inserter(chosen), allows);
  return chosen;
}

std::vector<NetworkInterface> chooseUnasked(const std::vector<NetworkInterface>& all) {
  if (all.empty()) return {};
  const LinkKind best = std::ranges::min(all, {}, &NetworkInterface::kind).kind;
  return those(all, [&](const NetworkInterface& one) { return one.kind == best; });
}

}  // namespace

std::string namesOf(const std::vector<NetworkInterface>& interfaces) {
  std::vector<std::string> names;
  for (const NetworkInterface& one : interfaces) {
    if (std::ranges::find(names, one.name) == names.end()) names.push_back(one.name);
  }
  return joined(names, ",");
}

std::vector<NetworkInterface> networkInterfaces() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) {
    throw Error(signcclSystemError, std::string("cannot list the network interfaces: ") + std::strerror(errno));
  }
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  const std::vector<NetworkLink> links = networkLinks();
  std::vector<NetworkInterface> interfaces;
  for (const bool wants_v6 : {false, true}) {
    for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
      const auto address = addressOf(one->ifa_addr);
      if ((one->ifa_flags & IFF_UP) == 0 || !address || address->is_v6() != wants_v6) continue;
      interfaces.push_back({one->ifa_name, *address, speedOf(one->ifa_name), kindOf(one->ifa_name, links)});
    }
  }
  return interfaces;
}

std::vector<NetworkInterface> chooseInterfaces(const std::vector<NetworkInterface>& all,
                                               const std::optional<std::string>& filter) {
  if (!filter) return chooseUnasked(all);
  std::string_view list = *filter;
  const bool is_inverted = list.starts_with('^');
  if (is_inverted) list.remove_prefix(1);
  const bool is_exact = list.starts_with('=');
  if (is_exact) list.remove_prefix(1);
  const std::vector<std::string> names = splitAtCommas(list);
  std::vector<NetworkInterface> chosen = those(all, [&](const NetworkInterface& one) {
    const bool is_listed =
        is_exact ? std::ranges::find(names, one.name) != names.end() : startsWithOne(one.name, names);
    return is_listed != is_inverted;
  });
  if (chosen.empty()) {
    throw Error(signcclInvalidUsage, "SIGNCCL_SOCKET_IFNAME is '" + *filter +
                                         "', which allows none of the interfaces of this machine: " + namesOf(all));
  }
  return chosen;
}

std::vector<NetworkInterface> interfacesForData(const std::vector<NetworkInterface>& all,
                                                const std::optional<std::string>& filter,
                                                const asio::ip::address& reached) {
  const bool is_named = filter && !filter->starts_with('^');
  std::vector<NetworkInterface> allowed = chooseInterfaces(all, filter);
  if (is_named) return allowed;
  std::vector<NetworkInterface> reaching =
      those(filter ? allowed : all, [&](const NetworkInterface& one) { return one.address == reached; });
  return reaching.empty() ? allowed : reaching;
}

std::uint32_t speedAt(const std::vector<NetworkInterface>& all, const asio::ip::address& address) {
  const auto found = std::ranges::find(all, address, &NetworkInterface::address);
  return found == all.end() ? 0 : found->mbit;
}

std::string describe(const std::vector<NetworkInterface>& interfaces) {
  return joined(interfaces, ", ", [](const NetworkInterface& one) { return one.name + " " + one.address.to_string(); });
}

}  // namespace signccl
