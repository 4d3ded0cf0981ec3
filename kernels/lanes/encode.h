// SPDX-License-Identifier: Apache-2.0
// Elements -> sign words; Kernels::encodeBinary() and encodeTernary().
#ifndef SIGNCCL_KERNELS_LANES_ENCODE_H_
#define SIGNCCL_KERNELS_LANES_ENCODE_H_

#include "kernels/device/arguments.h"
#include "kernels/lanes/lane_signs.h"
#include "kernels/lanes/shifted_tiles.h"
#include "kernels/lanes/tiles.h"

namespace signccl::lanes {

/// Stores the sign words of `lane`: word `word` of the tile that begins at `begin`, of whose elements `counted` are
/// there.
template <typename G, bool kTernary>
SIGNCCL_WORD_OP void storeSigns(const EncodeArguments& arguments, size_t word, uint32_t negative, uint32_t positive,
                                uint32_t counted) {
  G::store(halves(arguments.nonnegative) + word, ~negative & counted);
  if constexpr (kTernary) G::store(halves(arguments.positive) + word, positive & counted);
}

template <typename Format, bool kTernary>
struct EncodeBody {
  using Bits = typename Format::Bits;

  template <typename G>
  SIGNCCL_WORD_OP static void run(const EncodeArguments& arguments, WarpIndex warp) {
    const EarlyQuads early = earlyQuads<Bits>(arguments.elements);
    forEachEncodedTile(
        warp, early.nbefore, arguments.count,
        [&](size_t tile) { storeWords<G>(arguments, tile, signsOf<G>(early.quads, tile)); },
        [&](size_t tile) { shiftedTile<G>(arguments, early, tile); },
        [&](size_t tile) { anyTile<G>(arguments, tile); });
  }

 private:
  static constexpr int kItemBits = SignGatherer<Format>::kItemBits;

  /// A sign word of every lane: that of wordOfLane().
  template <typename G>
  struct Words {
    typename G::template PerLane<uint32_t> negative;
    typename G::template PerLane<uint32_t> positive;
  };

  /// Those of the elements in the 16 bytes of a whole tile. `elements`: the 16 bytes of tile 0.
  template <typename G>
  SIGNCCL_WORD_OP static Words<G> signsOf(const Quad* elements, size_t tile) {
    constexpr int kRows = 32 / kItemBits;
    const Quad* quads = elements + tile * beginOfRow(kRows);
    Words<G> words;
    G::each([&](int lane) {
      SignGatherer<Format> signs;
      const Quad* lane_quads = quads + lane;
      SIGNCCL_UNROLL
      for (int row = 0; row < kRows; ++row) {
        signs.template add<kTernary>(G::loadOnce(lane_quads + beginOfRow(row)), row);
      }
      signs.template finish<kTernary>();
      words.negative[lane] = signs.negative;
      words.positive[lane] = signs.positive;
    });
    transposeItems<G, kItemBits>(words.negative);
    if constexpr (kTernary) transposeItems<G, kItemBits>(words.positive);
    return words;
  }

  template <typename G>
  SIGNCCL_WORD_OP static void storeWords(const EncodeArguments& arguments, size_t tile, const Words<G>& words) {
    G::each([&](int lane) {
      const size_t word = tile * kLanes + static_cast<size_t>(wordOfLane<kItemBits>(lane));
      storeSigns<G, kTernary>(arguments, word, words.negative[lane], words.positive[lane], ~uint32_t{0});
    });
  }

  /// A whole tile, not the first one, of a buffer that is aligned to its elements only. Its 16 bytes begin with
  /// `nbefore` elements of the tile before; as many of its own are behind them, and a lane reads one of those.
  template <typename G>
  SIGNCCL_WORD_OP static void shiftedTile(const EncodeArguments& arguments, EarlyQuads early, size_t tile) {
    const auto* last = static_cast<const Bits*>(arguments.elements) + ((tile + 1) * kTileElements - early.nbefore);
    typename G::template PerLane<bool> is_negative;
    typename G::template PerLane<bool> is_positive;
    G::each([&](int lane) {
      const Bits element = static_cast<uint32_t>(lane) < early.nbefore ? G::loadOnce(last + lane) : Bits{0};
      is_negative[lane] = isNegative<Format>(element);
      is_positive[lane] = kTernary && isPositive<Format>(element);
    });
    Words<G> words = signsOf<G>(early.quads, tile);
    shiftWords<G, kItemBits>(words.negative, early.nbefore, G::ballot(is_negative));
    if constexpr (kTernary) shiftWords<G, kItemBits>(words.positive, early.nbefore, G::ballot(is_positive));
    storeWords<G>(arguments, tile, words);
  }

  /// Elements one by one: the last tile, and the first one of a buffer that is aligned to its elements only.
  template <typename G>
  SIGNCCL_WORD_OP static void anyTile(const EncodeArguments& arguments, size_t tile) {
    const auto* elements = static_cast<const Bits*>(arguments.elements) + tile * kTileElements;
    const uint32_t count = elementsOfTile(tile, arguments.count);
    typename G::template PerLane<uint32_t> negative;
    typename G::template PerLane<uint32_t> positive;
    SIGNCCL_UNROLL_8
    for (int row = 0; row < 32; ++row) {
      typename G::template PerLane<bool> is_negative;
      typename G::template PerLane<bool> is_positive;
      G::each([&](int lane) {
        const auto e = static_cast<uint32_t>(row * kLanes + lane);
        const Bits element = e < count ? G::loadOnce(elements + e) : Bits{0};
        is_negative[lane] = isNegative<Format>(element);
        is_positive[lane] = kTernary && isPositive<Format>(element);
      });
      const uint32_t row_negative = G::ballot(is_negative);
      const uint32_t row_positive = kTernary ? G::ballot(is_positive) : 0;
      G::each([&](int lane) {
        if (lane != row) return;
        negative[lane] = row_negative;
        positive[lane] = row_positive;
      });
    }
    G::each([&](int lane) {
      const uint32_t first = static_cast<uint32_t>(lane) * 32;
      if (first >= wordsFor(count) * kWordBits) return;
      const uint32_t counted = first < count ? lowMask(count - first) : 0;
      storeSigns<G, kTernary>(arguments, tile * kLanes + static_cast<size_t>(lane), negative[lane], positive[lane],
                              counted);
    });
  }
};

/// Packed signs are copied, with the padding cleared, a word by each lane.
template <bool kTernary>
struct EncodeBitsBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const EncodeArguments& arguments, WarpIndex warp) {
    const auto* from = static_cast<const Duo*>(arguments.elements);
    auto* nonnegative = reinterpret_cast<Duo*>(arguments.nonnegative);
    auto* positive = reinterpret_cast<Duo*>(arguments.positive);
    const size_t nwords = wordsFor(arguments.count);
    forEachTile(warp, 0, (nwords + kLanes - 1) / kLanes, [&](size_t tile) {
      G::each([&](int lane) {
        const size_t word = tile * kLanes + static_cast<size_t>(lane);
        if (word >= nwords) return;
        Duo signs = G::loadOnce(from + word);
        const size_t left = arguments.count - word * kWordBits;
        signs.words[0] &= lowMask(left);
        signs.words[1] &= left > 32 ? lowMask(left - 32) : 0;
        G::store(nonnegative + word, signs);
        if constexpr (kTernary) G::store(positive + word, signs);
      });
    });
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_ENCODE_H_
