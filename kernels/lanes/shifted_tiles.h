// SPDX-License-Identifier: Apache-2.0
// Whole tiles of buffers that are aligned to their elements only, such as a view that begins in the middle of another
// tensor: their elements are read and written in 16 bytes, too.
//
// Elements are aligned to their own size, so 16 bytes at a multiple of 16 hold whole elements. But the first of them is
// not the one whose sign is bit 0 of a word: the buffer begins between two multiples of 16.
// - Kernels that write elements, and those that only look at them, take tiles that begin at the first multiple of 16: a
//   `Cut`. 32 bits of a plane for such a tile lie in two neighbouring words (ShiftedPlane).
// - Kernels that make planes must write whole words. Their tiles begin where the words do, and they read the 16 bytes
//   that begin a few elements before (EarlyQuads).
// Both shift each word once, and accesses are as wide as for an aligned buffer. Elements at the two ends of the buffer
// go one by one, so that nothing outside is read or written.
#ifndef SIGNCCL_KERNELS_LANES_SHIFTED_TILES_H_
#define SIGNCCL_KERNELS_LANES_SHIFTED_TILES_H_

#include "kernels/lanes/tiles.h"

namespace signccl::lanes {

/// How a buffer of elements is cut: less than 16 bytes of elements, then whole tiles that begin at a multiple of 16
/// bytes, then less than a tile.
struct Cut {
  uint32_t first;  ///< where the whole tiles begin; 0 if the buffer is aligned to 16 bytes
  size_t nwhole;

  /// Where the elements behind the whole tiles begin.
  SIGNCCL_WORD_OP size_t end() const { return first + nwhole * kTileElements; }
};

template <typename Bits>
SIGNCCL_WORD_OP Cut cutAtQuads(const void* elements, size_t count) {
  const auto behind = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(elements)) % sizeof(Quad);
  const auto left = static_cast<uint32_t>((sizeof(Quad) - behind) % sizeof(Quad) / sizeof(Bits));
  if (left >= count) return {static_cast<uint32_t>(count), 0};
  return {left, (count - left) / kTileElements};
}

/// The elements of a cut that belong to no whole tile: calls any(begin, end) for at most a tile of them at a time.
template <typename Any>
SIGNCCL_WORD_OP void forEachRest(WarpIndex warp, Cut cut, size_t count, const Any& any) {
  forEachTile(warp, 0, 1 + tilesFor(count - cut.end()), [&](size_t part) {
    const size_t begin = part == 0 ? 0 : cut.end() + (part - 1) * kTileElements;
    const size_t limit = part == 0 ? cut.first : count;
    if (begin < limit) any(begin, limit - begin < kTileElements ? limit : begin + kTileElements);
  });
}

/// Calls body(row, lane) for each of the elements [begin, end), at most a tile of them: bit `lane` of word `row` of a
/// plane belongs to it. It counts in 32 bits, since a GPU has few registers.
template <typename G, typename Body>
SIGNCCL_WORD_OP void forEachElement(size_t begin, size_t end, const Body& body) {
  const size_t first_row = begin / 32;
  const auto first = static_cast<uint32_t>(begin % 32);
  const auto last = static_cast<uint32_t>(end - first_row * 32);
  SIGNCCL_KEEP_LOOP
  for (uint32_t row = 0; row * 32 < last; ++row) {
    G::each([&](int lane) {
      const uint32_t e = row * 32 + static_cast<uint32_t>(lane);
      if (e >= first && e < last) body(first_row + row, lane);
    });
  }
}

/// The bits of a plane for tiles that begin where its words do.
struct AlignedPlane {
  template <typename G>
  SIGNCCL_WORD_OP uint32_t load(const uint32_t* word) const {
    return G::load(word);
  }
};

/// Those for tiles that begin `bits` bits behind where a word does, 0 < bits < 32. The second word is there, since the
/// last bits of a tile are in it.
struct ShiftedPlane {
  uint32_t bits;

  template <typename G>
  SIGNCCL_WORD_OP uint32_t load(const uint32_t* word) const {
    return G::funnelShift(G::load(word), G::load(word + 1), bits);
  }
};

/// What a warp does that writes the elements of planes: any(begin, end) for the ends of a cut, and for its whole tiles
/// whole(plane, quads, tile), with an AlignedPlane or a ShiftedPlane and the elements of tile 0. Two loops, so that
/// aligned buffers shift nothing.
template <typename Bits, typename Whole, typename Any>
SIGNCCL_WORD_OP void forEachDecodedTile(WarpIndex warp, Cut cut, void* elements, size_t count, const Whole& whole,
                                        const Any& any) {
  forEachRest(warp, cut, count, any);
  if (cut.first == 0) {
    auto* quads = static_cast<Quad*>(elements);
    forEachTile(warp, 0, cut.nwhole, [&](size_t tile) { whole(AlignedPlane{}, quads, tile); });
  } else {
    auto* quads = reinterpret_cast<Quad*>(static_cast<Bits*>(elements) + cut.first);
    forEachTile(warp, 0, cut.nwhole, [&](size_t tile) { whole(ShiftedPlane{cut.first}, quads, tile); });
  }
}

/// The 16 bytes in which a buffer begins, and for how many elements before the buffer there is room in them.
struct EarlyQuads {
  const Quad* quads;
  uint32_t nbefore;
};

template <typename Bits>
SIGNCCL_WORD_OP EarlyQuads earlyQuads(const void* elements) {
  const auto address = reinterpret_cast<uintptr_t>(elements);
  const uintptr_t behind = address % sizeof(Quad);
  return {reinterpret_cast<const Quad*>(address - behind), static_cast<uint32_t>(behind / sizeof(Bits))};
}

/// What a warp does that makes planes of elements: any(tile) for a last tile that is not whole, and for the first one
/// of an unaligned buffer, whose 16 bytes would begin before it; aligned(tile) or shifted(tile) for the others.
template <typename Aligned, typename Shifted, typename Any>
SIGNCCL_WORD_OP void forEachEncodedTile(WarpIndex warp, uint32_t nbefore, size_t count, const Aligned& aligned,
                                        const Shifted& shifted, const Any& any) {
  const size_t nwhole = count / kTileElements;
  forEachTile(warp, 0, 2, [&](size_t part) {
    const bool is_there = part == 0 ? nbefore != 0 && nwhole != 0 : nwhole * kTileElements < count;
    if (is_there) any(part == 0 ? 0 : nwhole);
  });
  if (nbefore == 0) {
    forEachTile(warp, 0, nwhole, aligned);
  } else {
    forEachTile(warp, 1, nwhole, shifted);
  }
}

/// Turns the sign words that lanes have after a transposition, and which begin with `nbefore` elements of the tile
/// before, into those of the tile alone. `following`: the signs of its last `nbefore` elements.
template <typename G, int kItemBits>
SIGNCCL_WORD_OP void shiftWords(typename G::template PerLane<uint32_t>& words, uint32_t nbefore, uint32_t following) {
  typename G::template PerLane<uint32_t> next_lane;
  G::each([&](int lane) {
    next_lane[lane] = static_cast<uint32_t>(laneOfWord<kItemBits>(wordOfLane<kItemBits>(lane) + 1));
  });
  const auto next = G::shuffle(words, next_lane);
  G::each([&](int lane) {
    words[lane] = G::funnelShift(words[lane], lane == kLanes - 1 ? following : next[lane], nbefore);
  });
}

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_SHIFTED_TILES_H_
