// SPDX-License-Identifier: Apache-2.0
// Tiles of elements, and how their bits get from where a lane reads its elements to where it writes its sign words.
//
// A warp works on a tile of 1,024 elements: 32 sign words of 32 bits, one for each lane. The elements are read row by
// row, 16 bytes by every lane, so that every access of the warp is contiguous. With E elements in 16 bytes a tile has
// R = 32 / E rows, and the lane holds an item of E bits for each: 32 bits in all. Transposing the R x R items of every
// R neighbouring lanes leaves a whole sign word in each lane, and the way back is the same. Where a lane reads a single
// element of each row, E is 1.
#ifndef SIGNCCL_KERNELS_LANES_TILES_H_
#define SIGNCCL_KERNELS_LANES_TILES_H_

#include "kernels/lanes/group.h"
#include "kernels/word.h"

namespace signccl::lanes {

inline constexpr size_t kTileElements = size_t{kLanes} * 32;
inline constexpr size_t kTileWords = kTileElements / kWordBits;

SIGNCCL_WORD_OP size_t tilesFor(size_t count) { return count / kTileElements + (count % kTileElements == 0 ? 0 : 1); }

/// Sign words in units of 32 bits, of which every Word has two, the lower one first.
SIGNCCL_WORD_OP uint32_t* halves(Word* words) { return reinterpret_cast<uint32_t*>(words); }
SIGNCCL_WORD_OP const uint32_t* halves(const Word* words) { return reinterpret_cast<const uint32_t*>(words); }

/// True if an address can be accessed in units of T.
template <typename T>
SIGNCCL_WORD_OP bool isAlignedTo(const void* address) {
  return reinterpret_cast<uintptr_t>(address) % alignof(T) == 0;
}

/// True if an address can be accessed in units of 16 bytes.
SIGNCCL_WORD_OP bool isAlignedToQuads(const void* address) {
  return reinterpret_cast<uintptr_t>(address) % sizeof(Quad) == 0;
}

/// The bits of a word below `n`, n <= 32.
SIGNCCL_WORD_OP uint32_t lowMask(size_t n) { return n >= 32 ? ~uint32_t{0} : (uint32_t{1} << n) - 1; }

/// Where row `row` of the accesses of a warp begins.
SIGNCCL_WORD_OP size_t beginOfRow(int row) { return static_cast<size_t>(row) * kLanes; }

/// Elements of tile `tile` of `count` elements.
SIGNCCL_WORD_OP uint32_t elementsOfTile(size_t tile, size_t count) {
  const size_t left = count - tile * kTileElements;
  return static_cast<uint32_t>(left < kTileElements ? left : kTileElements);
}

/// What a warp's loop over tiles [first, last) does: calls body(tile) for each of its tiles.
template <typename Body>
SIGNCCL_WORD_OP void forEachTile(WarpIndex warp, size_t first, size_t last, const Body& body) {
  for (size_t tile = first + warp.number; tile < last; tile += warp.nwarps) body(tile);
}

/// True if the exchange failed whose result a kernel decodes; `status` as in arguments.h. The host may write it
/// meanwhile.
template <typename G>
SIGNCCL_WORD_OP bool hasFailed(const uint32_t* status) {
  return status != nullptr && G::loadRelaxed(status) != 0;
}

/// The bits of a word of 32 / E items of E bits whose item number has bit kBit clear.
template <int kItemBits, int kBit>
SIGNCCL_WORD_OP constexpr uint32_t itemsWithout() {
  uint32_t mask = 0;
  for (int bit = 0; bit < 32; ++bit) {
    if (((bit / kItemBits) & kBit) == 0) mask |= uint32_t{1} << bit;
  }
  return mask;
}

SIGNCCL_WORD_OP uint32_t rotateLeft(uint32_t x, int bits) { return x << (bits & 31) | x >> (-bits & 31); }

/// What a lane has after it has exchanged half of its items with lane ^ kBit. `is_lower`: bit kBit of its number is
/// clear.
template <typename G, int kItemBits, int kBit>
SIGNCCL_WORD_OP uint32_t exchangedItems(bool is_lower, uint32_t own, uint32_t other) {
  constexpr int kMoved = kBit * kItemBits;
  if constexpr (kMoved == 16) return G::bytes(own, other, is_lower ? 0x5410 : 0x3276);
  if constexpr (kMoved == 8) return G::bytes(own, other, is_lower ? 0x6240 : 0x3715);
  constexpr uint32_t kKeptByLower = itemsWithout<kItemBits, kBit>();
  const uint32_t kept = is_lower ? kKeptByLower : ~kKeptByLower;
  return (own & kept) | (rotateLeft(other, is_lower ? kMoved : -kMoved) & ~kept);
}

/// Transposes the items of R neighbouring lanes, R = 32 / kItemBits: item r of lane j becomes item j of lane r.
template <typename G, int kItemBits, int kBit = 1>
SIGNCCL_WORD_OP void transposeItems(typename G::template PerLane<uint32_t>& items) {
  if constexpr (kBit < 32 / kItemBits) {
    const auto others = G::shuffleXor(items, kBit);
    G::each([&](int lane) {
      items[lane] = exchangedItems<G, kItemBits, kBit>((lane & kBit) == 0, items[lane], others[lane]);
    });
    transposeItems<G, kItemBits, 2 * kBit>(items);
  }
}

/// Which sign word of its tile a lane has after, or before, a transposition.
template <int kItemBits>
SIGNCCL_WORD_OP int wordOfLane(int lane) {
  constexpr unsigned kRows = 32 / kItemBits;
  const auto number = static_cast<unsigned>(lane);
  return static_cast<int>(number % kRows * kItemBits + number / kRows);
}

/// The lane that has a sign word then.
template <int kItemBits>
SIGNCCL_WORD_OP int laneOfWord(int word) {
  return wordOfLane<32 / kItemBits>(word);
}

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_TILES_H_
