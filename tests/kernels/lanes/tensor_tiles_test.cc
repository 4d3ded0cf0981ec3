// SPDX-License-Identifier: Apache-2.0
// The search for the tensor of a tile, against a search one by one.
#include "kernels/lanes/tensor_tiles.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/lanes/host_group.h"

namespace signccl::lanes {
namespace {

using Group = HostGroup<DirectMemory>;

/// Tensors with the given numbers of tiles.
void expectFindsEveryTile(const std::vector<uint32_t>& ntiles) {
  std::vector<uint32_t> first_tile;
  std::vector<uint32_t> tensor_of_tile;
  for (uint32_t t = 0; t < ntiles.size(); ++t) {
    first_tile.push_back(static_cast<uint32_t>(tensor_of_tile.size()));
    tensor_of_tile.insert(tensor_of_tile.end(), ntiles[t], t);
  }
  const auto ntensors = static_cast<uint32_t>(ntiles.size());
  const LionTable table{first_tile.data(), nullptr, nullptr, ntensors};
  for (uint32_t tile = 0; tile < tensor_of_tile.size(); ++tile) {
    ASSERT_EQ(tensorOfTile<Group>(table, searchDistance(ntensors), tile), tensor_of_tile[tile])
        << "tile " << tile << " of " << ntensors << " tensors";
  }
}

TEST(TensorTilesTest, TheSearchFindsTheTensorOfEveryTile) {
  std::mt19937_64 random(1);
  for (const size_t n : {1U, 2U, 31U, 32U, 33U, 63U, 64U, 65U, 1023U, 1024U, 1025U, 32767U, 32768U, 32769U, 40000U}) {
    std::vector<uint32_t> ntiles(n);
    for (uint32_t& tiles : ntiles) tiles = random() % 3 == 0 ? 0 : static_cast<uint32_t>(random() % 3);
    ASSERT_NO_FATAL_FAILURE(expectFindsEveryTile(ntiles));
  }
}

TEST(TensorTilesTest, TheSearchFindsTilesAmongAMillionTensors) {
  constexpr uint32_t kTensors = (1U << 20) + 1;
  std::vector<uint32_t> first_tile(kTensors);
  for (uint32_t t = 0; t < kTensors; ++t) first_tile[t] = 3 * t;
  const LionTable table{first_tile.data(), nullptr, nullptr, kTensors};
  for (const uint32_t tensor : {0U, 1U, 31U, 32U, 32767U, 32768U, (1U << 20) - 1, 1U << 20}) {
    for (const uint32_t tile : {3 * tensor, 3 * tensor + 2}) {
      EXPECT_EQ(tensorOfTile<Group>(table, searchDistance(kTensors), tile), tensor);
    }
  }
}

TEST(TensorTilesTest, TheSearchPassesOverManyTensorsWithoutElements) {
  for (const size_t n : {40U, 2000U}) {
    for (const size_t only : {size_t{0}, n / 2, n - 1}) {
      std::vector<uint32_t> ntiles(n);
      ntiles[only] = 3;
      ASSERT_NO_FATAL_FAILURE(expectFindsEveryTile(ntiles));
    }
  }
}

TEST(TensorTilesTest, TheFirstDistanceIsTheSmallestPowerOf32ThatReachesAllTensors) {
  EXPECT_EQ(searchDistance(1), 1U);
  EXPECT_EQ(searchDistance(32), 1U);
  EXPECT_EQ(searchDistance(33), 32U);
  EXPECT_EQ(searchDistance(1024), 32U);
  EXPECT_EQ(searchDistance(1025), 1024U);
  EXPECT_EQ(searchDistance(32768), 1024U);
  EXPECT_EQ(searchDistance(40000), 32768U);
  EXPECT_EQ(searchDistance(1 << 26), uint32_t{1} << 25);
}

}  // namespace
}  // namespace signccl::lanes
