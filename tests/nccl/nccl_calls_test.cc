// SPDX-License-Identifier: Apache-2.0
// How calls over NCCL behave: with one thread for several ranks, several communicators and streams, and beside calls on
// host buffers.
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "nccl_job.h"
#include "stream/stream_sum_job.h"
#include "voter.h"

namespace signccl {
namespace {

using ::testing::HasSubstr;

TEST_F(NcclTest, OneThreadDrivesSeveralRanksInAGroup) {
  Ranks ranks(3);
  std::vector<std::unique_ptr<Voter>> voters;
  for (int rank = 0; rank < 3; ++rank) voters.push_back(std::make_unique<Voter>(rank, rank == 1 ? 2.F : -3.F));
  for (int call = 0; call < 3; ++call) {
    ASSERT_EQ(signcclGroupStart(), signcclSuccess);
    for (int rank = 0; rank < 3; ++rank) ASSERT_EQ(voters[static_cast<std::size_t>(rank)]->vote(ranks[rank]), 0);
    ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
    for (const auto& voter : voters) EXPECT_TRUE(voter->hasResult(-1));
  }
}

TEST_F(NcclTest, CallsOfAGroupWithDifferentRulesDoNotMix) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter positive(rank, rank == 0 ? 1.F : -1.F);
    Voter negative(rank, rank == 0 ? 1.F : -1.F);
    ASSERT_EQ(signcclGroupStart(), signcclSuccess);
    ASSERT_EQ(positive.vote(comm, {.tie = signcclTiePositive}), signcclSuccess);
    ASSERT_EQ(negative.vote(comm, {.tie = signcclTieNegative}), signcclSuccess);
    ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
    EXPECT_TRUE(positive.hasResult(1));
    EXPECT_TRUE(negative.hasResult(-1));
  });
}

TEST_F(NcclTest, SumsTakeTurnsWithVotesAndTravelOverTheTransportOfTheHost) {
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -1);
    const CurrentDevice current(rank);
    const Stream stream;
    const SumShape shape{ElementType::kBFloat16, 3'000, signcclZeroTernary, true};
    const std::vector<std::byte> signs = signsFor(shape, 4);
    const std::vector<std::byte> sums = referenceSum(shape.type, shape.count, std::vector(3, signs.data()));
    for (const bool is_asked : {true, false, true}) {
      ASSERT_EQ(voter.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
      SumBuffers buffers(shape, rank == 2 ? Place::kHost : Place::kDevice, 0, signs);
      signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
      ASSERT_EQ(buffers.call(comm, stream.get(), is_asked ? &outcome : nullptr), signcclSuccess)
          << signcclGetLastError(nullptr);
      EXPECT_EQ(outcome.isWritten, is_asked ? 1 : 0);
      stream.synchronize();
      EXPECT_EQ(buffers.result(), sums);
      EXPECT_TRUE(voter.hasResult(-1));
    }
  });
}

TEST_F(NcclTest, CommunicatorsOfOneThreadTakeTurnsInOneGroup) {
  Ranks first(2);
  Ranks second(2);
  first.inThreads([&](int rank, signcclComm_t comm) {
    Voter one(rank, -1);
    Voter other(rank, 1);
    for (int call = 0; call < 3; ++call) {
      ASSERT_EQ(signcclGroupStart(), signcclSuccess);
      ASSERT_EQ(one.vote(comm), signcclSuccess);
      ASSERT_EQ(other.vote(second[rank]), signcclSuccess);
      ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
      EXPECT_TRUE(one.hasResult(-1));
      EXPECT_TRUE(other.hasResult(1));
    }
  });
}

TEST_F(NcclTest, TheCallReturnsBeforeItsStreamComesToIt) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -2);
    ASSERT_EQ(voter.vote(comm), signcclSuccess);  // makes the communicator of NCCL
    ASSERT_TRUE(voter.hasResult(-1));
    voter.set(2);
    std::atomic<bool> may_go_on = false;
    voter.holdStream(may_go_on);
    ASSERT_EQ(voter.vote(comm), signcclSuccess);
    signcclResult_t state = signcclSuccess;
    ASSERT_EQ(signcclCommGetAsyncError(comm, &state), signcclSuccess);
    EXPECT_EQ(state, signcclInProgress);
    may_go_on = true;
    EXPECT_TRUE(voter.hasResult(1));
  });
}

