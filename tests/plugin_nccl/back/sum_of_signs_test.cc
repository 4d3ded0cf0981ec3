// SPDX-License-Identifier: Apache-2.0
// Rules with sign_sum: the program gets the sum that NCCL would have given it, whoever forms it.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "interposer_job.h"
#include "logged_interposer.h"

namespace signccl::nccl_preload {
namespace {

const std::string kSums = oneRule(R"("count": {"min": 100})", "sign_sum", "");
const std::string kTrusted = oneRule(R"("count": {"min": 100})", "sign_sum", R"("trust": true)");

/// Element 7 alone has another value than the others.
void putWithOther(Member& member, const DeviceBuffer& buffer, float value, float other) {
  member.work().synchronize();
  std::vector<float> elements(Member::kCount, value);
  elements[7] = other;
  buffer.put(std::as_bytes(std::span(elements)));
}

std::vector<float> floatsOf(const DeviceBuffer& buffer) {
  const std::vector<std::byte> bytes = buffer.get();
  std::vector<float> elements(bytes.size() / sizeof(float));
  std::memcpy(elements.data(), bytes.data(), bytes.size());
  return elements;
}

TEST_F(InterposerTest, ASumOfSignsIsThatOfNccl) {
  const auto interposer = makeInterposer(kSums);
  asRanks(3, *interposer, [](int rank, Member& member) {
    for (const float expected : {1.F, -1.F, 1.F}) {
      ASSERT_EQ(member.allReduceOf(rank == 1 ? -expected : expected), Result::kSuccess) << member.lastError();
      EXPECT_EQ(member.get(), expected);
    }
  });
  EXPECT_EQ(fake_nccl::allReduces(), 0);
  EXPECT_EQ(interposer->report().counters(0).taken, 9U);
  EXPECT_EQ(interposer->report().counters(0).forwarded, 0U);
}

TEST_F(InterposerTest, OneValueOfOneRankThatIsNoSignLetsAllRanksFallBack) {
  for (const float other : {2.F, -0.F, NAN, 0.5F}) {
    fake_nccl::reset(23203);
    const auto interposer = makeInterposer(kSums);
    asRanks(2, *interposer, [&](int rank, Member& member) {
      for (const bool in_place : {true, false}) {
        const DeviceBuffer send(Member::kCount * sizeof(float));
        const DeviceBuffer recv(Member::kCount * sizeof(float));
        putWithOther(member, send, 1, rank == 1 ? other : 1.F);
        AllReduce call = member.call();
        call.send = send.data();
        call.recv = in_place ? send.data() : recv.data();
        ASSERT_EQ(member().allReduce(call), Result::kSuccess) << member.lastError();
        member.work().synchronize();
        const std::vector<float> sums = floatsOf(in_place ? send : recv);
        EXPECT_EQ(sums[6], 2);
        EXPECT_TRUE(std::isnan(other) ? std::isnan(sums[7]) : sums[7] == 1 + other) << other << ", " << sums[7];
      }
      // The communicator still serves.
      ASSERT_EQ(member.allReduceOf(1.F), Result::kSuccess) << member.lastError();
      EXPECT_EQ(member.get(), 2);
    });
    EXPECT_EQ(fake_nccl::allReduces(), 4);
    EXPECT_EQ(interposer->report().counters(0).fallen_back, 4U);
    EXPECT_EQ(interposer->report().counters(0).taken, 2U);
  }
}

TEST_F(InterposerTest, ValuesDecideOnTheZeroRuleUnlessTheRuleDoes) {
  for (const bool is_binary : {false, true}) {
    fake_nccl::reset(23203);
    const auto interposer =
        makeInterposer(is_binary ? oneRule(R"("count": {"min": 100})", "sign_sum", R"("zero": "binary")") : kSums);
    asRanks(3, *interposer, [](int rank, Member& member) {
      ASSERT_EQ(member.allReduceOf(rank == 1 ? 0.F : -1.F), Result::kSuccess) << member.lastError();
      EXPECT_EQ(member.get(), -2);
    });
    EXPECT_EQ(fake_nccl::allReduces(), is_binary ? 3 : 0);
    EXPECT_EQ(interposer->report().counters(0).taken, is_binary ? 0U : 3U);
  }
}

TEST_F(InterposerTest, AfterEightFallbacksCallsOfThatSizeAreForwardedWithoutALook) {
  const auto interposer = makeInterposer(kSums);
  asRanks(2, *interposer, [](int /*rank*/, Member& member) {
    for (int call = 0; call < 12; ++call) {
      ASSERT_EQ(member.allReduceOf(3.F), Result::kSuccess) << member.lastError();
      EXPECT_EQ(member.get(), 6);
    }
    member.put(1.F);
    ASSERT_EQ(member.allReduce(500), Result::kSuccess) << member.lastError();
  });
  EXPECT_EQ(fake_nccl::allReduces(), 24);
  EXPECT_EQ(interposer->report().counters(0).fallen_back, 16U);
  EXPECT_EQ(interposer->report().counters(0).forwarded, 8U);
  EXPECT_EQ(interposer->report().counters(0).taken, 2U);
}

TEST_F(InterposerTest, InAGroupASumIsForwardedUnlessTheRuleTrustsIt) {
  for (const bool is_trusted : {false, true}) {
    fake_nccl::reset(23203);
    const auto interposer = makeInterposer(is_trusted ? kTrusted : kSums);
    asRanks(2, *interposer, [](int /*rank*/, Member& member) {
      ASSERT_EQ(member.allReduceOf(1.F), Result::kSuccess) << member.lastError();
      EXPECT_EQ(member.get(), 2);
      member.put(-1.F);
      ASSERT_EQ(member().groupStart(), Result::kSuccess);
      ASSERT_EQ(member.allReduce(), Result::kSuccess);
      ASSERT_EQ(member().groupEnd(), Result::kSuccess) << member.lastError();
      EXPECT_EQ(member.get(), -2);
    });
    EXPECT_EQ(fake_nccl::allReduces(), is_trusted ? 0 : 2);
    EXPECT_EQ(interposer->report().counters(0).taken, is_trusted ? 4U : 2U);
  }
}

TEST_F(InterposerTest, ATrustedSumDoesNotWaitForItsStream) {
  const auto interposer = makeInterposer(kTrusted);
  asRanks(2, *interposer, [](int /*rank*/, Member& member) {
    ASSERT_EQ(member.allReduceOf(1.F), Result::kSuccess) << member.lastError();
    EXPECT_EQ(member.get(), 2);
    member.put(1.F);
    std::atomic<bool> may_go_on = false;
    holdStream(member.work().get(), may_go_on);
    EXPECT_EQ(member.allReduce(), Result::kSuccess) << member.lastError();
    may_go_on = true;
    EXPECT_EQ(member.get(), 2);
  });
  EXPECT_EQ(fake_nccl::allReduces(), 0);
}

TEST_F(InterposerTest, ATrustedValueThatIsNoSignIsAnErrorOfAllRanks) {
  const auto interposer = makeInterposer(kTrusted);
  asRanks(2, *interposer, [](int rank, Member& member) {
    ASSERT_EQ(member.allReduceOf(1.F), Result::kSuccess) << member.lastError();
    ASSERT_EQ(member.get(), 2);
    const Result result = member.allReduceOf(rank == 1 ? 2.F : 1.F);
    EXPECT_TRUE(result == Result::kSuccess || result == Result::kInvalidArgument);
    Result state = Result::kSuccess;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (state == Result::kSuccess && std::chrono::steady_clock::now() < end) {
      ASSERT_EQ(member().getAsyncError(member.comm, &state), Result::kSuccess);
    }
    EXPECT_EQ(state, Result::kInvalidArgument);
    EXPECT_EQ(member.allReduceOf(1.F), Result::kInvalidArgument);
    EXPECT_THAT(member.lastError(), ::testing::HasSubstr("sendbuff of rank 1 holds a value that does not fit"));
  });
  EXPECT_EQ(fake_nccl::allReduces(), 0);
}

AllReduce meanOf(const Member& member) {
  AllReduce mean = member.call();
  mean.op = RedOp::kAvg;
  return mean;
}

TEST_F(InterposerTest, AMeanOfAPowerOfTwoOfRanksIsTaken) {
  const auto interposer = makeInterposer(kSums);
  struct Values {
    float of_rank_3;
    float of_others;
    float mean;
  };
  asRanks(4, *interposer, [](int rank, Member& member) {
    for (const Values& values : {Values{1, 1, 1}, Values{1, -1, -0.5F}, Values{0, -1, -0.75F}, Values{0, 0, 0}}) {
      member.put(rank == 3 ? values.of_rank_3 : values.of_others);
      ASSERT_EQ(member().allReduce(meanOf(member)), Result::kSuccess) << member.lastError();
      EXPECT_EQ(member.get(), values.mean);
    }
  });
  EXPECT_EQ(fake_nccl::allReduces(), 0);
  EXPECT_EQ(interposer->report().counters(0).taken, 16U);
}

TEST_F(InterposerTest, AMeanOfOtherValuesFallsBackAndIsNotWrittenBefore) {
  const auto interposer = makeInterposer(kSums);
  asRanks(2, *interposer, [](int rank, Member& member) {
    member.put(rank == 1 ? 4.F : 1.F);
    ASSERT_EQ(member().allReduce(meanOf(member)), Result::kSuccess) << member.lastError();
    EXPECT_EQ(member.get(), 2.5F);
  });
  EXPECT_EQ(fake_nccl::allReduces(), 2);
  EXPECT_EQ(interposer->report().counters(0).fallen_back, 2U);
}

TEST_F(InterposerTest, MeansThatAreRoundedTrustedMeansAndCommunicatorsOfOneRankAreForwarded) {
  const auto interposer = makeInterposer(kSums);
  asRanks(3, *interposer, [](int /*rank*/, Member& member) {
    member.put(1.F);
    ASSERT_EQ(member().allReduce(meanOf(member)), Result::kSuccess);
    EXPECT_EQ(member.get(), 1);
  });
  asRanks(1, *interposer, [](int /*rank*/, Member& member) {
    ASSERT_EQ(member.allReduceOf(-1.F), Result::kSuccess);
    EXPECT_EQ(member.get(), -1);
  });
  EXPECT_EQ(fake_nccl::allReduces(), 4);
  EXPECT_EQ(interposer->report().counters(0).forwarded, 4U);
  const auto trusting = makeInterposer(kTrusted);
  asRanks(2, *trusting, [](int /*rank*/, Member& member) {
    member.put(1.F);
    ASSERT_EQ(member().allReduce(meanOf(member)), Result::kSuccess);
    EXPECT_EQ(member.get(), 1);
  });
  EXPECT_EQ(trusting->report().counters(0).forwarded, 2U);
}

TEST_F(InterposerTest, ACapturedSumIsForwarded) {
  for (const std::string& rules : {kSums, kTrusted}) {
    const auto interposer = makeInterposer(rules);
    asRanks(2, *interposer, [](int /*rank*/, Member& member) {
      expectCuda(cuStreamBeginCapture_v2(member.work().get(), CudaCaptureMode::kRelaxed));
      EXPECT_EQ(member.allReduce(), Result::kSuccess);  // NCCL takes it into the graph
      CudaGraph graph = nullptr;
      expectCuda(cuStreamEndCapture(member.work().get(), &graph));
      expectCuda(cuGraphDestroy(graph));
    });
    EXPECT_EQ(interposer->report().counters(0).forwarded, 2U);
  }
}

TEST_F(InterposerTest, ADryRunOfSumsTakesNothing) {
  const auto interposer = makeInterposer(kSums, "dry");
  asRanks(2, *interposer, [](int /*rank*/, Member& member) {
    ASSERT_EQ(member.allReduceOf(1.F), Result::kSuccess);
    EXPECT_EQ(member.get(), 2);
  });
  EXPECT_EQ(fake_nccl::allReduces(), 2);
  EXPECT_EQ(interposer->report().counters(0).taken, 2U) << "what would have been taken";
}

TEST_F(InterposerTest, ADryRunLooksAtTheValuesOnEachDevice) {
  const auto interposer = makeInterposer(kSums, "dry");
  asRanks(2, *interposer, [](int rank, Member& member) {
    ASSERT_EQ(member.allReduceOf(rank == 0 ? 1.F : 2.F), Result::kSuccess);
    EXPECT_EQ(member.get(), 3);
  });
  EXPECT_EQ(fake_nccl::allReduces(), 2);
  EXPECT_EQ(interposer->report().counters(0).taken, 1U) << "that of rank 0";
  EXPECT_EQ(interposer->report().counters(0).fallen_back, 1U) << "that of rank 1";
}

TEST_F(InterposerTest, ADryRunWaitsForTheStreamBeforeItLooks) {
  const auto interposer = makeInterposer(kSums, "dry");
  asRanks(2, *interposer, [](int /*rank*/, Member& member) {
    member.put(1.F);
    std::atomic<bool> may_go_on = false;
    holdStream(member.work().get(), may_go_on);
    // From here on the elements are no signs.
    expectCuda(cuMemsetD8Async(reinterpret_cast<CudaDevicePointer>(member.call().recv), 3, 4, member.work().get()));
    const std::jthread other([&may_go_on, calls = fake_cuda::callsMade()] {
      while (fake_cuda::callsMade() < calls + 20) std::this_thread::yield();
      may_go_on = true;
    });
    ASSERT_EQ(member.allReduce(), Result::kSuccess);
  });
  EXPECT_EQ(interposer->report().counters(0).fallen_back, 2U);
}

/// Managed memory of the current device.
class ManagedBuffer {
 public:
  explicit ManagedBuffer(std::size_t bytes) { expectCuda(cuMemAllocManaged(&address_, bytes, 1)); }
  ~ManagedBuffer() { expectCuda(cuMemFree_v2(address_)); }
  ManagedBuffer(const ManagedBuffer&) = delete;
  ManagedBuffer& operator=(const ManagedBuffer&) = delete;

