// SPDX-License-Identifier: Apache-2.0
// Counts -> elements by table; Kernels::decodeAvg(). Elements are bit patterns: only their width matters.
//
// In a whole tile every plane is transposed as votes are (tiles.h), and the bits of up to 8 planes then become one byte
// for each element. Tables of up to 32 values are kept one value in each lane and read by a shuffle, longer ones are
// read from memory, where the cache holds them.
#ifndef SIGNCCL_KERNELS_LANES_DECODE_AVG_H_
#define SIGNCCL_KERNELS_LANES_DECODE_AVG_H_

#include <type_traits>

#include "kernels/device/arguments.h"
#include "kernels/lanes/lane_counts.h"
#include "kernels/lanes/tiles.h"

namespace signccl::lanes {

/// Table values in the width in which lanes exchange them.
template <typename Bits>
using TableValue = std::conditional_t<sizeof(Bits) == 8, uint64_t, uint32_t>;

/// Writes element k of a quad of zeros.
template <typename Bits>
SIGNCCL_WORD_OP void setElement(Quad& quad, int k, TableValue<Bits> value) {
  if constexpr (sizeof(Bits) == 8) {
    const auto lower = static_cast<size_t>(2 * k);
    quad.words[lower] = static_cast<uint32_t>(value);
    quad.words[lower + 1] = static_cast<uint32_t>(value >> 32);
  } else {
    constexpr int kPerWord = 4 / static_cast<int>(sizeof(Bits));
    quad.words[k / kPerWord] |= value << (k % kPerWord * 8 * static_cast<int>(sizeof(Bits)));
  }
}

/// The table, in the lanes if kPlanes planes have no more than 32 numbers.
template <typename G, typename Bits, int kPlanes>
class LaneTable {
 public:
  using Value = TableValue<Bits>;
  template <typename T>
  using PerLane = typename G::template PerLane<T>;

  SIGNCCL_WORD_OP LaneTable(const void* table, int nplanes) : table_(static_cast<const Bits*>(table)) {
    if constexpr (kInLanes) {
      G::each([&](int lane) { values_[lane] = lane < 1 << nplanes ? Value{G::load(table_ + lane)} : Value{0}; });
    }
  }

  SIGNCCL_WORD_OP PerLane<Value> at(const PerLane<uint32_t>& numbers) const {
    if constexpr (kInLanes) {
      return G::shuffle(values_, numbers);
    } else {
      PerLane<Value> values;
      G::each([&](int lane) { values[lane] = G::load(table_ + numbers[lane]); });
      return values;
    }
  }

 private:
  static constexpr bool kInLanes = 1 << kPlanes <= kLanes;
  const Bits* table_;
  PerLane<Value> values_;
};

/// Up to kPlanes planes.
template <typename Bits, int kPlanes>
struct DecodeAvgBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const DecodeAvgArguments& arguments, WarpIndex warp) {
    if (hasFailed<G>(arguments.status)) return;
    const LaneTable<G, Bits, kPlanes> table(arguments.table, arguments.counts.nplanes);
    forEachTile(
        warp, arguments.elements, arguments.count, [&](size_t tile) { wholeTile<G>(arguments, table, tile); },
        [&](size_t tile) { anyTile<G>(arguments, tile); });
  }

 private:
  static constexpr int kItemBits = 16 / static_cast<int>(sizeof(Bits));
  static constexpr int kRows = 32 / kItemBits;

  template <typename G>
  SIGNCCL_WORD_OP static void wholeTile(const DecodeAvgArguments& arguments, const LaneTable<G, Bits, kPlanes>& table,
                                        size_t tile) {
    const auto counts = laneCounts<G, kPlanes, kItemBits>(arguments.counts, tile);
    auto* quads = static_cast<Quad*>(arguments.elements) + tile * beginOfRow(kRows);
    SIGNCCL_UNROLL
    for (int row = 0; row < kRows; ++row) {
      typename G::template PerLane<Quad> quad;
      G::each([&](int lane) { quad[lane] = Quad{}; });
      SIGNCCL_UNROLL
      for (int k = 0; k < kItemBits; ++k) {
        typename G::template PerLane<uint32_t> numbers;
        G::each([&](int lane) { numbers[lane] = counts[lane].number(row * kItemBits + k); });
        const auto values = table.at(numbers);
        G::each([&](int lane) { setElement<Bits>(quad[lane], k, values[lane]); });
      }
      G::each([&](int lane) { G::storeOnce(quads + lane + beginOfRow(row), quad[lane]); });
    }
  }

  /// Elements one by one: a last tile, or a buffer that is aligned to its elements only.
  template <typename G>
  SIGNCCL_WORD_OP static void anyTile(const DecodeAvgArguments& arguments, size_t tile) {
    const auto* table = static_cast<const Bits*>(arguments.table);
    auto* elements = static_cast<Bits*>(arguments.elements) + tile * kTileElements;
    const uint32_t* words = halves(arguments.counts.words) + tile * kLanes;
    const uint32_t count = elementsOfTile(tile, arguments.count);
    for (int row = 0; row < kLanes; ++row) {
      G::each([&](int lane) {
        const auto e = static_cast<uint32_t>(row * kLanes + lane);
        if (e >= count) return;
        uint32_t number = 0;
        for (int j = 0; j < arguments.counts.nplanes; ++j) {
          const uint32_t word = G::load(words + 2 * static_cast<size_t>(j) * arguments.counts.stride + row);
          number |= (word >> lane & 1) << j;
        }
        G::storeOnce(elements + e, G::load(table + number));
      });
    }
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_DECODE_AVG_H_
