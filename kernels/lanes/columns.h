// SPDX-License-Identifier: Apache-2.0
// Planes column by column, a column for each lane: what columns.h is for instruction sets.
//
// Word buffers are aligned to 8 bytes. Where all planes of a call are aligned to 16, a column is two words wide and is
// read and written at once; else, and for a last odd word, it is one word wide.
#ifndef SIGNCCL_KERNELS_LANES_COLUMNS_H_
#define SIGNCCL_KERNELS_LANES_COLUMNS_H_

#include "kernels/columns.h"
#include "kernels/lanes/group.h"
#include "kernels/lanes/tiles.h"

namespace signccl::lanes {

/// A vector word of columns.h: what one lane reads at once. `Unit`: Quad or Duo. A GPU computes with 32 bits.
template <typename G, typename Unit>
struct LaneWords {
  static constexpr size_t kWords = sizeof(Unit) / sizeof(Word);
  static constexpr int kHalves = 2 * kWords;
  Unit unit;

  SIGNCCL_WORD_OP static LaneWords load(const Word* words, AllLanes) {
    return {G::load(reinterpret_cast<const Unit*>(words))};
  }
  SIGNCCL_WORD_OP static LaneWords loadOnce(const Word* words) {
    return {G::loadOnce(reinterpret_cast<const Unit*>(words))};
  }
  SIGNCCL_WORD_OP void store(Word* words, AllLanes) const { G::store(reinterpret_cast<Unit*>(words), unit); }

  /// The word k of the result is wordAt(k).
  template <typename WordAt>
  SIGNCCL_WORD_OP static LaneWords fromWords(const WordAt& wordAt) {
    LaneWords result;
    SIGNCCL_UNROLL
    for (size_t k = 0; k < kWords; ++k) {
      const Word word = wordAt(k);
      result.unit.words[2 * k] = static_cast<uint32_t>(word);
      result.unit.words[2 * k + 1] = static_cast<uint32_t>(word >> 32);
    }
    return result;
  }
  SIGNCCL_WORD_OP static LaneWords fill(Word word) {
    return fromWords([=](size_t) { return word; });
  }

  SIGNCCL_WORD_OP friend LaneWords operator&(const LaneWords& a, const LaneWords& b) {
    return fromHalves([&](int i) { return a.unit.words[i] & b.unit.words[i]; });
  }
  SIGNCCL_WORD_OP friend LaneWords operator|(const LaneWords& a, const LaneWords& b) {
    return fromHalves([&](int i) { return a.unit.words[i] | b.unit.words[i]; });
  }
  SIGNCCL_WORD_OP friend LaneWords operator^(const LaneWords& a, const LaneWords& b) {
    return fromHalves([&](int i) { return a.unit.words[i] ^ b.unit.words[i]; });
  }
  SIGNCCL_WORD_OP friend LaneWords operator~(const LaneWords& a) {
    return fromHalves([&](int i) { return ~a.unit.words[i]; });
  }
  SIGNCCL_WORD_OP friend LaneWords andNot(const LaneWords& a, const LaneWords& b) { return a & ~b; }

  // What random_ties.h asks for.
  SIGNCCL_WORD_OP static LaneWords sequence(uint64_t zeroth, uint64_t step, uint64_t first) {
    return fromWords([=](size_t k) { return zeroth + (first + k) * step; });
  }
  SIGNCCL_WORD_OP friend LaneWords swapHalves(const LaneWords& a) {
    return fromHalves([&](int i) { return a.unit.words[i ^ 1]; });
  }
  SIGNCCL_WORD_OP friend LaneWords multiplyLow(const LaneWords& a, const LaneWords& b) {
    return fromWords([&](size_t k) { return G::multiplyWide(a.unit.words[2 * k], b.unit.words[2 * k]); });
  }

 private:
  template <typename HalfAt>
  SIGNCCL_WORD_OP static LaneWords fromHalves(const HalfAt& halfAt) {
    LaneWords result;
    SIGNCCL_UNROLL
    for (int i = 0; i < kHalves; ++i) result.unit.words[i] = halfAt(i);
    return result;
  }
};

/// True if all planes can be accessed in units of 16 bytes.
SIGNCCL_WORD_OP bool isAlignedToQuads(ConstPlanes planes) {
  return isAlignedToQuads(planes.words) && (planes.stride % 2 == 0 || planes.nplanes <= 1);
}
SIGNCCL_WORD_OP ConstPlanes readable(Planes planes) { return {planes.words, planes.stride, planes.nplanes}; }

/// Calls body(column) for the columns of words [first, last) that a warp works on, each of them one `Unit`.
template <typename G, typename Unit, typename Body>
SIGNCCL_WORD_OP void forEachColumn(WarpIndex warp, size_t first, size_t last, const Body& body) {
  using Vec = LaneWords<G, Unit>;
  const size_t ncolumns = (last - first) / Vec::kWords;
  forEachTile(warp, 0, (ncolumns + kLanes - 1) / kLanes, [&](size_t tile) {
    G::each([&](int lane) {
      const size_t column = tile * kLanes + static_cast<size_t>(lane);
      if (column < ncolumns) body(Column<Vec, AllLanes>{first + column * Vec::kWords, {}});
    });
  });
}

/// The same for all words of a call of `nwords` words: two at a time if all planes of the call are aligned to 16 bytes.
template <typename G, typename Body>
SIGNCCL_WORD_OP void forEachColumn(WarpIndex warp, size_t nwords, bool is_aligned, const Body& body) {
  const size_t by_quads = is_aligned ? nwords - nwords % 2 : 0;
  forEachColumn<G, Quad>(warp, 0, by_quads, body);
  forEachColumn<G, Duo>(warp, by_quads, nwords, body);
}

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_COLUMNS_H_
