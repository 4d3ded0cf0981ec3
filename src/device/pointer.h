// SPDX-License-Identifier: Apache-2.0
// Where the memory behind a user's pointer is.
#ifndef SIGNCCL_DEVICE_POINTER_H_
#define SIGNCCL_DEVICE_POINTER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "device/driver.h"

namespace signccl {

/// What a pointer points to.
enum class PointerKind : std::uint8_t {
  kPageable,  ///< host memory that CUDA does not know
  kPinned,    ///< host memory that CUDA allocated or registered
  kManaged,   ///< memory that moves between host and devices
  kDevice,    ///< memory of a device, pools and mapped ranges included
  kUnmapped,  ///< an address that is reserved for a device and has no memory
  kUnknown,   ///< neither memory that CUDA knows nor readable by this process: freed, or of another process
};

/// "pageable host memory", for texts.
const char* pointerKindName(PointerKind kind);

/// What is known of a buffer.
struct PointerFacts {
  PointerKind kind = PointerKind::kPageable;
  int device = -1;              ///< ordinal; -1 for kPageable and kUnknown
  std::uintptr_t begin = 0;     ///< of the allocation; 0 for kPageable and kUnknown
  std::size_t bytes = 0;        ///< of the allocation
  std::uintptr_t unmapped = 0;  ///< the first or the last address of the buffer, if it has no memory; else 0

  /// Whether the `bytes` bytes at `pointer` lie within the allocation. Nothing is known of pageable memory: true.
  [[nodiscard]] bool holds(const void* pointer, std::size_t size) const;
};

/// What the memory of the `bytes` bytes at `pointer` is; the kind is that of its first byte. Asks the driver of the
/// process, if there is one that knows any memory, and needs no current context. Pinned memory that ends before the
/// buffer counts as pageable, since the host reaches all of it. Where the driver cannot say, memory that this process
/// can read counts as pageable, as does a buffer without bytes. Any thread.
///
/// Throws signcclUnhandledCudaError if the driver fails over memory that the host cannot read, and signcclInvalidUsage
/// for such memory in a process that was forked from one that had used CUDA.
PointerFacts describePointer(const void* pointer, std::size_t bytes);

/// describePointer() with this driver.
PointerFacts describePointer(const CudaDriver& driver, const void* pointer, std::size_t bytes);

/// Whether this process can read the 8 aligned bytes around `pointer`. One system call.
bool isReadable(const void* pointer) noexcept;

}  // namespace signccl

#endif  // SIGNCCL_DEVICE_POINTER_H_
