// SPDX-License-Identifier: Apache-2.0
#include "control/network_interface.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/caught.h"

namespace signccl {
namespace {

using testing::ElementsAre;

std::vector<NetworkInterface> interfaces(const std::vector<std::string>& names) {
  std::vector<NetworkInterface> result;
  for (const std::string& name : names) result.push_back({name, asio::ip::make_address("10.0.0.1"), 0});
  return result;
}

std::vector<std::string> chosen(const std::vector<std::string>& names, const std::optional<std::string>& filter) {
  std::vector<std::string> result;
  for (const NetworkInterface& one : chooseInterfaces(interfaces(names), filter)) result.push_back(one.name);
  return result;
}

const std::vector<std::string> kNames = {"lo", "eth0", "eth1", "eth10", "ib0", "docker0"};

TEST(NetworkInterfaceTest, FilterIsAListOfPrefixes) {
  EXPECT_THAT(chosen(kNames, "eth"), ElementsAre("eth0", "eth1", "eth10"));
  EXPECT_THAT(chosen(kNames, "ib,eth1"), ElementsAre("eth1", "eth10", "ib0"));
  EXPECT_THAT(chosen(kNames, "docker"), ElementsAre("docker0"));
  EXPECT_THAT(chosen(kNames, ",eth0,,"), ElementsAre("eth0"));
}

TEST(NetworkInterfaceTest, EqualsSignAsksForWholeNames) {
  EXPECT_THAT(chosen(kNames, "=eth1"), ElementsAre("eth1"));
  EXPECT_THAT(chosen(kNames, "=eth1,lo"), ElementsAre("lo", "eth1"));
}

TEST(NetworkInterfaceTest, CaretExcludesPrefixes) {
  EXPECT_THAT(chosen(kNames, "^eth1,lo"), ElementsAre("eth0", "ib0", "docker0"));
  EXPECT_THAT(chosen(kNames, "^nothing"), testing::ElementsAreArray(kNames));
}

TEST(NetworkInterfaceTest, CaretAndEqualsSignExcludeWholeNames) {
  EXPECT_THAT(chosen(kNames, "^=eth1,lo"), ElementsAre("eth0", "eth10", "ib0", "docker0"));
}

TEST(NetworkInterfaceTest, FilterThatAllowsNoneIsAnErrorWithTheFilterAndWhatExists) {
  for (const std::string filter : {"wlan", "=eth", "^lo,eth,ib,docker", "=", ","}) {
    EXPECT_EQ(caught([&] { chosen(kNames, filter); }),
              (Caught{signcclInvalidUsage, "SIGNCCL_SOCKET_IFNAME is '" + filter +
                                               "', which allows none of the interfaces of this machine: "
                                               "lo,eth0,eth1,eth10,ib0,docker0"}));
  }
}

NetworkInterface interface(const std::string& name, const char* address, LinkKind kind, std::uint32_t mbit = 0) {
  return {name, asio::ip::make_address(address), mbit, kind};
}

const NetworkInterface kLo = interface("lo", "127.0.0.1", LinkKind::kLoopback);
const NetworkInterface kBridge = interface("cni0", "10.88.0.1", LinkKind::kInner, 10'000);
const NetworkInterface kManagement = interface("mgmt0", "192.168.50.1", LinkKind::kHardware, 1000);
const NetworkInterface kEth = interface("eth0", "10.99.0.1", LinkKind::kHardware, 25'000);
const NetworkInterface kCable = interface("net1", "10.55.0.1", LinkKind::kVirtual);

TEST(NetworkInterfaceTest, UnaskedTakesTheBestKindThatThereIs) {
  EXPECT_THAT(chooseInterfaces({kLo, kBridge, kCable, kManagement, kEth}, std::nullopt),
              ElementsAre(kManagement, kEth));
  EXPECT_THAT(chooseInterfaces({kLo, kBridge, kCable}, std::nullopt), ElementsAre(kCable));
  EXPECT_THAT(chooseInterfaces({kLo, kBridge}, std::nullopt), ElementsAre(kBridge));
  EXPECT_THAT(chooseInterfaces({kLo}, std::nullopt), ElementsAre(kLo));
  EXPECT_THAT(chooseInterfaces({}, std::nullopt), ElementsAre());
}

const std::vector<NetworkInterface> kMany = {kLo, kBridge, kManagement, kEth};

TEST(NetworkInterfaceTest, DataTakesTheInterfaceThatReachedTheOthers) {
  EXPECT_THAT(interfacesForData(kMany, std::nullopt, kEth.address), ElementsAre(kEth));
  EXPECT_THAT(interfacesForData(kMany, "^mgmt", kEth.address), ElementsAre(kEth));
}

TEST(NetworkInterfaceTest, DataTakesABridgeThatReachedTheOthers) {
  EXPECT_THAT(interfacesForData(kMany, std::nullopt, kBridge.address), ElementsAre(kBridge));
}

TEST(NetworkInterfaceTest, DataTakesAllThatTheUserNames) {
  EXPECT_THAT(interfacesForData(kMany, "mgmt,eth", kEth.address), ElementsAre(kManagement, kEth));
  EXPECT_THAT(interfacesForData(kMany, "=mgmt0", kEth.address), ElementsAre(kManagement));
}

TEST(NetworkInterfaceTest, DataTakesWhatIsAllowedIfNoneIsKnownToReachTheOthers) {
  EXPECT_THAT(interfacesForData(kMany, std::nullopt, {}), ElementsAre(kManagement, kEth));
  EXPECT_THAT(interfacesForData(kMany, std::nullopt, asio::ip::make_address("10.1.2.3")),
              ElementsAre(kManagement, kEth));
  EXPECT_THAT(interfacesForData(kMany, "^eth0,lo", kEth.address), ElementsAre(kBridge, kManagement));
}

TEST(NetworkInterfaceTest, SpeedIsThatOfTheInterfaceWithTheAddress) {
  EXPECT_EQ(speedAt(kMany, kEth.address), 25'000U);
  EXPECT_EQ(speedAt(kMany, asio::ip::make_address("10.1.2.3")), 0U);
}

TEST(NetworkInterfaceTest, DescriptionHasNamesAndAddresses) {
  EXPECT_EQ(describe({kManagement, kEth}), "mgmt0 192.168.50.1, eth0 10.99.0.1");
  EXPECT_EQ(describe({}), "");
}

TEST(NetworkInterfaceTest, InterfacesOfThisMachineHaveNamesAndAddressesOfVersionFourFirst) {
  const std::vector<NetworkInterface> all = networkInterfaces();
  for (const NetworkInterface& one : all) {
    EXPECT_FALSE(one.name.empty());
    EXPECT_FALSE(one.address.is_unspecified());
  }
  EXPECT_TRUE(std::ranges::is_sorted(all, {}, [](const NetworkInterface& one) { return one.address.is_v6(); }));
}

TEST(NetworkInterfaceTest, NamesAreListedOnce) {
  EXPECT_EQ(namesOf(interfaces({"eth0", "eth1", "eth0"})), "eth0,eth1");
  EXPECT_EQ(namesOf({}), "");
}

}  // namespace
}  // namespace signccl
