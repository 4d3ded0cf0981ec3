// SPDX-License-Identifier: Apache-2.0
// Ranks that follow different rules would call different collectives and wait for each other for ever. So the ranks of
// a communicator compare their rules when it has been made: all of them are there then, and none can be late for long.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_SAME_RULES_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_SAME_RULES_H_

#include <chrono>
#include <span>
#include <string>

#include "nccl/back/introduce.h"

namespace signccl::nccl_preload {

/// Lets the ranks of communicators compare their rules, on streams that no work of the program delays; the streams of
/// the candidates are not used. Throws Failure, and TooLate at the limit.
void compareOnOwnStreams(const Surroundings& around, std::span<const Candidate> candidates, const Limit& limit);

/// What is said when not all ranks have compared in time.
std::string textAfter(std::chrono::milliseconds deadline);

/// Returns if all ranks of each communicator, which blocks and has just been made, have called it with the same rules.
/// One thread calls it for all communicators that it has made in one group.
///
/// Else aborts all of them, so that kernels of NCCL end that wait for a rank, and throws Failure: the rules differ, or
/// cannot be read on some rank; a rank has not come within `deadline`, since it has no preload library or no rules; or
/// a call of CUDA or NCCL failed.
void requireSameRules(const Surroundings& around, std::span<const Candidate> comms, std::chrono::milliseconds deadline);

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_SAME_RULES_H_
