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

/// The pattern that a number has in its type, or that of the quiet NaN if the number is none.
SIGNCCL_WORD_OP uint32_t orNan(float x, uint32_t pattern, uint32_t nan) { return x != x ? nan : pattern; }

/// Four float32: 16 bytes.
struct FourWide {
  using Bits = uint32_t;
  using Four = Quad;
  SIGNCCL_WORD_OP static uint32_t get(const Quad& four, int k) { return four.words[k]; }
  SIGNCCL_WORD_OP static void set(Quad& four, int k, uint32_t pattern) { four.words[k] = pattern; }
};

/// Four numbers of 16 bits: 8 bytes. They are set in order.
struct FourNarrow {
  using Bits = uint16_t;
  using Four = Duo;
  SIGNCCL_WORD_OP static uint32_t get(const Duo& four, int k) { return four.words[k / 2] >> (16 * (k % 2)) & 0xFFFF; }
  SIGNCCL_WORD_OP static void set(Duo& four, int k, uint32_t pattern) {
    four.words[k / 2] = k % 2 == 0 ? pattern : four.words[k / 2] | pattern << 16;
  }
};

/// A type of numbers: widen(pattern) is exact, narrow(x) rounds to nearest, ties to even.
template <FloatType kType>
struct Numbers;

template <>
struct Numbers<FloatType::kFloat32> : FourWide {
  template <typename G>
  SIGNCCL_WORD_OP static float widen(uint32_t pattern) {
    return floatOf(pattern);
  }
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrow(float x) {
    return orNan(x, bitsOf(x), 0x7FC0'0000);
  }
};

template <>
struct Numbers<FloatType::kFloat16> : FourNarrow {
  template <typename G>
  SIGNCCL_WORD_OP static float widen(uint32_t pattern) {
    return G::widenFloat16(static_cast<uint16_t>(pattern));
  }
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrow(float x) {
    return orNan(x, G::narrowToFloat16(x), 0x7E00);
  }
};

template <>
struct Numbers<FloatType::kBFloat16> : FourNarrow {
  template <typename G>
  SIGNCCL_WORD_OP static float widen(uint32_t pattern) {
    return floatOf(pattern << 16);
  }
  /// Integers round as the instruction of newer GPUs does, and on all.
  template <typename G>
  SIGNCCL_WORD_OP static uint32_t narrow(float x) {
    const uint32_t bits = bitsOf(x);
    return orNan(x, (bits + 0x7FFF + (bits >> 16 & 1)) >> 16, 0x7FC0);
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LION_NUMBERS_H_
