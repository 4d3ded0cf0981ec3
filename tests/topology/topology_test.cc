// SPDX-License-Identifier: Apache-2.0
#include "topology/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signccl {
namespace {

using ::testing::ElementsAre;

TEST(TopologyTest, SingleNodeHasEveryRankOnNodeZero) {
  const Topology topology = Topology::singleNode(5);
  EXPECT_EQ(topology.nranks(), 5);
  EXPECT_EQ(topology.nnodes(), 1);
  EXPECT_THAT(topology.ranksOf(0), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(topology.localRank(3), 3);
}

TEST(TopologyTest, UniformLeavesTheRestToTheLastNode) {
  const Topology topology = Topology::uniform(7, 3);
  EXPECT_EQ(topology.nnodes(), 3);
  EXPECT_THAT(topology.ranksOf(1), ElementsAre(3, 4, 5));
  EXPECT_THAT(topology.ranksOf(2), ElementsAre(6));
  EXPECT_EQ(topology.nodeOf(5), 1);
  EXPECT_EQ(topology.localRank(5), 2);
}

TEST(TopologyTest, NodesAreRenumberedByFirstAppearance) {
  const Topology topology({70, -3, 70, 12, -3});
  EXPECT_EQ(topology.nnodes(), 3);
  EXPECT_THAT(topology.ranksOf(0), ElementsAre(0, 2));
  EXPECT_THAT(topology.ranksOf(1), ElementsAre(1, 4));
  EXPECT_THAT(topology.ranksOf(2), ElementsAre(3));
}

TEST(TopologyTest, ARankIsFoundAtItsLocalRankOfItsNode) {
  const Topology topology({4, 4, 9, 4, 9, 0});
  for (Rank rank = 0; rank < topology.nranks(); ++rank) {
    const auto local = static_cast<std::size_t>(topology.localRank(rank));
    EXPECT_EQ(topology.ranksOf(topology.nodeOf(rank))[local], rank);
  }
}

}  // namespace
}  // namespace signccl
