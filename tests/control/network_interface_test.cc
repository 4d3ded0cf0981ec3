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

TEST(NetworkInterfaceTest, UnaskedLeavesOutLoopbackAndBridgesAsLongAsThereIsSomethingElse) {
  EXPECT_THAT(chosen({"lo", "docker0", "br-1f", "veth3", "virbr0", "eth0"}, std::nullopt), ElementsAre("eth0"));
  EXPECT_THAT(chosen({"lo", "docker0"}, std::nullopt), ElementsAre("docker0"));
  EXPECT_THAT(chosen({"lo"}, std::nullopt), ElementsAre("lo"));
  EXPECT_THAT(chosen({}, std::nullopt), ElementsAre());
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
