// SPDX-License-Identifier: Apache-2.0
// signcclCommAllGather() of ranks that are threads: right bytes, and an error for everything that cannot be gathered.
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gathered.h"
#include "ranks.h"

namespace signccl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class AllGatherTest : public ::testing::TestWithParam<int> {};

TEST_P(AllGatherTest, GivesEveryRankTheBytesOfAllInRankOrder) {
  Ranks ranks(GetParam());
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    for (const std::size_t bytes : std::vector<std::size_t>{1, 3, 128, 0, 70'001}) {
      EXPECT_EQ(gatherAndCheck(comm, rank, ranks.size(), bytes, /*round=*/1), "") << bytes << " bytes on rank " << rank;
    }
  });
}

TEST_P(AllGatherTest, OneAfterTheOtherDoNotMix) {
  Ranks ranks(GetParam());
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    for (unsigned round = 0; round < 200; ++round) {
      ASSERT_EQ(gatherAndCheck(comm, rank, ranks.size(), 8, round), "") << "round " << round << " on rank " << rank;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, AllGatherTest, ::testing::Values(1, 2, 3, 5, 8),
                         [](const auto& test) { return std::to_string(test.param); });

TEST(AllGather, MayBeSentFromItsPlaceInTheResult) {
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    std::vector<int> values(3, -1);
    values[static_cast<std::size_t>(rank)] = 10 * rank;
    ASSERT_EQ(signcclCommAllGather(&values[static_cast<std::size_t>(rank)], values.data(), sizeof(int), comm),
              signcclSuccess);
    EXPECT_EQ(values, (std::vector<int>{0, 10, 20}));
  });
}

TEST(AllGather, GoesOnBesideCollectivesThatAreOutstanding) {
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    std::vector<std::int8_t> values(1'000'000, 1);
    std::vector<signcclRequest_t> requests(5, nullptr);
    for (signcclRequest_t& request : requests) {
      ASSERT_EQ(signcclAllReduceVoteAsync(values.data(), values.data(), values.size(), signcclInt8, signcclInt8,
                                          nullptr, comm, nullptr, &request),
                signcclSuccess);
      EXPECT_EQ(gatherAndCheck(comm, rank, ranks.size(), 16, 7), "");
    }
    for (signcclRequest_t& request : requests) EXPECT_EQ(signcclRequestWait(&request), signcclSuccess);
    EXPECT_EQ(values, std::vector<std::int8_t>(values.size(), 1));
  });
}

TEST(AllGather, AndSplitsTakeTurns) {
  Ranks ranks(4);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    for (int round = 0; round < 20; ++round) {
      EXPECT_EQ(gatherAndCheck(comm, rank, 4, 4, 1), "");
      signcclComm_t half = nullptr;
      ASSERT_EQ(signcclCommSplit(comm, rank % 2, rank, &half, nullptr), signcclSuccess);
      EXPECT_EQ(gatherAndCheck(half, rank / 2, 2, 4, 2), "");
      EXPECT_EQ(signcclCommDestroy(half), signcclSuccess);
    }
  });
}

TEST(AllGather, WhereAnotherRankSplitsIsAnErrorThatNamesBoth) {
  const Environment environment{{"SIGNCCL_TIMEOUT", "60"}};
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    signcclComm_t made = nullptr;
    int value = rank;
    std::vector<int> values(3);
    const signcclResult_t result = rank == 1 ? signcclCommSplit(comm, 0, 0, &made, nullptr)
                                             : signcclCommAllGather(&value, values.data(), sizeof value, comm);
    EXPECT_EQ(result, signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(nullptr),
                AllOf(HasSubstr("rank 1 has called signcclCommSplit()"), HasSubstr("called signcclCommAllGather()")));
  });
}

TEST(AllGather, OfOtherSizesIsAnErrorWithBothRanksAndValues) {
  Ranks ranks(4);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    EXPECT_THAT(gatherAndCheck(comm, rank, 4, rank == 2 ? 5 : 4, 0),
                AllOf(HasSubstr("5: "), HasSubstr("bytes is 4 on rank 0 and 5 on rank 2")));
    EXPECT_THAT(gatherAndCheck(comm, rank, 4, 4, 0), HasSubstr("the communicator has failed"));
  });
}

TEST(AllGather, OfARankThatDoesNotComeEndsAtTheDeadlineWithItsName) {
  const Environment environment{{"SIGNCCL_TIMEOUT", "1"}};
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    if (rank == 1) return;
    EXPECT_THAT(gatherAndCheck(comm, rank, 3, 4, 0),
                AllOf(HasSubstr("8: "), HasSubstr("timed out waiting for rank 1 to call signcclCommAllGather()")));
  });
}

