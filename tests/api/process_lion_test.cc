// SPDX-License-Identifier: Apache-2.0
// Lion steps of ranks that are processes: exact over UCX, and ended by an error on every rank if one dies.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/eventually.h"
#include "lion_job.h"
#include "processes.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const std::vector<ReferenceHyperparameters> kGroups = {{0.01, 0.9, 0.99, 0.1}};
const LionHyperparameters kHyperparameters(kGroups);

/// One rank of a job whose reference every process works out for itself.
struct Job {
  Job(const std::vector<LionShape>& shapes, int nranks, const ReferenceLionRules& rules, int rank, signcclComm_t comm)
      : reference(shapes, nranks, rules, 1), lion(reference.makeRank(rank, comm)) {
    lion->setGradients(reference.gradientsOf(rank));
  }

  LionReference reference;
  std::unique_ptr<LionRank> lion;
};

/// Makes two steps, between them one that rank 1 skips, in buckets or in one exchange. "" if all is as it must be.
std::string firstWrong(int rank, int nranks, const ReferenceLionRules& rules, bool in_buckets, signcclComm_t comm) {
  const std::vector<LionShape> shapes = {{20'003}, {5, FloatType::kBFloat16}, {0}, {2'000, FloatType::kFloat16}};
  Job job(shapes, nranks, rules, rank, comm);
  std::uint64_t first_call = 0;
  signcclCommGetCallNumber(comm, &first_call);
  for (std::uint64_t step = 0; step < 3; ++step) {
    signcclLionStepConfig_t config = kHyperparameters.config();
    config.skip = step == 1 && rank == 1 ? 1 : 0;
    config.background = in_buckets ? 1 : 0;
    int skipped = 0;
    if (signcclLionBegin(job.lion->lion(), &config) != signcclSuccess) return signcclGetLastError(comm);
    for (std::size_t first = 0; first < shapes.size(); first += 2) {
      const std::size_t n = in_buckets ? 2 : shapes.size();
      if (first > 0 && !in_buckets) break;
      if (signcclLionSubmit(job.lion->lion(), first, n, job.lion->gradients() + first) != signcclSuccess) {
        return signcclGetLastError(comm);
      }
    }
    for (int done = 0; done == 0;) {
      if (signcclLionFinish(job.lion->lion(), 50, &done, &skipped) != signcclSuccess) return signcclGetLastError(comm);
    }
    const bool is_skipped = step == 1 && nranks > 1;
    if (skipped != (is_skipped ? 1 : 0)) return "skipped is " + std::to_string(skipped);
    job.reference.step(kGroups, first_call + step, is_skipped ? std::vector<int>{1} : std::vector<int>{});
    if (!job.reference.agreesWith(rank, *job.lion)) return "wrong bits in step " + std::to_string(step);
  }
  return "";
}

class ProcessLionTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { setenv("UCX_TLS", GetParam(), 1); }
};

TEST_P(ProcessLionTest, StepsAreExact) {
  for (const int nranks : {1, 2, 3, 4}) {
    Processes(nranks, [&](int rank, const signcclUniqueId& id) {
      std::string wrong;
      const Said said = inGroup(rank, nranks, id, nullptr, kLong, [&](signcclComm_t comm) {
        for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
          for (const bool is_ternary : {false, true}) {
            for (const bool in_buckets : {false, true}) {
              wrong = firstWrong(rank, nranks, {.op = op, .is_ternary = is_ternary}, in_buckets, comm);
              if (!wrong.empty()) return signcclInternalError;
            }
          }
        }
        return signcclSuccess;
      });
      return wrong.empty() ? said : Said{said.code, wrong};
    }).expectSuccess();
  }
}

INSTANTIATE_TEST_SUITE_P(Over, ProcessLionTest, testing::Values("posix,self,tcp", "tcp,self"), [](const auto& tested) {
  return std::string(tested.param).starts_with("tcp") ? "Tcp" : "SharedMemory";
});

/// Momenta of one rank after steps with the same gradients.
FloatBuffer momentaAfter(int nsteps, FloatBuffer momenta, const FloatBuffer* gradients) {
  FloatBuffer parameters(FloatType::kFloat32, momenta.count());
  for (int step = 0; step < nsteps; ++step) {
    referenceLionStep({.rules = {}, .hyperparameters = kGroups[0]}, {&gradients, 1}, {&momenta, 1}, parameters);
  }
  return momenta;
}

TEST(ProcessLionFault, KilledRankIsNamedAndTheOthersHaveTakenTheirGradients) {
  constexpr int kRanks = 3;
  constexpr int kVictim = 1;
  const Shared<std::atomic<int>> nsteps;
  const Processes processes(kRanks, [&](int rank, const signcclUniqueId& id) {
    bool are_momenta_right = false;
    const Said said = inGroup(rank, kRanks, id, nullptr, kLong, [&](signcclComm_t comm) {
      const Job job({{kSanitized ? 500'000U : 8'000'000U}, {1'000}}, kRanks, {}, rank, comm);
      const signcclLionStepConfig_t config = kHyperparameters.config();
      int made = 0;
      signcclResult_t result = signcclSuccess;
      while (result == signcclSuccess) {
        result = signcclLionStep(job.lion->lion(), &config, job.lion->gradients(), nullptr);
        ++made;
        ++*nsteps;
      }
      const FloatBuffer expected =
          momentaAfter(made, job.reference.momenta(1, rank), job.reference.gradientsOf(rank)[1]);
      are_momenta_right = areEqual(job.lion->momenta(1), expected);
      return result;
    });
    return are_momenta_right ? said : Said{-1, "the momenta have not taken the gradients of every step"};
  });
  EXPECT_TRUE(eventually([&] { return *nsteps > 2 * kRanks; }));
  processes.send(kVictim, SIGKILL);
  for (const int rank : {0, 2}) {
    const Said said = processes.outcome(rank, 40s);
    EXPECT_EQ(said.code, signcclRemoteError) << said.text;
    EXPECT_THAT(said.text, HasSubstr("rank 1")) << "rank " << rank;
  }
}

}  // namespace
}  // namespace signccl
