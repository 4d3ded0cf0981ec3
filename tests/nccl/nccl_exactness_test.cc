// SPDX-License-Identifier: Apache-2.0
// Calls over NCCL give the bits that those in host memory give.
#include <string>
#include <vector>

#include "nccl_job.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

constexpr signcclDataType_t kSendTypes[] = {signcclFloat32, signcclFloat16, signcclBfloat16,
                                            signcclFloat64, signcclInt8,    signcclBits};
constexpr signcclDataType_t kAvgTypes[] = {signcclFloat32, signcclFloat16, signcclBfloat16, signcclFloat64,
                                           signcclInt8,    signcclInt16,   signcclInt32};

/// Every operation with every zero and tie rule, types taking turns.
std::vector<Case> cases() {
  static std::size_t turn = 0;
  std::vector<Case> all;
  for (const int zero : {signcclZeroBinary, signcclZeroTernary}) {
    for (const int tie : {signcclTieZero, signcclTiePositive, signcclTieNegative, signcclTieRandom}) {
      const std::size_t ntypes = tie == signcclTieZero ? 5 : 6;
      all.push_back({SignOp::kVote, kSendTypes[turn % 6], kSendTypes[turn / 2 % ntypes], zero, tie});
      ++turn;
    }
    all.push_back({SignOp::kAvg, kSendTypes[turn % 6], kAvgTypes[turn % 7], zero, signcclTieZero});
    ++turn;
  }
  return all;
}

struct Round {
  Case tested;
  std::size_t count;
  std::vector<std::vector<std::byte>> inputs;  ///< [rank]
  std::vector<std::byte> expected;
};

std::vector<Round> roundsOf(int nranks, const std::vector<Case>& tests, const std::vector<std::size_t>& counts) {
  std::vector<Round> rounds;
  for (const std::size_t count : counts) {
    for (const Case& tested : tests) {
      Round& round = rounds.emplace_back(Round{tested, count, {}, {}});
      for (int rank = 0; rank < nranks; ++rank) {
        round.inputs.push_back(makeInput(tested.sendtype, count, static_cast<std::uint64_t>(rank) + rounds.size()));
      }
      round.expected = expectedResult(tested, round.inputs, count, rounds.size() - 1);
    }
  }
  return rounds;
}

/// Runs the rounds in turn with a thread and a device for each rank.
void expectExact(int nranks, const std::vector<Round>& rounds) {
  Ranks ranks(nranks);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(rank);
    const Stream stream;
    for (std::size_t i = 0; i < rounds.size(); ++i) {
      const auto& [tested, count, inputs, expected] = rounds[i];
      const std::vector<std::byte>& input = inputs[static_cast<std::size_t>(rank)];
      const DeviceBuffer send(input.size(), i % 3 * bufferBytes(tested.sendtype, 1));
      const DeviceBuffer recv(expected.size(), i % 3 * bufferBytes(tested.recvtype, 1));
      send.put(input);
      ASSERT_EQ(callOn(tested, send.data(), recv.data(), count, comm, stream.get()), signcclSuccess)
          << signcclGetLastError(nullptr);
      stream.synchronize();
      EXPECT_EQ(recv.get(), expected) << tested.name() << ", count " << count << ", rank " << rank;
      EXPECT_TRUE(send.isIntact() && recv.isIntact()) << tested.name() << ", count " << count;
      if (::testing::Test::HasFailure()) return;
    }
  });
}

class NcclExactnessTest : public NcclTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(NcclExactnessTest, RanksGetTheReferenceResult) {
  for (int nranks = 1; nranks <= 8; ++nranks) {
    if (kSanitized && nranks != 3 && nranks != 8) continue;
    const Environment environment{{"SIGNCCL_ALGO", GetParam()}, {"SIGNCCL_SLICE_BYTES", nranks % 2 == 0 ? "64" : ""}};
    expectExact(nranks, roundsOf(nranks, cases(), {1, 65, 5'003}));
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(, NcclExactnessTest, ::testing::Values("oneshot", "direct", ""), [](const auto& tested) {
  return *tested.param == '\0' ? "BySize" : std::string(tested.param);
});

/// More slices than buffers for results.
TEST_P(NcclExactnessTest, SlicesOverlapInAnyOrderOfTheQueues) {
  const Environment environment{{"SIGNCCL_ALGO", GetParam()}, {"SIGNCCL_SLICE_BYTES", "64"}};
  for (const int queues : {1, 3, 32}) {
    StreamTest::begin({.devices = 8, .queues = queues, .seed = 5, .multiprocessors = 2});
    expectExact(3, roundsOf(3, {{.zero = signcclZeroTernary}, {.op = SignOp::kAvg}}, {12'345}));
    if (HasFailure()) return;
  }
}

TEST_F(NcclTest, LargeVectorsGoInTwoPhases) {
  const std::vector<Case> tested = {{.zero = signcclZeroTernary}, {.op = SignOp::kAvg}};
  expectExact(3, roundsOf(3, tested, {1'600'003}));
}

}  // namespace
}  // namespace signccl