TEST(AllGather, OfARankThatIsDestroyedFailsWithItsName) {
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    if (rank == 1) {
      EXPECT_EQ(signcclCommDestroy(comm), signcclSuccess);
      ranks[1] = nullptr;
    } else {
      EXPECT_THAT(gatherAndCheck(comm, rank, 3, 4, 0),
                  AllOf(HasSubstr("6: "), HasSubstr("rank 1 destroyed its communicator")));
    }
  });
}

TEST(AllGather, IsEndedByAnAbort) {
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    if (rank == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      EXPECT_EQ(signcclCommAbort(comm), signcclSuccess);
    } else {
      EXPECT_THAT(gatherAndCheck(comm, rank, 3, 4, 0), AllOf(HasSubstr("6: "), HasSubstr("rank 1 aborted")));
    }
  });
}

/// What a call with these arguments says on the only rank; the communicator must stay usable.
std::string refusal(const void* send, void* recv, std::size_t bytes) {
  Ranks ranks(1);
  const signcclResult_t result = signcclCommAllGather(send, recv, bytes, ranks[0]);
  const std::string text = std::to_string(result) + ": " + signcclGetLastError(nullptr);
  EXPECT_EQ(gatherAndCheck(ranks[0], 0, 1, 4, 0), "");
  return text;
}

TEST(AllGather, RefusesBuffersThatAreNull) {
  int value = 0;
  EXPECT_EQ(refusal(nullptr, &value, sizeof value), "4: sendbuff is NULL");
  EXPECT_EQ(refusal(&value, nullptr, sizeof value), "4: recvbuff is NULL");
  Ranks ranks(1);
  EXPECT_EQ(signcclCommAllGather(nullptr, nullptr, 0, ranks[0]), signcclSuccess);
  EXPECT_EQ(signcclCommAllGather(&value, &value, sizeof value, nullptr), signcclInvalidArgument);
}

TEST(AllGather, RefusesBuffersThatOverlapOtherwiseThanInPlace) {
  std::vector<char> buffer(64);
  EXPECT_THAT(refusal(buffer.data() + 1, buffer.data(), 8), HasSubstr("4: sendbuff overlaps recvbuff"));
  EXPECT_THAT(refusal(buffer.data(), buffer.data() + 1, 8), HasSubstr("4: sendbuff overlaps recvbuff"));
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    std::vector<char> mine(64);
    char* const wrong_place = &mine[rank == 0 ? 8 : 0];
    EXPECT_EQ(signcclCommAllGather(wrong_place, mine.data(), 8, comm), signcclInvalidArgument);
    EXPECT_EQ(signcclCommAllGather(&mine[16], mine.data(), 8, comm), signcclSuccess) << "beside each other";
  });
}

TEST(AllGather, RefusesMoreThanItsLimitAndTakesThat) {
  std::vector<char> all(SIGNCCL_ALL_GATHER_MAX_BYTES);
  EXPECT_THAT(refusal(all.data(), all.data(), all.size() + 1),
              AllOf(HasSubstr("4: bytes is 33554433, expected at most 33554432 for 1 rank(s)")));
  EXPECT_THAT(refusal(all.data(), all.data(), SIZE_MAX), HasSubstr("4: bytes is 18446744073709551615"));
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    EXPECT_EQ(gatherAndCheck(comm, rank, 2, all.size() / 2, 3), "");
    EXPECT_EQ(signcclCommAllGather(all.data(), all.data(), all.size() / 2 + 1, comm), signcclInvalidArgument);
  });
}

TEST(AllGather, IsRefusedInAGroup) {
  Ranks ranks(1);
  int value = 0;
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  EXPECT_EQ(signcclCommAllGather(&value, &value, sizeof value, ranks[0]), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("outside of signcclGroupStart() and signcclGroupEnd()"));
  EXPECT_EQ(signcclGroupEnd(), signcclSuccess);
  EXPECT_EQ(signcclCommAllGather(&value, &value, sizeof value, ranks[0]), signcclSuccess);
}

TEST(AllGather, IsRefusedOnceFinalized) {
  Ranks ranks(1);
  int value = 0;
  ASSERT_EQ(signcclCommFinalize(ranks[0]), signcclSuccess);
  EXPECT_EQ(signcclCommAllGather(&value, &value, sizeof value, ranks[0]), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("finalized"));
}

}  // namespace
}  // namespace signccl
