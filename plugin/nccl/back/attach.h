// SPDX-License-Identifier: Apache-2.0
// Makes mirrors of communicators of NCCL: their ranks introduce themselves over the real ncclAllGather(), compare their
// rules, and join a communicator of SignCCL.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_ATTACH_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_ATTACH_H_

#include <cstdint>
#include <memory>
#include <span>

#include "nccl/back/mirror.h"
#include "nccl/back/nccl_abi.h"
#include "rules/log.h"

namespace signccl::nccl_preload {

/// A communicator that is to have a mirror.
struct Candidate {
  Comm comm = nullptr;
  std::shared_ptr<Record> record;
  Stream stream = nullptr;  ///< of the call that matched, not captured
};

/// What attaching needs of the process.
struct Surroundings {
  const RealNccl& nccl;
  const rules::Log& log;
  std::uint64_t digest = 0;     ///< of rules and mode
  bool compares_names = false;  ///< a rule looks at names of communicators
};

/// Gives each candidate's record a mirror. All ranks call it at the same place of their order of calls, one thread for
/// all its communicators at once, outside of groups. Waits for the streams and for the other ranks: for as long as
/// SIGNCCL_TIMEOUT says, after 10 s with a warning.
///
/// Throws Failure, which is noted in the records, too: ranks have different rules, one did not come, a communicator was
/// aborted meanwhile, or a call of CUDA, NCCL or SignCCL failed.
void attach(const Surroundings& surroundings, std::span<const Candidate> candidates);

/// Waits until a communicator that does not block is done with what it was asked for. Throws Failure for its error, and
/// if it is aborted or takes longer than SIGNCCL_TIMEOUT.
void awaitIdle(const RealNccl& nccl, const Candidate& candidate);

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_ATTACH_H_
