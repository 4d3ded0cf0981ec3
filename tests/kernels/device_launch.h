// SPDX-License-Identifier: Apache-2.0
// One launch of a kernel whose buffers are in host memory: they are put into one piece of device memory with guards
// between them, at addresses that are misaligned alike.
#ifndef SIGNCCL_TESTS_KERNELS_DEVICE_LAUNCH_H_
#define SIGNCCL_TESTS_KERNELS_DEVICE_LAUNCH_H_

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kernels/device/device_kernels.h"
#include "kernels/kernels.h"

namespace signccl {

/// Loads the driver, the kernels and 512 MiB of device 0. Returns why that cannot be, or nothing.
std::string beginDevice();

class DeviceLaunch {
 public:
  DeviceLaunch() = default;
  DeviceLaunch(const DeviceLaunch&) = delete;
  DeviceLaunch& operator=(const DeviceLaunch&) = delete;

  // These give addresses of the device. `alignment`: what the kernel needs; an address that has it keeps its place in a
  // line of 64 bytes. The same host address twice is one buffer.

  template <typename T>
  const T* in(const T* host, std::size_t bytes, std::size_t alignment = alignof(T)) {
    return static_cast<const T*>(addInput(static_cast<const void*>(host), bytes, alignment));
  }
  template <typename T>
  T* out(T* host, std::size_t bytes, std::size_t alignment = alignof(T)) {
    return static_cast<T*>(addOutput(host, bytes, alignment));
  }
  /// Read and written.
  template <typename T>
  T* inOut(T* host, std::size_t bytes, std::size_t alignment = alignof(T)) {
    in(host, bytes, alignment);
    return out(host, bytes, alignment);
  }
  ConstPlanes in(ConstPlanes planes, std::size_t nwords);
  Planes out(Planes planes, std::size_t nwords);

  /// Runs the kernel over so many tiles and copies the outputs back. Throws Error, and std::logic_error if anything
  /// else was written.
  template <typename Arguments>
  void run(DeviceKernel kernel, const Arguments& arguments, std::size_t ntiles) {
    launch(kernel, &arguments, sizeof arguments, ntiles);
  }

 private:
  struct Buffer {
    std::size_t offset;
    std::size_t bytes;
  };
  struct Output {
    std::byte* host;
    std::size_t offset;
    std::size_t bytes;
  };

  const void* addInput(const void* host, std::size_t bytes, std::size_t alignment);
  void* addOutput(void* host, std::size_t bytes, std::size_t alignment);
  std::size_t place(const void* host, std::size_t bytes, std::size_t alignment);
  void launch(DeviceKernel kernel, const void* arguments, std::size_t argument_bytes, std::size_t ntiles);
  void takeOutputs(const std::vector<std::byte>& after, DeviceKernel kernel);

  std::vector<std::byte> before_;  ///< what is put into the device's memory
  std::map<const void*, Buffer> buffers_;
  std::vector<Output> outputs_;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_KERNELS_DEVICE_LAUNCH_H_
