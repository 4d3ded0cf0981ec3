// SPDX-License-Identifier: Apache-2.0
#include "kernels/lanes/host_group.h"

#include <limits>

#include <gtest/gtest.h>

namespace signccl::lanes {
namespace {

using Group = HostGroup<DirectMemory>;
using Values = Group::PerLane<uint32_t>;

Values laneNumbers() {
  Values values;
  Group::each([&](int lane) { values[lane] = static_cast<uint32_t>(lane); });
  return values;
}

TEST(HostGroupTest, EveryLaneRunsOnce) {
  int runs[kLanes] = {};
  Group::each([&](int lane) { ++runs[lane]; });
  for (const int n : runs) EXPECT_EQ(n, 1);
}

TEST(HostGroupTest, ShuffleGivesTheValueOfTheSourceModulo32) {
  Values source;
  Group::each([&](int lane) { source[lane] = static_cast<uint32_t>(7 * lane + 32 * (lane % 5)); });
  const Values shuffled = Group::shuffle(laneNumbers(), source);
  for (int lane = 0; lane < kLanes; ++lane) EXPECT_EQ(shuffled[lane], 7U * static_cast<unsigned>(lane) % 32U);
}

TEST(HostGroupTest, ShuffleXorGivesTheValueOfTheNeighbour) {
  for (const int mask : {1, 2, 4, 8, 16, 31}) {
    const Values shuffled = Group::shuffleXor(laneNumbers(), mask);
    for (int lane = 0; lane < kLanes; ++lane) EXPECT_EQ(shuffled[lane], static_cast<uint32_t>(lane ^ mask));
  }
}

TEST(HostGroupTest, AFunnelShiftTakesBitsOfTheHigherWord) {
  EXPECT_EQ(Group::funnelShift(0x8765'4321, 0x0FED'CBA9, 0), 0x8765'4321U);
  EXPECT_EQ(Group::funnelShift(0x8765'4321, 0x0FED'CBA9, 4), 0x9876'5432U);
  EXPECT_EQ(Group::funnelShift(0x8765'4321, 0x0FED'CBA9, 31), 0x1FDB'9753U);
}

TEST(HostGroupTest, BallotHasTheFlagOfEachLane) {
  Group::PerLane<bool> flags;
  Group::each([&](int lane) { flags[lane] = lane % 3 == 0 || lane == 31; });
  const uint32_t ballot = Group::ballot(flags);
  for (int lane = 0; lane < kLanes; ++lane) EXPECT_EQ((ballot >> lane & 1) != 0, flags[lane]) << lane;
}

TEST(HostGroupTest, MemoryTakesWhatWasStored) {
  Quad quads[2] = {};
  Group::storeOnce(&quads[1], Quad{{1, 2, 3, 4}});
  Group::store(&quads[0].words[2], uint32_t{5});
  EXPECT_EQ(Group::load(&quads[1].words[3]), 4U);
  EXPECT_EQ(Group::loadOnce(&quads[0]).words[2], 5U);
}

TEST(HostGroupTest, BytesAreChosenFromBothWords) {
  EXPECT_EQ(Group::bytes(0x3322'1100, 0x7766'5544, 0x7410), 0x7744'1100U);
  EXPECT_EQ(Group::bytes(0x3322'1100, 0x7766'5544, 0x5326), 0x5533'2266U);
  EXPECT_EQ(Group::bytes(0x0000'0080, 0x0000'7F00, 0x8D50), 0xFF00'7F80U);
}

TEST(HostGroupTest, BitsAreSelectedByAMask) {
  EXPECT_EQ(Group::select(0xFF00'F0F0, 0x1111'1111, 0x2222'2222), 0x1122'1212U);
}

TEST(HostGroupTest, ALowerHalfIsAddedWithItsCarry) {
  EXPECT_EQ(Group::addLower(0x0001'FFFF, 0xABCD'0001), 0x0002'0000U);
  EXPECT_EQ(Group::multiplyWide(0xFFFF'FFFF, 0xFFFF'FFFF), 0xFFFF'FFFE'0000'0001U);
}

TEST(HostGroupTest, NanLosesSignAndPayload) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(Group::pattern(nan), 0x7FC0'0000U);
  EXPECT_EQ(Group::pattern(-nan), 0x7FC0'0000U);
  EXPECT_EQ(Group::pattern(-0.0F), 0x8000'0000U);
  EXPECT_EQ(Group::narrowToBFloat16Pair(-nan, -1.0F), 0xBF80'7FC0U);
  EXPECT_EQ(Group::narrowToBFloat16Pair(std::numeric_limits<float>::infinity(), nan), 0x7FC0'7F80U);
  EXPECT_EQ(Group::narrowToFloat16Pair(-nan, -1.0F), 0xBC00'7E00U);
  EXPECT_EQ(Group::narrowToFloat16Pair(std::numeric_limits<float>::infinity(), nan), 0x7E00'7C00U);
}

TEST(HostGroupDeathTest, AMisalignedAccessEndsTheProgram) {
  alignas(16) unsigned char bytes[64] = {};
  const auto at = [&](auto* type, size_t offset) { return reinterpret_cast<decltype(type)>(bytes + offset); };
  Quad* no_quad = nullptr;
  uint16_t* no_half = nullptr;
  EXPECT_DEATH(static_cast<void>(Group::load(at(no_quad, 8))), "accesses 16 bytes at .* aligned to 16");
  EXPECT_DEATH(static_cast<void>(Group::loadOnce(at(no_half, 1))), "accesses 2 bytes at .* aligned to 2");
  EXPECT_DEATH(Group::store(at(no_quad, 4), Quad{}), "accesses 16 bytes at .* aligned to 16");
  EXPECT_DEATH(Group::storeOnce(at(no_half, 3), uint16_t{0}), "accesses 2 bytes at .* aligned to 2");
}

}  // namespace
}  // namespace signccl::lanes
