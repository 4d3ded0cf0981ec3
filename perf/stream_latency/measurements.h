// SPDX-License-Identifier: Apache-2.0
// What stream_latency measures.
#ifndef SIGNCCL_PERF_STREAM_LATENCY_MEASUREMENTS_H_
#define SIGNCCL_PERF_STREAM_LATENCY_MEASUREMENTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "device/kernel_library.h"
#include "device/memory.h"
#include "device/stream.h"

namespace signccl::perf {

/// Device 0 with its kernels and a stream, in the thread whose current context it is. Functions that use it throw the
/// library's Error where CUDA fails.
class LatencyDevice {
 public:
  LatencyDevice();

  [[nodiscard]] const Device& device() const { return *device_; }
  [[nodiscard]] const std::shared_ptr<Device>& shared() const { return device_; }
  [[nodiscard]] const KernelLibrary& kernels() const { return kernels_; }
  [[nodiscard]] CudaStream stream() const { return stream_.handle(); }
  [[nodiscard]] bool hasMemoryOperations() const { return has_memory_operations_; }
  void synchronize() const;

 private:
  std::shared_ptr<Device> device_;  // shared: as Device::get() gives it
  ContextScope scope_;
  KernelLibrary kernels_;
  Stream stream_;
  bool has_memory_operations_;
};

/// How a stream tells the host something and waits for it.
enum class WaitKind : std::uint8_t { kMemoryOperations, kKernels };

struct RoundTrips {
  double round_trip_us = 0;  ///< from one word of the stream, over the host's answer and a kernel, to the next one
  double enqueue_us = 0;     ///< of the host, for one of them
  std::size_t nstale = 0;    ///< words that the kernels read and the host had replaced before it answered
};

/// In each round the stream writes a word, the host writes 4 KiB and then its answer, the stream waits for that, and a
/// kernel copies the 4 KiB, which the host compares.
RoundTrips measureRoundTrips(const LatencyDevice& gpu, WaitKind kind, int rounds);

/// Time of a launch in a row of launches of the smallest kernel.
double measureLaunchUs(const LatencyDevice& gpu, int launches);

/// In 1e9 bytes per second, pinned memory.
struct CopyRates {
  double to_device = 0;
  double to_host = 0;
};
CopyRates measureCopies(const LatencyDevice& gpu, std::size_t bytes);

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_STREAM_LATENCY_MEASUREMENTS_H_
