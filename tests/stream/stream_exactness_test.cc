// SPDX-License-Identifier: Apache-2.0
// Collectives on streams give the bits that those in host memory give, whoever has his buffers where.
#include <algorithm>
#include <string>
#include <vector>

#include "schedule/algorithm.h"
#include "stream_job.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

constexpr signcclDataType_t kSendTypes[] = {signcclFloat32, signcclFloat16, signcclBfloat16,
                                            signcclFloat64, signcclInt8,    signcclBits};
constexpr signcclDataType_t kAvgTypes[] = {signcclFloat32, signcclFloat16, signcclBfloat16, signcclFloat64,
                                           signcclInt8,    signcclInt16,   signcclInt32};

/// Every operation with every zero and tie rule, types taking turns.
std::vector<Case> cases(std::size_t turn) {
  std::vector<Case> all;
  const auto add = [&](SignOp op, int zero, int tie) {
    const bool has_bits = op == SignOp::kVote && tie != signcclTieZero;
    const signcclDataType_t sendtype = kSendTypes[turn % std::size(kSendTypes)];
    const signcclDataType_t recvtype =
        op == SignOp::kAvg ? kAvgTypes[turn / 2 % std::size(kAvgTypes)] : kSendTypes[turn / 2 % (has_bits ? 6 : 5)];
    all.push_back({op, sendtype, recvtype, zero, tie});
    ++turn;
  };
  for (const int zero : {signcclZeroBinary, signcclZeroTernary}) {
    for (const int tie : {signcclTieZero, signcclTiePositive, signcclTieNegative, signcclTieRandom}) {
      add(SignOp::kVote, zero, tie);
    }
    add(SignOp::kAvg, zero, signcclTieZero);
  }
  return all;
}

/// Where a rank has its buffers.
enum class Place { kDevice, kPinned, kHost };

/// One rank's part in a call: its buffers, the call, and the comparison.
void takePart(const Case& tested, std::size_t count, Place place, signcclComm_t comm, const Stream& stream,
              const std::vector<std::byte>& input, const std::vector<std::byte>& expected, std::size_t offset) {
  std::vector<std::byte> result(expected.size());
  if (place == Place::kDevice) {
    const DeviceBuffer send(input.size(), offset * bufferBytes(tested.sendtype, 1));
    const DeviceBuffer recv(expected.size(), offset * bufferBytes(tested.recvtype, 1));
    send.put(input);
    ASSERT_EQ(callOn(tested, send.data(), recv.data(), count, comm, stream.get()), signcclSuccess)
        << signcclGetLastError(nullptr);
    stream.synchronize();
    result = recv.get();
    EXPECT_TRUE(send.isIntact() && recv.isIntact()) << tested.name() << ", count " << count;
  } else if (place == Place::kPinned) {
    void* memory = nullptr;
    expectCuda(cuMemHostAlloc(&memory, input.size() + expected.size() + 16, kCudaHostAllocDeviceMap));
    auto* const send = static_cast<std::byte*>(memory);
    std::byte* const recv = send + (input.size() + 15) / 16 * 16;
    std::ranges::copy(input, send);
    ASSERT_EQ(callOn(tested, send, recv, count, comm, stream.get()), signcclSuccess) << signcclGetLastError(nullptr);
    stream.synchronize();
    std::copy_n(recv, expected.size(), result.begin());
    expectCuda(cuMemFreeHost(memory));
  } else {
    ASSERT_EQ(call(tested, input.data(), result.data(), count, comm), signcclSuccess) << signcclGetLastError(nullptr);
  }
  EXPECT_EQ(result, expected) << tested.name() << ", count " << count;
}

/// Runs the cases in turn with a thread for each rank.
void expectExact(int nranks, const std::vector<Place>& places, const std::vector<std::size_t>& counts,
                 std::size_t turn) {
  Ranks ranks(nranks);
  struct Round {
    Case tested;
    std::size_t count;
    std::vector<std::vector<std::byte>> inputs;
    std::vector<std::byte> expected;
  };
  std::vector<Round> rounds;
  for (const std::size_t count : counts) {
    for (const Case& tested : cases(turn)) {
      Round& round = rounds.emplace_back(Round{tested, count, {}, {}});
      for (int rank = 0; rank < nranks; ++rank) {
        round.inputs.push_back(makeInput(tested.sendtype, count, static_cast<std::uint64_t>(rank) + rounds.size()));
      }
      round.expected = expectedResult(tested, round.inputs, count, rounds.size() - 1);
    }
  }
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Stream stream;
    for (std::size_t i = 0; i < rounds.size(); ++i) {
      const Round& round = rounds[i];
      takePart(round.tested, round.count, places[static_cast<std::size_t>(rank) % places.size()], comm, stream,
               round.inputs[static_cast<std::size_t>(rank)], round.expected, i % 3);
      if (::testing::Test::HasFatalFailure()) return;
    }
  });
}

class StreamExactnessTest : public StreamTest, public ::testing::WithParamInterface<Algorithm> {};

TEST_P(StreamExactnessTest, RanksAsThreadsGetTheReferenceResult) {
  for (int nranks = 1; nranks <= 8; ++nranks) {
    if (kSanitized && nranks != 3 && nranks != 6) continue;
    for (const std::vector<Place>& places : {std::vector{Place::kDevice},
                                             {Place::kDevice, Place::kHost},
                                             {Place::kHost, Place::kPinned, Place::kDevice}}) {
      const Environment environment{{"SIGNCCL_ALGO", std::string(algorithmName(GetParam()))},
                                    {"SIGNCCL_SLICE_BYTES", nranks % 2 == 0 ? "512" : ""},
                                    {"SIGNCCL_RANKS_PER_NODE", "3"}};
      expectExact(nranks, places, {1, 65, 5'003}, static_cast<std::size_t>(nranks));
      if (HasFailure()) return;
    }
  }
}

TEST_P(StreamExactnessTest, LargeVectorsArriveByCopies) {
  if (kSanitized && GetParam() != Algorithm::kDirect) return;
  const Environment environment{{"SIGNCCL_ALGO", std::string(algorithmName(GetParam()))}};
  expectExact(3, {Place::kDevice, Place::kDevice, Place::kHost}, {700'001}, 4);
}

INSTANTIATE_TEST_SUITE_P(, StreamExactnessTest, ::testing::ValuesIn(allAlgorithms()),
                         [](const auto& tested) { return std::string(algorithmName(tested.param)); });

}  // namespace
}  // namespace signccl
