// SPDX-License-Identifier: Apache-2.0
// The user of a device in tests of the fake: a thread with a context, streams, memory and words to wait for.
#ifndef SIGNCCL_TESTS_FAKE_CUDA_USER_H_
#define SIGNCCL_TESTS_FAKE_CUDA_USER_H_

#include <atomic>
#include <cstring>
#include <vector>

#include "fake_cuda/fake_cuda_test.h"

namespace signccl {

/// A word of pinned memory that the host and streams share.
class Word {
 public:
  explicit Word(std::uint32_t value = 0) {
    void* memory = nullptr;
    EXPECT_TRUE(succeeds(cuMemHostAlloc(&memory, sizeof(std::uint32_t), 0)));
    word_ = static_cast<std::uint32_t*>(memory);
    set(value);
  }

  void set(std::uint32_t value) { std::atomic_ref(*word_).store(value, std::memory_order_release); }
  [[nodiscard]] std::uint32_t get() const { return std::atomic_ref(*word_).load(std::memory_order_acquire); }
  [[nodiscard]] CudaDevicePointer address() const { return reinterpret_cast<std::uintptr_t>(word_); }
  [[nodiscard]] std::uint32_t* pointer() const { return word_; }

 private:
  std::uint32_t* word_ = nullptr;
};

inline CudaMemoryOperationParams waitFor(CudaDevicePointer address, std::uint32_t value,
                                         unsigned int flags = kCudaWaitGeq) {
  return {CudaMemoryOperation::kWaitValue32, address, value, flags, 0, 0};
}

inline CudaMemoryOperationParams writeOf(CudaDevicePointer address, std::uint32_t value) {
  return {CudaMemoryOperation::kWriteValue32, address, value, 0, 0, 0};
}

inline CudaResult enqueueOperations(CudaStream stream, std::vector<CudaMemoryOperationParams> operations) {
  return cuStreamBatchMemOp_v2(stream, static_cast<unsigned int>(operations.size()), operations.data(), 0);
}

/// A test whose thread has the primary context of device 0 current.
class UserTest : public FakeCudaTest {
 protected:
  UserTest() { begin({}); }

  /// Begins again, on another machine.
  void begin(const fake_cuda::Config& config) {
    fake_cuda::reset(config);
    EXPECT_TRUE(succeeds(cuInit(0)));
    EXPECT_TRUE(succeeds(cuDevicePrimaryCtxRetain(&context_, 0)));
    EXPECT_TRUE(succeeds(cuCtxPushCurrent_v2(context_)));
  }

  static CudaStream makeStream(unsigned int flags = kCudaStreamNonBlocking) {
    CudaStream stream = nullptr;
    EXPECT_TRUE(succeeds(cuStreamCreateWithPriority(&stream, flags, 0)));
    return stream;
  }

  static CudaEvent makeEvent() {
    CudaEvent event = nullptr;
    EXPECT_TRUE(succeeds(cuEventCreate(&event, kCudaEventDisableTiming)));
    return event;
  }

  static CudaDevicePointer allocate(std::size_t bytes) {
    CudaDevicePointer memory = 0;
    EXPECT_TRUE(succeeds(cuMemAlloc_v2(&memory, bytes)));
    return memory;
  }

  /// A kernel under this name, loaded into the context.
  static CudaFunction functionNamed(const char* name) {
    static const char image = 0;
    CudaLibrary library = nullptr;
    CudaKernel kernel = nullptr;
    CudaFunction function = nullptr;
    EXPECT_TRUE(succeeds(cuLibraryLoadData(&library, &image, nullptr, nullptr, 0, nullptr, nullptr, 0)));
    EXPECT_TRUE(succeeds(cuLibraryGetKernel(&kernel, library, name)));
    EXPECT_TRUE(succeeds(cuKernelGetFunction(&function, kernel)));
    return function;
  }

  template <typename Arguments>
  static CudaResult launch(CudaFunction function, Arguments arguments, CudaStream stream, unsigned int blocks = 1) {
    const CudaLaunchConfig config{{blocks, 1, 1}, {256, 1, 1}, 0, stream, nullptr, 0};
    void* parameter = &arguments;
    return cuLaunchKernelEx(&config, function, &parameter, nullptr);
  }

  CudaContext context_ = nullptr;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_FAKE_CUDA_USER_H_
