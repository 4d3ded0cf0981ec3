// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include "fake_cuda/user.h"

namespace signccl {
namespace {

struct StoreArguments {
  std::uint32_t* word;
  std::uint32_t value;
};

void store(std::uint32_t blocks, std::uint32_t /*threads*/, const void* arguments) {
  const auto& given = *static_cast<const StoreArguments*>(arguments);
  std::atomic_ref(*fake_cuda::FakeMemory::translate(given.word)).store(given.value + blocks);
}

class FakeKernelTest : public UserTest {
 protected:
  FakeKernelTest() { fake_cuda::registerKernel("test_store", sizeof(StoreArguments), store); }

  /// A kernel of a library, whose code is not loaded yet.
  static CudaKernel kernelOf(CudaLibrary& library, const char* name) {
    static const char image = 0;
    CudaKernel kernel = nullptr;
    EXPECT_TRUE(succeeds(cuLibraryLoadData(&library, &image, nullptr, nullptr, 0, nullptr, nullptr, 0)));
    EXPECT_TRUE(succeeds(cuLibraryGetKernel(&kernel, library, name)));
    return kernel;
  }
};

TEST_F(FakeKernelTest, KernelRunsInOrderOfItsStreamWithTheArgumentsOfTheLaunch) {
  const CudaFunction function = functionNamed("test_store");
  const CudaStream stream = makeStream();
  Word go;
  const Word word;
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(go.address(), 1), writeOf(word.address(), 1)})));
  ASSERT_TRUE(succeeds(launch(function, StoreArguments{word.pointer(), 40}, stream, 2)));
  EXPECT_EQ(word.get(), 0U);
  go.set(1);
  ASSERT_TRUE(succeeds(cuStreamSynchronize(stream)));
  EXPECT_EQ(word.get(), 42U);
}

TEST_F(FakeKernelTest, KernelThatIsNotLoadedYetWaitsForAllStreamsAtItsFirstLaunch) {
  CudaLibrary library = nullptr;
  const CudaKernel kernel = kernelOf(library, "test_store");
  const CudaStream waiting = makeStream();
  const CudaStream stream = makeStream();
  Word go;
  const Word word;
  std::atomic<bool> is_launched = false;
  ASSERT_TRUE(succeeds(enqueueOperations(waiting, {waitFor(go.address(), 1)})));
  std::thread other([&] {
    EXPECT_TRUE(succeeds(cuCtxPushCurrent_v2(context_)));
    EXPECT_TRUE(succeeds(launch(reinterpret_cast<CudaFunction>(kernel), StoreArguments{word.pointer(), 1}, stream)));
    is_launched = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(is_launched);
  go.set(1);
  other.join();
  ASSERT_TRUE(succeeds(cuStreamSynchronize(stream)));
  EXPECT_EQ(word.get(), 2U);
}

TEST_F(FakeKernelTest, LaunchWaitsForItsKernelWhereATestWantsThat) {
  begin({.launches_block = true});
  const CudaStream stream = makeStream();
  const Word word;
  ASSERT_TRUE(succeeds(launch(functionNamed("test_store"), StoreArguments{word.pointer(), 1}, stream)));
  EXPECT_EQ(word.get(), 2U);
}

TEST_F(FakeKernelTest, KernelsOfALibraryEndWithIt) {
  CudaLibrary library = nullptr;
  const CudaKernel kernel = kernelOf(library, "test_store");
  CudaFunction function = nullptr;
  ASSERT_TRUE(succeeds(cuKernelGetFunction(&function, kernel)));
  ASSERT_TRUE(succeeds(cuLibraryUnload(library)));
  EXPECT_EQ(cuKernelGetFunction(&function, kernel), CudaResult::kInvalidHandle);
  EXPECT_EQ(launch(function, StoreArguments{}, makeStream()), CudaResult::kInvalidHandle);
  EXPECT_EQ(cuLibraryUnload(library), CudaResult::kInvalidHandle);
}

TEST_F(FakeKernelTest, KernelThatIsNotRegisteredIsNotFound) {
  CudaLibrary library = nullptr;
  CudaKernel kernel = kernelOf(library, "test_store");
  EXPECT_EQ(cuLibraryGetKernel(&kernel, library, "test_nothing"), CudaResult::kNotFound);
}

TEST_F(FakeKernelTest, LaunchThatNoDeviceTakesIsRefused) {
  const CudaFunction function = functionNamed("test_store");
  const CudaStream stream = makeStream();
  StoreArguments arguments{};
  void* parameter = &arguments;
  for (const CudaLaunchConfig& config : {CudaLaunchConfig{{0, 1, 1}, {256, 1, 1}, 0, stream, nullptr, 0},
                                         CudaLaunchConfig{{1, 1, 1}, {0, 1, 1}, 0, stream, nullptr, 0},
                                         CudaLaunchConfig{{1, 1, 1}, {1025, 1, 1}, 0, stream, nullptr, 0}}) {
    EXPECT_EQ(cuLaunchKernelEx(&config, function, &parameter, nullptr), CudaResult::kInvalidValue);
  }
}

TEST_F(FakeKernelTest, StreamMustBeOfTheCurrentContext) {
  const CudaFunction function = functionNamed("test_store");
  const CudaStream stream = makeStream();
  CudaContext other = nullptr;
  ASSERT_TRUE(succeeds(cuCtxCreate_v2(&other, 0, 0)));
  EXPECT_EQ(launch(function, StoreArguments{}, stream), CudaResult::kInvalidHandle);
}

}  // namespace
}  // namespace signccl
