// SPDX-License-Identifier: Apache-2.0
// The numbers of a whole tile of a tensor as a lane of a Lion kernel reads and writes them: row by row, so that every
// access of the warp is contiguous. In a row the lane has either 8 or 16 bytes of neighbours, for which the tensor must
// be aligned to them, or one number.
#ifndef SIGNCCL_KERNELS_LANES_LION_ROWS_H_
#define SIGNCCL_KERNELS_LANES_LION_ROWS_H_

#include "kernels/lanes/group.h"

namespace signccl::lanes {

/// What a lane accesses at once, and what it keeps of that: so many bytes of neighbours, or one number of type Bits.
template <typename Bits, size_t kBytes>
struct RowTypes {
  using Access = Bits;
  using Kept = uint32_t;
};
template <typename Bits>
struct RowTypes<Bits, 8> {
  using Access = Duo;
  using Kept = Duo;
};
template <typename Bits>
struct RowTypes<Bits, 16> {
  using Access = Quad;
  using Kept = Quad;
};

/// The numbers of a lane in kRows rows of kInRow neighbours, row after row. `Numbers` as in lion_numbers.h.
template <typename Numbers, int kInRow, int kRows>
struct LaneRows {
  using Types = RowTypes<typename Numbers::Bits, kInRow * sizeof(typename Numbers::Bits)>;
  using Access = typename Types::Access;

  typename Types::Kept rows[kRows];

  /// Loads rows, the first of which is at the address.
  template <typename G>
  SIGNCCL_WORD_OP void load(const Access* first) {
    SIGNCCL_UNROLL
    for (int r = 0; r < kRows; ++r) rows[r] = G::loadOnce(first + r * kLanes);
  }
  template <typename G>
  SIGNCCL_WORD_OP void store(Access* first) const {
    SIGNCCL_UNROLL
    for (int r = 0; r < kRows; ++r) G::storeOnce(first + r * kLanes, static_cast<Access>(rows[r]));
  }

  /// The pattern of number e.
  SIGNCCL_WORD_OP uint32_t get(int e) const {
    if constexpr (kInRow == 1) {
      return rows[e];
    } else {
      return Numbers::get(rows[e / kInRow].words, e % kInRow);
    }
  }

  /// Sets Numbers::kInWord numbers, from number word * kInWord on, to the patterns in `patterns`. Two of 16 bits come
  /// together, as they are rounded, also where they lie in two rows.
  SIGNCCL_WORD_OP void setWord(int word, uint32_t patterns) {
    constexpr int kInWord = Numbers::kInWord;
    if constexpr (kInRow == 1) {
      rows[word * kInWord] = patterns;
      if constexpr (kInWord == 2) rows[word * kInWord + 1] = patterns >> 16;
    } else {
      constexpr int kWords = kInRow / kInWord;
      rows[word / kWords].words[word % kWords] = patterns;
    }
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LION_ROWS_H_
