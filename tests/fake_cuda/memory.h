// SPDX-License-Identifier: Apache-2.0
// The memory that the fake knows: of its devices, and of the host as far as it is pinned or managed.
#ifndef SIGNCCL_TESTS_FAKE_CUDA_MEMORY_H_
#define SIGNCCL_TESTS_FAKE_CUDA_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "fake_cuda/fake_cuda.h"

namespace fake_cuda {

enum class MemoryKind : std::uint8_t {
  kDevice,
  kPool,        ///< device memory that belongs to no context
  kReserved,    ///< addresses of a device, of which the first `mapped` bytes have memory
  kPinned,      ///< host memory of cuMemHostAlloc()
  kRegistered,  ///< the caller's own host memory
  kManaged,
};

struct Allocation {
  MemoryKind kind = MemoryKind::kDevice;
  std::uintptr_t begin = 0;
  std::size_t bytes = 0;
  std::size_t mapped = 0;  ///< bytes that have memory, from the beginning
  int device = 0;
  CUctx_st* context = nullptr;  ///< null for kPool and kReserved

  [[nodiscard]] bool isOnDevice() const { return kind <= MemoryKind::kReserved; }
  [[nodiscard]] bool holds(std::uintptr_t address, std::size_t size) const {
    return address >= begin && address - begin <= mapped && mapped - (address - begin) >= size;
  }
};

/// Most devices, and the addresses that each has.
inline constexpr int kMostDevices = 8;
inline constexpr std::size_t kAddressesPerDevice = std::size_t{1} << 33;

/// Any thread.
class Memory {
 public:
  Memory();
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  /// Maps the addresses of all devices, twice, when the fake is loaded.
  static void mapWindow();

  /// Gives a forked child memory of its own at those addresses, before it first uses a device.
  static void ownWindow();

  /// Whether an address is one of a device, with memory or without.
  static bool isOfDevice(std::uintptr_t address);

  /// Takes memory of a device, filled with a pattern; 0 if all its addresses are taken. `what` has the kind, the sizes,
  /// the device and the context.
  std::uintptr_t takeOfDevice(Allocation what);

  /// Takes host memory; 0 if there is none.
  std::uintptr_t takeOfHost(Allocation what);

  /// Notes memory of the caller. False if some of it is known already.
  bool registerHost(Allocation what);

  /// Gives back what begins at the address and is of one of the kinds. False if there is nothing such.
  bool give(std::uintptr_t address, std::initializer_list<MemoryKind> kinds);

  /// Gives back all memory of a context.
  void giveAllOf(const CUctx_st* context);

  /// The allocation that the address lies in.
  [[nodiscard]] std::optional<Allocation> find(std::uintptr_t address) const;

  /// Bytes taken of a device.
  [[nodiscard]] std::size_t used(int device) const;

 private:
  std::uintptr_t freeAddresses(int device, std::size_t bytes);
  static void release(const Allocation& allocation);

  mutable std::mutex mutex_;
  std::map<std::uintptr_t, Allocation> allocations_;  ///< by their begin
  std::uintptr_t next_[kMostDevices] = {};            ///< where free addresses are looked for, per device
};

}  // namespace fake_cuda

#endif  // SIGNCCL_TESTS_FAKE_CUDA_MEMORY_H_
