#include "control/unique_id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/example_messages.h"
#include "support/caught.h"

namespace signccl {
namespace {

using asio::ip::make_address;
using testing::HasSubstr;

TEST(UniqueIdTest, AddressAndSecretComeBack) {
  for (const char* const address : {"127.0.0.1", "255.255.255.255", "::1", "2001:db8:1234:5678:9abc:def0:1234:5678"}) {
    for (const std::uint16_t port : {std::uint16_t{1}, std::uint16_t{65535}}) {
      const MeetingPoint point{{make_address(address), port}, kExampleSecret};
      const MeetingPoint got = fromUniqueId(toUniqueId(point));
      EXPECT_EQ(got.address, point.address);
      EXPECT_EQ(got.secret, point.secret);
    }
  }
}

TEST(UniqueIdTest, EveryIdThatIsNotOursIsRefused) {
  const Caught expected{signcclInvalidArgument, "commId was not made by signcclGetUniqueId()"};
  const signcclUniqueId good = toUniqueId({{make_address("10.20.30.40"), 4711}, kExampleSecret});
  const auto refused = [](const signcclUniqueId& id) { return caught([&] { fromUniqueId(id); }); };
  EXPECT_EQ(refused(good), Caught{});
  EXPECT_EQ(refused({}), expected);
  signcclUniqueId other_magic = good;
  other_magic.internal[0] ^= 1;
  EXPECT_EQ(refused(other_magic), expected);
  signcclUniqueId longer_than_it_is = good;
  longer_than_it_is.internal[26] = 127;
  EXPECT_EQ(refused(longer_than_it_is), expected);
  signcclUniqueId no_address = good;
  no_address.internal[30] = 'x';
  EXPECT_EQ(refused(no_address), expected);
  signcclUniqueId more_behind_it = good;
  more_behind_it.internal[sizeof more_behind_it.internal - 1] = 1;
  EXPECT_EQ(refused(more_behind_it), expected);
}

TEST(UniqueIdTest, SecretsDiffer) { EXPECT_NE(makeSecret(), makeSecret()); }

TEST(UniqueIdTest, AddressOfASettingHasHostAndPort) {
  const auto parts = [](std::string_view value) {
    const HostAndPort parsed = parseAddress("SIGNCCL_COMM_ID", value);
    return std::pair(parsed.host, parsed.port);
  };
  EXPECT_EQ(parts("node-3:4711"), std::pair(std::string("node-3"), std::uint16_t{4711}));
  EXPECT_EQ(parts("10.0.0.1:1"), std::pair(std::string("10.0.0.1"), std::uint16_t{1}));
  EXPECT_EQ(parts("[2001:db8::1]:65535"), std::pair(std::string("2001:db8::1"), std::uint16_t{65535}));
}

TEST(UniqueIdTest, MalformedAddressIsRefusedWithItsSettingAndWhatIsExpected) {
  for (const char* const value :
       {"", ":", "node", "node:", ":80", "[]:80", "node:0", "node:65536", "node:-1", "node:80x", "node:+80", "[::1]"}) {
    const Caught error = caught([&] { parseAddress("SIGNCCL_COMM_ID", value); });
    EXPECT_EQ(error.code, signcclInvalidUsage) << value;
    EXPECT_THAT(error.message, HasSubstr("SIGNCCL_COMM_ID is '" + std::string(value) + "', expected host:port"));
  }
}

TEST(UniqueIdTest, AddressIsResolved) {
  EXPECT_EQ(resolveAddress("SIGNCCL_COMM_ID", "127.0.0.1:4711"),
            asio::ip::tcp::endpoint(make_address("127.0.0.1"), 4711));
  EXPECT_EQ(resolveAddress("SIGNCCL_COMM_ID", "[::1]:4711"), asio::ip::tcp::endpoint(make_address("::1"), 4711));
}

TEST(UniqueIdTest, NameThatDoesNotResolveIsRefused) {
  // A label of 64 characters cannot exist, so that no server is asked.
  const std::string value = std::string(64, 'x').append(".invalid:80");
  const Caught error = caught([&] { resolveAddress("SIGNCCL_COMM_ID", value); });
  EXPECT_EQ(error.code, signcclInvalidUsage);
  EXPECT_THAT(error.message, HasSubstr(value));
}

}  // namespace
}  // namespace signccl
