// SPDX-License-Identifier: Apache-2.0
// Lets the ranks of communicators of NCCL introduce themselves to each other, over the real ncclAllGather().
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_INTRODUCE_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_INTRODUCE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <span>

#include "nccl/back/mirror.h"
#include "nccl/back/nccl_abi.h"
#include "nccl/back/waiting.h"
#include "rules/log.h"

namespace signccl::nccl_preload {

class GatherBuffers;

/// A communicator whose ranks are to introduce themselves.
struct Candidate {
  Comm comm = nullptr;
  std::shared_ptr<Record> record;
  Stream stream = nullptr;  ///< that carries the all-gather, not captured
};

/// What introductions need of the process.
struct Surroundings {
  const RealNccl& nccl;
  const rules::Log& log;
  std::uint64_t digest = 0;     ///< of rules and mode
  bool has_bad_rules = false;   ///< they cannot be read
  bool compares_names = false;  ///< a rule looks at names of communicators
};

/// Whether rank 0 makes a unique id of SignCCL, by which the ranks can join.
enum class UniqueIds : std::uint8_t { kNone, kSent };

/// Gathers the introductions of all ranks of each candidate; `buffers` has them in the order of the candidates. All
/// ranks call it at the same place of their order of calls, one thread for all its communicators at once, outside of
/// groups. Waits for the streams and for the other ranks, after 10 s with a warning.
///
/// Throws Failure: a communicator was aborted meanwhile, or a call of CUDA, NCCL or SignCCL failed; TooLate if a rank
/// did not come within the limit.
void introduce(const Surroundings& around, std::span<const Candidate> candidates, UniqueIds ids,
               std::deque<GatherBuffers>& buffers, const Limit& limit = {longestWait(), {}});

/// Waits until a communicator that does not block is done with what it was asked for. Throws Failure, and TooLate at
/// the limit.
void awaitIdle(const RealNccl& nccl, const Candidate& candidate, const Limit& limit = {longestWait(), {}});

/// The CUDA device of a communicator. Throws Failure.
int deviceOf(const RealNccl& nccl, Comm comm);

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_INTRODUCE_H_
