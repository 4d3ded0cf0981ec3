// SPDX-License-Identifier: Apache-2.0
// The kernels of one device, ready to be launched.
#ifndef SIGNCCL_DEVICE_KERNEL_LIBRARY_H_
#define SIGNCCL_DEVICE_KERNEL_LIBRARY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/device.h"
#include "device/kernel_image.h"
#include "kernels/lanes/group.h"

namespace signccl {

/// Threads of a block of every kernel.
inline constexpr unsigned kBlockThreads = lanes::kBlockThreads;

/// Most bytes of a kernel's arguments, on all devices and drivers.
inline constexpr std::size_t kMostArgumentBytes = 4096;

/// One launch.
struct KernelLaunch {
  std::size_t kernel;          ///< index in the list of names
  std::uint32_t blocks;        ///< at least 1
  const void* arguments;       ///< the kernel's one parameter, a struct; copied before launch() returns
  std::size_t argument_bytes;  ///< its size
  CudaStream stream;           ///< of the device's primary context, or a default stream
};

/// Kernels of libsignccl_cuda.so on one device. Any thread.
class KernelLibrary {
 public:
  /// Loads all kernels of `names` into the device's context at once: a driver that loads a kernel at its first launch
  /// may wait until all streams are done, and never comes back where one of them waits for a peer. `image` and `names`
  /// must outlive the object. Throws signcclUnhandledCudaError, also where the image has no code for the device or the
  /// driver, or lacks a kernel.
  KernelLibrary(std::shared_ptr<Device> device, const KernelImage& image, std::span<const char* const> names);

  /// Must not be awaited by a stream that still runs a kernel.
  ~KernelLibrary();
  KernelLibrary(const KernelLibrary&) = delete;
  KernelLibrary& operator=(const KernelLibrary&) = delete;

  /// Enqueues a kernel. Throws signcclUnhandledCudaError with the kernel's name.
  void launch(const KernelLaunch& launch) const;

  /// How many blocks of the kernel the device runs at the same time: what a grid needs at most, where blocks take as
  /// many tiles as there are.
  [[nodiscard]] std::uint32_t residentBlocks(std::size_t kernel) const { return kernels_.at(kernel).resident_blocks; }

  [[nodiscard]] const Device& device() const { return *device_; }

 private:
  struct Kernel {
    CudaFunction function = nullptr;
    std::uint32_t resident_blocks = 0;
  };

  void load(const KernelImage& image);
  void find(const KernelImage& image);

  std::shared_ptr<Device> device_;  ///< shared: its context must outlive the kernels
  std::span<const char* const> names_;
  CudaLibrary library_ = nullptr;
  std::vector<Kernel> kernels_;
};

}  // namespace signccl

#endif  // SIGNCCL_DEVICE_KERNEL_LIBRARY_H_
