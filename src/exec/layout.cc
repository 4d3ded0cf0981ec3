// SPDX-License-Identifier: Apache-2.0
#include "exec/layout.h"

#include <algorithm>

#include "base/error.h"
#include "exec/external_ends.h"

namespace signccl {
namespace {

constexpr std::size_t kLineWords = 8;

bool liesByPlane(const Plan& plan, SlotKind kind) { return plan.by_plane[static_cast<std::size_t>(kind)]; }

/// Hands out pieces of a slice's memory that begin at cache lines.
class Allotment {
 public:
  std::size_t take(int planes, std::size_t words) {
    const std::size_t begin = end_;
    end_ += (static_cast<std::size_t>(planes) * words + kLineWords - 1) / kLineWords * kLineWords;
    return begin;
  }
  [[nodiscard]] std::size_t end() const { return end_; }

 private:
  std::size_t end_ = 0;
};

}  // namespace

void Layout::build(const Plan& plan, std::size_t slice_words) {
  const auto nchunks = static_cast<std::size_t>(plan.nchunks);
  const std::size_t chunk_words = (slice_words + nchunks - 1) / nchunks;
  votes_per_rank_ = static_cast<std::size_t>(plan.rules.votes_per_rank);
  signs_by_plane_ = liesByPlane(plan, SlotKind::kSigns);
  counts_.by_plane = liesByPlane(plan, SlotKind::kCounts);
  results_.by_plane = liesByPlane(plan, SlotKind::kResult);

  Allotment memory;
  if (!plan.has_external_ends) memory.take(plan.rules.votes_per_rank, slice_words);  // the signs come first
  // Counts of an average are its result: the planes that travel come first. A rank that sends its counts of a chunk and
  // later receives the result into the same place needs no dependency between the two: the result can only exist once
  // the counts were received and added.
  const bool is_avg = plan.rules.op == SignOp::kAvg;
  signs_are_external_ = results_.is_external = plan.has_external_ends;
  counts_.is_external = plan.has_external_ends && is_avg;
  const int result_planes = resultPlanes(plan.rules);
  const int most_planes = *std::max_element(plan.counts_planes.begin(), plan.counts_planes.end());

  counts_.of_chunk.assign(nchunks, 0);
  results_.of_chunk.assign(nchunks, 0);
  if (counts_.by_plane && !counts_.is_external) {
    counts_.begin = memory.take(std::max(most_planes, is_avg ? result_planes : 0), slice_words);
  }
  if (results_.by_plane && !results_.is_external) {
    results_.begin = is_avg ? counts_.begin : memory.take(result_planes, slice_words);
  }
  SIGNCCL_ASSERT(!counts_.is_external || most_planes <= externalResultPlanes(plan.rules));
  for (std::size_t chunk = 0; chunk < nchunks; ++chunk) {
    const int planes = plan.counts_planes[chunk];
    if (!counts_.by_plane && planes > 0) counts_.of_chunk[chunk] = memory.take(planes, chunk_words);
    if (results_.by_plane) continue;
    results_.of_chunk[chunk] = is_avg && planes > 0 ? counts_.of_chunk[chunk] : memory.take(result_planes, chunk_words);
  }
  inboxes_.resize(plan.inbox_room.size());
  std::transform(plan.inbox_room.begin(), plan.inbox_room.end(), inboxes_.begin(),
                 [&](int room) { return memory.take(room, chunk_words); });
  staging_.assign(plan.steps.size(), 0);
  for (std::size_t step = 0; step < plan.steps.size(); ++step) {
    const PlanStep& taken = plan.steps[step];
    if (taken.is_staged) staging_[step] = memory.take(taken.planes * taken.run.count, chunk_words);
  }
  total_words_ = memory.end();
}

}  // namespace signccl
