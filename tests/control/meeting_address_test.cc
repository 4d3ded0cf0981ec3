// SPDX-License-Identifier: Apache-2.0
#include "control/meeting_address.h"

#include <array>
#include <string>
#include <unistd.h>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "control/hub.h"
#include "control/job.h"
#include "support/caught.h"

namespace signccl {
namespace {

using asio::ip::make_address;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using Endpoint = asio::ip::tcp::endpoint;

constexpr const char* kSetting = "SIGNCCL_COMM_ID";

TEST(MeetingAddressTest, AddressOfASettingHasHostAndPort) {
  const auto parts = [](std::string_view value) {
    const HostAndPort parsed = parseAddress("SIGNCCL_COMM_ID", value);
    return std::pair(parsed.host, parsed.port);
  };
  EXPECT_EQ(parts("node-3:4711"), std::pair(std::string("node-3"), std::uint16_t{4711}));
  EXPECT_EQ(parts("10.0.0.1:1"), std::pair(std::string("10.0.0.1"), std::uint16_t{1}));
  EXPECT_EQ(parts("[2001:db8::1]:65535"), std::pair(std::string("2001:db8::1"), std::uint16_t{65535}));
}

TEST(MeetingAddressTest, MalformedAddressIsRefusedWithItsSettingAndWhatIsExpected) {
  for (const char* const value :
       {"", ":", "node", "node:", ":80", "[]:80", "node:0", "node:65536", "node:-1", "node:80x", "node:+80", "[::1]"}) {
    const Caught error = caught([&] { parseAddress("SIGNCCL_COMM_ID", value); });
    EXPECT_EQ(error.code, signcclInvalidUsage) << value;
    EXPECT_THAT(error.message, HasSubstr("SIGNCCL_COMM_ID is '" + std::string(value) + "', expected host:port"));
  }
}

TEST(MeetingAddressTest, AddressIsWhereRankZeroListensAndOthersGo) {
  for (const auto& [value, address] : {std::pair("127.0.0.1:4711", "127.0.0.1"), std::pair("[::1]:4711", "::1")}) {
    const Endpoint expected(make_address(address), 4711);
    EXPECT_THAT(resolveMeetingAddress(kSetting, value).candidates, ElementsAre(expected));
    EXPECT_EQ(resolveMeetingAddress(kSetting, value).listening, expected);
  }
}

TEST(MeetingAddressTest, LocalhostIsListenedForAtItsLoopbackAddressAlone) {
  const MeetingAddress address = resolveMeetingAddress(kSetting, "localhost:4711");
  EXPECT_TRUE(address.listening.address().is_loopback());
  EXPECT_THAT(address.candidates, Contains(address.listening));
}

/// Where ranks meet if the setting has the name of this host.
class NamedHostTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<char, 256> name{};
    ASSERT_EQ(gethostname(name.data(), name.size() - 1), 0);
    try {
      address_ = resolveMeetingAddress(kSetting, std::string(name.data()) + ":4711");
    } catch (const Error& error) {
      GTEST_SKIP() << "the name of this host resolves to nothing: " << error.what();
    }
  }

  MeetingAddress address_;
};

TEST_F(NamedHostTest, IsListenedForAtAllItsAddresses) {
  EXPECT_TRUE(address_.listening.address().is_unspecified());
  EXPECT_EQ(address_.listening.port(), 4711);
  EXPECT_FALSE(address_.candidates.empty());
}

/// What the setting has is not what the other ranks resolve: on Debian a host's own name is 127.0.1.1 there.
TEST_F(NamedHostTest, IsReachedAtEveryLoopbackAddress) {
  const Endpoint listening(address_.listening.address(), 0);
  const std::uint16_t port = Hub::open(listening, kExampleSecret)->meetingPoint().address.port();
  std::vector<JobRank> ranks;
  ranks.emplace_back(MeetingPoint{{make_address("127.0.0.1"), port}, kExampleSecret}, 0, 2);
  ranks.emplace_back(MeetingPoint{{make_address("127.0.1.1"), port}, kExampleSecret}, 1, 2);
  expectReady(ranks, 2);
}

TEST(MeetingAddressTest, AddressThatLeadsNowhereIsFollowedByTheNext) {
  const MeetingPoint point = Hub::open({make_address("127.0.0.1"), 0}, kExampleSecret)->meetingPoint();
  MemberOptions options = memberOptions({{make_address("127.0.0.2"), point.address.port()}, kExampleSecret}, 0, 2);
  options.addresses = {options.point.address, point.address};
  std::vector<JobRank> ranks;
  ranks.emplace_back(options);
  ranks.emplace_back(point, 1, 2);
  expectReady(ranks, 2);
}

TEST(MeetingAddressTest, NameThatDoesNotResolveIsRefused) {
  // A label of 64 characters cannot exist, so that no server is asked.
  const std::string value = std::string(64, 'x').append(".invalid:80");
  const Caught error = caught([&] { resolveMeetingAddress("SIGNCCL_COMM_ID", value); });
  EXPECT_EQ(error.code, signcclInvalidUsage);
  EXPECT_THAT(error.message, HasSubstr(value));
}

}  // namespace
}  // namespace signccl
