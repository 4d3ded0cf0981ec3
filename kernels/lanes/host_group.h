// SPDX-License-Identifier: Apache-2.0
// The group of lanes on the host: every call of each() is a loop over 32 lanes. See group.h.
#ifndef SIGNCCL_KERNELS_LANES_HOST_GROUP_H_
#define SIGNCCL_KERNELS_LANES_HOST_GROUP_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sched.h>

#include "kernels/lanes/group.h"
#include "kernels/lanes/host_float16.h"

namespace signccl::lanes {

/// Addresses are what they are. A fake device has memory at addresses that the host cannot touch, and another Memory.
struct DirectMemory {
  static const void* address(const void* address) { return address; }
  static void* address(void* address) { return address; }
};

template <typename Memory>
struct HostGroup {
  template <typename T>
  struct PerLane {
    T values[kLanes];
    T& operator[](int lane) { return values[lane]; }
    const T& operator[](int lane) const { return values[lane]; }
  };

  template <typename Body>
  static void each(const Body& body) {
    for (int lane = 0; lane < kLanes; ++lane) body(lane);
  }

  template <typename T>
  static PerLane<T> shuffleXor(const PerLane<T>& x, int mask) {
    PerLane<T> result;
    for (int lane = 0; lane < kLanes; ++lane) result[lane] = x[lane ^ mask];
    return result;
  }

  template <typename T>
  static PerLane<T> shuffle(const PerLane<T>& x, const PerLane<uint32_t>& source) {
    PerLane<T> result;
    for (int lane = 0; lane < kLanes; ++lane) result[lane] = x[static_cast<int>(source[lane] % kLanes)];
    return result;
  }

  static uint32_t ballot(const PerLane<bool>& flags) {
    uint32_t word = 0;
    for (int lane = 0; lane < kLanes; ++lane) word |= static_cast<uint32_t>(flags[lane]) << lane;
    return word;
  }

  template <typename T>
  static T load(const T* from) {
    checkAlignment<T>(static_cast<const void*>(from));
    T value;
    std::memcpy(static_cast<void*>(&value), Memory::address(static_cast<const void*>(from)), sizeof(T));
    return value;
  }
  template <typename T>
  static T loadOnce(const T* from) {
    return load(from);
  }
  template <typename T>
  static void store(T* to, const T& value) {
    checkAlignment<T>(to);
    std::memcpy(Memory::address(static_cast<void*>(to)), &value, sizeof(T));
  }
  template <typename T>
  static void storeOnce(T* to, const T& value) {
    store(to, value);
  }

  static void storeRelease(uint32_t* to, uint32_t value) {
    __atomic_store_n(static_cast<uint32_t*>(Memory::address(static_cast<void*>(to))), value, __ATOMIC_RELEASE);
  }
  static uint32_t loadAcquire(uint32_t* from) {
    return __atomic_load_n(static_cast<uint32_t*>(Memory::address(static_cast<void*>(from))), __ATOMIC_ACQUIRE);
  }
  static uint32_t loadRelaxed(const uint32_t* from) {
    return __atomic_load_n(static_cast<const uint32_t*>(Memory::address(static_cast<const void*>(from))),
                           __ATOMIC_RELAXED);
  }
  static void pause() { sched_yield(); }
  static uint32_t maskedXor(uint32_t x, uint32_t mask, uint32_t y) { return (x & mask) ^ y; }
  static uint32_t select(uint32_t mask, uint32_t x, uint32_t y) { return (x & mask) | (y & ~mask); }
  static uint32_t funnelShift(uint32_t low, uint32_t high, uint32_t n) {
    return static_cast<uint32_t>((uint64_t{high} << 32 | low) >> n);
  }
  static uint64_t multiplyWide(uint32_t x, uint32_t y) { return uint64_t{x} * y; }
  static uint32_t bytes(uint32_t x, uint32_t y, uint32_t which) {
    const uint64_t both = uint64_t{y} << 32 | x;
    uint32_t result = 0;
    for (int i = 0; i < 4; ++i) {
      const uint32_t chosen = which >> (4 * i);
      const auto byte = static_cast<uint32_t>(both >> (chosen & 7) * 8 & 0xFF);
      result |= ((chosen & 8) == 0 ? byte : (byte >> 7) * 0xFF) << (8 * i);
    }
    return result;
  }

  // Compiled with -ffp-contract=off.
  static float add(float a, float b) { return a + b; }
  static float subtract(float a, float b) { return a - b; }
  static float multiply(float a, float b) { return a * b; }

  static float widenFloat16(uint16_t pattern) { return lanes::widenFloat16(pattern); }
  static uint32_t narrowToFloat16Pair(float low, float high) {
    return narrowToFloat16(low) | narrowToFloat16(high) << 16;
  }
  static uint32_t narrowToBFloat16Pair(float low, float high) { return bfloat16Pair(pattern(low), pattern(high)); }
  static uint32_t pattern(float x) {
    uint32_t bits = 0x7FC0'0000;
    if (x == x) std::memcpy(&bits, &x, sizeof(x));
    return bits;
  }
  static uint32_t addLower(uint32_t x, uint32_t y) { return x + (y & 0xFFFF); }

  static int countOnes(uint32_t word) { return __builtin_popcount(word); }

 private:
  /// A GPU ends the program's context for a misaligned access.
  template <typename T>
  static void checkAlignment(const void* address) {
    if (reinterpret_cast<uintptr_t>(address) % alignof(T) == 0) return;
    std::fprintf(stderr, "a kernel accesses %zu bytes at %p, expected an address aligned to %zu\n", sizeof(T), address,
                 alignof(T));
    std::abort();
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_HOST_GROUP_H_