TEST_F(NcclTest, CallsOnTwoStreamsOfOneRankKeepTheirOrder) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter one(rank, -2);
    Voter other(rank, 2);
    for (int call = 0; call < 10; ++call) {
      ASSERT_EQ(one.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
      ASSERT_EQ(other.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
    }
    EXPECT_TRUE(one.hasResult(-1));
    EXPECT_TRUE(other.hasResult(1));
  });
}

TEST_F(NcclTest, AnAverageOnAnotherStreamFindsWhatTheFirstOneHasUploaded) {
  Ranks ranks(1);
  Voter small(0, -2);
  Voter large(0, -2);
  ASSERT_EQ(small.vote(ranks[0], {}, 1), signcclSuccess);  // loads kernels, for which streams may be awaited
  std::atomic<bool> may_go_on = false;
  small.holdStream(may_go_on);
  ASSERT_EQ(small.vote(ranks[0], {.op = SignOp::kAvg}, 1), signcclSuccess) << signcclGetLastError(nullptr);
  ASSERT_EQ(large.vote(ranks[0], {.op = SignOp::kAvg}), signcclSuccess) << signcclGetLastError(nullptr);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  may_go_on = true;
  EXPECT_TRUE(large.hasResult(-1));
}

TEST_F(NcclTest, MemoryThatIsMadeBetweenCallsWaitsForNobodyWhoWaits) {
  StreamTest::begin({.devices = 8, .queues = 4, .multiprocessors = 2, .allocation_waits = true});
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -1);
    for (const std::size_t count : {std::size_t{1}, std::size_t{1'000}, Voter::kCount}) {
      ASSERT_EQ(voter.vote(comm, {}, count), signcclSuccess) << signcclGetLastError(nullptr);
    }
    EXPECT_TRUE(voter.hasResult(-1));
  });
}

TEST_F(NcclTest, HostBuffersTravelByTheTransportOfTheHost) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -1);
    std::vector<float> host(100, 1);
    for (int call = 0; call < 3; ++call) {
      ASSERT_EQ(voter.vote(comm), signcclSuccess);
      ASSERT_EQ(signccl::call({}, host.data(), host.data(), host.size(), comm), signcclSuccess);
      EXPECT_TRUE(voter.hasResult(-1));
      EXPECT_EQ(host, std::vector<float>(100, 1));
    }
  });
}

TEST_F(NcclTest, RanksWithoutElementsNeedNoMessages) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -1);
    ASSERT_EQ(voter.vote(comm, {}, 0), signcclSuccess) << signcclGetLastError(nullptr);
    ASSERT_EQ(voter.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
    EXPECT_TRUE(voter.hasResult(-1));
  });
}

TEST_F(NcclTest, ACommunicatorThatIsDestroyedDestroysThatOfNccl) {
  {
    Ranks ranks(2);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      Voter voter(rank, -1);
      ASSERT_EQ(voter.vote(comm), signcclSuccess);
      voter.stream().synchronize();
    });
    EXPECT_EQ(fake_nccl::communicators(), 2);
  }
  EXPECT_EQ(fake_nccl::communicators(), 0);
  EXPECT_EQ(fake_nccl::aborted(), 0);
}

TEST_F(NcclTest, MoreVotesThanOneKernelDecidesAreCountedFirst) {
  const Environment environment{{"NCCL_MULTI_RANK_GPU_ENABLE", "1"}};
  for (const char* algorithm : {"oneshot", "direct"}) {
    const Environment chosen{{"SIGNCCL_ALGO", algorithm}};
    Ranks ranks(12);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      Voter ternary(rank % 8, rank < 7 ? -1.F : 1.F);
      ASSERT_EQ(ternary.vote(comm, {.zero = signcclZeroTernary}), signcclSuccess) << signcclGetLastError(nullptr);
      EXPECT_TRUE(ternary.hasResult(-1));
    });
  }
}

