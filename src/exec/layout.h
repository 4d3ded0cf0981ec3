// SPDX-License-Identifier: Apache-2.0
// Where the slots of a plan lie in the memory of one slice. All offsets and sizes are in words.
#ifndef SIGNCCL_EXEC_LAYOUT_H_
#define SIGNCCL_EXEC_LAYOUT_H_

#include <cstddef>
#include <vector>

#include "exec/plan.h"

namespace signccl {

/// Planes of a run of chunks: plane p begins at offset + p * stride.
struct SlotRange {
  std::size_t offset = 0;
  std::size_t stride = 0;
  bool is_external = false;  ///< in the memory of ExternalEnds, not in that of the layout
};

class Layout {
 public:
  /// Room for any slice of at most `slice_words` words.
  void build(const Plan& plan, std::size_t slice_words);

  /// Size of the memory of one slice; a multiple of 64 bytes.
  [[nodiscard]] std::size_t totalWords() const { return total_words_; }

  /// Where signs, counts or results of a run are in a slice of `slice_words` words. `words` is the run's range in the
  /// slice.
  [[nodiscard]] SlotRange locate(SlotKind kind, int first_chunk, WordRange words, std::size_t slice_words) const {
    if (kind == SlotKind::kSigns) {
      return signs_by_plane_ ? SlotRange{words.begin, slice_words, signs_are_external_}
                             : SlotRange{votes_per_rank_ * words.begin, words.size};
    }
    const Region& region = kind == SlotKind::kCounts ? counts_ : results_;
    if (region.is_external) return {votes_per_rank_ * slice_words + words.begin, slice_words, true};
    if (region.by_plane) return {region.begin + words.begin, slice_words};
    return {region.of_chunk[static_cast<std::size_t>(first_chunk)], words.size};
  }

  /// Where messages into an inbox may be put.
  [[nodiscard]] std::size_t inbox(int number) const { return inboxes_[static_cast<std::size_t>(number)]; }

  /// Where the message of a staged step is put together or taken apart.
  [[nodiscard]] std::size_t staging(std::size_t step) const { return staging_[step]; }

 private:
  struct Region {
    bool by_plane = false;
    bool is_external = false;           ///< after the signs in the memory of ExternalEnds, by plane
    std::size_t begin = 0;              ///< by plane: where plane 0 of the slice is
    std::vector<std::size_t> of_chunk;  ///< otherwise [nchunks]
  };

  std::size_t votes_per_rank_ = 1;
  std::size_t total_words_ = 0;
  bool signs_by_plane_ = false;
  bool signs_are_external_ = false;
  Region counts_;
  Region results_;
  std::vector<std::size_t> inboxes_;
  std::vector<std::size_t> staging_;
};

}  // namespace signccl

#endif  // SIGNCCL_EXEC_LAYOUT_H_
