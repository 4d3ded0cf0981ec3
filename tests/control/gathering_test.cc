#include "control/gathering.h"

#include <gtest/gtest.h>

#include "control/hub.h"

namespace signccl {
namespace {

TEST(GatheringTest, SplitsAndAllGathersOfOneNumberAreTheOtherKindOfEachOther) {
  for (const std::uint64_t number : {1U, 2U, 77U}) {
    EXPECT_FALSE(isAllGather(number));
    EXPECT_TRUE(isAllGather(kAllGathers + number));
    EXPECT_EQ(otherKind(number), kAllGathers + number);
    EXPECT_EQ(otherKind(kAllGathers + number), number);
  }
  EXPECT_FALSE(isAllGather(kAddressGathering));
}

TEST(GatheringTest, FailuresNameTheCallAndTheRanks) {
  EXPECT_EQ(leftBeforeGathering(kAllGathers + 3, 1, 2).message,
            "rank 1 destroyed its communicator and takes no part in the signcclCommAllGather() that rank 2 has called");
  EXPECT_EQ(leftBeforeGathering(3, 1, 2).message,
            "rank 1 destroyed its communicator and takes no part in the split that rank 2 has called");
  EXPECT_EQ(missedGathering(kAllGathers + 3, 0, {1, 2}).message,
            "rank 0 waited in signcclCommAllGather() for rank 1 and 2, which did not call it before the deadline");
  EXPECT_EQ(missedGathering(kAllGathers + 3, 0, {1, 2}).code, signcclTimeout);
  EXPECT_EQ(missedGathering(3, 0, {1}).code, signcclTimeout);
  EXPECT_EQ(otherGatherSize(0, 4, 2, 5).message,
            "the ranks disagree in signcclCommAllGather(): bytes is 4 on rank 0 and 5 on rank 2");
}

}  // namespace
}  // namespace signccl
