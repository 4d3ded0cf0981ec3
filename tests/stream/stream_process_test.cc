// SPDX-License-Identifier: Apache-2.0
// Ranks that are processes, each with a GPU: results over shared memory and TCP, and streams that drain when a peer is
// killed or stopped. The processes are forked before CUDA is used, as CUDA wants it.
#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "../api/processes.h"
#include "control/eventually.h"
#include "stream_job.h"
#include "stream_sum_job.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr const char* kSharedMemory = "posix,self,tcp";
constexpr const char* kTcp = "tcp,self";

/// Parameter: UCX_TLS of all processes.
class StreamProcessTest : public ::testing::TestWithParam<const char*> {
 protected:
  const Environment environment_{{"SIGNCCL_CUDA_LIBRARY", SIGNCCL_TESTS_EMULATED_CUDA}, {"UCX_TLS", GetParam()}};
};

INSTANTIATE_TEST_SUITE_P(Over, StreamProcessTest, ::testing::Values(kSharedMemory, kTcp),
                         [](const auto& tested) { return std::string(tested.param == kTcp ? "Tcp" : "SharedMemory"); });

/// A fresh process with CUDA in use, as a framework has it.
class FreshDevice {
 public:
  [[nodiscard]] CudaStream stream() const { return stream_.get(); }
  [[nodiscard]] bool synchronize() const { return cuStreamSynchronize(stream_.get()) == CudaResult::kSuccess; }

 private:
  static int initialised() {
    expectCuda(cuInit(0));
    return 0;
  }

  const CurrentDevice current_{initialised()};
  const Stream stream_;
};

std::vector<Case> someCases() {
  return {{SignOp::kVote, signcclFloat32, signcclFloat32, signcclZeroBinary, signcclTieRandom},
          {SignOp::kVote, signcclBfloat16, signcclInt8, signcclZeroTernary, signcclTieZero},
          {SignOp::kVote, signcclInt8, signcclBits, signcclZeroBinary, signcclTiePositive},
          {SignOp::kAvg, signcclFloat32, signcclFloat16, signcclZeroBinary, signcclTieZero},
          {SignOp::kAvg, signcclFloat64, signcclInt32, signcclZeroTernary, signcclTieZero}};
}

/// The first result that is not the reference's, in words; nothing if all are right.
std::string firstWrong(signcclComm_t comm, int rank, int nranks) {
  const FreshDevice device;
  std::uint64_t call_number = 0;
  for (const std::size_t count : {std::size_t{1}, std::size_t{65}, std::size_t{5'003}, std::size_t{100'003}}) {
    for (const Case& tested : someCases()) {
      std::vector<std::vector<std::byte>> inputs;
      for (int r = 0; r < nranks; ++r)
        inputs.push_back(makeInput(tested.sendtype, count, static_cast<unsigned>(r) + 1));
      const auto& mine = inputs[static_cast<std::size_t>(rank)];
      const DeviceBuffer send(mine.size());
      const DeviceBuffer recv(bufferBytes(tested.recvtype, count));
      send.put(mine);
      const signcclResult_t result = callOn(tested, send.data(), recv.data(), count, comm, device.stream());
      if (result != signcclSuccess) return signcclGetLastError(nullptr);
      if (!device.synchronize()) return "the stream has failed";
      if (recv.get() != expectedResult(tested, inputs, count, call_number++) || !recv.isIntact()) {
        return "wrong: " + tested.name() + " count " + std::to_string(count);
      }
    }
  }
  return ::testing::Test::HasFailure() ? "a call of CUDA has failed" : "";
}

TEST_P(StreamProcessTest, RanksAsProcessesGetTheReferenceResult) {
  for (int nranks = 2; nranks <= (kSanitized ? 2 : 4); ++nranks) {
    SCOPED_TRACE(nranks);
    const Processes processes(nranks, [&](int rank, const signcclUniqueId& id) {
      std::string wrong;
      const Said said = inGroup(rank, nranks, id, nullptr, kLong, [&](signcclComm_t comm) {
        wrong = firstWrong(comm, rank, nranks);
        return signcclSuccess;
      });
      return wrong.empty() ? said : Said{signcclInternalError, wrong};
    });
    processes.expectSuccess();
  }
}

