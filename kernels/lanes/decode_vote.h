// SPDX-License-Identifier: Apache-2.0
// Vote planes -> elements; Kernels::decodeVote().
#ifndef SIGNCCL_KERNELS_LANES_DECODE_VOTE_H_
#define SIGNCCL_KERNELS_LANES_DECODE_VOTE_H_

#include "kernels/device/arguments.h"
#include "kernels/lanes/lane_votes.h"
#include "kernels/lanes/shifted_tiles.h"
#include "kernels/lanes/tiles.h"

namespace signccl::lanes {

template <typename Format, bool kZeros>
struct DecodeVoteBody {
  using Bits = typename Format::Bits;

  template <typename G>
  SIGNCCL_WORD_OP static void run(const DecodeVoteArguments& arguments, WarpIndex warp) {
    if (hasFailed<G>(arguments.status)) return;
    const Cut cut = cutAtQuads<Bits>(arguments.elements, arguments.count);
    forEachDecodedTile<Bits>(
        warp, cut, arguments.elements, arguments.count,
        [&](auto plane, Quad* quads, size_t tile) { wholeTile<G>(arguments, plane, quads, tile); },
        [&](size_t begin, size_t end) { anyElements<G>(arguments, begin, end); });
  }

 private:
  /// `elements`: those of tile 0.
  template <typename G, typename Plane>
  SIGNCCL_WORD_OP static void wholeTile(const DecodeVoteArguments& arguments, Plane plane, Quad* elements,
                                        size_t tile) {
    using Votes = LaneVotes<Format, kZeros>;
    constexpr int kRows = 32 / Votes::kItemBits;
    typename G::template PerLane<uint32_t> positive;
    typename G::template PerLane<uint32_t> nonnegative;
    G::each([&](int lane) {
      const size_t word = tile * kLanes + static_cast<size_t>(wordOfLane<Votes::kItemBits>(lane));
      positive[lane] = plane.template load<G>(halves(arguments.positive) + word);
      nonnegative[lane] = kZeros ? plane.template load<G>(halves(arguments.nonnegative) + word) : 0;
    });
    transposeItems<G, Votes::kItemBits>(positive);
    if constexpr (kZeros) transposeItems<G, Votes::kItemBits>(nonnegative);
    Quad* quads = elements + tile * beginOfRow(kRows);
    G::each([&](int lane) {
      const Votes votes(positive[lane], nonnegative[lane]);
      Quad* lane_quads = quads + lane;
      SIGNCCL_UNROLL
      for (int row = 0; row < kRows; ++row) G::storeOnce(lane_quads + beginOfRow(row), votes.template row<G>(row));
    });
  }

  /// Elements one by one, those before the first whole tile or behind the last one.
  template <typename G>
  SIGNCCL_WORD_OP static void anyElements(const DecodeVoteArguments& arguments, size_t begin, size_t end) {
    auto* elements = static_cast<Bits*>(arguments.elements);
    const uint32_t* positive = halves(arguments.positive);
    const uint32_t* nonnegative = kZeros ? halves(arguments.nonnegative) : nullptr;
    forEachElement<G>(begin, end, [&](size_t row, int lane) {
      const bool is_positive = (G::load(positive + row) >> lane & 1) != 0;
      const bool is_nonnegative = kZeros && (G::load(nonnegative + row) >> lane & 1) != 0;
      G::storeOnce(elements + row * 32 + lane, voteElement<Format>(is_positive, is_nonnegative));
    });
  }
};

/// Packed signs are copied, with the padding cleared, 32 bits by each lane.
struct DecodeBitsBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const DecodeVoteArguments& arguments, WarpIndex warp) {
    if (hasFailed<G>(arguments.status)) return;
    auto* to = static_cast<Duo*>(arguments.elements);
    const auto* positive = reinterpret_cast<const Duo*>(arguments.positive);
    const size_t nwords = wordsFor(arguments.count);
    forEachTile(warp, 0, (nwords + kLanes - 1) / kLanes, [&](size_t tile) {
      G::each([&](int lane) {
        const size_t word = tile * kLanes + static_cast<size_t>(lane);
        if (word >= nwords) return;
        Duo signs = G::load(positive + word);
        const size_t left = arguments.count - word * kWordBits;
        signs.words[0] &= lowMask(left);
        signs.words[1] &= left > 32 ? lowMask(left - 32) : 0;
        G::storeOnce(to + word, signs);
      });
    });
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_DECODE_VOTE_H_
