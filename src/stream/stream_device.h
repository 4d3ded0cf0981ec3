// SPDX-License-Identifier: Apache-2.0
// A device with what calls on its streams need: the kernels, and a way for streams and the host to wait for each other.
#ifndef SIGNCCL_STREAM_STREAM_DEVICE_H_
#define SIGNCCL_STREAM_STREAM_DEVICE_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "device/device.h"
#include "device/device_options.h"
#include "device/kernel_library.h"
#include "kernels/device/arguments.h"
#include "kernels/device/device_kernels.h"

namespace signccl {

/// Shared among all ranks of the process that use the device. Any thread.
class StreamDevice : public std::enable_shared_from_this<StreamDevice> {
 public:
  /// Loads kernels and tries how words can be awaited, once for each device, with the options of the first caller. Must
  /// not be called first while a stream waits for this thread. Throws signcclUnhandledCudaError, and what Device::get()
  /// and loadKernelImage() throw.
  static std::shared_ptr<StreamDevice> get(int ordinal, const DeviceOptions& options);

  StreamDevice(std::shared_ptr<Device> device, const DeviceOptions& options);
  ~StreamDevice() = default;
  StreamDevice(const StreamDevice&) = delete;
  StreamDevice& operator=(const StreamDevice&) = delete;

  [[nodiscard]] const std::shared_ptr<Device>& device() const { return device_; }
  [[nodiscard]] StreamWords words() const { return words_; }

  /// Keeps `memory`, and itself, until the events, which become the device's, have come and nobody else holds the
  /// memory: freeing what a stream uses would wait for the stream.
  void keepUntil(std::vector<CudaEvent> events, std::vector<std::shared_ptr<const void>> memory);

  /// Keeps `memory`, and itself, as long as somebody else holds it who must make no CUDA call, and so cannot free it.
  void keepWhileHeld(std::vector<std::shared_ptr<const void>> memory) { keepUntil({}, std::move(memory)); }

  /// Frees what need not be kept any more. Not in a thread that must make no CUDA call.
  void freeUnused();

  /// Enqueues a kernel with a warp for each of `ntiles` tiles, or for several of them.
  template <typename Arguments>
  void launch(DeviceKernel kernel, const Arguments& arguments, std::size_t ntiles, CudaStream stream) const {
    launchBytes(kernel, &arguments, sizeof(arguments), ntiles, stream);
  }

  /// Enqueues the store of `value`, after everything that the stream does before it has become visible.
  void enqueueWrite(CudaStream stream, CudaDevicePointer word, std::uint32_t value) const;

  /// Enqueues a wait until the word is `value` or later; the order is cyclic, (int32_t)(word - value) >= 0.
  void enqueueWait(CudaStream stream, CudaDevicePointer word, std::uint32_t value) const;

  /// The same, and then the store of `after`.
  void enqueueWaitAndWrite(CudaStream stream, CudaDevicePointer word, std::uint32_t value, std::uint32_t after) const;

 private:
  void launchBytes(DeviceKernel kernel, const void* arguments, std::size_t bytes, std::size_t ntiles,
                   CudaStream stream) const;
  struct Kept {
    std::vector<CudaEvent> events;
    std::vector<std::shared_ptr<const void>> memory;
  };

  const std::shared_ptr<Device> device_;
  const KernelLibrary kernels_;
  std::mutex mutex_;  ///< guards what follows
  std::vector<Kept> kept_;
  std::shared_ptr<StreamDevice> self_;  ///< while something is kept
  StreamWords words_;
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_STREAM_DEVICE_H_
