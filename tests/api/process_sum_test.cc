// SPDX-License-Identifier: Apache-2.0
// Sums of ranks that are processes: exact, or refused on all of them, whatever the algorithm.
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "processes.h"
#include "schedule/algorithm.h"
#include "support/sum_reference.h"

namespace signccl {
namespace {

constexpr int kRanks = 4;

/// The inputs of all ranks, which each rank makes for itself.
std::vector<std::vector<std::byte>> inputsOf(ElementType type, std::size_t count) {
  std::mt19937_64 random(count);
  std::vector<std::vector<std::byte>> inputs(kRanks);
  for (std::vector<std::byte>& input : inputs) {
    input.resize(elementBytes(type, count));
    fillSigns(type, count, /*has_zeros=*/false, random, input.data());
  }
  return inputs;
}

/// What is wrong with a sum in place of float32; nothing if all is well. `victim`: the rank with a value that does not
/// fit, -1: none. Some ranks discard what does not fit.
std::string wrongIn(signcclComm_t comm, int rank, std::size_t count, int victim) {
  constexpr ElementType kType = ElementType::kFloat32;
  std::vector<std::vector<std::byte>> inputs = inputsOf(kType, count);
  std::vector<std::byte>& mine = inputs[static_cast<std::size_t>(rank)];
  if (rank == victim) putPattern(kType, 0x4000'0000, mine.data(), count - 1);
  std::vector<std::byte> data = mine;
  signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
  signcclSignConfig_t config = SIGNCCL_SIGN_CONFIG_INITIALIZER;
  const bool discards = (rank + victim) % 3 == 0;
  if (discards) config.misfitRule = signcclMisfitDiscard;
  if (signcclAllReduceSum(data.data(), data.data(), count, signcclFloat32, &config, comm, nullptr, &outcome) !=
      signcclSuccess) {
    return signcclGetLastError(nullptr);
  }
  const std::string where = " of " + std::to_string(count) + " elements, rank " + std::to_string(victim) + " spoils it";
  if (victim >= 0) {
    if ((data != mine && !discards) || outcome.isWritten != 0) return "written: sum" + where;
    if (outcome.values != signcclValuesOther) return "values " + std::to_string(outcome.values) + where;
    if ((outcome.firstIndex == -1) != (rank != victim || discards))
      return "first index " + std::to_string(outcome.firstIndex);
    return "";
  }
  std::vector<const std::byte*> all;
  for (const auto& input : inputs) all.push_back(input.data());
  if (outcome.isWritten != 1 || data != referenceSum(kType, count, all)) return "wrong: sum" + where;
  return "";
}

TEST(ProcessSumTest, IsExactOrRefusedOnAllRanksForEveryAlgorithm) {
  for (const Algorithm algorithm : allAlgorithms()) {
    const std::string name(algorithmName(algorithm));
    const Processes processes(kRanks, [&](int rank, const signcclUniqueId& id) {
      setenv("SIGNCCL_SLICE_BYTES", "4096", 1);
      setenv("SIGNCCL_RANKS_PER_NODE", "2", 1);
      std::string wrong;
      Said said = inGroup(rank, kRanks, id, name.c_str(), kLong, [&](signcclComm_t comm) {
        for (const std::size_t count : {1U, 65U, 100'003U}) {
          for (int victim = -1; victim < kRanks && wrong.empty(); ++victim) wrong = wrongIn(comm, rank, count, victim);
        }
        return wrong.empty() ? signcclSuccess : signcclInternalError;
      });
      said.text = name + ": " + (wrong.empty() ? said.text : wrong);
      return said;
    });
    processes.expectSuccess();
  }
}

}  // namespace
}  // namespace signccl
