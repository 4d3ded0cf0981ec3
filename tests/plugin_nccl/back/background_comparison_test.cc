// SPDX-License-Identifier: Apache-2.0
// Communicators that do not block: their ranks compare their rules when NCCL has made them, whatever programs do.
#include <atomic>
#include <chrono>
#include <latch>
#include <thread>
#include <utility>
#include <vector>

#include "interposer_job.h"

namespace signccl::nccl_preload {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// What ncclCommGetAsyncError() says when it no longer says that the communicator is in progress.
Result finalState(Member& member) {
  Result state = Result::kInProgress;
  while (state == Result::kInProgress) {
    EXPECT_EQ(member().getAsyncError(member.comm, &state), Result::kSuccess);
    std::this_thread::yield();
  }
  return state;
}

/// A rank without the preload library, as long as the test needs it.
void takePartWithoutPreload(int nranks, const UniqueId& id, int rank, std::latch& others) {
  const CurrentDevice current(rank);
  Comm comm = nullptr;
  Config config = withoutBlocking();
  const auto init =
      reinterpret_cast<Result (*)(Comm*, int, UniqueId, int, Config*)>(dlsym(RTLD_DEFAULT, "ncclCommInitRankConfig"));
  EXPECT_EQ(init(&comm, nranks, id, rank, &config), Result::kInProgress);
  others.wait();
  EXPECT_EQ(reinterpret_cast<Result (*)(Comm)>(dlsym(RTLD_DEFAULT, "ncclCommAbort"))(comm), Result::kSuccess);
}

class BackgroundComparisonTest : public InterposerTest {
 protected:
  /// Rank 0 has the preload library and runs body(member), rank 1 has none.
  static void besideARankWithoutPreload(Interposer& interposer, const std::function<void(Member&)>& body) {
    const UniqueId id = newId();
    std::latch others(1);
    runAsRanks(2, [&](int rank) {
      if (rank == 1) return takePartWithoutPreload(2, id, rank, others);
      Member member(interposer, rank);
      Config config = withoutBlocking();
      EXPECT_EQ(interposer.initRankConfig(&member.comm, 2, id, rank, &config), Result::kInProgress);
      body(member);
      others.count_down();
    });
  }
};

TEST_F(BackgroundComparisonTest, RanksWithOtherRulesLearnItBeforeAnyCall) {
  const auto votes = makeInterposer(kVotes);
  const auto means = makeInterposer(kMeans);
  asRanks(
      {votes.get(), means.get(), votes.get()},
      [](int /*rank*/, Member& member) {
        EXPECT_EQ(finalState(member), Result::kInvalidUsage);
        EXPECT_THAT(member.lastError(), AllOf(HasSubstr("the rules differ"), HasSubstr("rank 1")));
        for (const std::size_t count : {Member::kCount, std::size_t{1}}) {
          member.put(1.F);
          EXPECT_EQ(member.allReduce(count), Result::kInvalidUsage) << "of " << count;
          EXPECT_THAT(member.lastError(), HasSubstr("the rules differ"));
        }
      },
      withoutBlocking());
  EXPECT_EQ(fake_nccl::allReduces(), 0);
}

TEST_F(BackgroundComparisonTest, RulesThatCannotBeReadStopAllRanks) {
  const auto votes = makeInterposer(kVotes);
  const auto bad = makeInterposer(R"({"version": 1, "rules": [{"match": {"typ": "int8"}, "action": "vote"}]})");
  asRanks(
      {votes.get(), bad.get()},
      [](int rank, Member& member) {
        EXPECT_EQ(finalState(member), Result::kInvalidUsage);
        EXPECT_THAT(member.lastError(),
                    HasSubstr(rank == 0 ? "the rules of rank 1 cannot be read" : "/rules/0/match/typ"));
      },
      withoutBlocking());
}

TEST_F(BackgroundComparisonTest, ARankWithoutPreloadIsSuspectedAtTheDeadline) {
  for (const bool is_aborted : {true, false}) {
    const auto interposer = makeInterposer(kVotes, "", "1");
    besideARankWithoutPreload(*interposer, [&](Member& member) {
      EXPECT_EQ(finalState(member), Result::kRemoteError);
      EXPECT_THAT(member.lastError(), AllOf(HasSubstr("within 1 s"), HasSubstr("has every rank the preload library")));
      // Either ends what waits for that rank.
      const Comm comm = std::exchange(member.comm, nullptr);
      EXPECT_EQ(is_aborted ? interposer->abort(comm) : interposer->destroy(comm), Result::kSuccess);
    });
  }
}

TEST_F(BackgroundComparisonTest, AnAbortEndsIt) {
  const auto interposer = makeInterposer(kVotes, "", "3600");
  besideARankWithoutPreload(*interposer, [&](Member& member) {
    Result state = Result::kSuccess;
    ASSERT_EQ(interposer->getAsyncError(member.comm, &state), Result::kSuccess);
    EXPECT_EQ(state, Result::kInProgress);
    EXPECT_EQ(interposer->abort(std::exchange(member.comm, nullptr)), Result::kSuccess);
  });
}

TEST_F(BackgroundComparisonTest, ItWaitsForNoProgramThatIsBusy) {
  const auto interposer = makeInterposer(kVotes, "", "60");
  std::latch done(1);
  asRanks(
      2, *interposer,
      [&](int rank, Member& member) {
        if (rank == 1) done.wait();  // asks nothing, and calls nothing
        EXPECT_EQ(finalState(member), Result::kSuccess) << member.lastError();
        if (rank == 0) done.count_down();
        ASSERT_EQ(member.allReduceOf(-3.F), Result::kSuccess) << member.lastError();
        EXPECT_EQ(member.get(), -1);
      },
      withoutBlocking());
}

TEST_F(BackgroundComparisonTest, ACallBeforeItsEndWaitsForIt) {
  const auto interposer = makeInterposer(kVotes);
  asRanks(
      2, *interposer,
      [](int /*rank*/, Member& member) {
        member.put(3.F);
        const Result result = member.allReduce(1);
        ASSERT_TRUE(result == Result::kSuccess || result == Result::kInProgress) << member.lastError();
        member.awaitIdle();
        ASSERT_EQ(member.allReduceOf(3.F), Result::kSuccess) << member.lastError();
        EXPECT_EQ(member.get(), 1);
      },
      withoutBlocking());
  EXPECT_EQ(fake_nccl::allReduces(), 2);
}

TEST_F(BackgroundComparisonTest, OneThreadMakesSeveralRanksInOneGroup) {
  const auto interposer = makeInterposer(kVotes);
  const UniqueId id = newId();
  std::vector<Comm> comms(3, nullptr);
  Config config = withoutBlocking();
  ASSERT_EQ(interposer->groupStart(), Result::kSuccess);
  for (int rank = 0; rank < 3; ++rank) {
    const CurrentDevice current(rank);
    Comm* const comm = &comms[static_cast<std::size_t>(rank)];
    ASSERT_EQ(interposer->initRankConfig(comm, 3, id, rank, &config), Result::kSuccess);
  }
  EXPECT_EQ(interposer->groupEnd(), Result::kInProgress);
  for (const Comm comm : comms) {
    Result state = Result::kInProgress;
    while (state == Result::kInProgress) ASSERT_EQ(interposer->getAsyncError(comm, &state), Result::kSuccess);
    EXPECT_EQ(state, Result::kSuccess) << interposer->getLastError(comm);
  }
  for (const Comm comm : comms) EXPECT_EQ(interposer->destroy(comm), Result::kSuccess);
}

}  // namespace
}  // namespace signccl::nccl_preload
