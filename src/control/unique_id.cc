// SPDX-License-Identifier: Apache-2.0
#include "control/unique_id.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <system_error>

#include <sys/random.h>

#include "base/error.h"
#include "base/joined.h"
#include "control/connection.h"
#include "control/wire.h"

namespace signccl {
namespace {

constexpr std::uint64_t kIdMagic = 0x334c43434e474953;  // "SIGNCCL3"

/// Magic, secret, port, and the size of the addresses' text.
constexpr std::size_t kFixedBytes = sizeof kIdMagic + sizeof(Secret) + sizeof(std::uint16_t) + sizeof(std::uint32_t);

std::string listOfAddresses(const MeetingPoint& point) {
  std::string list = point.address.address().to_string();
  for (const asio::ip::address& other : point.other_addresses) {
    const std::string text = " " + other.to_string();
    if (kFixedBytes + list.size() + text.size() <= sizeof(signcclUniqueId)) list += text;
  }
  return list;
}

std::vector<asio::ip::address> addressesIn(const std::string& list) {
  std::vector<asio::ip::address> addresses;
  std::istringstream texts(list);
  for (std::string text; std::getline(texts, text, ' ');) addresses.push_back(asio::ip::make_address(text));
  return addresses;
}

}  // namespace

std::vector<asio::ip::tcp::endpoint> MeetingPoint::endpoints() const {
  std::vector<asio::ip::tcp::endpoint> all{address};
  for (const asio::ip::address& other : other_addresses) all.emplace_back(other, address.port());
  return all;
}

std::string toText(const std::vector<asio::ip::tcp::endpoint>& endpoints) {
  return joined(endpoints, " or ", [](const asio::ip::tcp::endpoint& one) { return toText(one); });
}

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
  writer.number(point.address.port()).text(listOfAddresses(point));
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
    std::vector<asio::ip::address> addresses = addressesIn(reader.text());
    if (addresses.empty()) WireReader::fail("it has no address");
    point.address = {addresses.front(), port};
    point.other_addresses.assign(addresses.begin() + 1, addresses.end());
    if (std::ranges::equal(toUniqueId(point).internal, id.internal)) return point;
  } catch (const Error&) {              // NOLINT(bugprone-empty-catch): the same as any other id that is not ours
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch): an address is none
  }
  throw Error(signcclInvalidArgument, "commId was not made by signcclGetUniqueId()");
}

}  // namespace signccl
