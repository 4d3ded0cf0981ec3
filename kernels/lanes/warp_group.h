// SPDX-License-Identifier: Apache-2.0
// The group of lanes on a GPU: a warp. See group.h. For nvcc alone.
#ifndef SIGNCCL_KERNELS_LANES_WARP_GROUP_H_
#define SIGNCCL_KERNELS_LANES_WARP_GROUP_H_

#include "kernels/lanes/group.h"

namespace signccl::lanes {

struct WarpGroup {
  /// A thread holds the value of its own lane alone.
  template <typename T>
  struct PerLane {
    T value;
    __device__ __forceinline__ T& operator[](int) { return value; }
    __device__ __forceinline__ const T& operator[](int) const { return value; }
  };

  /// From the register that holds it: knowing that it is below 32, the compiler would compute every address of a tile
  /// anew instead of adding constants to one.
  __device__ __forceinline__ static int lane() {
    int lane;
    asm("mov.u32 %0, %%laneid;" : "=r"(lane));
    return lane;
  }

  __device__ __forceinline__ static WarpIndex index() {
    return warpIndex(blockIdx.x, gridDim.x, __shfl_sync(kAll, threadIdx.x / kLanes, 0));
  }

  template <typename Body>
  __device__ __forceinline__ static void each(const Body& body) {
    body(lane());
  }

  template <typename T>
  __device__ __forceinline__ static PerLane<T> shuffleXor(const PerLane<T>& x, int mask) {
    return {__shfl_xor_sync(kAll, x.value, mask)};
  }

  template <typename T>
  __device__ __forceinline__ static PerLane<T> shuffle(const PerLane<T>& x, const PerLane<uint32_t>& source) {
    return {__shfl_sync(kAll, x.value, static_cast<int>(source.value))};
  }

  __device__ __forceinline__ static uint32_t ballot(const PerLane<bool>& flags) {
    return __ballot_sync(kAll, flags.value);
  }

  template <typename T>
  __device__ __forceinline__ static T load(const T* from) {
    return *from;
  }
  template <typename T>
  __device__ __forceinline__ static T loadOnce(const T* from) {
    return fromNative<T>(__ldcs(reinterpret_cast<const Native<sizeof(T)>*>(from)));
  }
  template <typename T>
  __device__ __forceinline__ static void store(T* to, const T& value) {
    storeNative(reinterpret_cast<Native<sizeof(T)>*>(to), toNative(value));
  }
  template <typename T>
  __device__ __forceinline__ static void storeOnce(T* to, const T& value) {
    __stcs(reinterpret_cast<Native<sizeof(T)>*>(to), toNative(value));
  }

  __device__ __forceinline__ static void storeRelease(uint32_t* to, uint32_t value) {
    asm volatile("fence.acq_rel.sys; st.relaxed.sys.global.u32 [%0], %1;" ::"l"(to), "r"(value) : "memory");
  }
  __device__ __forceinline__ static uint32_t loadAcquire(uint32_t* from) {
    uint32_t value;
    asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(from) : "memory");
    return value;
  }
  __device__ __forceinline__ static uint32_t loadRelaxed(const uint32_t* from) {
    uint32_t value;
    asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(from) : "memory");
    return value;
  }
  __device__ __forceinline__ static void pause() { __nanosleep(200); }
  __device__ __forceinline__ static uint32_t maskedXor(uint32_t x, uint32_t mask, uint32_t y) {
    uint32_t result;
    asm("lop3.b32 %0, %1, %2, %3, 0x78;" : "=r"(result) : "r"(x), "r"(mask), "r"(y));
    return result;
  }

  __device__ __forceinline__ static uint32_t select(uint32_t mask, uint32_t x, uint32_t y) {
    uint32_t result;
    asm("lop3.b32 %0, %1, %2, %3, 0xCA;" : "=r"(result) : "r"(mask), "r"(x), "r"(y));
    return result;
  }
  __device__ __forceinline__ static uint32_t funnelShift(uint32_t low, uint32_t high, uint32_t n) {
    uint32_t result;
    asm("shf.r.wrap.b32 %0, %1, %2, %3;" : "=r"(result) : "r"(low), "r"(high), "r"(n));
    return result;
  }
  /// Of a product of two numbers that were widened the compiler computes some of the upper half again.
  __device__ __forceinline__ static uint64_t multiplyWide(uint32_t x, uint32_t y) {
    uint64_t product;
    asm("mul.wide.u32 %0, %1, %2;" : "=l"(product) : "r"(x), "r"(y));
    return product;
  }
  __device__ __forceinline__ static uint32_t bytes(uint32_t x, uint32_t y, uint32_t which) {
    uint32_t result;
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(result) : "r"(x), "r"(y), "r"(which));
    return result;
  }

  __device__ __forceinline__ static float add(float a, float b) { return __fadd_rn(a, b); }
  __device__ __forceinline__ static float subtract(float a, float b) { return __fsub_rn(a, b); }
  __device__ __forceinline__ static float multiply(float a, float b) { return __fmul_rn(a, b); }

  // All keep denormals. The intrinsics are in headers that need more of the toolkit than nvcc.
  __device__ __forceinline__ static float widenFloat16(uint16_t pattern) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(pattern));
    return x;
  }
  // A conversion gives a quiet NaN. The minimum of NaN and infinity is infinity, and of all else and infinity all else;
  // so a fraction bit that differs belongs to a NaN, and the bit that makes it quiet is put back.
