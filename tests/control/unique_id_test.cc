// SPDX-License-Identifier: Apache-2.0
#include "control/unique_id.h"

#include <gtest/gtest.h>

#include "control/example_messages.h"
#include "support/caught.h"

namespace signccl {
namespace {

using asio::ip::make_address;

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

TEST(UniqueIdTest, OtherAddressesComeBackAsFarAsThereIsRoom) {
  MeetingPoint point{{make_address("10.0.0.1"), 4711}, kExampleSecret};
  point.other_addresses = {make_address("192.168.0.1"), make_address("2001:db8::1")};
  EXPECT_EQ(fromUniqueId(toUniqueId(point)).other_addresses, point.other_addresses);
  EXPECT_EQ(fromUniqueId(toUniqueId(point)).endpoints().size(), 3U);
  point.other_addresses.assign(20, make_address("255.255.255.255"));
  const MeetingPoint got = fromUniqueId(toUniqueId(point));
  EXPECT_EQ(got.address, point.address);
  EXPECT_EQ(got.other_addresses, std::vector(5, make_address("255.255.255.255")));
}

TEST(UniqueIdTest, MessagesListAllAddresses) {
  const MeetingPoint point{{make_address("10.0.0.1"), 4711}, kExampleSecret, {make_address("::1")}};
  EXPECT_EQ(toText(point.endpoints()), "10.0.0.1:4711 or [::1]:4711");
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

}  // namespace
}  // namespace signccl
