// SPDX-License-Identifier: Apache-2.0
// Buffers and streams that cannot be used: every refusal names what was given and what was expected.
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "signccl/lion.h"
#include "stream_job.h"

namespace signccl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::size_t kCount = 256;
constexpr std::size_t kBytes = kCount * sizeof(float);

class StreamArgumentsTest : public StreamTest {
 protected:
  StreamArgumentsTest() {
    fake_cuda::Config config;
    config.devices = 2;
    begin(config);
  }

  /// Expects a refused vote, after which the communicator still serves.
  template <typename Matcher>
  static void expectRefused(signcclResult_t code, const Matcher& text, const void* send, void* recv,
                            CudaStream stream) {
    Ranks ranks(1);
    EXPECT_EQ(callOn({}, send, recv, kCount, ranks[0], stream), code);
    EXPECT_THAT(signcclGetLastError(ranks[0]), text);
    std::vector<float> host(kCount, 1);
    EXPECT_EQ(call({}, host.data(), host.data(), kCount, ranks[0]), signcclSuccess) << signcclGetLastError(nullptr);
  }
};

TEST_F(StreamArgumentsTest, BuffersOfTwoDevicesAreRefused) {
  const CurrentDevice first(0);
  const DeviceBuffer send(kBytes);
  const CurrentDevice second(1);
  const DeviceBuffer recv(kBytes);
  expectRefused(signcclInvalidArgument,
                AllOf(HasSubstr("sendbuff"), HasSubstr("device 0"), HasSubstr("recvbuff"), HasSubstr("device 1")),
                send.data(), recv.data(), nullptr);
}

TEST_F(StreamArgumentsTest, AStreamOfAnotherDeviceIsRefused) {
  const CurrentDevice first(0);
  const DeviceBuffer buffer(kBytes);
  const CurrentDevice second(1);
  const Stream stream;
  expectRefused(signcclInvalidArgument, AllOf(HasSubstr("stream"), HasSubstr("device 1"), HasSubstr("device 0")),
                buffer.data(), buffer.data(), stream.get());
}

TEST_F(StreamArgumentsTest, MisalignedAndShortBuffersAreRefused) {
  const CurrentDevice current(0);
  const DeviceBuffer buffer(kBytes, 2);
  expectRefused(signcclInvalidArgument, AllOf(HasSubstr("misaligned device pointer"), HasSubstr("multiple of 4")),
                buffer.data(), buffer.data(), nullptr);
  const DeviceBuffer tiny(16);
  expectRefused(signcclInvalidArgument, HasSubstr("belong to its allocation"), tiny.data(), tiny.data(), nullptr);
}

TEST_F(StreamArgumentsTest, ManagedMemoryIsRefused) {
  const CurrentDevice current(0);
  CudaDevicePointer memory = 0;
  expectCuda(cuMemAllocManaged(&memory, kBytes, 1));
  void* const buffer = reinterpret_cast<void*>(memory);
  expectRefused(signcclInvalidArgument, AllOf(HasSubstr("managed memory"), HasSubstr("cudaMalloc()")), buffer, buffer,
                nullptr);
  expectCuda(cuMemFree_v2(memory));
}

TEST_F(StreamArgumentsTest, PageableMemoryIsRefusedOnAStreamAndBesideDeviceMemory) {
  const CurrentDevice current(0);
  const Stream stream;
  std::vector<float> host(kCount);
  expectRefused(signcclInvalidArgument, AllOf(HasSubstr("pageable host memory"), HasSubstr("cudaMallocHost()")),
                host.data(), host.data(), stream.get());
  const DeviceBuffer buffer(kBytes);
  expectRefused(signcclInvalidArgument, HasSubstr("pageable host memory"), buffer.data(), host.data(), stream.get());
}

