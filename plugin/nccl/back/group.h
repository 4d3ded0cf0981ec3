// SPDX-License-Identifier: Apache-2.0
// The group of NCCL that a thread has open, and what waits for its outermost end.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_GROUP_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_GROUP_H_

#include <vector>

#include "nccl/back/all_reduce.h"
#include "nccl/back/attach.h"

namespace signccl::nccl_preload {

struct Group {
  int depth = 0;
  std::vector<TakenCall> calls;
  std::vector<Candidate> candidates;  ///< communicators whose first match was in the group
  std::vector<const Comm*> handles;   ///< of communicators that are made in the group
  std::vector<Comm*> strangers;       ///< those of them whose ranks have to compare their rules

  /// Notes a candidate once.
  void add(Candidate candidate) {
    for (const Candidate& known : candidates) {
      if (known.comm == candidate.comm) return;
    }
    candidates.push_back(std::move(candidate));
  }
};

/// That of this thread.
inline Group& groupOfThread() {
  static thread_local Group group;
  return group;
}

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_GROUP_H_
