// SPDX-License-Identifier: Apache-2.0
// What a user of a GPU has: a machine with the fake driver, streams, and buffers in device memory.
#ifndef SIGNCCL_TESTS_STREAM_STREAM_JOB_H_
#define SIGNCCL_TESTS_STREAM_STREAM_JOB_H_

#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "../api/ranks.h"
#include "fake_cuda/driver_api.h"
#include "fake_cuda/fake_cuda.h"

namespace signccl {

/// Fails the test unless a call of the driver went well.
inline void expectCuda(CudaResult result) {
  const char* name = nullptr;
  cuGetErrorName(result, &name);
  EXPECT_EQ(result, CudaResult::kSuccess) << (name == nullptr ? "unknown" : name);
}

/// Calls `attempt(number)` for number = 1, 1 + step, ..., in which that call of the driver fails, until it returns
/// true: so many calls were not made. There must be more than `fewest`.
template <typename Attempt>
void failEveryCall(long step, long fewest, const Attempt& attempt) {
  long number = 1;
  while (!attempt(number)) {
    number += step;
    ASSERT_LT(number, 10'000);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(number, fewest);
}

/// The driver in the state of a fresh process, and the kernels for it.
class StreamTest : public ::testing::Test {
 protected:
  StreamTest() { begin({}); }
  ~StreamTest() override { fake_cuda::reset(); }
  StreamTest(const StreamTest&) = delete;
  StreamTest& operator=(const StreamTest&) = delete;

  /// Poses as a machine. Nothing of the one before may be in use.
  static void begin(const fake_cuda::Config& config) {
    fake_cuda::reset(config);
    expectCuda(cuInit(0));
  }

 private:
  const Environment environment_{{"SIGNCCL_CUDA_LIBRARY", SIGNCCL_TESTS_EMULATED_CUDA}};
};

/// Retains a device's primary context and makes it current in this thread, as a program with the CUDA runtime has it.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device) : device_(device) {
    CudaContext context = nullptr;
    expectCuda(cuDevicePrimaryCtxRetain(&context, device));
    expectCuda(cuCtxPushCurrent_v2(context));
  }
  ~CurrentDevice() {
    CudaContext context = nullptr;
    cuCtxPopCurrent_v2(&context);
    cuDevicePrimaryCtxRelease_v2(device_);
  }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

 private:
  int device_;
};

class Stream {
 public:
  Stream() { expectCuda(cuStreamCreateWithPriority(&stream_, kCudaStreamNonBlocking, 0)); }
  ~Stream() { cuStreamDestroy_v2(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  [[nodiscard]] CudaStream get() const { return stream_; }
  void synchronize() const { expectCuda(cuStreamSynchronize(stream_)); }

 private:
  CudaStream stream_ = nullptr;
};

/// Memory of the current device with guards around it.
class DeviceBuffer {
 public:
  /// `offset` bytes after an address that is aligned to 256.
  explicit DeviceBuffer(std::size_t bytes, std::size_t offset = 0) : bytes_(bytes), offset_(kGuard + offset) {
    expectCuda(cuMemAlloc_v2(&memory_, offset_ + bytes + kGuard));
    const std::vector<std::byte> pattern(offset_ + bytes + kGuard, kPattern);
    expectCuda(cuMemcpyHtoD_v2(memory_, pattern.data(), pattern.size()));
  }
  ~DeviceBuffer() { cuMemFree_v2(memory_); }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  [[nodiscard]] void* data() const { return reinterpret_cast<void*>(memory_ + offset_); }

  void put(std::span<const std::byte> bytes) const {
    if (!bytes.empty()) expectCuda(cuMemcpyHtoD_v2(memory_ + offset_, bytes.data(), bytes.size()));
  }
  [[nodiscard]] std::vector<std::byte> get() const {
    std::vector<std::byte> bytes(bytes_);
    if (bytes_ > 0) expectCuda(cuMemcpyDtoH_v2(bytes.data(), memory_ + offset_, bytes_));
    return bytes;
  }
  /// True if nothing was written before or behind the buffer.
  [[nodiscard]] bool isIntact() const {
    std::vector<std::byte> all(offset_ + bytes_ + kGuard);
    expectCuda(cuMemcpyDtoH_v2(all.data(), memory_, all.size()));
    const auto is_pattern = [](std::byte byte) { return byte == kPattern; };
    return std::all_of(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(offset_), is_pattern) &&
           std::all_of(all.end() - static_cast<std::ptrdiff_t>(kGuard), all.end(), is_pattern);
  }

 private:
  static constexpr std::size_t kGuard = 256;
  static constexpr std::byte kPattern{0xA5};
  std::size_t bytes_;
  std::size_t offset_;
  CudaDevicePointer memory_ = 0;
};

/// Calls the collective of `tested` on a stream.
/// The stream waits until `may_go_on`.
inline void holdStream(CudaStream stream, std::atomic<bool>& may_go_on) {
  expectCuda(cuLaunchHostFunc(
      stream,
      [](void* flag) {
        while (!static_cast<std::atomic<bool>*>(flag)->load()) std::this_thread::yield();
      },
      &may_go_on));
}

/// Of the statistics of a rank.
inline std::uint64_t scratchBytes(signcclComm_t comm) {
  signcclCommStats_t stats{};
  stats.size = sizeof(stats);
  EXPECT_EQ(signcclCommGetStats(comm, &stats), signcclSuccess);
  return stats.scratchBytes;
}

inline signcclResult_t callOn(const Case& tested, const void* send, void* recv, std::size_t count, signcclComm_t comm,
                              CudaStream stream) {
  const signcclSignConfig_t config = rulesOf(tested);
  const auto collective = tested.op == SignOp::kVote ? signcclAllReduceVote : signcclAllReduceAvg;
  return collective(send, recv, count, tested.sendtype, tested.recvtype, &config, comm, stream);
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_STREAM_STREAM_JOB_H_
