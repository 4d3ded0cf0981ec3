// SPDX-License-Identifier: Apache-2.0
// 64-bit Arm Advanced SIMD: 128-bit words. Stores never go past the cache, which the contract of decode* allows.
#include <arm_neon.h>

#include "kernels/cpu/neon_floats.h"
#include "kernels/instances.h"
#include "kernels/kernels_impl.h"

namespace signccl {
namespace {

struct NeonWord {
  static constexpr size_t kWords = 2;
  uint64x2_t v;

  SIGNCCL_WORD_OP static NeonWord load(const Word* words, AllLanes) { return {vld1q_u64(words)}; }
  SIGNCCL_WORD_OP static NeonWord load(const Word* words, FirstLanes) {
    return {vcombine_u64(vld1_u64(words), vdup_n_u64(0))};  // fewer than two words, so one
  }
  SIGNCCL_WORD_OP void store(Word* words, AllLanes) const { vst1q_u64(words, v); }
  SIGNCCL_WORD_OP void store(Word* words, FirstLanes) const { vst1_u64(words, vget_low_u64(v)); }
  SIGNCCL_WORD_OP static NeonWord fill(Word word) { return {vdupq_n_u64(word)}; }

  SIGNCCL_WORD_OP friend NeonWord operator&(NeonWord a, NeonWord b) { return {vandq_u64(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend NeonWord operator|(NeonWord a, NeonWord b) { return {vorrq_u64(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend NeonWord operator^(NeonWord a, NeonWord b) { return {veorq_u64(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend NeonWord operator~(NeonWord a) { return a ^ fill(~Word{0}); }
  SIGNCCL_WORD_OP friend NeonWord andNot(NeonWord a, NeonWord b) { return {vbicq_u64(a.v, b.v)}; }
  SIGNCCL_WORD_OP static NeonWord sequence(uint64_t zeroth, uint64_t step, uint64_t first) {
    return {vaddq_u64(vdupq_n_u64(zeroth), vcombine_u64(vcreate_u64(first * step), vcreate_u64((first + 1) * step)))};
  }
  SIGNCCL_WORD_OP friend NeonWord operator+(NeonWord a, NeonWord b) { return {vaddq_u64(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend NeonWord swapHalves(NeonWord a) {
    return {vreinterpretq_u64_u32(vrev64q_u32(vreinterpretq_u32_u64(a.v)))};
  }
  SIGNCCL_WORD_OP friend NeonWord multiplyLow(NeonWord a, NeonWord b) {
    return {vmull_u32(vmovn_u64(a.v), vmovn_u64(b.v))};
  }
  /// The carry is c where a and b differ, else b.
  SIGNCCL_WORD_OP friend void fullAdd(NeonWord a, NeonWord b, NeonWord c, NeonWord& sum, NeonWord& carry) {
    const uint64x2_t either = veorq_u64(a.v, b.v);
    sum.v = veorq_u64(either, c.v);
    carry.v = vbslq_u64(either, c.v, b.v);
  }
};

/// sign test of 16 elements, all ones or all zeros in byte i for element i. Wider elements keep the low byte of each
/// mask.
SIGNCCL_WORD_OP uint8x16_t test16(const unsigned char* elements, SignTest<uint8_t> test) {
  const int8x16_t shifted = vreinterpretq_s8_u8(vaddq_u8(vld1q_u8(elements), vdupq_n_u8(test.add)));
  return vcltq_s8(shifted, vreinterpretq_s8_u8(vdupq_n_u8(test.limit)));
}

SIGNCCL_WORD_OP uint8x16_t test8(const unsigned char* elements, SignTest<uint16_t> test) {
  const uint16x8_t v = vreinterpretq_u16_u8(vld1q_u8(elements));
  const int16x8_t shifted = vreinterpretq_s16_u16(vaddq_u16(v, vdupq_n_u16(test.add)));
  return vreinterpretq_u8_u16(vcltq_s16(shifted, vreinterpretq_s16_u16(vdupq_n_u16(test.limit))));
}
SIGNCCL_WORD_OP uint8x16_t test16(const unsigned char* elements, SignTest<uint16_t> test) {
  return vuzp1q_u8(test8(elements, test), test8(elements + 16, test));
}

SIGNCCL_WORD_OP uint16x8_t test4(const unsigned char* elements, SignTest<uint32_t> test) {
  const uint32x4_t v = vreinterpretq_u32_u8(vld1q_u8(elements));
  const int32x4_t shifted = vreinterpretq_s32_u32(vaddq_u32(v, vdupq_n_u32(test.add)));
  return vreinterpretq_u16_u32(vcltq_s32(shifted, vreinterpretq_s32_u32(vdupq_n_u32(test.limit))));
}
SIGNCCL_WORD_OP uint8x16_t test8(const unsigned char* elements, SignTest<uint32_t> test) {
  return vreinterpretq_u8_u16(vuzp1q_u16(test4(elements, test), test4(elements + 16, test)));
}
SIGNCCL_WORD_OP uint8x16_t test16(const unsigned char* elements, SignTest<uint32_t> test) {
  return vuzp1q_u8(test8(elements, test), test8(elements + 32, test));
}

SIGNCCL_WORD_OP uint32x4_t test2(const unsigned char* elements, SignTest<uint64_t> test) {
  const uint64x2_t v = vreinterpretq_u64_u8(vld1q_u8(elements));
  const int64x2_t shifted = vreinterpretq_s64_u64(vaddq_u64(v, vdupq_n_u64(test.add)));
  return vreinterpretq_u32_u64(vcltq_s64(shifted, vreinterpretq_s64_u64(vdupq_n_u64(test.limit))));
}
SIGNCCL_WORD_OP uint16x8_t test4(const unsigned char* elements, SignTest<uint64_t> test) {
  return vreinterpretq_u16_u32(vuzp1q_u32(test2(elements, test), test2(elements + 16, test)));
}
SIGNCCL_WORD_OP uint8x16_t test8(const unsigned char* elements, SignTest<uint64_t> test) {
  return vreinterpretq_u8_u16(vuzp1q_u16(test4(elements, test), test4(elements + 32, test)));
}
SIGNCCL_WORD_OP uint8x16_t test16(const unsigned char* elements, SignTest<uint64_t> test) {
  return vuzp1q_u8(test8(elements, test), test8(elements + 64, test));
}

/// 1, 2, 4 ... 128, twice.
SIGNCCL_WORD_OP uint8x16_t bitOfByte() { return vreinterpretq_u8_u64(vdupq_n_u64(0x8040'2010'0804'0201)); }

/// All ones in byte i if bit i of `mask` is set.
SIGNCCL_WORD_OP uint8x16_t spread16(Word mask) {
  const uint8x8_t low = vdup_n_u8(static_cast<uint8_t>(mask));
  const uint8x8_t high = vdup_n_u8(static_cast<uint8_t>(mask >> 8));
  return vtstq_u8(vcombine_u8(low, high), bitOfByte());
}

/// Bytes -> masks of wider elements, by doubling bytes: `k` is the number of a 16-byte vector of elements.
SIGNCCL_WORD_OP uint8x16_t widenMask(uint8x16_t mask, size_t element_bytes, size_t k) {
  for (size_t bytes = element_bytes; bytes > 1; bytes /= 2) {
    const bool upper = (k & (bytes / 2)) != 0;
    mask = upper ? vzip2q_u8(mask, mask) : vzip1q_u8(mask, mask);
  }
  return mask;
}

SIGNCCL_WORD_OP uint8x16_t fill(uint8_t x) { return vdupq_n_u8(x); }
SIGNCCL_WORD_OP uint8x16_t fill(uint16_t x) { return vreinterpretq_u8_u16(vdupq_n_u16(x)); }
SIGNCCL_WORD_OP uint8x16_t fill(uint32_t x) { return vreinterpretq_u8_u32(vdupq_n_u32(x)); }
SIGNCCL_WORD_OP uint8x16_t fill(uint64_t x) { return vreinterpretq_u8_u64(vdupq_n_u64(x)); }

/// Byte i = the number whose bit j is bit e + i of words[j].
SIGNCCL_WORD_OP uint8x16_t pack16(const Word* words, int nplanes, size_t e) {
  uint8x16_t numbers = vdupq_n_u8(0);
  uint8x16_t weight = vdupq_n_u8(1);
  for (int j = 0; j < nplanes; ++j) {
    numbers = vorrq_u8(numbers, vandq_u8(spread16(words[j] >> e), weight));
    weight = vaddq_u8(weight, weight);
  }
  return numbers;
}

/// Looks up bytes, 16 elements at a time: byte b of every entry has a table of its own, and an interleaving store puts
/// the bytes of an element side by side.
template <typename Bits>
class LookupTable {
 public:
  static constexpr int kBytes = sizeof(Bits);
  static constexpr int kMaxPlanes = kBytes <= 4 ? 6 : -1;

  LookupTable(const void* table, int nplanes) {
    const auto* bytes = static_cast<const unsigned char*>(table);
    for (size_t i = 0; i < size_t{kBytes} << nplanes; ++i) entries_[i % kBytes][i / kBytes] = bytes[i];
  }

  template <bool kStream>
  SIGNCCL_WORD_OP void lookup(const Word* words, int nplanes, unsigned char* out) const {
    for (size_t e = 0; e < kWordBits; e += 16) {
      const uint8x16_t indices = pack16(words, nplanes, e);
      unsigned char* to = out + e * kBytes;
      if constexpr (kBytes == 1) {
        vst1q_u8(to, select(0, nplanes, indices));
      } else if constexpr (kBytes == 2) {
        vst2q_u8(to, {{select(0, nplanes, indices), select(1, nplanes, indices)}});
      } else {
        vst4q_u8(to, {{select(0, nplanes, indices), select(1, nplanes, indices), select(2, nplanes, indices),
                       select(3, nplanes, indices)}});
      }
    }
  }

 private:
  SIGNCCL_WORD_OP uint8x16_t select(int b, int nplanes, uint8x16_t indices) const {
    if (nplanes <= 4) return vqtbl1q_u8(vld1q_u8(entries_[b]), indices);
    const uint8x16x4_t entries = {
        {vld1q_u8(entries_[b]), vld1q_u8(entries_[b] + 16), vld1q_u8(entries_[b] + 32), vld1q_u8(entries_[b] + 48)}};
    return vqtbl4q_u8(entries, indices);
  }

  alignas(64) uint8_t entries_[kBytes][64] = {};
};

struct Neon {
  using Vec = NeonWord;
  using Floats = NeonFloats;
  static constexpr size_t kOutputAlignment = 16;
  static constexpr bool kCanStream = false;
  static void fence() {}

  template <typename Bits>
  SIGNCCL_WORD_OP static Word test(const unsigned char* elements, SignTest<Bits> test) {
    const uint8x16_t bit = bitOfByte();
    uint8x16_t bits[4];
    for (size_t k = 0; k < 4; ++k) bits[k] = vandq_u8(test16(elements + 16 * k * sizeof(Bits), test), bit);
    // Three sums of neighbours bring the eight bits of each byte of the result together.
    const uint8x16_t quarters = vpaddq_u8(vpaddq_u8(bits[0], bits[1]), vpaddq_u8(bits[2], bits[3]));
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(quarters, quarters)), 0);
  }

  template <typename Bits>
  SIGNCCL_WORD_OP static Word testFirst(const unsigned char* elements, size_t count, SignTest<Bits> test) {
    return testCopy<Neon>(elements, count, test);
  }

  template <bool kZeros, bool kStream, typename Bits>
  SIGNCCL_WORD_OP static void expand(Word plus, Word zero, SignValues<Bits> signs, unsigned char* out) {
    const uint8x16_t minus_one = fill(signs.minus);
    const uint8x16_t difference = fill(static_cast<Bits>(signs.plus ^ signs.minus));
    for (size_t e = 0; e < kWordBits; e += 16) {
      const uint8x16_t is_plus = spread16(plus >> e);
      for (size_t k = 0; k < sizeof(Bits); ++k) {
        uint8x16_t v = veorq_u8(minus_one, vandq_u8(widenMask(is_plus, sizeof(Bits), k), difference));
        if constexpr (kZeros) v = vbicq_u8(v, widenMask(spread16(zero >> e), sizeof(Bits), k));
        vst1q_u8(out + e * sizeof(Bits) + 16 * k, v);
      }
    }
  }

  template <typename Bits>
  using Table = LookupTable<Bits>;

  SIGNCCL_WORD_OP static void packBytes(const Word* words, int nplanes, uint8_t* bytes) {
    for (size_t e = 0; e < kWordBits; e += 16) vst1q_u8(bytes + e, pack16(words, nplanes, e));
  }

  template <bool kStream, size_t kBytes>
  SIGNCCL_WORD_OP static void copyBlock(const unsigned char* from, unsigned char* out) {
    __builtin_memcpy(out, from, kBytes);
  }
};

}  // namespace

constinit const Kernels kNeonKernels = makeKernels<Neon>("neon", everySupported);

}  // namespace signccl
