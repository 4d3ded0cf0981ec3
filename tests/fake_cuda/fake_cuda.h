// SPDX-License-Identifier: Apache-2.0
// The controls of the fake CUDA driver, for tests alone.
//
// The fake is a shared library with the SONAME of the driver, libcuda.so.1. A program that links it, or loads it, has a
// driver for all purposes: what looks for one finds it as it would find the real one. Its devices are host memory and
// threads. It is stricter than hardware: the host dies if it touches device memory, streams share as few queues as a
// test wants, and calls that may block or fail on hardware do so here.
#ifndef SIGNCCL_TESTS_FAKE_CUDA_FAKE_CUDA_H_
#define SIGNCCL_TESTS_FAKE_CUDA_FAKE_CUDA_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "device/driver_types.h"

#define SIGNCCL_FAKE_CUDA_EXPORT __attribute__((visibility("default")))

namespace fake_cuda {

using signccl::CudaResult;
using signccl::CudaStream;

/// The machine that is posed. Until reset() is called it is this one, with as many devices as the variable
/// SIGNCCL_FAKE_CUDA_DEVICES says, and as many queues as CUDA_DEVICE_MAX_CONNECTIONS, of which drivers know, too.
struct Config {
  int devices = 1;         ///< 0 to 8
  int queues = 8;          ///< hardware queues of a device; its i-th stream uses queue i % queues
  std::uint64_t seed = 0;  ///< of random delays before tasks; 0: none
  std::size_t device_bytes = std::size_t{1} << 30;  ///< memory of a device, up to 8 GiB
  int driver_version = 13000;
  int major = 9;  ///< of the compute capability
  int minor = 0;
  int multiprocessors = 4;
  bool memory_operations = true;             ///< whether cuStreamBatchMemOp() is supported
  bool launches_block = false;               ///< each launch waits for its kernel, as with CUDA_LAUNCH_BLOCKING=1
  bool allocation_waits = false;             ///< cuMemAlloc() and cuMemHostAlloc() wait for all queues, as they may
  bool pointer_query_needs_context = false;  ///< without one cuPointerGetAttributes() fails, instead of answering zeros
  CudaResult image_result = CudaResult::kSuccess;  ///< of cuLibraryLoadData()
};

/// Forgets everything but the registered kernels, and poses as another machine. Tasks that wait are dropped. No other
/// thread is in a call of the driver, and nothing of the driver is used afterwards.
SIGNCCL_FAKE_CUDA_EXPORT void reset(const Config& config = {});

/// Lets the n-th call from now fail with `result`, without effect; 1 is the next one; 0 lets none fail.
/// cuGetErrorName() and cuGetErrorString() do not count.
SIGNCCL_FAKE_CUDA_EXPORT void failCall(long n, CudaResult result);

/// Lets all calls of a function fail, until the next reset. `symbol` as in "cuMemAlloc_v2", a literal.
SIGNCCL_FAKE_CUDA_EXPORT void failCallsOf(const char* symbol, CudaResult result);

/// Calls since the last reset, of those that failCall() counts.
SIGNCCL_FAKE_CUDA_EXPORT long callsMade();

/// A stream dies: what it was to do is dropped, and all calls that use it give `result`.
SIGNCCL_FAKE_CUDA_EXPORT void failStream(CudaStream stream, CudaResult result);

/// The primary context of a device dies, with all its streams: all calls that use it give `result`.
SIGNCCL_FAKE_CUDA_EXPORT void failContext(int device, CudaResult result);

/// Reserves addresses of a device of which only the first `mapped` bytes have memory, as expandable segments do.
SIGNCCL_FAKE_CUDA_EXPORT void* reserve(int device, std::size_t bytes, std::size_t mapped);

/// Takes the memory of reserve() away, whatever streams may still do with it.
SIGNCCL_FAKE_CUDA_EXPORT void release(void* reserved);

/// What runs where a kernel is launched. `arguments` is the kernel's one parameter. Memory is touched through
/// FakeMemory::translate().
using KernelFunction = void (*)(std::uint32_t blocks, std::uint32_t threads, const void* arguments);

/// Makes a kernel known that cuLibraryGetKernel() finds by its name; the image is not looked at. A name that is known
/// is given a new function. Any thread, also during static initialisation.
SIGNCCL_FAKE_CUDA_EXPORT void registerKernel(const char* name, std::size_t argument_bytes, KernelFunction function);

/// The addresses of all device memory.
struct Window {
  std::uintptr_t begin = 0;
  std::uintptr_t bytes = 0;
  std::uintptr_t offset = 0;  ///< from the address that callers have, and cannot touch, to where the memory is
};

/// Where emulated kernels find memory: that of a device has two addresses, the callers' and one that can be touched.
class FakeMemory {
 public:
  /// The address at which `pointer` can be touched, which is itself for host memory.
  template <typename T>
  static T* translate(T* pointer) {
    const auto address = std::bit_cast<std::uintptr_t>(pointer);
    return address - window.begin < window.bytes ? std::bit_cast<T*>(address + window.offset) : pointer;
  }

 private:
  friend class Memory;
  SIGNCCL_FAKE_CUDA_EXPORT static Window window;  ///< set once, when the fake is loaded
};

}  // namespace fake_cuda

#endif  // SIGNCCL_TESTS_FAKE_CUDA_FAKE_CUDA_H_
