// SPDX-License-Identifier: Apache-2.0
// Results are equal to the oracle, bit for bit on every rank, for every rank count, size, type, rule, algorithm,
// instruction set and number of slices.
#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/kernels.h"
#include "ranks.h"
#include "schedule/algorithm.h"
#include "support/guarded_buffer.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

constexpr std::array kSendTypes = {signcclFloat32, signcclFloat16, signcclBfloat16,
                                   signcclFloat64, signcclInt8,    signcclBits};
constexpr std::array kVoteTypes = {signcclFloat32, signcclFloat16, signcclBfloat16,
                                   signcclFloat64, signcclInt8,    signcclBits};
constexpr std::array kAvgTypes = {signcclFloat32, signcclFloat16, signcclBfloat16, signcclFloat64,
                                  signcclInt8,    signcclInt16,   signcclInt32};
constexpr std::array<std::size_t, 7> kCounts = {0, 1, 63, 64, 65, 1000, 100003};
constexpr std::array<std::uint64_t, 2> kCallNumbers = {0, (std::uint64_t{1} << 40) + 7};
constexpr std::array<std::size_t, 8> kOffsets = {0, 1, 4, 16, 2, 3, 8, 61};

/// Inputs and results are made once and used by all algorithms and instruction sets.
class KnownResults {
 public:
  const std::vector<std::vector<std::byte>>& inputs(signcclDataType_t type, int nranks, std::size_t count) {
    auto& made = inputs_[{type, nranks, count}];
    for (int rank = 0; static_cast<int>(made.size()) < nranks; ++rank) {
      made.push_back(makeInput(type, count, static_cast<std::uint64_t>(rank) + 1));
    }
    return made;
  }

  const std::vector<std::byte>& result(const Case& tested, int nranks, std::size_t count, std::uint64_t call) {
    const auto key = std::make_tuple(tested.op, tested.sendtype, tested.recvtype, tested.zero, tested.tie, count, call);
    const auto found = results_.find(key);
    if (found != results_.end()) return found->second;
    return results_[key] = expectedResult(tested, inputs(tested.sendtype, nranks, count), count, call);
  }

 private:
  std::map<std::tuple<signcclDataType_t, int, std::size_t>, std::vector<std::vector<std::byte>>> inputs_;
  std::map<std::tuple<SignOp, signcclDataType_t, signcclDataType_t, int, int, std::size_t, std::uint64_t>,
           std::vector<std::byte>>
      results_;
};

/// Every operation with every zero and tie rule.
std::vector<Case> allRules() {
  std::vector<Case> cases;
  for (const int zero : {signcclZeroBinary, signcclZeroTernary}) {
    for (const int tie : {signcclTieZero, signcclTiePositive, signcclTieNegative, signcclTieRandom}) {
      cases.push_back({SignOp::kVote, signcclFloat32, signcclFloat32, zero, tie});
    }
    cases.push_back({SignOp::kAvg, signcclFloat32, signcclFloat32, zero, signcclTieZero});
  }
  return cases;
}

/// One communicator setting: all rules and sizes, the types taking turns so that all pairs come up many times.
class Sweep {
 public:
  Sweep(int nranks, KnownResults& known, std::size_t seed) : ranks_(nranks), known_(known), turn_(seed) {}

  void run(std::size_t largest_count) {
    for (const std::size_t count : kCounts) {
      if (count > largest_count) continue;
      for (const Case& rules : allRules()) {
        check(withNextTypes(rules), count);
        if (::testing::Test::HasFailure()) return;
      }
    }
  }

  void check(const Case& tested, std::size_t count) {
    const auto& inputs = known_.inputs(tested.sendtype, ranks_.size(), count);
    const bool in_place = tested.sendtype == tested.recvtype && turn_ % 3 == 0;
    std::vector<GuardedBuffer> sends;
    std::vector<GuardedBuffer> recvs;
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      const std::vector<std::byte>& input = inputs[static_cast<std::size_t>(rank)];
      sends.emplace_back(input.size(), nextOffset());
      std::ranges::copy(input, sends.back().data());
      recvs.emplace_back(bufferBytes(tested.recvtype, count), nextOffset());
    }
    // Few numbers, so that the expected results of random ties are made once and used many times.
    const std::uint64_t number = kCallNumbers[calls_++ % kCallNumbers.size()];
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      ASSERT_EQ(signcclCommSetCallNumber(ranks_[rank], number), signcclSuccess);
    }
    ASSERT_EQ(signcclGroupStart(), signcclSuccess);
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      GuardedBuffer& send = sends[static_cast<std::size_t>(rank)];
      GuardedBuffer& recv = in_place ? send : recvs[static_cast<std::size_t>(rank)];
      ASSERT_EQ(call(tested, send.data(), recv.data(), count, ranks_[rank]), signcclSuccess)
          << signcclGetLastError(nullptr);
    }
    ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
    const auto& expected = known_.result(tested, ranks_.size(), count, number);
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      const GuardedBuffer& got =
          in_place ? sends[static_cast<std::size_t>(rank)] : recvs[static_cast<std::size_t>(rank)];
      ASSERT_TRUE(std::ranges::equal(got.bytes(), expected)) << tested.name() << " count " << count << " rank " << rank;
      ASSERT_TRUE(got.isIntact()) << tested.name() << " count " << count << " rank " << rank;
    }
  }

 private:
  Case withNextTypes(Case tested) {
    ++turn_;
    tested.sendtype = kSendTypes[turn_ % kSendTypes.size()];
    const std::size_t step = turn_ / kSendTypes.size();
    if (tested.op == SignOp::kAvg) {
      tested.recvtype = kAvgTypes[step % kAvgTypes.size()];
    } else {
      // Packed bits cannot hold a zero.
      const std::size_t types = kVoteTypes.size() - (tested.tie == signcclTieZero ? 1 : 0);
      tested.recvtype = kVoteTypes[step % types];
    }
    return tested;
  }

  std::size_t nextOffset() { return kOffsets[++offset_turn_ % kOffsets.size()]; }

  Ranks ranks_;
  KnownResults& known_;
  std::size_t turn_;
  std::size_t offset_turn_ = 0;
  std::size_t calls_ = 0;
};

