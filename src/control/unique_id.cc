#include "control/unique_id.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/random.h>

#include "base/error.h"
#include "control/wire.h"

namespace signccl {
namespace {

constexpr std::uint64_t kIdMagic = 0x324c43434e474953;  // "SIGNCCL2"

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

}  // namespace signccl
