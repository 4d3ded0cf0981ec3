// SPDX-License-Identifier: Apache-2.0
// The signs of the elements that one lane holds, for each format: 16 bytes at a time, or one element.
//
// A `SignGatherer` takes the 16 bytes of row after row and gives 32 bits: those of row r are bits r * E to r * E + E -
// 1, the first element lowest.
#ifndef SIGNCCL_KERNELS_LANES_LANE_SIGNS_H_
#define SIGNCCL_KERNELS_LANES_LANE_SIGNS_H_

#include <type_traits>

#include "kernels/formats.h"
#include "kernels/lanes/group.h"

namespace signccl::lanes {

/// The test of formats.h for one element.
template <typename B>
SIGNCCL_WORD_OP bool isBelow(B element, B add, B limit) {
  using Signed = std::make_signed_t<B>;
  return static_cast<Signed>(static_cast<B>(element + add)) < static_cast<Signed>(limit);
}

template <typename Format>
SIGNCCL_WORD_OP bool isNegative(typename Format::Bits element) {
  return isBelow<typename Format::Bits>(element, Format::kNegative.add, Format::kNegative.limit);
}

template <typename Format>
SIGNCCL_WORD_OP bool isPositive(typename Format::Bits element) {
  return isBelow<typename Format::Bits>(element, Format::kPositive.add, Format::kPositive.limit);
}

/// Elements of 4 or 8 bytes: one test for each.
template <typename Format, size_t kBytes = sizeof(typename Format::Bits)>
struct SignGatherer {
  static constexpr int kItemBits = 16 / static_cast<int>(kBytes);
  static constexpr auto kInfinity = Format::kNegative.limit & ~Format::kSignBit;
  uint32_t negative = 0;
  uint32_t positive = 0;

  template <bool kTernary>
  SIGNCCL_WORD_OP void add(const Quad& quad, int row) {
    using Bits = typename Format::Bits;
    SIGNCCL_UNROLL
    for (int k = 0; k < kItemBits; ++k) {
      Bits element;
      if constexpr (kBytes == 8) {
        const auto lower = static_cast<size_t>(2 * k);
        element = static_cast<Bits>(quad.words[lower + 1]) << 32 | quad.words[lower];
      } else {
        element = quad.words[k];
      }
      const uint32_t bit = uint32_t{1} << (row * kItemBits + k);
      if (isNegative<Format>(element)) negative |= bit;
      // The test of formats.h for positive elements needs another sum.
      if (kTernary && static_cast<Bits>(element + Format::kNegative.add) < kInfinity) positive |= bit;
    }
  }

  template <bool kTernary>
  SIGNCCL_WORD_OP void finish() {}
};

/// Elements of 2 bytes: two in one register. With m the magnitude of each, m + 0x7FFF has bit 15 set where m is not 0,
/// and 0x8000 + infinity - m where m is no NaN; neither carries into the other half.
template <typename Format>
struct SignGatherer<Format, 2> {
  static constexpr int kItemBits = 8;
  uint32_t negative = 0;
  uint32_t positive = 0;

  template <bool kTernary>
  SIGNCCL_WORD_OP void add(const Quad& quad, int row) {
    constexpr uint32_t kInfinity = Format::kNegative.limit & 0x7FFF;
    SIGNCCL_UNROLL
    for (int k = 0; k < 4; ++k) {
      const uint32_t pair = quad.words[k];
      const uint32_t magnitudes = pair & 0x7FFF'7FFF;
      const uint32_t counted = (magnitudes + 0x7FFF'7FFF) & ((0x8000 + kInfinity) * 0x1'0001 - magnitudes);
      const int place = row % 2 * 8 + 2 * k;
      if constexpr (kTernary) {
        counted_[row / 2] |= (counted & 0x8000'8000) >> (15 - place);
        signs_[row / 2] |= (pair & 0x8000'8000) >> (15 - place);
      } else {
        signs_[row / 2] |= (counted & pair & 0x8000'8000) >> (15 - place);
      }
    }
  }

  template <bool kTernary>
  SIGNCCL_WORD_OP void finish() {
    const uint32_t signs = broughtTogether(signs_[0]) | broughtTogether(signs_[1]) << 16;
    if constexpr (kTernary) {
      const uint32_t counted = broughtTogether(counted_[0]) | broughtTogether(counted_[1]) << 16;
      negative = counted & signs;
      positive = counted & ~signs;
    } else {
      negative = signs;
    }
  }

 private:
  /// Bits of neighbours are 16 apart in words of their own for the first two rows and for the last two: bits 2 k and
  /// 16 + 2 k become bits 2 k and 2 k + 1.
  SIGNCCL_WORD_OP static uint32_t broughtTogether(uint32_t bits) { return (bits | bits >> 15) & 0xFFFF; }

  uint32_t counted_[2] = {};
  uint32_t signs_[2] = {};
};

/// Bytes: four in one register. The product moves the highest bits of the bytes side by side into the top four bits; no
/// two of its terms meet.
template <typename Format>
struct SignGatherer<Format, 1> {
  static constexpr int kItemBits = 16;
  uint32_t negative = 0;
  uint32_t positive = 0;

  SIGNCCL_WORD_OP static uint32_t topBits(uint32_t bytes) { return ((bytes & 0x8080'8080) * 0x0020'4081) >> 28; }

  template <bool kTernary>
  SIGNCCL_WORD_OP void add(const Quad& quad, int row) {
    SIGNCCL_UNROLL
    for (int k = 0; k < 4; ++k) {
      const uint32_t bytes = quad.words[k];
      const int place = row * kItemBits + 4 * k;
      negative |= topBits(bytes) << place;
      if constexpr (kTernary) positive |= topBits(~bytes & ((bytes & 0x7F7F'7F7F) + 0x7F7F'7F7F)) << place;
    }
  }

  template <bool kTernary>
  SIGNCCL_WORD_OP void finish() {}
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LANE_SIGNS_H_
