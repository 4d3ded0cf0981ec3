// SPDX-License-Identifier: Apache-2.0
// Are elements signs? What Kernels::encodeSumBinary() and encodeSumTernary() say of them, without encoding them.
//
// All that is looked for is whether any element is not -1 or +1. So a lane keeps two words of which any bit may be set,
// and whoever has met something stores the same value to the same place: no warp waits for another one, and no access
// is atomic.
#ifndef SIGNCCL_KERNELS_LANES_CHECK_SIGNS_H_
#define SIGNCCL_KERNELS_LANES_CHECK_SIGNS_H_

#include "kernels/device/arguments.h"
#include "kernels/formats.h"
#include "kernels/lanes/shifted_tiles.h"
#include "kernels/lanes/tiles.h"

namespace signccl::lanes {

/// What one lane has met: not 0 if there were zeros, and if there were other values that are no signs.
struct Met {
  uint32_t zeros = 0;
  uint32_t others = 0;
};

/// The low `kBits` bits of every `kWidth` bits of a word.
template <int kWidth>
SIGNCCL_WORD_OP constexpr uint32_t inEveryItem(uint32_t bits) {
  uint32_t word = 0;
  for (int item = 0; item < 32; item += kWidth) word |= bits << item;
  return word;
}

/// Looks at 16 bytes of elements of a format, or at one element.
template <typename Format, size_t kBytes = sizeof(typename Format::Bits)>
struct SignCheck;

template <typename Format>
struct SignCheck<Format, 4> {
  SIGNCCL_WORD_OP static void addOne(uint32_t element, Met& met) {
    const uint32_t differs = (element & 0x7FFF'FFFF) ^ Format::kSigns.plus;
    if (element == 0) {
      met.zeros = 1;
    } else {
      met.others |= differs;
    }
  }

  SIGNCCL_WORD_OP static void add(const Quad& quad, Met& met) {
    SIGNCCL_UNROLL
    for (int k = 0; k < 4; ++k) addOne(quad.words[k], met);
  }
};

template <typename Format>
struct SignCheck<Format, 8> {
  SIGNCCL_WORD_OP static void addHalves(uint32_t low, uint32_t high, Met& met) {
    const uint32_t differs = low | ((high & 0x7FFF'FFFF) ^ static_cast<uint32_t>(Format::kSigns.plus >> 32));
    if ((low | high) == 0) {
      met.zeros = 1;
    } else {
      met.others |= differs;
    }
  }

  SIGNCCL_WORD_OP static void addOne(uint64_t element, Met& met) {
    addHalves(static_cast<uint32_t>(element), static_cast<uint32_t>(element >> 32), met);
  }

  SIGNCCL_WORD_OP static void add(const Quad& quad, Met& met) {
    addHalves(quad.words[0], quad.words[1], met);
    addHalves(quad.words[2], quad.words[3], met);
  }
};

/// Two elements in one register. Adding 0x7FFF to the low 15 bits of each sets its bit 15 where they are not all 0, and
/// does not carry into the other half.
template <typename Format>
struct SignCheck<Format, 2> {
  SIGNCCL_WORD_OP static void addPair(uint32_t pair, Met& met) {
    const uint32_t magnitudes = pair & 0x7FFF'7FFF;
    const uint32_t not_zero = ((magnitudes + 0x7FFF'7FFF) | pair) & 0x8000'8000;
    const uint32_t differs = (magnitudes ^ inEveryItem<16>(Format::kSigns.plus)) + 0x7FFF'7FFF;
    met.zeros |= not_zero ^ 0x8000'8000;
    met.others |= differs & not_zero;
  }

  SIGNCCL_WORD_OP static void addOne(uint16_t element, Met& met) {
    addPair(element | uint32_t{Format::kSigns.plus} << 16, met);
  }

  SIGNCCL_WORD_OP static void add(const Quad& quad, Met& met) {
    SIGNCCL_UNROLL
    for (int k = 0; k < 4; ++k) addPair(quad.words[k], met);
  }
};

/// Four elements in one register. With the other bits of negative elements turned round, -1 is 0, and of those that are
/// not negative 0 and 1 stay, which have one bit at most.
template <typename Format>
struct SignCheck<Format, 1> {
  SIGNCCL_WORD_OP static void addFour(uint32_t bytes, Met& met) {
    const uint32_t tops = bytes & 0x8080'8080;
    const uint32_t turned = bytes ^ (tops - (tops >> 7));
    const uint32_t not_zero = ((bytes & 0x7F7F'7F7F) + 0x7F7F'7F7F) | bytes;
    met.zeros |= ~not_zero & 0x8080'8080;
    met.others |= turned & (0x7E7E'7E7E | tops >> 7);
  }

  SIGNCCL_WORD_OP static void addOne(uint8_t element, Met& met) { addFour(element | 0x0101'0100, met); }

  SIGNCCL_WORD_OP static void add(const Quad& quad, Met& met) {
    SIGNCCL_UNROLL
    for (int k = 0; k < 4; ++k) addFour(quad.words[k], met);
  }
};

template <typename Format>
struct CheckSignsBody {
  using Bits = typename Format::Bits;
  using Check = SignCheck<Format>;
  /// Of 16 bytes by every lane in a tile.
  static constexpr int kRows = static_cast<int>(2 * sizeof(Bits));

  template <typename G>
  SIGNCCL_WORD_OP static void run(const CheckSignsArguments& arguments, WarpIndex warp) {
    typename G::template PerLane<Met> met;
    G::each([&](int lane) { met[lane] = {}; });
    const auto* elements = static_cast<const Bits*>(arguments.elements);
    const Cut cut = cutAtQuads<Bits>(elements, arguments.count);
    forEachRest(warp, cut, arguments.count, [&](size_t begin, size_t end) {
      const auto count = static_cast<uint32_t>(end - begin);
      G::each([&](int lane) {
        SIGNCCL_UNROLL_8
        for (int row = 0; row < 32; ++row) {
          const auto e = static_cast<uint32_t>(row * kLanes + lane);
          Check::addOne(e < count ? G::loadOnce(elements + begin + e) : static_cast<Bits>(Format::kSigns.plus),
                        met[lane]);
        }
      });
    });
    forEachTile(warp, 0, cut.nwhole, [&](size_t tile) {
      const auto* quads = reinterpret_cast<const Quad*>(elements + cut.first) + tile * beginOfRow(kRows);
      G::each([&](int lane) {
        const Quad* lane_quads = quads + lane;
        SIGNCCL_UNROLL
        for (int row = 0; row < kRows; ++row) Check::add(G::loadOnce(lane_quads + beginOfRow(row)), met[lane]);
      });
    });
    G::each([&](int lane) {
      if (met[lane].zeros != 0) G::store(arguments.met, arguments.value);
      if (met[lane].others != 0) G::store(arguments.met + 1, arguments.value);
    });
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_CHECK_SIGNS_H_