class Exactness : public ::testing::TestWithParam<int> {};

TEST_P(Exactness, HoldsForEveryAlgorithmInstructionSetAndSliceCount) {
  const int nranks = GetParam();
  KnownResults known;
  std::size_t seed = static_cast<std::size_t>(nranks);
  const KernelsList kernels = supportedKernels();
  for (const Algorithm algorithm : allAlgorithms()) {
    for (std::size_t isa = 0; isa < kernels.count; ++isa) {
      // 512 bytes of signs: 100,003 elements are 25 slices, more than there are lanes. The default: one.
      for (const char* slice_bytes : {"", "512"}) {
        const Environment environment{{"SIGNCCL_ALGO", std::string(algorithmName(algorithm))},
                                      {"SIGNCCL_KERNELS", kernels.instances[isa]->name},
                                      {"SIGNCCL_SLICE_BYTES", slice_bytes}};
        SCOPED_TRACE(std::string(algorithmName(algorithm)) + " " + kernels.instances[isa]->name + " slices of '" +
                     slice_bytes + "'");
        Sweep(nranks, known, seed += 7).run(kSanitized && isa > 0 ? 1000 : kCounts.back());
        if (HasFailure()) return;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, Exactness,
                         ::testing::Values(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 32),
                         ::testing::PrintToStringParamName());

TEST(ExactnessOfTypes, HoldsForEveryPairOfTypesAndEveryRule) {
  KnownResults known;
  for (const int nranks : {1, 4, 5}) {
    known = {};
    Sweep sweep(nranks, known, 0);
    for (Case tested : allRules()) {
      for (const signcclDataType_t sendtype : kSendTypes) {
        tested.sendtype = sendtype;
        const auto recvtypes = tested.op == SignOp::kVote
                                   ? std::vector<signcclDataType_t>(kVoteTypes.begin(), kVoteTypes.end())
                                   : std::vector<signcclDataType_t>(kAvgTypes.begin(), kAvgTypes.end());
        for (const signcclDataType_t recvtype : recvtypes) {
          tested.recvtype = recvtype;
          if (recvtype == signcclBits && tested.tie == signcclTieZero) continue;
          sweep.check(tested, 2053);
          if (HasFailure()) return;
        }
      }
    }
  }
}

TEST(ExactnessOfNodes, HoldsForHierarchicalOnNodesOfUnequalSize) {
  for (const int nranks : {2, 3, 5, 7, 8, 12, 17}) {
    for (const int per_node : {1, 2, 3, 4, 8}) {
      KnownResults known;
      const Environment environment{{"SIGNCCL_ALGO", "hierarchical"},
                                    {"SIGNCCL_RANKS_PER_NODE", std::to_string(per_node)},
                                    {"SIGNCCL_SLICE_BYTES", "4096"}};
      SCOPED_TRACE(std::to_string(nranks) + " ranks, " + std::to_string(per_node) + " a node");
      Sweep(nranks, known, 3).run(1000);
      if (HasFailure()) return;
    }
  }
}

TEST(ExactnessOfThreads, HoldsWithSeveralKernelThreadsAndLargeBuffers) {
  // Two slices and four, whose chunks are large enough for the pool.
  constexpr std::size_t kCount = kSanitized ? 600'001 : 1'500'001;
  for (const char* threads : kSanitized ? std::vector{"2"} : std::vector{"1", "2", "4"}) {
    const Environment environment{{"SIGNCCL_NTHREADS", threads}};
    KnownResults known;
    Sweep sweep(3, known, 0);
    for (const Case& rules : allRules()) {
      sweep.check(rules, kCount);
      if (HasFailure()) return;
    }
  }
}

TEST(ExactnessOfZeros, AbstainingRanksLeaveTheVoteToTheOthers) {
  constexpr std::size_t kCount = 300;
  std::vector<float> zeros(kCount, 0.0F);
  std::vector<float> minus(kCount, -1.0F);
  std::vector<float> result(kCount);
  Ranks ranks(3);
  const Case tested{SignOp::kVote, signcclFloat32, signcclFloat32, signcclZeroTernary, signcclTieZero};
  const auto vote = [&](const std::vector<float>& third) {
    EXPECT_EQ(signcclGroupStart(), signcclSuccess);
    std::vector<float> others(2 * kCount);
    EXPECT_EQ(call(tested, zeros.data(), result.data(), kCount, ranks[0]), signcclSuccess);
    EXPECT_EQ(call(tested, zeros.data(), others.data(), kCount, ranks[1]), signcclSuccess);
    EXPECT_EQ(call(tested, third.data(), others.data() + kCount, kCount, ranks[2]), signcclSuccess);
    EXPECT_EQ(signcclGroupEnd(), signcclSuccess);
    return result;
  };
  EXPECT_EQ(vote(minus), minus);
  EXPECT_EQ(vote(zeros), zeros);
}

}  // namespace
}  // namespace signccl
