#include "control/unique_id.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <asio/io_context.hpp>
#include <sys/random.h>

#include "base/error.h"
#include "control/wire.h"

namespace signccl {
namespace {

constexpr std::uint64_t kIdMagic = 0x324c43434e474953;  // "SIGNCCL2"

[[noreturn]] void rejectAddress(std::string_view setting, std::string_view value, const std::string& why) {
  throw Error(signcclInvalidUsage, std::string(setting) + " is '" + std::string(value) +
                                       "', expected host:port or [IPv6 address]:port" + why);
}

}  // namespace

Secret makeSecret() {
  Secret secret;
  if (getentropy(secret.data(), secret.size()) != 0) {
    throw Error(signcclSystemError, std::string("no random bytes for a unique id: ") + std::strerror(errno));
  }
  return secret;
}

signcclUniqueId toUniqueId(const MeetingPoint& point) {
  WireWriter writer;
  writer.number(kIdMagic);
  for (const std::uint8_t byte : point.secret) writer.number(byte);
  writer.number(point.address.port()).text(point.address.address().to_string());
  const std::string bytes = writer.take();
  signcclUniqueId id{};
  SIGNCCL_ASSERT(bytes.size() <= sizeof id.internal);
  std::memcpy(id.internal, bytes.data(), bytes.size());
  return id;
}

MeetingPoint fromUniqueId(const signcclUniqueId& id) {
  try {
    WireReader reader({id.internal, sizeof id.internal});
    MeetingPoint point;
    if (reader.number<std::uint64_t>() != kIdMagic) WireReader::fail("it has another magic");
    for (std::uint8_t& byte : point.secret) byte = reader.number<std::uint8_t>();
    const auto port = reader.number<std::uint16_t>();
    asio::error_code malformed;
    const auto address = asio::ip::make_address(reader.text(), malformed);
    if (!malformed) point.address = {address, port};
    if (!malformed && std::ranges::equal(toUniqueId(point).internal, id.internal)) return point;
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch): the same as any other id that is not ours
  }
  throw Error(signcclInvalidArgument, "commId was not made by signcclGetUniqueId()");
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

asio::ip::tcp::endpoint resolveAddress(std::string_view setting, std::string_view value) {
  const HostAndPort parsed = parseAddress(setting, value);
  asio::io_context context;
  asio::ip::tcp::resolver resolver(context);
  asio::error_code unresolved;
  const auto found = resolver.resolve(parsed.host, std::to_string(parsed.port), unresolved);
  if (unresolved || found.empty()) rejectAddress(setting, value, ": " + unresolved.message());
  return found.begin()->endpoint();
}

}  // namespace signccl
