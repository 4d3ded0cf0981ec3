// SPDX-License-Identifier: Apache-2.0
// Calls on streams of ranks that are processes, each with a device of its own: over UCX, eagerly and in CUDA graphs.
#include <csignal>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "../api/processes.h"
#include "graph_job.h"

namespace signccl {
namespace {

constexpr std::size_t kCount = 20'003;
constexpr Case kCases[] = {{}, {SignOp::kAvg, signcclFloat32, signcclFloat32, signcclZeroTernary, signcclTieZero}};

/// The driver of a process. Its parent must not have used one before.
Said withDevice(const std::function<Said()>& body) {
  const Environment environment{{"SIGNCCL_CUDA_LIBRARY", SIGNCCL_TESTS_EMULATED_CUDA}};
  expectCuda(cuInit(0));
  const CurrentDevice current(0);
  return body();
}

std::vector<std::vector<std::byte>> inputsOf(int nranks, std::size_t turn) {
  std::vector<std::vector<std::byte>> inputs;
  for (int rank = 0; rank < nranks; ++rank) {
    inputs.push_back(makeInput(signcclFloat32, kCount, turn * 100 + static_cast<std::size_t>(rank)));
  }
  return inputs;
}

/// Replays of a graph with all cases, and eager calls between them, in another order on every rank.
signcclResult_t replayAll(int rank, int nranks, signcclComm_t comm) {
  const Stream stream;
  const Stream other;
  const DeviceBuffer send(kCount * sizeof(float));
  const DeviceBuffer recv[2] = {DeviceBuffer(kCount * sizeof(float)), DeviceBuffer(kCount * sizeof(float))};
  const DeviceBuffer eager(kCount * sizeof(float));
  signcclResult_t result = signcclSuccess;
  const Graph graph(stream, [&] {
    for (int i = 0; i < 2 && result == signcclSuccess; ++i) {
      result = callOn(kCases[i], send.data(), recv[i].data(), kCount, comm, stream.get());
    }
  });
  for (std::uint64_t turn = 0; turn < 10 && result == signcclSuccess; ++turn) {
    const std::vector<std::vector<std::byte>> inputs = inputsOf(nranks, turn);
    send.put(inputs[static_cast<std::size_t>(rank)]);
    const bool is_first = (static_cast<std::uint64_t>(rank) + turn) % 2 == 0;
    if (is_first) graph.launch(stream);
    result = callOn(kCases[0], send.data(), eager.data(), kCount, comm, other.get());
    if (!is_first) graph.launch(stream);
    other.synchronize();
    stream.synchronize();
    const bool is_right = eager.get() == expectedResult(kCases[0], inputs, kCount, 2 + turn) &&
                          recv[0].get() == expectedResult(kCases[0], inputs, kCount, turn << 32U) &&
                          recv[1].get() == expectedResult(kCases[1], inputs, kCount, 1 + (turn << 32U));
    if (!is_right) return signcclInternalError;
  }
  return result;
}

TEST(StreamGraphProcessTest, ReplaysAndEagerCallsGiveTheReferenceResult) {
  constexpr int kRanks = 3;
  const Processes processes(kRanks, [](int rank, const signcclUniqueId& id) {
    return withDevice([&] {
      return inGroup(rank, kRanks, id, nullptr, kLong,
                     [&](signcclComm_t comm) { return replayAll(rank, kRanks, comm); });
    });
  });
  processes.expectSuccess();
}

TEST(StreamGraphProcessTest, ReplaysDrainWhenAPeerIsKilled) {
  constexpr int kRanks = 2;
  const Shared<std::atomic<int>> replayed;
  const Processes processes(kRanks, [&](int rank, const signcclUniqueId& id) {
    return withDevice([&] {
      return inGroup(rank, kRanks, id, nullptr, kLong, [&](signcclComm_t comm) {
        const Stream stream;
        const DeviceBuffer buffer(kCount * sizeof(float));
        const Graph graph(stream, [&] { callOn({}, buffer.data(), buffer.data(), kCount, comm, stream.get()); });
        graph.launch(stream);
        stream.synchronize();
        replayed->fetch_add(1);
        while (rank == 1) pause();
        for (int replay = 0; replay < 3; ++replay) graph.launch(stream);
        stream.synchronize();
        signcclResult_t state = signcclSuccess;
        signcclCommGetAsyncError(comm, &state);
        return state;
      });
    });
  });
  await([&] { return replayed->load() == kRanks; });
  processes.send(1, SIGKILL);
  EXPECT_EQ(processes.outcome(0).code, signcclRemoteError);
}

}  // namespace
}  // namespace signccl
