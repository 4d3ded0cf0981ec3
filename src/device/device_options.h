// SPDX-License-Identifier: Apache-2.0
// What users set about devices.
#ifndef SIGNCCL_DEVICE_DEVICE_OPTIONS_H_
#define SIGNCCL_DEVICE_DEVICE_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

namespace signccl {

/// How streams write and await words that the host shares with them.
enum class StreamWords : std::uint8_t {
  kMemoryOperations,  ///< of the driver: they take no multiprocessor
  kKernels,           ///< of one thread, for drivers that have no such operations
};

struct DeviceOptions {
  std::string kernel_file;           ///< libsignccl_cuda.so, or its folder; empty: beside the library
  std::optional<StreamWords> words;  ///< nothing: by memory operations if they work
};

}  // namespace signccl

#endif  // SIGNCCL_DEVICE_DEVICE_OPTIONS_H_
