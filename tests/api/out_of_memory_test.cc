// SPDX-License-Identifier: Apache-2.0
// Memory or threads that run out at any moment of any call: an error, nothing left behind, and everything can still be
// destroyed. Each test repeats its calls with the first allocation failing, then the second, and so on until none
// fails.
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lion_job.h"
#include "ranks.h"
#include "support/failing_memory.h"

namespace signccl {
namespace {

using ::testing::AnyOf;

constexpr int kMostAllocations = 20'000;

/// Makes calls, of which one allocation or thread fails, and gives what they return.
using Attempt = std::function<signcclResult_t(const std::function<signcclResult_t()>&)>;

/// Calls body(attempt) where the n-th chance to fail fails, n = 1, 2, ... until an attempt gets through without.
template <typename Failing>
void forEveryFailure(const std::function<void(const Attempt&)>& body) {
  int failures = 0;
  for (int n = 1; n <= kMostAllocations; ++n) {
    SCOPED_TRACE("failure at number " + std::to_string(n));
    bool has_failed = false;
    body([&](const std::function<signcclResult_t()>& calls) {
      const Failing failing(n);
      const signcclResult_t result = calls();
      has_failed = Failing::hasFailed();
      return result;
    });
    if (!has_failed) {
      EXPECT_GT(failures, 0) << "nothing ever failed: the test shows nothing";
      return;
    }
    ++failures;
  }
  FAIL() << "more than " << kMostAllocations << " allocations";
}

/// What a call returns whose memory ran out: an error of the system, or success where it could do without.
void expectSystemErrorOrSuccess(signcclResult_t result) {
  EXPECT_THAT(result, AnyOf(signcclSuccess, signcclSystemError));
  EXPECT_TRUE(result == signcclSuccess || signcclGetLastError(nullptr)[0] != '\0');
}

void destroyIfMade(signcclComm_t comm) {
  if (comm == nullptr) return;
  EXPECT_EQ(signcclCommDestroy(comm), signcclSuccess);
}

/// The communicator still votes, or says why it cannot.
void expectUsableOrFailed(signcclComm_t comm) {
  float value = -7.0F;
  const signcclResult_t result = call(Case{}, &value, &value, 1, comm);
  EXPECT_THAT(result, AnyOf(signcclSuccess, signcclSystemError));
  EXPECT_EQ(value, result == signcclSuccess ? -1.0F : -7.0F);
}

TEST(OutOfMemory, InitAllMakesAllCommunicatorsOrNone) {
  forEveryFailure<FailingMemory>([](const Attempt& attempt) {
    std::vector<signcclComm_t> comms(3);
    const signcclResult_t result = attempt([&] { return signcclCommInitAll(comms.data(), 3, nullptr); });
    expectSystemErrorOrSuccess(result);
    for (const signcclComm_t comm : comms) {
      EXPECT_EQ(comm != nullptr, result == signcclSuccess);
      destroyIfMade(comm);
    }
  });
}

TEST(OutOfMemory, JoiningEndsWithAnErrorThatAllRanksHear) {
  const Environment environment{{"SIGNCCL_TIMEOUT", "20"}};
  forEveryFailure<FailingMemory>([](const Attempt& attempt) {
    std::vector<signcclComm_t> comms(2);
    const signcclResult_t result = attempt([&] {
      signcclUniqueId id;
      const signcclResult_t made = signcclGetUniqueId(&id);
      if (made != signcclSuccess) return made;
      EXPECT_EQ(signcclGroupStart(), signcclSuccess);
      for (int rank = 0; rank < 2; ++rank) signcclCommInitRank(&comms[static_cast<std::size_t>(rank)], 2, id, rank);
      return signcclGroupEnd();
    });
    EXPECT_THAT(result, AnyOf(signcclSuccess, signcclSystemError, signcclRemoteError));
    for (const signcclComm_t comm : comms) {
      destroyIfMade(comm);
    }
  });
}

TEST(OutOfMemory, ACallThatFailsLeavesTheCommunicatorUsableOrFailed) {
  forEveryFailure<FailingMemory>([](const Attempt& attempt) {
    Ranks ranks(1);
    std::vector<float> data(70'000, -3.0F);
    expectSystemErrorOrSuccess(attempt([&] { return call(Case{}, data.data(), data.data(), data.size(), ranks[0]); }));
    expectUsableOrFailed(ranks[0]);
  });
}

TEST(OutOfMemory, ASumThatFailsLeavesTheOutcomeAloneAndTheCommunicatorUsableOrFailed) {
  forEveryFailure<FailingMemory>([](const Attempt& attempt) {
    Ranks ranks(1);
    std::vector<float> data(70'000, -1.0F);
    signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
    const signcclResult_t result = attempt([&] {
      return signcclAllReduceSum(data.data(), data.data(), data.size(), signcclFloat32, nullptr, ranks[0], nullptr,
                                 &outcome);
    });
    expectSystemErrorOrSuccess(result);
    EXPECT_EQ(outcome.isWritten, result == signcclSuccess ? 1 : 0);
    expectUsableOrFailed(ranks[0]);
  });
}

TEST(OutOfMemory, ANonBlockingCallThatFailsTouchesNoBufferLater) {
  forEveryFailure<FailingMemory>([](const Attempt& attempt) {
    Ranks ranks(1);
    std::vector<float> data(100, -3.0F);
    signcclRequest_t request = nullptr;
    const signcclResult_t result = attempt([&] {
      return signcclAllReduceAvgAsync(data.data(), data.data(), data.size(), signcclFloat32, signcclFloat32, nullptr,
                                      ranks[0], nullptr, &request);
    });
    expectSystemErrorOrSuccess(result);
    EXPECT_EQ(request != nullptr, result == signcclSuccess);
    EXPECT_EQ(request == nullptr ? signcclSuccess : signcclRequestWait(&request), signcclSuccess);
    expectUsableOrFailed(ranks[0]);
    EXPECT_EQ(data, std::vector<float>(100, result == signcclSuccess ? -1.0F : -3.0F));
  });
}

/// A group of both ranks with different rules, blocking and not.
class GroupOfTwo {
 public:
  signcclResult_t run() {
    EXPECT_EQ(signcclGroupStart(), signcclSuccess);
    for (int rank = 0; rank < 2; ++rank) {
      const auto i = static_cast<std::size_t>(rank);
      call(Case{}, votes_[i].data(), votes_[i].data(), votes_[i].size(), ranks_[rank]);
      call(Case{SignOp::kAvg}, means_[i].data(), means_[i].data(), means_[i].size(), ranks_[rank]);
      signcclAllReduceVoteAsync(later_[i].data(), later_[i].data(), later_[i].size(), signcclFloat32, signcclFloat32,
                                nullptr, ranks_[rank], nullptr, &requests_[i]);
    }
    return signcclGroupEnd();
  }

  /// Every request ends, and nobody writes into the buffers any more once all calls have returned.
  void expectNothingIsLeft(signcclResult_t result) {
    for (signcclRequest_t& request : requests_) {
      if (request == nullptr) continue;
      const signcclResult_t outcome = signcclRequestWait(&request);
      EXPECT_TRUE(outcome == signcclSuccess || result != signcclSuccess);
      EXPECT_NE(outcome, signcclInvalidUsage) << signcclGetLastError(nullptr);
      EXPECT_EQ(request, nullptr);
    }
    const auto before = votes_;
    const auto before_later = later_;
    Ranks others(1);
    float value = -7.0F;
    EXPECT_EQ(signcclGroupStart(), signcclSuccess);
    call(Case{}, &value, &value, 1, others[0]);
    EXPECT_EQ(signcclGroupEnd(), signcclSuccess) << "the next group of the thread is a group of its own";
    EXPECT_EQ(value, -1.0F);
    EXPECT_EQ(votes_, before);
    EXPECT_EQ(later_, before_later);
  }

 private:
  Ranks ranks_{2};
  std::vector<std::vector<float>> votes_{2, std::vector<float>(100, -3.0F)};
  std::vector<std::vector<float>> means_{2, std::vector<float>(100, -3.0F)};
  std::vector<std::vector<float>> later_{2, std::vector<float>(100, -3.0F)};
  std::vector<signcclRequest_t> requests_{2};
};

TEST(OutOfMemory, AGroupThatFailsLeavesNothingToTheNextOne) {
  forEveryFailure<FailingMemory>([](const Attempt& attempt) {
    GroupOfTwo group;
    const signcclResult_t result = attempt([&] { return group.run(); });
    EXPECT_THAT(result, AnyOf(signcclSuccess, signcclSystemError));
    group.expectNothingIsLeft(result);
  });
}

signcclResult_t makeLionAndDestroyIt(signcclComm_t comm) {
  float parameter = 1;
  float momentum = 0;
  const std::size_t count = 1;
  void* const parameters = &parameter;
  void* const momenta = &momentum;
  signcclLionConfig_t config = SIGNCCL_LION_CONFIG_INITIALIZER;
  config.tensorCount = 1;
  config.parameters = &parameters;
  config.momenta = &momenta;
  config.counts = &count;
  signcclLion_t lion = nullptr;
  const signcclResult_t made = signcclLionCreate(&lion, &config, comm);
  EXPECT_EQ(lion != nullptr, made == signcclSuccess);
  return made == signcclSuccess ? signcclLionDestroy(lion) : made;
}

TEST(OutOfMemory, ALionObjectIsMadeOrNot) {
  forEveryFailure<FailingMemory>([](const Attempt& attempt) {
    Ranks ranks(1);
    expectSystemErrorOrSuccess(attempt([&] { return makeLionAndDestroyIt(ranks[0]); }));
    expectUsableOrFailed(ranks[0]);
  });
}

TEST(OutOfMemory, ALionStepThatFailsEndsOnAllRanks) {
  const LionHyperparameters hyperparameters({{0.1, 0.9, 0.99, 0}});
  signcclLionStepConfig_t config = hyperparameters.config();
  config.background = 1;
  const LionReference reference({{70'000}, {100}}, 2, {}, 1);
  forEveryFailure<FailingMemory>([&](const Attempt& attempt) {
    Ranks ranks(2);
    std::vector<std::unique_ptr<LionRank>> lions;
    for (int rank = 0; rank < 2; ++rank) {
      lions.push_back(reference.makeRank(rank, ranks[rank]));
      lions.back()->setGradients(reference.gradientsOf(rank));
    }
    std::vector<signcclLion_t> begun;
    begun.reserve(2);
    const signcclResult_t worst = attempt([&] {
      signcclResult_t first_error = signcclSuccess;
      const auto note = [&](signcclResult_t result) {
        if (first_error == signcclSuccess) first_error = result;
        return result == signcclSuccess;
      };
      for (int rank = 0; rank < 2; ++rank) {
        const LionRank& lion = *lions[static_cast<std::size_t>(rank)];
        if (!note(signcclLionBegin(lion.lion(), &config))) {
          signcclCommAbort(ranks[rank]);  // the other one would wait
          continue;
        }
        begun.push_back(lion.lion());
        note(signcclLionSubmit(lion.lion(), 0, 2, lion.gradients()));
      }
      for (const signcclLion_t lion : begun) {
        int done = 0;
        note(signcclLionFinish(lion, -1, &done, nullptr));
        EXPECT_EQ(done, 1);
      }
      return first_error;
    });
    EXPECT_THAT(worst, AnyOf(signcclSuccess, signcclSystemError, signcclRemoteError));
  });
}

TEST(OutOfMemory, ASplitMakesACommunicatorOrFails) {
  const Environment environment{{"SIGNCCL_TIMEOUT", "20"}};
  forEveryFailure<FailingMemory>([](const Attempt& attempt) {
    Ranks ranks(2);
    std::vector<signcclComm_t> made(2);
    const signcclResult_t result = attempt([&] {
      signcclGroupStart();
      for (int rank = 0; rank < 2; ++rank) {
        signcclCommSplit(ranks[rank], 0, rank, &made[static_cast<std::size_t>(rank)], nullptr);
      }
      return signcclGroupEnd();
    });
    EXPECT_THAT(result, AnyOf(signcclSuccess, signcclSystemError, signcclTimeout));
    for (const signcclComm_t comm : made) {
      destroyIfMade(comm);
    }
    if (result != signcclSuccess) {
      for (int rank = 0; rank < 2; ++rank) signcclCommAbort(ranks[rank]);
    }
  });
}

TEST(OutOfMemory, QueriesErrorsAndEndsDoWithoutOrSaySo) {
  forEveryFailure<FailingMemory>([](const Attempt& attempt) {
    signcclComm_t comm = nullptr;
    ASSERT_EQ(signcclCommInitAll(&comm, 1, nullptr), signcclSuccess);
    signcclCommStats_t stats{};
    stats.size = sizeof stats;
    signcclResult_t state = signcclSuccess;
    std::array<signcclResult_t, 5> results{};
    std::array<const char*, 3> texts{};
    // Looked at afterwards: GoogleTest allocates too.
    const signcclResult_t destroyed = attempt([&] {
      results = {signcclCommGetStats(comm, &stats), signcclCommGetAsyncError(comm, &state),
                 call(Case{}, nullptr, nullptr, 10, comm), signcclCommAbort(comm),
                 call(Case{}, nullptr, nullptr, 0, comm)};
      texts = {signcclGetLastError(comm), signcclGetLastError(nullptr), signcclGetErrorString(results[2])};
      return signcclCommDestroy(comm);
    });
    EXPECT_EQ(results[0], signcclSuccess);
    EXPECT_EQ(results[1], signcclSuccess);
    EXPECT_THAT(results[2], AnyOf(signcclInvalidArgument, signcclSystemError));
    EXPECT_EQ(results[3], signcclSuccess);
    EXPECT_THAT(results[4], AnyOf(signcclRemoteError, signcclSystemError));
    for (const char* const text : texts) EXPECT_NE(text, nullptr);
    EXPECT_EQ(destroyed, signcclSuccess);
  });
}

TEST(OutOfThreads, InitAllMakesAllCommunicatorsOrNone) {
  const Environment environment{{"SIGNCCL_NTHREADS", "3"}};
  forEveryFailure<FailingThreads>([](const Attempt& attempt) {
    std::vector<signcclComm_t> comms(2);
    const signcclResult_t result = attempt([&] { return signcclCommInitAll(comms.data(), 2, nullptr); });
    expectSystemErrorOrSuccess(result);
    for (const signcclComm_t comm : comms) {
      EXPECT_EQ(comm != nullptr, result == signcclSuccess);
      destroyIfMade(comm);
    }
  });
}

TEST(OutOfThreads, AGroupThatFailsLeavesNothingToTheNextOne) {
  forEveryFailure<FailingThreads>([](const Attempt& attempt) {
    GroupOfTwo group;
    const signcclResult_t result = attempt([&] { return group.run(); });
    EXPECT_THAT(result, AnyOf(signcclSuccess, signcclSystemError));
    group.expectNothingIsLeft(result);
  });
}

}  // namespace
}  // namespace signccl
