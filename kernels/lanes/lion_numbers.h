// SPDX-License-Identifier: Apache-2.0
// The numbers of a Lion step as a lane holds them: words of one or two numbers, widened to float32, and rounded on the
// way back as lion.h says.
#ifndef SIGNCCL_KERNELS_LANES_LION_NUMBERS_H_
#define SIGNCCL_KERNELS_LANES_LION_NUMBERS_H_

#include "kernels/lanes/group.h"
#include "kernels/lion.h"

namespace signccl::lanes {

SIGNCCL_WORD_OP float floatOf(uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, sizeof(x));
  return x;
}

SIGNCCL_WORD_OP uint32_t bitsOf(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  return bits;
}

/// A float32 whose operators are those of the group, for the formulas of lion_ops.h.
template <typename G>
struct LaneFloat {
  float x;
  SIGNCCL_WORD_OP friend LaneFloat operator+(LaneFloat a, LaneFloat b) { return {G::add(a.x, b.x)}; }
  SIGNCCL_WORD_OP friend LaneFloat operator-(LaneFloat a, LaneFloat b) { return {G::subtract(a.x, b.x)}; }
  SIGNCCL_WORD_OP friend LaneFloat operator*(LaneFloat a, LaneFloat b) { return {G::multiply(a.x, b.x)}; }
};

/// Float32: a word is a number.
struct WideNumbers {
  using Bits = uint32_t;
  static constexpr int kInWord = 1;

  /// Number k in the words of a Quad or Duo.
  SIGNCCL_WORD_OP static uint32_t get(const uint32_t* words, int k) { return words[k]; }

  template <typename G>
  SIGNCCL_WORD_OP static float widen(uint32_t pattern) {
    return floatOf(pattern);
  }
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrow(float x) {
    return G::pattern(x);
  }
  /// The word of kInWord numbers.
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrowWord(const float* x) {
    return narrow<G>(x[0]);
  }
};

/// A type of 16 bits: a word is two numbers. `Format` has widen<G>(pattern) and narrowPair<G>(low, high).
template <typename Format>
struct NarrowNumbers {
  using Bits = uint16_t;
  static constexpr int kInWord = 2;

  SIGNCCL_WORD_OP static uint32_t get(const uint32_t* words, int k) { return words[k / 2] >> (16 * (k % 2)) & 0xFFFF; }

  template <typename G>
  SIGNCCL_WORD_OP static float widen(uint32_t pattern) {
    return Format::template widen<G>(pattern);
  }
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrow(float x) {
    return Format::template narrowPair<G>(x, 0) & 0xFFFF;
  }
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrowWord(const float* x) {
    return Format::template narrowPair<G>(x[0], x[1]);
  }
};

struct Float16Numbers {
  template <typename G>
  SIGNCCL_WORD_OP static float widen(uint32_t pattern) {
    return G::widenFloat16(static_cast<uint16_t>(pattern));
  }
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrowPair(float low, float high) {
    return G::narrowToFloat16Pair(low, high);
  }
};

struct BFloat16Numbers {
  template <typename G>
  SIGNCCL_WORD_OP static float widen(uint32_t pattern) {
    return floatOf(pattern << 16);
  }
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrowPair(float low, float high) {
    return G::narrowToBFloat16Pair(low, high);
  }
};

template <FloatType kType>
struct NumbersOf;
template <>
struct NumbersOf<FloatType::kFloat32> : WideNumbers {};
template <>
struct NumbersOf<FloatType::kFloat16> : NarrowNumbers<Float16Numbers> {};
template <>
struct NumbersOf<FloatType::kBFloat16> : NarrowNumbers<BFloat16Numbers> {};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LION_NUMBERS_H_
