// SPDX-License-Identifier: Apache-2.0
// The signs that a step sends, kept until the next one, so that an exchange that failed can be made again: the momenta
// from which they came have changed since.
#ifndef SIGNCCL_LION_KEPT_SIGNS_H_
#define SIGNCCL_LION_KEPT_SIGNS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/word.h"

namespace signccl {

/// Words of one plane of binary signs, or of two of ternary ones, and which of them are there. Several threads may keep
/// words at once, if their ranges do not overlap.
class KeptSigns {
 public:
  /// Throws std::bad_alloc.
  KeptSigns(std::size_t nwords, bool is_ternary);

  /// Forgets all words. Not while another call is under way.
  void clear();

  /// Copies words from `positive`, which is null for binary signs, and `nonnegative`.
  void keep(std::size_t first, std::size_t nwords, const Word* positive, const Word* nonnegative);

  /// Copies words that were kept to `positive`, which is null for binary signs, and `nonnegative`.
  void give(std::size_t first, std::size_t nwords, Word* positive, Word* nonnegative) const;

  /// Calls visit(begin, end) for the runs of words in [begin, end) that are not there.
  template <typename Visit>
  void forEachGap(std::size_t begin, std::size_t end, const Visit& visit) const {
    for (std::size_t word = begin; word < end;) {
      if (has(word)) {
        ++word;
        continue;
      }
      const std::size_t gap = word;
      while (word < end && !has(word)) ++word;
      visit(gap, word);
    }
  }

 private:
  [[nodiscard]] bool has(std::size_t word) const;

  std::size_t nwords_;
  std::vector<Word> nonnegative_;
  std::vector<Word> positive_;                         ///< empty if binary
  std::unique_ptr<std::atomic<std::uint64_t>[]> has_;  ///< a bit for each word
};

}  // namespace signccl

#endif  // SIGNCCL_LION_KEPT_SIGNS_H_
