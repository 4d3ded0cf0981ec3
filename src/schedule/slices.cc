// SPDX-License-Identifier: Apache-2.0
#include "schedule/slices.h"

#include <algorithm>

namespace signccl {

std::size_t defaultSliceWords(const CountRules& rules) {
  constexpr std::size_t kLeast = std::size_t{16} * 1024;
  constexpr std::size_t kMost = std::size_t{128} * 1024;
  constexpr std::size_t kChunkWords = std::size_t{4} * 1024;
  const std::size_t words = std::clamp(static_cast<std::size_t>(rules.nranks) * kChunkWords, kLeast, kMost);
  // Two planes are the most that four ranks send. With more of them only the second half of an exchange is wide.
  const int planes = std::max(rules.votes_per_rank, resultPlanes(rules));
  return planes > 1 ? words / 2 : words;
}

std::size_t sliceCount(std::size_t nwords, std::size_t slice_words, const CountRules& rules) {
  constexpr std::size_t kFewestSlices = 4;
  constexpr std::size_t kSmallestSliceWords = 4096;
  constexpr std::size_t kSmallestChunkWords = 512;
  if (nwords < kSmallestSliceWords && (slice_words == 0 || nwords <= slice_words)) return 1;  // before the divisions
  const std::size_t most = slice_words == 0 ? defaultSliceWords(rules) : slice_words;
  const std::size_t needed = nwords / most + (nwords % most == 0 ? 0 : 1);
  const std::size_t smallest =
      std::max(kSmallestSliceWords, static_cast<std::size_t>(rules.nranks) * kSmallestChunkWords);
  return std::max({std::size_t{1}, needed, std::min(kFewestSlices, nwords / smallest)});
}

}  // namespace signccl
