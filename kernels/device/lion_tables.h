// SPDX-License-Identifier: Apache-2.0
// Which tiles the tensors of a table have, and which of them a range of words needs. For the host.
#ifndef SIGNCCL_KERNELS_DEVICE_LION_TABLES_H_
#define SIGNCCL_KERNELS_DEVICE_LION_TABLES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/device/lion_arguments.h"
#include "kernels/lanes/tiles.h"

namespace signccl {

/// Writes the number of each tensor's first tile and returns how many tiles there are; 2^32 or more do not fit into a
/// table, which would be 4 * 10^12 elements.
inline std::uint64_t layOutLionTiles(std::span<const LionEntry> tensors, std::span<std::uint32_t> first_tile) {
  std::uint64_t tile = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    first_tile[t] = static_cast<std::uint32_t>(tile);
    tile += lanes::tilesFor(tensors[t].count);
  }
  return tile;
}

/// The range of words [begin_word, end_word), of which a table may hold all, some or none.
inline LionRange lionRangeOf(std::span<const LionEntry> tensors, std::span<const std::uint32_t> first_tile,
                             std::uint64_t begin_word, std::uint64_t end_word) {
  const auto ends_before = [&](const LionEntry& t) { return t.first_word + wordsFor(t.count) <= begin_word; };
  const auto begins_before = [&](const LionEntry& t) { return t.first_word < end_word; };
  const auto first = std::partition_point(tensors.begin(), tensors.end(), ends_before);
  const auto end = std::partition_point(tensors.begin(), tensors.end(), begins_before);
  LionRange range{begin_word, end_word, 0, 0, 0};
  if (begin_word >= end_word || first >= end) return range;
  if (end_word - begin_word >= lanes::kTileWords) range.nplaces = end_word - begin_word - (lanes::kTileWords - 1);
  const std::uint64_t skipped_words = begin_word > first->first_word ? begin_word - first->first_word : 0;
  const LionEntry& last = *(end - 1);
  const std::uint64_t words = std::min<std::uint64_t>(end_word - last.first_word, wordsFor(last.count));
  range.begin_tile = first_tile[static_cast<std::size_t>(first - tensors.begin())] +
                     static_cast<std::uint32_t>(skipped_words / lanes::kTileWords);
  range.end_tile = first_tile[static_cast<std::size_t>(end - 1 - tensors.begin())] +
                   static_cast<std::uint32_t>(lanes::tilesFor(words * kWordBits));
  return range;
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_DEVICE_LION_TABLES_H_
