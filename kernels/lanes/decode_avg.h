// SPDX-License-Identifier: Apache-2.0
// Counts -> elements by table; Kernels::decodeAvg() for all but int8 (decode_sum.h). Elements are bit patterns: only
// their width matters.
//
// In a whole tile every plane is transposed as votes are (tiles.h), and the bits of up to 8 planes then become one byte
// for each element. Tables of up to 32 values are kept one value in each lane and read by a shuffle, longer ones are
// read from memory, where the cache holds them.
#ifndef SIGNCCL_KERNELS_LANES_DECODE_AVG_H_
#define SIGNCCL_KERNELS_LANES_DECODE_AVG_H_

#include <type_traits>

#include "kernels/device/arguments.h"
#include "kernels/lanes/lane_counts.h"
#include "kernels/lanes/shifted_tiles.h"
#include "kernels/lanes/tiles.h"

namespace signccl::lanes {

/// Table values in the width in which lanes exchange them.
template <typename Bits>
using TableValue = std::conditional_t<sizeof(Bits) == 8, uint64_t, uint32_t>;

/// The elements of a quad, from their values.
template <typename G, typename Bits>
SIGNCCL_WORD_OP Quad quadOf(const TableValue<Bits>* values) {
  Quad quad;
  SIGNCCL_UNROLL
  for (int i = 0; i < 4; ++i) {
    const auto pair = static_cast<size_t>(2 * i);
    if constexpr (sizeof(Bits) == 8) quad.words[i] = static_cast<uint32_t>(values[i / 2] >> 32 * (i % 2));
    if constexpr (sizeof(Bits) == 4) quad.words[i] = values[i];
    if constexpr (sizeof(Bits) == 2) quad.words[i] = G::bytes(values[pair], values[pair + 1], 0x5410);
  }
  return quad;
}

/// The table, in the lanes if kPlanes planes have no more than 32 numbers; each lane has the value of the number modulo
/// 2^nplanes then.
template <typename G, typename Bits, int kPlanes>
class LaneTable {
 public:
  using Value = TableValue<Bits>;
  template <typename T>
  using PerLane = typename G::template PerLane<T>;

  SIGNCCL_WORD_OP LaneTable(const void* table, int nplanes) : table_(static_cast<const Bits*>(table)) {
    if constexpr (kInLanes) {
      G::each([&](int lane) { values_[lane] = G::load(table_ + (lane & ((1 << nplanes) - 1))); });
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

  static constexpr bool kInLanes = 1 << kPlanes <= kLanes;

 private:
  const Bits* table_;
  PerLane<Value> values_;
};

/// Elements one by one, those before the first whole tile or behind the last one.
template <typename G, typename Bits>
SIGNCCL_WORD_OP void decodeAnyElements(const DecodeAvgArguments& arguments, size_t begin, size_t end) {
  const auto* table = static_cast<const Bits*>(arguments.table);
  auto* elements = static_cast<Bits*>(arguments.elements);
  const uint32_t* words = halves(arguments.counts.words);
  forEachElement<G>(begin, end, [&](size_t row, int lane) {
    uint32_t number = 0;
    for (int j = 0; j < arguments.counts.nplanes; ++j) {
      const uint32_t word = G::load(words + 2 * static_cast<size_t>(j) * arguments.counts.stride + row);
      number |= (word >> lane & 1) << j;
    }
    G::storeOnce(elements + row * 32 + lane, G::load(table + number));
  });
}

/// Up to kPlanes planes.
template <typename Bits, int kPlanes>
struct DecodeAvgBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const DecodeAvgArguments& arguments, WarpIndex warp) {
    if (hasFailed<G>(arguments.status)) return;
    const Table<G> table(arguments.table, arguments.counts.nplanes);
    const Reader<G> reader(arguments.counts);
    Cut cut = cutAtQuads<Bits>(arguments.elements, arguments.count);
    if (arguments.counts.nplanes == 0) cut.nwhole = 0;
    forEachDecodedTile<Bits>(
        warp, cut, arguments.elements, arguments.count,
        [&](auto plane, Quad* quads, size_t tile) { wholeTile<G>(table, reader.read(plane, tile), quads, tile); },
        [&](size_t begin, size_t end) { decodeAnyElements<G, Bits>(arguments, begin, end); });
  }

 private:
  static constexpr int kItemBits = 16 / static_cast<int>(sizeof(Bits));
  static constexpr int kRows = 32 / kItemBits;
  template <typename G>
  using Table = LaneTable<G, Bits, kPlanes>;
  template <typename G>
  using Reader = CountsReader<G, kPlanes, kItemBits, !Table<G>::kInLanes>;

  /// `elements`: those of tile 0.
  template <typename G, typename Counts>
  SIGNCCL_WORD_OP static void wholeTile(const Table<G>& table, const Counts& counts, Quad* elements, size_t tile) {
    Quad* quads = elements + tile * beginOfRow(kRows);
    SIGNCCL_UNROLL
    for (int row = 0; row < kRows; ++row) {
      typename G::template PerLane<TableValue<Bits>> values[kItemBits];
      SIGNCCL_UNROLL
      for (int k = 0; k < kItemBits; ++k) {
        typename G::template PerLane<uint32_t> numbers;
        G::each([&](int lane) { numbers[lane] = counts[lane].template number<G>(row * kItemBits + k); });
        values[k] = table.at(numbers);
      }
      G::each([&](int lane) {
        TableValue<Bits> lane_values[kItemBits];
        SIGNCCL_UNROLL
        for (int k = 0; k < kItemBits; ++k) lane_values[k] = values[k][lane];
        G::storeOnce(quads + lane + beginOfRow(row), quadOf<G, Bits>(lane_values));
      });
    }
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_DECODE_AVG_H_
