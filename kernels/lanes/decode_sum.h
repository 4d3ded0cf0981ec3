// SPDX-License-Identifier: Apache-2.0
// Counts -> sums of 8 bits; Kernels::decodeAvg() for int8. All sums are equally far apart, so that the first two
// entries of the table are enough, and two sums are computed at once, 16 bits apart in a register.
#ifndef SIGNCCL_KERNELS_LANES_DECODE_SUM_H_
#define SIGNCCL_KERNELS_LANES_DECODE_SUM_H_

#include "kernels/device/arguments.h"
#include "kernels/lanes/decode_avg.h"
#include "kernels/lanes/lane_counts.h"
#include "kernels/lanes/shifted_tiles.h"
#include "kernels/lanes/tiles.h"

namespace signccl::lanes {

/// Up to 8 planes.
struct DecodeSumBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const DecodeAvgArguments& arguments, WarpIndex warp) {
    if (hasFailed<G>(arguments.status)) return;
    const auto* table = static_cast<const uint8_t*>(arguments.table);
    const uint32_t first = G::load(table);
    const uint32_t second = arguments.counts.nplanes == 0 ? first : uint32_t{G::load(table + 1)};
    const Sums sums{first * 0x1'0001, (second - first) & 0xFF};
    const CountsReader<G, 8, kItemBits, true> reader(arguments.counts);
    const Cut cut = cutAtQuads<uint8_t>(arguments.elements, arguments.count);
    forEachDecodedTile<uint8_t>(
        warp, cut, arguments.elements, arguments.count,
        [&](auto plane, Quad* quads, size_t tile) { wholeTile<G>(sums, reader.read(plane, tile), quads, tile); },
        [&](size_t begin, size_t end) { decodeAnyElements<G, uint8_t>(arguments, begin, end); });
  }

 private:
  static constexpr int kItemBits = 16;
  static constexpr int kRows = 2;

  struct Sums {
    uint32_t first;  ///< of 0, in both halves
    uint32_t step;

    /// Of two counts, one in each half. The lower bytes of the halves are the sums; no half is exceeded.
    SIGNCCL_WORD_OP uint32_t of(uint32_t counts) const { return counts * step + first; }
  };

  /// `elements`: those of tile 0.
  template <typename G, typename Counts>
  SIGNCCL_WORD_OP static void wholeTile(const Sums& sums, const Counts& counts, Quad* elements, size_t tile) {
    Quad* quads = elements + tile * beginOfRow(kRows);
    G::each([&](int lane) {
      Quad rows[kRows];
      SIGNCCL_UNROLL
      for (int i = 0; i < 8; i += 4) {
        const uint32_t* words = counts[lane].words[0] + i;
        uint32_t even[4];
        uint32_t odd[4];
        SIGNCCL_UNROLL
        for (int k = 0; k < 4; ++k) {
          even[k] = sums.of(words[k] & 0x00FF'00FF);
          odd[k] = sums.of(G::bytes(words[k], 0, 0x4341));
        }
        setElements<G>(rows, i / 4, even);
        setElements<G>(rows, 2 + i / 4, odd);
      }
      SIGNCCL_UNROLL
      for (int row = 0; row < kRows; ++row) G::storeOnce(quads + lane + beginOfRow(row), rows[row]);
    });
  }

  /// Word `word` of both rows, from the lower bytes of the halves of four registers.
  template <typename G>
  SIGNCCL_WORD_OP static void setElements(Quad* rows, int word, const uint32_t* sums) {
    const uint32_t first = G::bytes(sums[0], sums[1], 0x6240);
    const uint32_t last = G::bytes(sums[2], sums[3], 0x6240);
    rows[0].words[word] = G::bytes(first, last, 0x5410);
    rows[1].words[word] = G::bytes(first, last, 0x7632);
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_DECODE_SUM_H_
