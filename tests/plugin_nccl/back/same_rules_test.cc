// SPDX-License-Identifier: Apache-2.0
// Ranks that follow other rules, or none, are found out when a communicator is made. background_comparison_test.cc has
// communicators that do not block.
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "interposer_job.h"

namespace signccl::nccl_preload {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const char* const kQuestion = "is every rank started with signccl-run, or has every rank the preload library";
const std::string kBadRules = R"({"version": 1, "rules": [{"match": {"typ": "int8"}, "action": "vote"}]})";

class SameRulesTest : public InterposerTest {
 protected:
  using MakeComm = std::function<Result(Interposer&, Comm*, int nranks, const UniqueId&, int rank)>;

  static Result byInitRank(Interposer& interposer, Comm* comm, int nranks, const UniqueId& id, int rank) {
    return interposer.initRank(comm, nranks, id, rank);
  }

  /// Makes a communicator with a rank for each interposer, or without one where it is null. Runs body(rank, result,
  /// comm) for those with one; a communicator that is there is destroyed afterwards. Ranks without wait until the
  /// others are done.
  static void meet(const std::vector<Interposer*>& interposers, const std::function<void(int, Result, Comm)>& body,
                   const MakeComm& make = byInitRank) {
    const UniqueId id = newId();
    const int nranks = static_cast<int>(interposers.size());
    std::atomic<long> nbusy = std::ranges::count_if(interposers, [](const Interposer* one) { return one != nullptr; });
    runAsRanks(nranks, [&](int rank) {
      const CurrentDevice current(rank);
      Comm comm = nullptr;
      Interposer* const interposer = interposers[static_cast<std::size_t>(rank)];
      if (interposer == nullptr) {
        const auto init = fakeFunction<Result(Comm*, int, UniqueId, int)>("ncclCommInitRank");
        ASSERT_EQ(init(&comm, nranks, id, rank), Result::kSuccess);
        while (nbusy > 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        ASSERT_EQ(fakeFunction<Result(Comm)>("ncclCommDestroy")(comm), Result::kSuccess);
        return;
      }
      const Result result = make(*interposer, &comm, nranks, id, rank);
      body(rank, result, comm);
      if (comm != nullptr) {
        EXPECT_EQ(interposer->destroy(comm), Result::kSuccess);
      }
      --nbusy;
    });
  }
};

TEST_F(SameRulesTest, ARankWithoutPreloadIsSuspectedSoonAfterACommunicatorIsMade) {
  const auto interposer = makeInterposer(kVotes, "", "1");
  meet({interposer.get(), nullptr, interposer.get()}, [&](int /*rank*/, Result result, Comm comm) {
    EXPECT_EQ(result, Result::kRemoteError);
    EXPECT_EQ(comm, nullptr);
    EXPECT_THAT(interposer->getLastError(nullptr), AllOf(HasSubstr("within 1 s"), HasSubstr(kQuestion)));
  });
  EXPECT_EQ(fake_nccl::aborted(), 2) << "what waits for the rank ends";
}

TEST_F(SameRulesTest, AllWaysToMakeACommunicatorCompare) {
  const auto votes = makeInterposer(kVotes);
  const auto means = makeInterposer(kMeans);
  const std::vector<MakeComm> ways = {byInitRank,
                                      [](Interposer& interposer, Comm* comm, int nranks, const UniqueId& id, int rank) {
                                        Config config = defaultConfig();
                                        return interposer.initRankConfig(comm, nranks, id, rank, &config);
                                      },
                                      [](Interposer& interposer, Comm* comm, int nranks, const UniqueId& id, int rank) {
                                        Config config = defaultConfig();
                                        UniqueId ids[] = {id};
                                        return interposer.initRankScalable(comm, nranks, rank, 1, ids, &config);
                                      },
                                      [](Interposer& interposer, Comm* comm, int nranks, const UniqueId& id, int rank) {
                                        EXPECT_EQ(interposer.groupStart(), Result::kSuccess);
                                        EXPECT_EQ(interposer.initRank(comm, nranks, id, rank), Result::kSuccess);
                                        return interposer.groupEnd();
                                      }};
  for (const MakeComm& way : ways) {
    meet(
        {votes.get(), means.get(), votes.get()},
        [&](int rank, Result result, Comm comm) {
          EXPECT_EQ(result, Result::kInvalidUsage);
          EXPECT_EQ(comm, nullptr);
          Interposer& own = rank == 1 ? *means : *votes;
          EXPECT_THAT(own.getLastError(nullptr), AllOf(HasSubstr("the rules differ"), HasSubstr("rank 1")));
        },
        way);
    meet(
        {votes.get(), votes.get()},
        [&](int /*rank*/, Result result, Comm comm) {
          EXPECT_EQ(result, Result::kSuccess) << votes->getLastError(nullptr);
          EXPECT_NE(comm, nullptr);
        },
        way);
  }
}

TEST_F(SameRulesTest, RulesThatCannotBeReadStopAllRanks) {
  const auto votes = makeInterposer(kVotes);
  const auto bad = makeInterposer(kBadRules);
  meet({votes.get(), bad.get()}, [&](int rank, Result result, Comm /*comm*/) {
    EXPECT_EQ(result, Result::kInvalidUsage);
    Interposer& own = rank == 0 ? *votes : *bad;
    EXPECT_THAT(own.getLastError(nullptr),
                HasSubstr(rank == 0 ? "the rules of rank 1 cannot be read" : "/rules/0/match/typ"));
  });
}

TEST_F(SameRulesTest, ADryRunAndARealOneDiffer) {
  const auto votes = makeInterposer(kVotes);
  const auto dry = makeInterposer(kVotes, "dry");
  meet({votes.get(), dry.get()}, [&](int rank, Result result, Comm /*comm*/) {
    EXPECT_EQ(result, Result::kInvalidUsage);
    EXPECT_THAT((rank == 0 ? *votes : *dry).getLastError(nullptr), HasSubstr("SIGNCCL_INTERPOSE"));
  });
}

TEST_F(SameRulesTest, OneThreadMakesSeveralRanksInOneGroup) {
  const auto interposer = makeInterposer(kVotes);
  const UniqueId id = newId();
  std::vector<Comm> comms(3, nullptr);
  ASSERT_EQ(interposer->groupStart(), Result::kSuccess);
  for (int rank = 0; rank < 3; ++rank) {
    const CurrentDevice current(rank);
    ASSERT_EQ(interposer->initRank(&comms[static_cast<std::size_t>(rank)], 3, id, rank), Result::kSuccess);
  }
  EXPECT_EQ(interposer->groupEnd(), Result::kSuccess) << interposer->getLastError(nullptr);
  for (const Comm comm : comms) {
    ASSERT_NE(comm, nullptr);
    EXPECT_EQ(interposer->destroy(comm), Result::kSuccess);
  }
}

TEST_F(SameRulesTest, ACallOfTheDriverThatFailsEndsTheCommunicator) {
  const auto interposer = makeInterposer(kVotes, "", "1");
  fake_cuda::failCallsOf("cuMemHostAlloc", CudaResult::kOutOfMemory);
  meet({interposer.get(), interposer.get()}, [&](int /*rank*/, Result result, Comm comm) {
    EXPECT_EQ(result, Result::kUnhandledCudaError);
    EXPECT_EQ(comm, nullptr);
    EXPECT_THAT(interposer->getLastError(nullptr), HasSubstr("cuMemHostAlloc failed: CUDA_ERROR_OUT_OF_MEMORY"));
  });
}

}  // namespace
}  // namespace signccl::nccl_preload
