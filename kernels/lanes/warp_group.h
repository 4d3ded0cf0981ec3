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

  __device__ __forceinline__ static int lane() { return static_cast<int>(threadIdx.x) % kLanes; }

  __device__ __forceinline__ static WarpIndex index() { return warpIndex(blockIdx.x, gridDim.x, threadIdx.x / kLanes); }

  template <typename Body>
  __device__ __forceinline__ static void each(const Body& body) {
    body(lane());
  }

  template <typename T>
  __device__ __forceinline__ static PerLane<T> shuffleXor(const PerLane<T>& x, int mask) {
    return {__shfl_xor_sync(kAll, x.value, mask)};
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
    *to = value;
  }
  template <typename T>
  __device__ __forceinline__ static void storeOnce(T* to, const T& value) {
    __stcs(reinterpret_cast<Native<sizeof(T)>*>(to), toNative(value));
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
#if __CUDA_ARCH__ >= 800
  __device__ __forceinline__ static uint32_t narrowToFloat16Pair(float low, float high) {
    uint32_t pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
  }
  __device__ __forceinline__ static uint32_t narrowToBFloat16Pair(float low, float high) {
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
  }
#else
  __device__ __forceinline__ static uint32_t narrowToFloat16Pair(float low, float high) {
    uint16_t patterns[2];
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(patterns[0]) : "f"(low));
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(patterns[1]) : "f"(high));
    return patterns[0] | uint32_t{patterns[1]} << 16;
  }
  __device__ __forceinline__ static uint32_t narrowToBFloat16Pair(float low, float high) {
    return bfloat16Pair(__float_as_uint(low), __float_as_uint(high));
  }
#endif

  __device__ __forceinline__ static int countOnes(uint32_t word) { return __popc(word); }

 private:
  static constexpr uint32_t kAll = 0xFFFF'FFFF;

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
