// SPDX-License-Identifier: Apache-2.0
// Communicators that are given one of NCCL: theirs is split from it.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fake_nccl/nccl_api.h"
#include "nccl_job.h"
#include "support/rank_threads.h"
#include "voter.h"

namespace signccl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

void expectNccl(NcclResult result) { EXPECT_EQ(result, NcclResult::kSuccess) << ncclGetErrorString(result); }

enum class Blocking { kYes, kNo };

/// The communicators of NCCL that a program has already, rank r on device r.
class Parents {
 public:
  explicit Parents(int nranks, Blocking blocking = Blocking::kYes) : comms_(static_cast<std::size_t>(nranks)) {
    NcclUniqueId id{};
    expectNccl(ncclGetUniqueId(&id));
    runAsRanks(nranks, [&](Rank rank) {
      const CurrentDevice current(rank);
      NcclConfig config{};
      config.size = sizeof(config);
      config.magic = kNcclConfigMagic;
      config.version = 23003;
      config.blocking = blocking == Blocking::kYes ? 1 : 0;
      const NcclResult result =
          ncclCommInitRankConfig(&comms_[static_cast<std::size_t>(rank)], nranks, id, rank, &config);
      EXPECT_EQ(result, blocking == Blocking::kYes ? NcclResult::kSuccess : NcclResult::kInProgress);
    });
  }
  ~Parents() {
    for (const NcclHandle comm : comms_) expectNccl(ncclCommAbort(comm));
  }
  Parents(const Parents&) = delete;
  Parents& operator=(const Parents&) = delete;

  [[nodiscard]] NcclHandle operator[](int rank) const { return comms_[static_cast<std::size_t>(rank)]; }

 private:
  std::vector<NcclHandle> comms_;
};

/// Runs body(rank, comm) in a thread for each rank, whose communicator is given parentOf(rank).
void inThreads(int nranks, const std::function<NcclHandle(int)>& parentOf,
               const std::function<void(int, signcclComm_t)>& body) {
  signcclUniqueId id{};
  ASSERT_EQ(signcclGetUniqueId(&id), signcclSuccess);
  runAsRanks(nranks, [&](Rank rank) {
    signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
    config.ncclComm = parentOf(rank);
    signcclComm_t comm = nullptr;
    ASSERT_EQ(signcclCommInitRankConfig(&comm, nranks, id, rank, &config), signcclSuccess)
        << signcclGetLastError(nullptr);
    body(rank, comm);
    EXPECT_EQ(signcclCommDestroy(comm), signcclSuccess);
  });
}

class NcclParentTest : public NcclTest {
 private:
  const Environment environment_{{"SIGNCCL_TRANSPORT", ""}, {"SIGNCCL_TIMEOUT", "2"}};
};

