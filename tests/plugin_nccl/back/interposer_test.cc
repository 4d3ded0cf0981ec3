// SPDX-License-Identifier: Apache-2.0
// Which all-reduces are taken, and what becomes of them.
#include "interposer_job.h"
#include "nccl/back/inside.h"

namespace signccl::nccl_preload {
namespace {

TEST_F(InterposerTest, ACallThatMatchesIsAVoteOfTheRanks) {
  const auto interposer = makeInterposer(kVotes);
  asRanks(3, *interposer, [](int rank, Member& member) {
    for (int call = 0; call < 3; ++call) {
      ASSERT_EQ(member.allReduceOf(rank == 1 ? 5.F : -1.F), Result::kSuccess) << member.lastError();
      EXPECT_EQ(member.get(), -1);
    }
  });
  EXPECT_EQ(fake_nccl::allReduces(), 0);
  EXPECT_EQ(interposer->report().counters(0).taken, 9U);
}

TEST_F(InterposerTest, AnAverageIsTheMeanOfTheSigns) {
  const auto interposer = makeInterposer(oneRule(R"("count": {"min": 100})", "avg"));
  asRanks(2, *interposer, [](int rank, Member& member) {
    ASSERT_EQ(member.allReduceOf(rank == 1 ? 5.F : -1.F), Result::kSuccess) << member.lastError();
    EXPECT_EQ(member.get(), 0);
  });
  EXPECT_EQ(fake_nccl::allReduces(), 0);
}

TEST_F(InterposerTest, CallsThatMatchNoRuleAreForwarded) {
  const auto interposer = makeInterposer(kVotes);
  asRanks(2, *interposer, [](int rank, Member& member) {
    const float value = rank == 1 ? 5.F : -1.F;
    member.put(value);
    ASSERT_EQ(member.allReduce(99), Result::kSuccess);
    AllReduce largest = member.call();
    largest.op = RedOp::kMax;
    ASSERT_EQ(member().allReduce(largest), Result::kSuccess);
    AllReduce integers = member.call();
    integers.type = static_cast<DataType>(2);
    ASSERT_EQ(member().allReduce(integers), Result::kSuccess);
    AllReduce of_the_user = member.call();
    of_the_user.op = static_cast<RedOp>(5);
    ASSERT_EQ(member().allReduce(of_the_user), Result::kSuccess);
  });
  EXPECT_EQ(fake_nccl::allReduces(), 8);
  EXPECT_EQ(interposer->report().counters(0).matched, 0U);
}

TEST_F(InterposerTest, AForwardedSumIsNcclsOwn) {
  const auto interposer = makeInterposer(oneRule(R"("count": {"min": 100000})", "vote"));
  asRanks(2, *interposer, [](int rank, Member& member) {
    ASSERT_EQ(member.allReduceOf(rank == 1 ? 5.F : -1.F), Result::kSuccess);
    EXPECT_EQ(member.get(), 4);
  });
}

TEST_F(InterposerTest, ADryRunTakesNothing) {
  const auto interposer = makeInterposer(kVotes, "dry");
  asRanks(2, *interposer, [](int /*rank*/, Member& member) {
    ASSERT_EQ(member.allReduceOf(3.F), Result::kSuccess);
    EXPECT_EQ(member.get(), 6);
  });
  EXPECT_EQ(fake_nccl::allReduces(), 2);
  EXPECT_EQ(interposer->report().counters(0).taken, 2U) << "what would have been taken";
}

TEST_F(InterposerTest, ACapturedStreamIsForwarded) {
  const auto interposer = makeInterposer(kVotes);
  asRanks(1, *interposer, [](int /*rank*/, Member& member) {
    expectCuda(cuStreamBeginCapture_v2(member.work().get(), CudaCaptureMode::kRelaxed));
    EXPECT_EQ(member.allReduce(), Result::kSuccess);  // NCCL takes it into the graph
    CudaGraph graph = nullptr;
    expectCuda(cuStreamEndCapture(member.work().get(), &graph));
    expectCuda(cuGraphDestroy(graph));
  });
  EXPECT_EQ(fake_nccl::allReduces(), 1);
  EXPECT_EQ(interposer->report().counters(0).forwarded, 1U);
}

TEST_F(InterposerTest, ACommunicatorThatDoesNotBlockIsWaitedFor) {
  const auto interposer = makeInterposer(kVotes);
  Config config = defaultConfig();
  config.blocking = 0;
  asRanks(
      2, *interposer,
      [](int /*rank*/, Member& member) {
        ASSERT_EQ(member.allReduceOf(-2.F), Result::kSuccess) << member.lastError();
        EXPECT_EQ(member.get(), -1);
        Result state = Result::kInternalError;
        ASSERT_EQ(member().getAsyncError(member.comm, &state), Result::kSuccess);
        EXPECT_EQ(state, Result::kSuccess);
      },
      config);
}

TEST_F(InterposerTest, ARuleFindsCommunicatorsByTheNameInTheirConfiguration) {
  const auto interposer = makeInterposer(oneRule(R"("count": {"min": 100}, "comm": "data*")", "vote"));
  Config config = defaultConfig();
  config.comm_name = "data parallel";
  asRanks(
      2, *interposer,
      [&](int rank, Member& member) {
        ASSERT_EQ(member.allReduceOf(3.F), Result::kSuccess) << member.lastError();
        EXPECT_EQ(member.get(), 1);
        Comm split = nullptr;
        ASSERT_EQ(member().split(member.comm, 0, -rank, &split, nullptr), Result::kSuccess);
        const Comm whole = std::exchange(member.comm, split);
        ASSERT_EQ(member.allReduceOf(3.F), Result::kSuccess) << member.lastError();
        EXPECT_EQ(member.get(), 1) << "a communicator that is split off without a configuration has the name, too";
        Config other = defaultConfig();
        other.comm_name = "tensor parallel";
        Comm renamed = nullptr;
        ASSERT_EQ(member().split(split, 0, 0, &renamed, &other), Result::kSuccess);
        member.comm = renamed;
        ASSERT_EQ(member.allReduceOf(3.F), Result::kSuccess) << member.lastError();
        EXPECT_EQ(member.get(), 6);
        member.work().synchronize();
        ASSERT_EQ(member().destroy(whole), Result::kSuccess);
        ASSERT_EQ(member().destroy(split), Result::kSuccess);
      },
      config);
}

TEST_F(InterposerTest, AfterRevokeAndFinalizeCallsAreForwarded) {
  const auto interposer = makeInterposer(kVotes);
  asRanks(2, *interposer, [](int /*rank*/, Member& member) {
    ASSERT_EQ(member.allReduceOf(3.F), Result::kSuccess) << member.lastError();
    member.work().synchronize();
    ASSERT_EQ(member().finalize(member.comm), Result::kSuccess);
    ASSERT_EQ(member.allReduceOf(3.F), Result::kSuccess);
    EXPECT_EQ(member.get(), 6);
    ASSERT_EQ(member().revoke(member.comm, 0), Result::kSuccess);
    EXPECT_EQ(member.allReduceOf(3.F), Result::kInvalidUsage);
  });
  EXPECT_EQ(fake_nccl::violations(), std::vector<std::string>(2, "a communicator is used that was revoked"));
  fake_nccl::reset();
}

TEST_F(InterposerTest, CallsFromWithinAreForwarded) {
  const auto interposer = makeInterposer(kVotes);
  asRanks(1, *interposer, [](int /*rank*/, Member& member) {
    member.put(3.F);
    const InsideNccl inside;
    ASSERT_EQ(member().groupStart(), Result::kSuccess);
    ASSERT_EQ(member.allReduce(), Result::kSuccess);
    ASSERT_EQ(member().groupEnd(), Result::kSuccess);
    EXPECT_EQ(member.get(), 3);
  });
  EXPECT_EQ(fake_nccl::allReduces(), 1);
}

}  // namespace
}  // namespace signccl::nccl_preload