#if __CUDA_ARCH__ >= 800
  __device__ __forceinline__ static uint32_t narrowToFloat16Pair(float low, float high) {
    uint32_t pair, number;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    asm("min.f16x2 %0, %1, %2;" : "=r"(number) : "r"(pair), "r"(0x7C00'7C00));
    return number | ((pair ^ number) & 0x0200'0200);
  }
  __device__ __forceinline__ static uint32_t narrowToBFloat16Pair(float low, float high) {
    uint32_t pair, number;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    asm("min.bf16x2 %0, %1, %2;" : "=r"(number) : "r"(pair), "r"(0x7F80'7F80));
    return number | ((pair ^ number) & 0x0040'0040);
  }
#else
  __device__ __forceinline__ static uint32_t narrowToFloat16Pair(float low, float high) {
    int16_t patterns[2];
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(patterns[0]) : "f"(low));
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(patterns[1]) : "f"(high));
    return static_cast<uint32_t>(min(int{patterns[0]}, 0x7E00)) & 0xFFFF | uint32_t(min(int{patterns[1]}, 0x7E00))
                                                                               << 16;
  }
  __device__ __forceinline__ static uint32_t narrowToBFloat16Pair(float low, float high) {
    return bfloat16Pair(pattern(low), pattern(high));
  }
#endif

  /// NaN that an operation gives is 0x7FFF'FFFF, whatever its operands are: the greatest integer of all patterns.
  __device__ __forceinline__ static uint32_t pattern(float x) {
    return static_cast<uint32_t>(min(__float_as_int(x), 0x7FC0'0000));
  }
  /// A product of halves and bytes: x + 1 * lower + 0 * upper, where a sum of a masked half would be two operations.
  __device__ __forceinline__ static uint32_t addLower(uint32_t x, uint32_t y) {
    uint32_t sum;
    asm("dp2a.lo.u32.u32 %0, %1, %2, %3;" : "=r"(sum) : "r"(y), "r"(1), "r"(x));
    return sum;
  }

  __device__ __forceinline__ static int countOnes(uint32_t word) { return __popc(word); }

 private:
  static constexpr uint32_t kAll = 0xFFFF'FFFF;

  // An assignment of several words may become several accesses, and __ldca() and __stwb() do more than a plain access.
  template <typename N>
  __device__ __forceinline__ static N loadNative(const N* from) {
    return *from;
  }
  __device__ __forceinline__ static uint2 loadNative(const uint2* from) {
    uint2 x;
    asm volatile("ld.global.v2.u32 {%0, %1}, [%2];" : "=r"(x.x), "=r"(x.y) : "l"(from) : "memory");
    return x;
  }
  __device__ __forceinline__ static uint4 loadNative(const uint4* from) {
    uint4 x;
    asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
                 : "l"(from)
                 : "memory");
    return x;
  }
  template <typename N>
  __device__ __forceinline__ static void storeNative(N* to, N x) {
    *to = x;
  }
  __device__ __forceinline__ static void storeNative(uint2* to, uint2 x) {
    asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(to), "r"(x.x), "r"(x.y) : "memory");
  }
  __device__ __forceinline__ static void storeNative(uint4* to, uint4 x) {
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(x.x), "r"(x.y), "r"(x.z), "r"(x.w)
                 : "memory");
  }

  /// The compiler's type for an access of so many bytes.
  template <size_t kBytes>
  struct NativeOf;
  template <size_t kBytes>
  using Native = typename NativeOf<kBytes>::Type;

  template <typename T>
  __device__ __forceinline__ static T fromNative(Native<sizeof(T)> native) {
    T value;
    __builtin_memcpy(&value, &native, sizeof(T));
    return value;
  }
  template <typename T>
  __device__ __forceinline__ static Native<sizeof(T)> toNative(const T& value) {
    Native<sizeof(T)> native;
    __builtin_memcpy(&native, &value, sizeof(T));
    return native;
  }
};

template <>
struct WarpGroup::NativeOf<1> {
  using Type = unsigned char;
};
template <>
struct WarpGroup::NativeOf<2> {
  using Type = unsigned short;
};
template <>
struct WarpGroup::NativeOf<4> {
  using Type = unsigned int;
};
template <>
struct WarpGroup::NativeOf<8> {
  using Type = uint2;
};
template <>
struct WarpGroup::NativeOf<16> {
  using Type = uint4;
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_WARP_GROUP_H_
