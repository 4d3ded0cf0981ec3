// SPDX-License-Identifier: Apache-2.0
#include "control/network_links.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace signccl {
namespace {

/// A host with bridges of all sorts.
const std::vector<NetworkLink> kLinks = {
    {.index = 1, .name = "lo", .driver = "", .is_loopback = true},
    {.index = 2, .name = "eth0", .driver = ""},
    {.index = 3, .name = "eth1", .driver = "", .master = 4},
    {.index = 4, .name = "bond0", .driver = "bond"},
    {.index = 5, .name = "bond0.7", .driver = "vlan", .master = 6, .lower = 4},
    {.index = 6, .name = "vmbr0", .driver = "bridge"},
    {.index = 7, .name = "cni0", .driver = "bridge"},
    {.index = 8, .name = "veth1", .driver = "veth", .master = 7, .lower = 2},
    {.index = 9, .name = "empty", .driver = "bridge"},
    {.index = 10, .name = "flannel.1", .driver = "vxlan", .lower = 2},
    {.index = 11, .name = "wg0", .driver = "wireguard"},
    {.index = 12, .name = "cni0.5", .driver = "vlan", .lower = 7},
    {.index = 13, .name = "far.5", .driver = "vlan", .lower = 99},
};

LinkKind kind(const char* name) { return kindOf(name, kLinks); }

TEST(NetworkLinksTest, CardsBondsAndVlansOverThemAreHardware) {
  EXPECT_EQ(kind("eth0"), LinkKind::kHardware);
  EXPECT_EQ(kind("bond0"), LinkKind::kHardware);
  EXPECT_EQ(kind("bond0.7"), LinkKind::kHardware);
}

TEST(NetworkLinksTest, ABridgeIsHardwareIfItJoinsSome) {
  EXPECT_EQ(kind("vmbr0"), LinkKind::kHardware);
  EXPECT_EQ(kind("cni0"), LinkKind::kInner);
  EXPECT_EQ(kind("empty"), LinkKind::kInner);
  EXPECT_EQ(kind("cni0.5"), LinkKind::kInner);
}

TEST(NetworkLinksTest, TunnelsAreInnerWhateverTheyAreMadeOver) {
  EXPECT_EQ(kind("flannel.1"), LinkKind::kInner);
  EXPECT_EQ(kind("wg0"), LinkKind::kInner);
}

TEST(NetworkLinksTest, CablesOfContainersAreVirtual) {
  EXPECT_EQ(kind("veth1"), LinkKind::kVirtual);
  EXPECT_EQ(kind("far.5"), LinkKind::kVirtual) << "what it is made over is in another namespace";
}

TEST(NetworkLinksTest, LoopbackIsTheWorst) {
  EXPECT_EQ(kind("lo"), LinkKind::kLoopback);
  EXPECT_GT(LinkKind::kLoopback, LinkKind::kInner);
}

TEST(NetworkLinksTest, LinksThatAreNotInTheListCountAsHardware) { EXPECT_EQ(kind("eth9"), LinkKind::kHardware); }

TEST(NetworkLinksTest, LinksMadeInACircleEnd) {
  const std::vector<NetworkLink> circle = {{.index = 1, .name = "a", .driver = "bridge", .master = 2},
                                           {.index = 2, .name = "b", .driver = "bridge", .master = 1}};
  EXPECT_EQ(kindOf("a", circle), LinkKind::kInner);
}

TEST(NetworkLinksTest, ThisMachineHasItsLoopback) {
  const std::vector<NetworkLink> links = networkLinks();
  EXPECT_TRUE(std::ranges::any_of(links, [](const NetworkLink& one) { return one.name == "lo" && one.is_loopback; }));
}

}  // namespace
}  // namespace signccl
