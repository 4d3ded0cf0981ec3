// SPDX-License-Identifier: Apache-2.0
#include "control/network_links.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <unistd.h>

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

namespace signccl {
namespace {

/// Links are made over links, but not as many as this: a circle ends.
constexpr int kMostLayers = 8;

/// The attributes of a netlink message: what follows its fixed part.
template <typename Visit>
void forEachAttribute(std::span<const std::byte> bytes, const Visit& visit) {
  while (bytes.size() >= sizeof(rtattr)) {
    rtattr header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.rta_len < sizeof header || header.rta_len > bytes.size()) return;
    visit(header.rta_type & NLA_TYPE_MASK, bytes.subspan(sizeof header, header.rta_len - sizeof header));
    bytes = bytes.subspan(std::min<std::size_t>(RTA_ALIGN(header.rta_len), bytes.size()));
  }
}

std::string textOf(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return std::string(text.substr(0, text.find('\0')));
}

int numberOf(std::span<const std::byte> bytes) {
  int number = 0;
  if (bytes.size() == sizeof number) std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

NetworkLink linkOf(const ifinfomsg& info, std::span<const std::byte> attributes) {
  NetworkLink link;
  link.index = info.ifi_index;
  link.is_loopback = (info.ifi_flags & IFF_LOOPBACK) != 0;
  forEachAttribute(attributes, [&](int type, std::span<const std::byte> value) {
    if (type == IFLA_IFNAME) link.name = textOf(value);
    if (type == IFLA_MASTER) link.master = numberOf(value);
    if (type == IFLA_LINK) link.lower = numberOf(value);
    if (type != IFLA_LINKINFO) return;
    forEachAttribute(value, [&](int inner_type, std::span<const std::byte> inner) {
      if (inner_type == IFLA_INFO_KIND) link.driver = textOf(inner);
    });
  });
  return link;
}

/// Appends the links of one datagram. False if it is the last one, or none that can be read.
bool takeLinks(std::span<const std::byte> datagram, std::vector<NetworkLink>& links) {
  while (datagram.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header{};
    std::memcpy(&header, datagram.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size()) return false;
    if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) return false;
    const auto body = datagram.subspan(sizeof header, header.nlmsg_len - sizeof header);
    if (header.nlmsg_type == RTM_NEWLINK && body.size() >= sizeof(ifinfomsg)) {
      ifinfomsg info{};
      std::memcpy(&info, body.data(), sizeof info);
      links.push_back(linkOf(info, body.subspan(std::min<std::size_t>(NLMSG_ALIGN(sizeof info), body.size()))));
    }
    datagram = datagram.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), datagram.size()));
  }
  return true;
}

/// Asks for all links and reads the answers, which come at once.
std::vector<NetworkLink> dump(int socket) {
  struct {
    nlmsghdr header;
    ifinfomsg info;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  std::vector<NetworkLink> links;
  if (send(socket, &request, sizeof request, 0) != static_cast<ssize_t>(sizeof request)) return links;
  const timeval longest{.tv_sec = 1, .tv_usec = 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest);
  std::vector<std::byte> memory(std::size_t{1} << 16);  // the kernel's datagrams have up to 32 KiB
  while (true) {
    const ssize_t size = recv(socket, memory.data(), memory.size(), 0);
    if (size <= 0 || !takeLinks({memory.data(), static_cast<std::size_t>(size)}, links)) return links;
  }
}

template <typename Fits>
const NetworkLink* find(const std::vector<NetworkLink>& links, const Fits& fits) {
  const auto found = std::ranges::find_if(links, fits);
  return found == links.end() ? nullptr : &*found;
}

bool isOneOf(std::string_view driver, std::span<const std::string_view> drivers) {
  return std::ranges::find(drivers, driver) != drivers.end();
}

LinkKind kindOfLink(const NetworkLink& link, const std::vector<NetworkLink>& links, int layers) {
  constexpr std::array<std::string_view, 3> kOverHardware{"bond", "team", "ipoib"};
  constexpr std::array<std::string_view, 7> kVirtual{"veth",   "netkit", "macvlan",    "macvtap",
                                                     "ipvlan", "ipvtap", "openvswitch"};
  if (link.is_loopback) return LinkKind::kLoopback;
  if (link.driver.empty() || isOneOf(link.driver, kOverHardware)) return LinkKind::kHardware;
  if (isOneOf(link.driver, kVirtual)) return LinkKind::kVirtual;
  if (layers == 0) return LinkKind::kInner;
  if (link.driver == "vlan") {
    const NetworkLink* const lower = find(links, [&](const NetworkLink& one) { return one.index == link.lower; });
    return lower == nullptr ? LinkKind::kVirtual : kindOfLink(*lower, links, layers - 1);
  }
  const bool joins_hardware =
      link.driver == "bridge" && std::ranges::any_of(links, [&](const NetworkLink& port) {
        return port.master == link.index && kindOfLink(port, links, layers - 1) == LinkKind::kHardware;
      });
  return joins_hardware ? LinkKind::kHardware : LinkKind::kInner;
}

}  // namespace

std::vector<NetworkLink> networkLinks() {
  const int socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (socket < 0) return {};
  std::vector<NetworkLink> links;
  try {
    links = dump(socket);
  } catch (...) {
    close(socket);
    throw;
  }
  close(socket);
  return links;
}

LinkKind kindOf(const std::string& name, const std::vector<NetworkLink>& links) {
  const NetworkLink* const link = find(links, [&](const NetworkLink& one) { return one.name == name; });
  return link == nullptr ? LinkKind::kHardware : kindOfLink(*link, links, kMostLayers);
}

}  // namespace signccl
