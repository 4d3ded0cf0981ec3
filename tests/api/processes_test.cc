// SPDX-License-Identifier: Apache-2.0
// Ranks that are processes: results over UCX, also with many of them.
#include "processes.h"

#include <cstdlib>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ranks.h"
#include "schedule/algorithm.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using testing::HasSubstr;

std::vector<Case> someCases() {
  return {{SignOp::kVote, signcclFloat32, signcclFloat32, signcclZeroBinary, signcclTieRandom},
          {SignOp::kVote, signcclBfloat16, signcclInt8, signcclZeroTernary, signcclTieZero},
          {SignOp::kVote, signcclInt8, signcclBits, signcclZeroBinary, signcclTiePositive},
          {SignOp::kAvg, signcclFloat32, signcclFloat16, signcclZeroBinary, signcclTieZero},
          {SignOp::kAvg, signcclFloat64, signcclInt32, signcclZeroTernary, signcclTieZero}};
}

/// Numbers of elements that are worth trying with so many ranks; every rank makes the inputs of all.
std::vector<std::size_t> countsFor(int nranks) {
  if (nranks > 8) return {0, 1, 65, 10'007};
  return {0, 1, 65, 1000, 100'003, kSanitized ? 1'000'001U : 3'000'001U};
}

/// The first result that is not the reference's, in words; nothing if all are right.
std::string firstWrong(signcclComm_t comm, int rank, int nranks, const std::vector<std::size_t>& counts,
                       const std::vector<Case>& cases) {
  std::uint64_t call_number = 0;
  for (const std::size_t count : counts) {
    for (const Case& tested : cases) {
      if (count > 1'000'000 && (tested.sendtype != signcclInt8 || nranks > 3)) continue;
      std::vector<std::vector<std::byte>> inputs;
      for (int r = 0; r < nranks; ++r)
        inputs.push_back(makeInput(tested.sendtype, count, static_cast<unsigned>(r) + 1));
      std::vector<std::byte> result(bufferBytes(tested.recvtype, count));
      const auto& mine = inputs[static_cast<std::size_t>(rank)];
      if (call(tested, mine.data(), result.data(), count, comm) != signcclSuccess) return signcclGetLastError(nullptr);
      if (result != expectedResult(tested, inputs, count, call_number++)) {
        return "wrong: " + tested.name() + " count " + std::to_string(count);
      }
    }
  }
  return "";
}

/// Joins and tries `counts` with `cases`.
Said beExact(int rank, int nranks, const signcclUniqueId& id, const char* algorithm,
             const std::vector<std::size_t>& counts, const std::vector<Case>& cases) {
  std::string wrong;
  Said said = inGroup(rank, nranks, id, algorithm, kLong, [&](signcclComm_t comm) {
    wrong = firstWrong(comm, rank, nranks, counts, cases);
    return wrong.empty() ? signcclSuccess : signcclInternalError;
  });
  return wrong.empty() ? said : Said{signcclInternalError, wrong};
}

struct Setting {
  int nranks;
  const char* tls;             ///< UCX_TLS; nullptr: as UCX chooses
  const char* ranks_per_node;  ///< nullptr: all on one node
  const char* nchannels = nullptr;
};

class ProcessExactnessTest : public testing::TestWithParam<Setting> {};

TEST_P(ProcessExactnessTest, EveryAlgorithmGivesTheResultsOfTheReference) {
  const Setting setting = GetParam();
  for (const Algorithm algorithm : allAlgorithms()) {
    const std::string name(algorithmName(algorithm));
    const Processes processes(setting.nranks, [&](int rank, const signcclUniqueId& id) {
      if (setting.tls != nullptr) setenv("UCX_TLS", setting.tls, 1);
      if (setting.ranks_per_node != nullptr) setenv("SIGNCCL_RANKS_PER_NODE", setting.ranks_per_node, 1);
      if (setting.nchannels != nullptr) setenv("SIGNCCL_NCHANNELS", setting.nchannels, 1);
      Said said = beExact(rank, setting.nranks, id, name.c_str(), countsFor(setting.nranks), someCases());
      said.text = name + ": " + said.text;
      return said;
    });
    processes.expectSuccess();
  }
}

INSTANTIATE_TEST_SUITE_P(Transports, ProcessExactnessTest,
                         testing::Values(Setting{2, nullptr, nullptr}, Setting{3, nullptr, nullptr},
                                         Setting{4, nullptr, "2"}, Setting{5, "tcp,self", nullptr},
                                         Setting{8, "tcp,self", "2"}, Setting{16, nullptr, "4"},
                                         Setting{3, "tcp,self", nullptr, "2"}),
                         [](const auto& test) {
                           return std::string(test.param.tls == nullptr ? "any" : "tcp") +
                                  std::to_string(test.param.nranks);
                         });

class ManyProcessesTest : public testing::TestWithParam<const char*> {};

TEST_P(ManyProcessesTest, AreExactOnEightNodes) {
  constexpr int kRanks = kSanitized ? 16 : 64;
  const Processes processes(kRanks, [](int rank, const signcclUniqueId& id) {
    setenv("SIGNCCL_HOSTID", ("host " + std::to_string(rank / (kRanks / 8))).c_str(), 1);
    const std::vector<Case> cases = {{SignOp::kVote, signcclFloat32, signcclFloat32},
                                     {SignOp::kAvg, signcclFloat32, signcclFloat32}};
    return beExact(rank, kRanks, id, GetParam(), {1000}, cases);
  });
  processes.expectSuccess();
}

// nullptr: what the cost model chooses.
INSTANTIATE_TEST_SUITE_P(Algorithms, ManyProcessesTest, testing::Values(nullptr, "hierarchical"),
                         [](const auto& test) { return std::string(test.param == nullptr ? "chosen" : test.param); });

TEST(ProcessTest, RanksThatDisagreeAllGetBothValues) {
  const Processes processes(3, [](int rank, const signcclUniqueId& id) {
    return inGroup(rank, 3, id, nullptr, kLong, [&](signcclComm_t comm) { return vote(comm, rank == 2 ? 999 : 1000); });
  });
  for (int rank = 0; rank < 3; ++rank) {
    const Said said = processes.outcome(rank);
    EXPECT_EQ(said.code, signcclInvalidUsage) << said.text;
    EXPECT_THAT(said.text, HasSubstr("999 on rank 2"));
    EXPECT_THAT(said.text, HasSubstr("1000 on rank"));
  }
}

TEST(ProcessTest, EmptyCallDoesNotPassForAnother) {
  const Processes processes(2, [](int rank, const signcclUniqueId& id) {
    return inGroup(rank, 2, id, nullptr, kLong, [&](signcclComm_t comm) { return vote(comm, rank == 0 ? 0 : 1000); });
  });
  for (int rank = 0; rank < 2; ++rank) EXPECT_EQ(processes.outcome(rank).code, signcclInvalidUsage);
}

TEST(ProcessTest, SplitGivesGroupsThatWork) {
  const Processes processes(4, [](int rank, const signcclUniqueId& id) {
    return inGroup(rank, 4, id, nullptr, kLong, [&](signcclComm_t comm) {
      signcclComm_t half = nullptr;
      signcclResult_t result = signcclCommSplit(comm, rank % 2, -rank, &half, nullptr);
      if (result != signcclSuccess) return result;
      int half_rank = -1;
      signcclCommUserRank(half, &half_rank);
      if (half_rank != (rank < 2 ? 1 : 0)) return signcclInternalError;
      result = vote(half);
      signcclCommDestroy(half);
      return result == signcclSuccess ? vote(comm) : result;
    });
  });
  processes.expectSuccess();
}

/// Calls `call(i)` for the two ranks of a thread as a group.
template <typename Call>
signcclResult_t inOneGroup(Call&& call) {
  signcclResult_t first_error = signcclGroupStart();
  for (std::size_t i = 0; i < 2; ++i) {
    const signcclResult_t result = call(i);
    if (first_error == signcclSuccess) first_error = result;
  }
  const signcclResult_t end = signcclGroupEnd();
  return first_error == signcclSuccess ? end : first_error;
}

/// Two ranks of one thread vote with those of the other processes; all cast the same signs.
signcclResult_t voteInOneGroup(const std::array<signcclComm_t, 2>& comms) {
  const std::vector<float> votes(1000, -2.5F);
  std::array<std::vector<float>, 2> results = {std::vector<float>(votes.size()), std::vector<float>(votes.size())};
  const signcclResult_t result = inOneGroup([&](std::size_t i) {
    return signcclAllReduceVote(votes.data(), results[i].data(), votes.size(), signcclFloat32, signcclFloat32, nullptr,
                                comms[i], nullptr);
  });
  if (result != signcclSuccess) return result;
  const std::vector<float> expected(votes.size(), -1.0F);
  return results[0] == expected && results[1] == expected ? signcclSuccess : signcclInternalError;
}

Processes::Said splitAsOneThread(int process, const signcclUniqueId& id, bool stays_together) {
  std::array<signcclComm_t, 2> all{};
  std::array<signcclComm_t, 2> parts{};
  signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
  config.timeoutMs = 20'000;
  signcclResult_t result = inOneGroup([&](std::size_t i) {
    return signcclCommInitRankConfig(&all[i], 4, id, 2 * process + static_cast<int>(i), &config);
  });
  if (result == signcclSuccess) {
    result = inOneGroup([&](std::size_t i) {
      return signcclCommSplit(all[i], stays_together ? 0 : static_cast<int>(i), 0, &parts[i], nullptr);
    });
  }
  if (result == signcclSuccess) result = voteInOneGroup(parts);
  if (result == signcclSuccess) result = voteInOneGroup(all);
  const std::string text = signcclGetLastError(nullptr);
  for (const signcclComm_t comm : parts) signcclCommDestroy(comm);
  for (const signcclComm_t comm : all) signcclCommDestroy(comm);
  return {result, text};
}

TEST(ProcessTest, ThreadThatDrivesSeveralRanksTakesThemThroughASplit) {
  for (const bool stays_together : {true, false}) {
    const Processes processes(
        2, [&](int process, const signcclUniqueId& id) { return splitAsOneThread(process, id, stays_together); });
    processes.expectSuccess();
  }
}

}  // namespace
}  // namespace signccl
