// SPDX-License-Identifier: Apache-2.0
// The numbers of a Lion step as a lane holds them: four of a type in a row, widened to float32, and rounded on the way
// back as lion.h says.
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

/// Four numbers in each of some rows, before they are rounded to their type.
template <int kRows>
struct Rows {
  float numbers[kRows][4];
};

/// Float32: four are 16 bytes.
struct WideNumbers {
  using Bits = uint32_t;
  using Four = Quad;

  SIGNCCL_WORD_OP static uint32_t get(const Quad& four, int k) { return four.words[k]; }

  template <typename G>
  SIGNCCL_WORD_OP static float widen(uint32_t pattern) {
    return floatOf(pattern);
  }
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrow(float x) {
    return G::pattern(x);
  }
  template <typename G, int kRows>
  SIGNCCL_WORD_OP static void narrowRows(const Rows<kRows>& x, Quad* fours) {
    SIGNCCL_UNROLL
    for (int r = 0; r < kRows; ++r) {
      SIGNCCL_UNROLL
      for (int k = 0; k < 4; ++k) fours[r].words[k] = narrow<G>(x.numbers[r][k]);
    }
  }
};

/// A type of 16 bits: four are 8 bytes. `Format` has widen<G>(pattern) and narrowPair<G>(low, high).
template <typename Format>
struct NarrowNumbers {
  using Bits = uint16_t;
  using Four = Duo;

  SIGNCCL_WORD_OP static uint32_t get(const Duo& four, int k) { return four.words[k / 2] >> (16 * (k % 2)) & 0xFFFF; }

  template <typename G>
  SIGNCCL_WORD_OP static float widen(uint32_t pattern) {
    return Format::template widen<G>(pattern);
  }
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrow(float x) {
    return Format::template narrowPair<G>(x, 0) & 0xFFFF;
  }
  template <typename G, int kRows>
  SIGNCCL_WORD_OP static void narrowRows(const Rows<kRows>& x, Duo* fours) {
    SIGNCCL_UNROLL
    for (int r = 0; r < kRows; ++r) {
      fours[r].words[0] = Format::template narrowPair<G>(x.numbers[r][0], x.numbers[r][1]);
      fours[r].words[1] = Format::template narrowPair<G>(x.numbers[r][2], x.numbers[r][3]);
    }
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