  [[nodiscard]] float* data() const { return reinterpret_cast<float*>(address_); }

 private:
  CudaDevicePointer address_ = 0;
};

TEST_F(InterposerTest, ManagedMemoryOfOneRankLetsAllRanksFallBack) {
  const auto others = makeInterposer(kSums);
  LoggedInterposer with_managed(kSums);
  asRanks({others.get(), &*with_managed, others.get()}, [](int rank, Member& member) {
    const ManagedBuffer managed(Member::kCount * sizeof(float));
    for (int round = 0; round < 2; ++round) {
      member.put(1.F);
      std::fill_n(managed.data(), Member::kCount, 1.F);
      AllReduce call = member.call();
      if (rank == 1) call.send = managed.data();
      ASSERT_EQ(member().allReduce(call), Result::kSuccess) << member.lastError();
      EXPECT_EQ(member.get(), 3);
    }
    ASSERT_EQ(member.allReduceOf(-1.F), Result::kSuccess) << member.lastError();
    EXPECT_EQ(member.get(), -3);
  });
  EXPECT_EQ(fake_nccl::allReduces(), 6);
  EXPECT_EQ(others->report().counters(0).fallen_back, 4U);
  EXPECT_EQ(with_managed->report().counters(0).fallen_back, 2U);
  EXPECT_EQ(with_managed->report().counters(0).taken, 1U);
  EXPECT_EQ(with_managed.linesWith("is managed memory of device 1"), 1);
}

TEST_F(InterposerTest, BuffersThatOverlapFallBackToo) {
  const auto interposer = makeInterposer(kSums);
  asRanks(2, *interposer, [](int /*rank*/, Member& member) {
    member.put(1.F);
    AllReduce call = member.call(900);
    call.recv = static_cast<float*>(call.recv) + 100;
    ASSERT_EQ(member().allReduce(call), Result::kSuccess) << member.lastError();
    member.work().synchronize();
  });
  EXPECT_EQ(fake_nccl::allReduces(), 2);
}

TEST_F(InterposerTest, ARankThatCannotEvenDeclineEndsTheWaitOfTheOthers) {
  const auto interposer = makeInterposer(kSums);
  asRanks(2, *interposer, [](int rank, Member& member) {
    ASSERT_EQ(member.allReduceOf(1.F), Result::kSuccess) << member.lastError();
    ASSERT_EQ(member.get(), 2);
    const ManagedBuffer managed(Member::kCount * sizeof(float));
    AllReduce call = member.call();
    if (rank == 1) {
      call.send = managed.data();
      fake_cuda::failCallsOf("cuMemsetD8Async", CudaResult::kOutOfMemory);
    }
    EXPECT_NE(member().allReduce(call), Result::kSuccess);
    EXPECT_THAT(member.lastError(), ::testing::HasSubstr("cuMemsetD8Async failed"));
  });
}

TEST_F(InterposerTest, OnTheNullStreamPinnedMemoryIsSummedInItsOrder) {
  struct Work {
    float* elements;
    std::atomic<bool> may_go_on = false;
  };
  const auto interposer = makeInterposer(kSums);
  asRanks(2, *interposer, [](int /*rank*/, Member& member) {
    ASSERT_EQ(member.allReduceOf(1.F), Result::kSuccess) << member.lastError();
    void* memory = nullptr;
    expectCuda(cuMemHostAlloc(&memory, Member::kCount * sizeof(float), 0));
    Work work{static_cast<float*>(memory)};
    std::fill_n(work.elements, Member::kCount, 5.F);
    // What is enqueued before the call writes the signs.
    expectCuda(cuLaunchHostFunc(
        nullptr,
        [](void* argument) {
          auto& own = *static_cast<Work*>(argument);
          while (!own.may_go_on.load()) std::this_thread::yield();
          std::fill_n(own.elements, Member::kCount, -1.F);
        },
        &work));
    const std::jthread other([&work, calls = fake_cuda::callsMade()] {
      while (fake_cuda::callsMade() < calls + 4) std::this_thread::yield();
      work.may_go_on = true;
    });
    AllReduce call = member.call();
    call.send = memory;
    call.recv = memory;
    call.stream = nullptr;
    ASSERT_EQ(member().allReduce(call), Result::kSuccess) << member.lastError();
    expectCuda(cuStreamSynchronize(nullptr));
    EXPECT_EQ(std::count(work.elements, work.elements + Member::kCount, -2.F), static_cast<long>(Member::kCount));
    expectCuda(cuMemFreeHost(memory));
  });
  EXPECT_EQ(interposer->report().counters(0).taken, 4U);
}

}  // namespace
}  // namespace signccl::nccl_preload
