// SPDX-License-Identifier: Apache-2.0
// The device of the benchmarks: its kernels, a stream with a clock, and one large piece of memory with random bits.
#ifndef SIGNCCL_PERF_KERNEL_BENCH_GPU_H_
#define SIGNCCL_PERF_KERNEL_BENCH_GPU_H_

#include <cstddef>
#include <memory>

#include "device/kernel_library.h"
#include "device/memory.h"
#include "device/stream.h"
#include "kernels/device/device_kernels.h"

namespace signccl {

/// Used by one thread. Functions throw the library's Error where CUDA fails.
class Gpu {
 public:
  /// Device 0, whose context is current in this thread from now on, with `bytes` of memory. Throws
  /// signccl::perf::NoCuda, too, and std::runtime_error if the device has less.
  explicit Gpu(std::size_t bytes);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  [[nodiscard]] const Device& device() const { return *device_; }
  [[nodiscard]] CudaDevicePointer memory() const { return memory_->address(); }
  [[nodiscard]] std::size_t bytes() const { return memory_->bytes(); }

  /// Enqueues a kernel for so many tiles.
  template <typename Arguments>
  void launch(DeviceKernel kernel, const Arguments& arguments, std::size_t ntiles) const {
    launch(kernel, &arguments, sizeof arguments, ntiles);
  }

  /// Enqueues a copy from one place of the device to another.
  void copy(CudaDevicePointer to, CudaDevicePointer from, std::size_t bytes) const;

  /// Memory beside that of memory(), with a copy of `bytes` bytes. Throws std::runtime_error when 16 MiB are used up.
  CudaDevicePointer store(const void* values, std::size_t bytes);

  /// Gives the memory of store() back.
  void clearStore() { stored_bytes_ = 0; }

  /// Seconds that the device takes for what `enqueue()` enqueues.
  template <typename Enqueue>
  [[nodiscard]] double secondsOf(const Enqueue& enqueue) const {
    record(start_);
    enqueue();
    record(end_);
    return secondsBetween();
  }

 private:
  void launch(DeviceKernel kernel, const void* arguments, std::size_t argument_bytes, std::size_t ntiles) const;
  void record(CudaEvent event) const;
  [[nodiscard]] double secondsBetween() const;
  void fillRandomly() const;
  void upload(CudaDevicePointer to, const void* from, std::size_t bytes) const;

  std::shared_ptr<Device> device_;  // shared: as Device::get() gives it
  ContextScope scope_;
  KernelLibrary kernels_;
  Stream stream_;
  DeviceMemory store_;
  std::size_t stored_bytes_ = 0;
  std::unique_ptr<DeviceMemory> memory_;
  CudaEvent start_ = nullptr;
  CudaEvent end_ = nullptr;
};

}  // namespace signccl

#endif  // SIGNCCL_PERF_KERNEL_BENCH_GPU_H_