TEST_F(NcclParentTest, VotesTravelOverACommunicatorThatIsSplitOff) {
  for (const Blocking blocking : {Blocking::kYes, Blocking::kNo}) {
    const Parents parents(3, blocking);
    inThreads(
        3, [&](int rank) { return parents[rank]; },
        [&](int rank, signcclComm_t comm) {
          Voter voter(rank, rank == 1 ? 1.F : -1.F);
          for (int call = 0; call < 3; ++call) {
            ASSERT_EQ(voter.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
            EXPECT_TRUE(voter.hasResult(-1));
          }
          EXPECT_GE(fake_nccl::communicators(), 4) << "a parent of each rank and one of ours";
        });
    EXPECT_EQ(fake_nccl::communicators(), 3) << "those of the caller stay";
    EXPECT_EQ(fake_nccl::aborted(), blocking == Blocking::kYes ? 0 : 3);
  }
}

TEST_F(NcclParentTest, OneThreadDrivesSeveralRanksInAGroup) {
  const Parents parents(3);
  signcclUniqueId id{};
  ASSERT_EQ(signcclGetUniqueId(&id), signcclSuccess);
  std::vector<signcclComm_t> comms(3);
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  for (int rank = 0; rank < 3; ++rank) {
    signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
    config.ncclComm = parents[rank];
    ASSERT_EQ(signcclCommInitRankConfig(&comms[static_cast<std::size_t>(rank)], 3, id, rank, &config), 0);
  }
  ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
  std::vector<std::unique_ptr<Voter>> voters;
  for (int rank = 0; rank < 3; ++rank) voters.push_back(std::make_unique<Voter>(rank, -1.F));
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  for (std::size_t rank = 0; rank < 3; ++rank) ASSERT_EQ(voters[rank]->vote(comms[rank]), signcclSuccess);
  ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
  for (const auto& voter : voters) EXPECT_TRUE(voter->hasResult(-1));
  while (!voters.empty()) voters.pop_back();
  for (const signcclComm_t comm : comms) EXPECT_EQ(signcclCommDestroy(comm), signcclSuccess);
}

TEST_F(NcclParentTest, AnAbortOfOursLeavesTheCallersCommunicatorAlone) {
  const Parents parents(2);
  inThreads(
      2, [&](int rank) { return parents[rank]; },
      [&](int rank, signcclComm_t comm) {
        Voter voter(rank, -1);
        ASSERT_EQ(voter.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
        ASSERT_TRUE(voter.hasResult(-1));
        meet(comm);
        if (rank == 1) return;
        EXPECT_EQ(signcclCommAbort(comm), signcclSuccess);
        NcclResult state = NcclResult::kInternalError;
        expectNccl(ncclCommGetAsyncError(parents[rank], &state));
        EXPECT_EQ(state, NcclResult::kSuccess);
      });
}

TEST_F(NcclParentTest, ACommunicatorWithOtherRanksIsRefusedByAllRanks) {
  const Parents three(3);
  inThreads(
      2, [&](int rank) { return three[rank]; },
      [&](int rank, signcclComm_t comm) {
        Voter voter(rank, -1);
        EXPECT_EQ(voter.vote(comm), signcclInvalidArgument);
        EXPECT_THAT(signcclGetLastError(nullptr),
                    AllOf(HasSubstr("rank 0 cannot use NCCL: config.ncclComm has a number of ranks of 3"),
                          HasSubstr("made with it 2")));
      });
  inThreads(
      3, [&](int rank) { return three[rank == 0 ? 0 : 3 - rank]; },
      [&](int rank, signcclComm_t comm) {
        Voter voter(rank, -1);
        EXPECT_EQ(voter.vote(comm), signcclInvalidArgument);
        EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("rank 1 cannot use NCCL: config.ncclComm has the rank 2"));
      });
}

TEST_F(NcclParentTest, ACommunicatorOnAnotherDeviceIsRefused) {
  const Parents parents(2);
  inThreads(
      2, [&](int rank) { return parents[rank]; },
      [&](int rank, signcclComm_t comm) {
        Voter voter(rank + 4, -1);
        EXPECT_EQ(voter.vote(comm), signcclInvalidArgument);
        EXPECT_THAT(signcclGetLastError(nullptr),
                    AllOf(HasSubstr("config.ncclComm is on device 0"), HasSubstr("made with it 4")));
      });
}

TEST_F(NcclParentTest, RanksOfWhichOneHasNoneAreToldSo) {
  const Parents parents(2);
  signcclUniqueId id{};
  ASSERT_EQ(signcclGetUniqueId(&id), signcclSuccess);
  const Environment chosen{{"SIGNCCL_TRANSPORT", "nccl"}};
  runAsRanks(2, [&](Rank rank) {
    signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
    if (rank == 1) config.ncclComm = parents[rank];
    signcclComm_t comm = nullptr;
    EXPECT_EQ(signcclCommInitRankConfig(&comm, 2, id, rank, &config), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("config.ncclComm is"));
  });
}

TEST_F(NcclParentTest, TheHostCarriesVotesWhereTheSettingSaysSo) {
  const Environment chosen{{"SIGNCCL_TRANSPORT", "host"}};
  const Parents parents(2);
  inThreads(
      2, [&](int rank) { return parents[rank]; },
      [&](int rank, signcclComm_t comm) {
        Voter voter(rank, -1);
        ASSERT_EQ(voter.vote(comm), signcclSuccess);
        EXPECT_TRUE(voter.hasResult(-1));
        EXPECT_EQ(fake_nccl::communicators(), 2);
      });
}

TEST_F(NcclParentTest, APeerThatDoesNotSplitIsNamedAtTheDeadline) {
  const Parents parents(2);
  inThreads(
      2, [&](int rank) { return parents[rank]; },
      [&](int rank, signcclComm_t comm) {
        if (rank == 1) return std::this_thread::sleep_for(std::chrono::seconds(3));
        Voter voter(rank, -1);
        EXPECT_EQ(voter.vote(comm), signcclTimeout);
        EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("for rank 1 in exchange number 0"));
        EXPECT_TRUE(voter.isUntouched());
      });
}

}  // namespace
}  // namespace signccl