/// What is wrong with the outcome of a sum of the same signs on all ranks, of which one rank may have a 2 instead.
std::string wrongSum(signcclComm_t comm, const SumShape& shape, bool is_spoiled, bool is_mine) {
  const FreshDevice device;
  std::vector<std::byte> elements = signsFor(shape, 5);
  const std::vector<std::byte> sums = referenceSum(shape.type, shape.count, std::vector(2, elements.data()));
  if (is_mine) putNumber(shape.type, 2, elements.data(), shape.count - 1);
  SumBuffers buffers(shape, Place::kDevice, 0, elements);
  signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
  if (buffers.call(comm, device.stream(), &outcome) != signcclSuccess) return signcclGetLastError(nullptr);
  if (!device.synchronize()) return "the stream has failed";
  if (outcome.isWritten != (is_spoiled ? 0 : 1)) return "isWritten is " + std::to_string(outcome.isWritten);
  const std::int64_t first = is_mine ? static_cast<std::int64_t>(shape.count) - 1 : -1;
  if (outcome.firstIndex != first) return "firstIndex is " + std::to_string(outcome.firstIndex);
  return (is_spoiled ? buffers.isUntouched() : buffers.result() == sums) ? "" : "wrong sums";
}

TEST_P(StreamProcessTest, SumsOfProcessesAreThoseOfTheReferenceOrNothing) {
  const Processes processes(2, [&](int rank, const signcclUniqueId& id) {
    std::string wrong;
    const Said said = inGroup(rank, 2, id, nullptr, kLong, [&](signcclComm_t comm) {
      for (const std::size_t count : {std::size_t{1}, std::size_t{100'003}}) {
        for (const bool is_spoiled : {true, false}) {
          const SumShape shape{ElementType::kFloat16, count, signcclZeroTernary, count > 1};
          if (wrong.empty()) wrong = wrongSum(comm, shape, is_spoiled, is_spoiled && rank == 1);
        }
      }
      return signcclSuccess;
    });
    return wrong.empty() ? said : Said{signcclInternalError, wrong};
  });
  processes.expectSuccess();
}

TEST_P(StreamProcessTest, AValueThatIsNoSignInATrustedSumFailsAllProcessesAndNamesItsRank) {
  const Processes processes(3, [&](int rank, const signcclUniqueId& id) {
    Said said;
    const Said joined = inGroup(rank, 3, id, nullptr, kLong, [&](signcclComm_t comm) {
      const FreshDevice device;
      const SumShape shape{ElementType::kInt8, 10'000, signcclZeroBinary, false};
      std::vector<std::byte> elements = signsFor(shape, 5);
      SumBuffers good(shape, Place::kDevice, 0, elements);
      // UCX 1.13 may end a process that gives up a send while its connection is made, so that it has time.
      for (int call = 0; call < 20; ++call) {
        if (good.call(comm, device.stream(), nullptr) != signcclSuccess) return signcclInternalError;
      }
      if (!device.synchronize()) return signcclInternalError;
      if (rank == 1) putNumber(shape.type, 2, elements.data(), 3);
      SumBuffers buffers(shape, Place::kDevice, 0, elements);
      buffers.call(comm, device.stream(), nullptr);
      if (!device.synchronize() || !buffers.isUntouched()) return signcclInternalError;
      signcclResult_t state = signcclSuccess;
      eventually([&] {
        signcclCommGetAsyncError(comm, &state);
        return state != signcclSuccess && state != signcclInProgress;
      });
      said = {state, signcclGetLastError(comm)};
      return signcclSuccess;
    });
    return said.text.empty() ? joined : said;
  });
  for (int rank = 0; rank < 3; ++rank) {
    const Said said = processes.outcome(rank, 20s);
    EXPECT_EQ(said.code, signcclInvalidArgument) << "rank " << rank << ": " << said.text;
    EXPECT_THAT(said.text, HasSubstr("sendbuff of rank 1")) << "rank " << rank;
  }
}

constexpr int kRanks = 3;
constexpr int kVictim = 1;
constexpr std::size_t kCount = 100'000;
constexpr std::byte kUntouched{0x77};

/// What a rank does whose peer will not come: enqueues votes, which all drain. Gives what the communicator says then.
Said drain(signcclComm_t comm, const FreshDevice& device, const DeviceBuffer& send, const DeviceBuffer& recv) {
  const std::vector<std::byte> untouched(kCount * sizeof(float), kUntouched);
  recv.put(untouched);
  for (int call = 0; call < 3; ++call) {
    // The first is enqueued before anything can be known of the peer, the others are refused once it is.
    const signcclResult_t result = callOn({}, send.data(), recv.data(), kCount, comm, device.stream());
    if (call == 0 && result != signcclSuccess) return {-1, std::string("refused: ") + signcclGetLastError(nullptr)};
  }
  if (!device.synchronize()) return {-1, "the stream has failed"};
  signcclResult_t state = signcclSuccess;
  signcclCommGetAsyncError(comm, &state);
  if (recv.get() != untouched) return {-1, "the output of a vote that was never complete has changed"};
  return {state, signcclGetLastError(comm)};
}

/// All vote once; then the victim says that it is idle, and the others call without it. They end as drain() says.
Processes votesWithoutAPeer(int timeout_ms, const Shared<std::atomic<int>>& nready) {
  return Processes(kRanks, [&, timeout_ms](int rank, const signcclUniqueId& id) {
    Said said;
    const Said joined = inGroup(rank, kRanks, id, nullptr, timeout_ms, [&](signcclComm_t comm) {
      const FreshDevice device;
      const DeviceBuffer send(kCount * sizeof(float));
      const DeviceBuffer recv(kCount * sizeof(float));
      const signcclResult_t first = callOn({}, send.data(), recv.data(), kCount, comm, device.stream());
      if (first != signcclSuccess || !device.synchronize()) return first;
      ++*nready;
      while (rank == kVictim) pause();
      eventually([&] { return *nready == kRanks; });
      said = drain(comm, device, send, recv);
      return signcclSuccess;
    });
    return said.text.empty() ? joined : said;
  });
}

TEST_P(StreamProcessTest, StreamsDrainWhenAPeerIsKilledAndItIsNamed) {
  const Shared<std::atomic<int>> nready;
  const Processes processes = votesWithoutAPeer(kLong, nready);
  ASSERT_TRUE(eventually([&] { return *nready == kRanks; }));
  std::this_thread::sleep_for(100ms);  // the streams of the others wait by now
  processes.send(kVictim, SIGKILL);
  for (const int rank : {0, 2}) {
    const Said said = processes.outcome(rank, 20s);
    EXPECT_EQ(said.code, signcclRemoteError) << "rank " << rank << ": " << said.text;
    EXPECT_THAT(said.text, HasSubstr("rank 1")) << "rank " << rank;
  }
}

TEST_P(StreamProcessTest, StreamsDrainAtTheDeadlineWhenAPeerIsStoppedAndItIsNamed) {
  const Shared<std::atomic<int>> nready;
  const Processes processes = votesWithoutAPeer(1'500, nready);
  ASSERT_TRUE(eventually([&] { return *nready == kRanks; }));
  processes.send(kVictim, SIGSTOP);
  for (const int rank : {0, 2}) {
    const Said said = processes.outcome(rank, 20s);
    EXPECT_EQ(said.code, signcclTimeout) << "rank " << rank << ": " << said.text;
    EXPECT_THAT(said.text, HasSubstr("rank 1")) << "rank " << rank;
  }
}

}  // namespace
}  // namespace signccl
