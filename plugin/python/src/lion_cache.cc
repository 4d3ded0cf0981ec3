// SPDX-License-Identifier: Apache-2.0
#include "lion_cache.h"

#include <algorithm>
#include <utility>

namespace signccl::jax {

signcclResult_t LionCache::find(const LionParts& parts, signcclComm_t comm, signcclLion_t& lion) {
  const auto known = std::ranges::find(entries_, parts, &Entry::parts);
  if (known != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, known);
  } else {
    Entry made{parts, nullptr};
    const signcclLionConfig_t config = made.parts.config();
    const signcclResult_t created = signcclLionCreate(&made.lion, &config, comm);
    if (created != signcclSuccess) return created;
    entries_.push_front(std::move(made));
    if (entries_.size() > kMost) {
      signcclLionDestroy(entries_.back().lion);
      entries_.pop_back();
    }
  }
  lion = entries_.front().lion;
  return signcclSuccess;
}

void LionCache::clear() {
  for (const Entry& entry : entries_) signcclLionDestroy(entry.lion);
  entries_.clear();
}

}  // namespace signccl::jax