TEST_F(StreamArgumentsTest, FreedMemoryIsRefused) {
  const CurrentDevice current(0);
  void* freed = nullptr;
  {
    const DeviceBuffer buffer(kBytes);
    freed = buffer.data();
  }
  expectRefused(signcclInvalidArgument, HasSubstr("not freed"), freed, freed, nullptr);
}

TEST_F(StreamArgumentsTest, CallsWithARequestAreForHostMemory) {
  const CurrentDevice current(0);
  const DeviceBuffer buffer(kBytes);
  Ranks ranks(1);
  signcclRequest_t request = nullptr;
  EXPECT_EQ(signcclAllReduceVoteAsync(buffer.data(), buffer.data(), kCount, signcclFloat32, signcclFloat32, nullptr,
                                      ranks[0], nullptr, &request),
            signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(nullptr), AllOf(HasSubstr("request"), HasSubstr("device 0")));
  EXPECT_EQ(request, nullptr);
}

TEST_F(StreamArgumentsTest, SumsOfMisalignedBuffersAndOfPageableMemoryOnAStreamAreRefused) {
  const CurrentDevice current(0);
  const Stream stream;
  const DeviceBuffer buffer(kBytes, 2);
  std::vector<float> host(kCount, 1);
  Ranks ranks(1);
  signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
  const auto sum = [&](void* data) {
    return signcclAllReduceSum(data, data, kCount, signcclFloat32, nullptr, ranks[0], stream.get(), &outcome);
  };
  EXPECT_EQ(sum(buffer.data()), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("misaligned device pointer"));
  EXPECT_EQ(sum(host.data()), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("pageable host memory"));
}

TEST_F(StreamArgumentsTest, AllGatherAndLionObjectsInHostMemoryRefuseDeviceMemory) {
  const CurrentDevice current(0);
  const DeviceBuffer buffer(kBytes);
  Ranks ranks(1);
  EXPECT_EQ(signcclCommAllGather(buffer.data(), buffer.data(), kBytes, ranks[0]), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(nullptr), AllOf(HasSubstr("sendbuff"), HasSubstr("device memory of device 0")));

  std::vector<float> host(kCount);
  std::vector<float> momenta(kCount);
  void* parameters[] = {host.data()};
  void* places[] = {buffer.data()};
  const std::size_t counts[] = {kCount};
  signcclLionConfig_t config = SIGNCCL_LION_CONFIG_INITIALIZER;
  config.tensorCount = 1;
  config.parameters = parameters;
  config.momenta = places;
  config.counts = counts;
  signcclLion_t lion = nullptr;
  EXPECT_EQ(signcclLionCreate(&lion, &config, ranks[0]), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(nullptr), AllOf(HasSubstr("momenta[0]"), HasSubstr("is device memory of device 0"),
                                                  HasSubstr("parameters[0]"), HasSubstr("pageable host memory")));

  places[0] = momenta.data();
  ASSERT_EQ(signcclLionCreate(&lion, &config, ranks[0]), signcclSuccess);
  const double values[] = {0.1};
  signcclLionStepConfig_t step = SIGNCCL_LION_STEP_INITIALIZER;
  step.learningRates = step.beta1s = step.beta2s = step.weightDecays = values;
  const void* gradients[] = {buffer.data()};
  EXPECT_EQ(signcclLionStep(lion, &step, gradients, nullptr), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("gradients[0] is device memory of device 0"));
  EXPECT_EQ(signcclLionDestroy(lion), signcclSuccess);
}

TEST_F(StreamArgumentsTest, WithoutTheKernelsTheErrorSaysWhatIsMissing) {
  const Environment environment{{"SIGNCCL_CUDA_LIBRARY", "/nowhere"}};
  const CurrentDevice current(0);
  const DeviceBuffer buffer(kBytes);
  Ranks ranks(1);
  EXPECT_EQ(callOn({}, buffer.data(), buffer.data(), kCount, ranks[0], nullptr), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("SIGNCCL_CUDA_LIBRARY=/nowhere: expected the path of"));
}

}  // namespace
}  // namespace signccl
