// SPDX-License-Identifier: Apache-2.0
// How a warp finds what it works on in a table of many tensors: the tensor of a tile, and which of the tile's elements
// belong to the range of words that is asked for.
#ifndef SIGNCCL_KERNELS_LANES_TENSOR_TILES_H_
#define SIGNCCL_KERNELS_LANES_TENSOR_TILES_H_

#include "kernels/device/lion_arguments.h"
#include "kernels/lanes/tiles.h"

namespace signccl::lanes {

/// How far apart the tensors are that the lanes look at first: a power of 32.
SIGNCCL_WORD_OP uint32_t searchDistance(uint32_t ntensors) {
  uint32_t distance = 1;
  while (uint64_t{distance} * kLanes < ntensors) distance *= kLanes;
  return distance;
}

/// The tensor that has a tile: the last one whose first tile is not behind it, so that tensors without elements have
/// none. Every lane looks at one of 32 tensors that are equally far apart, until they are neighbours: 2 rounds for up
/// to 1,024 tensors, 3 for 32,768. All lanes get the same answer.
template <typename G>
SIGNCCL_WORD_OP uint32_t tensorOfTile(const LionTable& table, uint32_t distance, uint32_t tile) {
  const uint32_t last = table.ntensors - 1;
  uint32_t tensor = 0;
  for (; distance != 0; distance /= kLanes) {
    typename G::template PerLane<bool> begins_before;
    G::each([&](int lane) {
      // Who would look behind the table looks at its last tensor. If that one has the tile, `tensor` gets too large.
      const uint32_t candidate = tensor + distance * static_cast<uint32_t>(lane);
      begins_before[lane] = G::load(table.first_tile + (candidate < last ? candidate : last)) <= tile;
    });
    // Lanes with a true answer come first, and lane 0 is one of them.
    tensor += static_cast<uint32_t>(G::countOnes(G::ballot(begins_before)) - 1) * distance;
  }
  return tensor < last ? tensor : last;
}

/// A tile as a warp works on it. Its rows are its sign words of 32 bits.
struct TensorTile {
  uint32_t tensor;
  uint32_t number;      ///< among the tiles of the tensor
  LionEntry entry;      ///< the tensor
  uint64_t first_word;  ///< of the step
  uint64_t place;       ///< of the first word in the range; modulo 2^64 if it is before the range
  bool is_whole;        ///< all of its elements are there and belong to the range

  SIGNCCL_WORD_OP size_t firstElement() const { return size_t{number} * kTileElements; }

  /// Where row 0 is among the halves of the words of the range, modulo 2^64.
  SIGNCCL_WORD_OP size_t firstHalf() const { return 2 * place; }
};

/// What of a tile belongs to a range: rows [begin, end), two for each word, and elements [32 * begin, end_element),
/// those that are there.
struct TileRows {
  uint32_t begin;
  uint32_t end;
  uint32_t end_element;
};

SIGNCCL_WORD_OP TileRows rowsIn(const LionRange& range, const TensorTile& tile) {
  const size_t left = tile.entry.count - tile.firstElement();
  const auto count = static_cast<uint32_t>(left < kTileElements ? left : kTileElements);
  const uint64_t skipped_words = tile.first_word < range.begin_word ? range.begin_word - tile.first_word : 0;
  const uint64_t words_left = range.end_word - tile.first_word;
  const auto words = static_cast<uint32_t>(wordsFor(count));
  TileRows rows;
  rows.begin = 2 * static_cast<uint32_t>(skipped_words);
  rows.end = 2 * (words_left < words ? static_cast<uint32_t>(words_left) : words);
  rows.end_element = rows.end * 32 < count ? rows.end * 32 : count;
  return rows;
}

template <typename G>
SIGNCCL_WORD_OP TensorTile tensorTile(const LionTable& table, const LionRange& range, uint32_t tensor, uint32_t tile) {
  const LionEntry entry = G::load(table.tensors + tensor);
  const uint32_t number = tile - G::load(table.first_tile + tensor);
  const uint64_t first_word = entry.first_word + uint64_t{number} * kTileWords;
  const uint64_t place = first_word - range.begin_word;
  // Tiles have numbers of 32 bits.
  const bool is_whole = number < static_cast<uint32_t>(entry.count / kTileElements) && place < range.nplaces;
  return {tensor, number, entry, first_word, place, is_whole};
}

/// Calls body(tile) for each TensorTile of a warp, unless `status` forbids it.
template <typename G, typename Body>
SIGNCCL_WORD_OP void forEachTensorTile(const LionTable& table, const LionRange& range, const uint32_t* status,
                                       WarpIndex warp, const Body& body) {
  if (hasFailed<G>(status)) return;
  const uint32_t distance = searchDistance(table.ntensors);
  for (size_t next = range.begin_tile + warp.number; next < range.end_tile; next += warp.nwarps) {
    const auto tile = static_cast<uint32_t>(next);
    body(tensorTile<G>(table, range, tensorOfTile<G>(table, distance, tile), tile));
  }
}

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_TENSOR_TILES_H_
