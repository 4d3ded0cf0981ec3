#include "launch/address.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ifaddrs.h>
#include <memory>
#include <netdb.h>

#include <net/if.h>

#include "launch/error.h"

namespace signccl::launch {
namespace {

constexpr int kLastPort = 65535;
/// What unlikeliness() gives for lo.
constexpr int kLoopback = 3;

std::optional<int> parsePort(std::string_view text) {
  int port = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || stop != text.data() + text.size() || port < 1 || port > kLastPort) return std::nullopt;
  return port;
}

/// torchrun's agent listens at MASTER_PORT itself unless it leaves that to the first process.
bool agentHoldsThePort(const Environment& environment) {
  const std::string value = environment("TORCHELASTIC_USE_AGENT_STORE").value_or("");
  return value == "True" || value == "true" || value == "1";
}

Address masterAddress(const std::string& host, const std::string& port_text, const Environment& environment) {
  const std::optional<int> port = parsePort(port_text);
  if (host.empty()) throw LaunchError("MASTER_ADDR is empty, expected the host name or address of process 0");
  if (!port) throw LaunchError("MASTER_PORT is '" + port_text + "', expected a number of 1 to 65535");
  const int used = *port + (agentHoldsThePort(environment) ? 1 : 0);
  if (used > kLastPort) {
    throw LaunchError("MASTER_PORT is 65535, expected at most 65534: torchrun holds that port, and the next is used");
  }
  return {host, static_cast<std::uint16_t>(used)};
}

/// Lower is more likely to be reachable: IPv4, then IPv6, then bridges of containers and virtual machines, then lo.
int unlikeliness(const ifaddrs& one) {
  const std::string_view name = one.ifa_name;
  if ((one.ifa_flags & IFF_LOOPBACK) != 0) return kLoopback;
  for (const char* bridge : {"docker", "virbr", "br-", "veth"}) {
    if (name.starts_with(bridge)) return 2;
  }
  return one.ifa_addr->sa_family == AF_INET ? 0 : 1;
}

std::optional<std::string> numericHost(const sockaddr& address) {
  const bool is_v4 = address.sa_family == AF_INET;
  if (!is_v4 && address.sa_family != AF_INET6) return std::nullopt;
  std::array<char, NI_MAXHOST> text{};
  const socklen_t bytes = is_v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (getnameinfo(&address, bytes, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) return std::nullopt;
  // An address with a zone, fe80::1%eth0, means nothing on another host.
  if (std::strchr(text.data(), '%') != nullptr) return std::nullopt;
  return text.data();
}

}  // namespace

std::string toText(const Address& address) {
  const bool is_v6 = address.host.find(':') != std::string::npos;
  return (is_v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

Address parseAddress(const std::string& name, const std::string& value) {
  const std::size_t colon = value.rfind(':');
  const auto port = colon == std::string::npos ? std::nullopt : parsePort(std::string_view(value).substr(colon + 1));
  std::string host = value.substr(0, std::min(colon, value.size()));
  const bool has_brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (has_brackets) host = host.substr(1, host.size() - 2);
  if (!port || host.empty() || (!has_brackets && host.find(':') != std::string::npos)) {
    throw LaunchError(name + " is '" + value +
                      "', expected host:port or [IPv6 address]:port with a port of 1 to 65535");
  }
  return {host, static_cast<std::uint16_t>(*port)};
}

std::optional<Address> addressFromVariables(const Environment& environment) {
  if (const auto value = environment("SIGNCCL_COMM_ID")) return parseAddress("SIGNCCL_COMM_ID", *value);
  const auto host = environment("MASTER_ADDR");
  const auto port = environment("MASTER_PORT");
  if (!host && !port) return std::nullopt;
  if (!host || !port) {
    throw LaunchError(std::string(host ? "MASTER_ADDR" : "MASTER_PORT") + " is set to '" + (host ? *host : *port) +
                      "', but " + (host ? "MASTER_PORT" : "MASTER_ADDR") + " is not set: expected both or none");
  }
  return masterAddress(*host, *port, environment);
}

std::vector<std::string> hostAddresses() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) throw LaunchError(std::string("getifaddrs failed: ") + std::strerror(errno));
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, &freeifaddrs);
  std::vector<std::pair<int, std::string>> found;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || (one->ifa_flags & IFF_UP) == 0) continue;
    if (const auto host = numericHost(*one->ifa_addr)) found.emplace_back(unlikeliness(*one), *host);
  }
  std::vector<std::string> addresses;
  for (int wanted = 0; wanted <= kLoopback; ++wanted) {
    if (wanted == kLoopback && !addresses.empty()) break;
    for (const auto& [rating, host] : found) {
      if (rating == wanted) addresses.push_back(host);
    }
  }
  if (addresses.empty()) throw LaunchError("this host has no network interface that is up, not even lo");
  return addresses;
}

}  // namespace signccl::launch
