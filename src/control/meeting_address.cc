// SPDX-License-Identifier: Apache-2.0
#include "control/meeting_address.h"

#include <charconv>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <sys/socket.h>

#include "base/error.h"

namespace signccl {
namespace {

[[noreturn]] void rejectAddress(std::string_view setting, std::string_view value, const std::string& why) {
  throw Error(signcclInvalidUsage, std::string(setting) + " is '" + std::string(value) +
                                       "', expected host:port or [IPv6 address]:port" + why);
}

}  // namespace

asio::ip::tcp::endpoint everyAddress(std::uint16_t port) {
  const int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return {asio::ip::address_v4::any(), port};
  close(probe);
  return {asio::ip::address_v6::any(), port};
}

HostAndPort parseAddress(std::string_view setting, std::string_view value) {
  const std::size_t colon = value.rfind(':');
  if (colon == std::string_view::npos) rejectAddress(setting, value, "");
  std::string_view host = value.substr(0, colon);
  const std::string_view digits = value.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port == 0) {
    rejectAddress(setting, value, " with a port from 1 to 65535");
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty()) rejectAddress(setting, value, "");
  return {std::string(host), port};
}

MeetingAddress resolveMeetingAddress(std::string_view setting, std::string_view value) {
  const HostAndPort parsed = parseAddress(setting, value);
  asio::io_context context;
  asio::ip::tcp::resolver resolver(context);
  asio::error_code unresolved;
  const auto found = resolver.resolve(parsed.host, std::to_string(parsed.port), unresolved);
  if (unresolved || found.empty()) rejectAddress(setting, value, ": " + unresolved.message());
  MeetingAddress address;
  for (const auto& one : found) address.candidates.push_back(one.endpoint());
  asio::error_code is_name;
  asio::ip::make_address(parsed.host, is_name);
  const bool is_one = !is_name || parsed.host == "localhost";
  address.listening = is_one ? address.candidates.front() : everyAddress(parsed.port);
  return address;
}

}  // namespace signccl
