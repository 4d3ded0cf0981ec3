// SPDX-License-Identifier: Apache-2.0
// Counts with all of their planes in memory, for kernels of devices, which decode no others.
#ifndef SIGNCCL_KERNELS_COMPLETE_COUNTS_H_
#define SIGNCCL_KERNELS_COMPLETE_COUNTS_H_

#include <algorithm>
#include <vector>

#include "kernels/kernels.h"

namespace signccl {

/// [nwords] words of counts: those given if they are complete, or else a copy with the plane that they lack.
class CompleteCounts {
 public:
  /// `restore_top`: the device's Kernels::restoreTop().
  CompleteCounts(const Counts& counts, size_t nwords, decltype(Kernels::restoreTop) restore_top)
      : planes_(counts.planes) {
    if (counts.own == nullptr) return;
    const auto low_planes = static_cast<size_t>(counts.planes.nplanes);
    copy_.resize((low_planes + 1) * nwords + 1);  // an address where there are no words, too: kernels add to it
    for (size_t j = 0; j < low_planes; ++j) {
      std::copy_n(counts.planes.words + j * counts.planes.stride, nwords, copy_.data() + j * nwords);
    }
    planes_ = {copy_.data(), nwords, counts.nplanes()};
    restore_top({copy_.data(), nwords, counts.planes.nplanes}, nullptr, counts.own, nwords,
                copy_.data() + low_planes * nwords);
  }
  CompleteCounts(const CompleteCounts&) = delete;
  CompleteCounts& operator=(const CompleteCounts&) = delete;

  /// Valid as long as this.
  [[nodiscard]] ConstPlanes planes() const { return planes_; }

 private:
  ConstPlanes planes_;
  std::vector<Word> copy_;
};

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_COMPLETE_COUNTS_H_