TEST_F(NcclTest, RanksOnOneDeviceAreToldWhatElseToUse) {
  Ranks ranks(2);
  ranks.inThreads([&](int /*rank*/, signcclComm_t comm) {
    Voter voter(0, -1);
    EXPECT_EQ(voter.vote(comm), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("ranks 0 and 1 are both on device GPU-"));
    EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("leave SIGNCCL_TRANSPORT unset"));
  });
}

TEST_F(NcclTest, ARankStaysOnTheDeviceOfItsFirstCall) {
  Ranks ranks(1);
  Voter first(0, -1);
  Voter second(1, -1);
  ASSERT_EQ(first.vote(ranks[0]), signcclSuccess);
  EXPECT_EQ(second.vote(ranks[0]), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("the buffers are on device 1, and rank 0 is on device 0"));
  ASSERT_EQ(first.vote(ranks[0]), signcclSuccess);
  EXPECT_TRUE(first.hasResult(-1));
}

TEST_F(NcclTest, MessagesOfSeveralSlicesHaveAStreamOfTheirOwn) {
  for (const char* algorithm : {"oneshot", "direct"}) {
    const bool has_phases = algorithm == std::string("direct");
    for (const bool has_slices : {false, true}) {
      begin();  // streams may have addresses of those before
      const Environment environment{{"SIGNCCL_ALGO", algorithm}, {"SIGNCCL_SLICE_BYTES", has_slices ? "512" : ""}};
      Ranks ranks(3);
      ranks.inThreads([&](int rank, signcclComm_t comm) {
        Voter voter(rank, -1);
        ASSERT_EQ(voter.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
        ASSERT_TRUE(voter.hasResult(-1));
        const int of_one_slice = has_phases ? 2 : 1;
        EXPECT_EQ(fake_nccl::groupsOn(voter.stream().get()), has_slices ? 0 : of_one_slice);
      });
    }
  }
}

TEST_F(NcclTest, TheStatisticsCountMemoryOnTheDevice) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -1);
    const std::uint64_t before = scratchBytes(comm);
    ASSERT_EQ(voter.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
    ASSERT_TRUE(voter.hasResult(-1));
    const std::uint64_t after = scratchBytes(comm);
    EXPECT_GE(after, before + 4UL * 157 * 8) << "its signs, those of both ranks, and the result";
    ASSERT_EQ(voter.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
    ASSERT_TRUE(voter.hasResult(-1));
    EXPECT_EQ(scratchBytes(comm), after);
  });
}

TEST_F(NcclTest, TheStatisticsCountWhatNcclCarries) {
  struct Expected {
    const char* algorithm;
    std::uint64_t bytes;
    std::uint64_t messages;
  };
  // Of 10,000 elements a rank has 157 words of signs. In two phases each of three ranks counts 53, of which the last
  // rank's end beyond the vector.
  for (const Expected& expected : {Expected{"oneshot", 2UL * 157 * 8, 2}, Expected{"direct", 2UL * (53 + 53) * 8, 4}}) {
    const Environment environment{{"SIGNCCL_ALGO", expected.algorithm}};
    Ranks ranks(3);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      Voter voter(rank, -1);
      for (int call = 0; call < 2; ++call) ASSERT_EQ(voter.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
      ASSERT_TRUE(voter.hasResult(-1));
      signcclCommStats_t stats{};
      stats.size = sizeof(stats);
      while (stats.exchanges < 2) {
        std::this_thread::yield();
        ASSERT_EQ(signcclCommGetStats(comm, &stats), signcclSuccess);
      }
      EXPECT_EQ(stats.bytesSent, 2 * expected.bytes) << expected.algorithm;
      EXPECT_EQ(stats.bytesReceived, 2 * expected.bytes) << expected.algorithm;
      EXPECT_EQ(stats.messagesSent, 2 * expected.messages) << expected.algorithm;
      EXPECT_EQ(stats.messagesReceived, 2 * expected.messages) << expected.algorithm;
    });
  }
}

}  // namespace
}  // namespace signccl
