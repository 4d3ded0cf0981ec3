// SPDX-License-Identifier: Apache-2.0
// One all-reduce of the program, as it called it.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_ALL_REDUCE_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_ALL_REDUCE_H_

#include <cstddef>
#include <memory>

#include "nccl/back/marks.h"
#include "nccl/back/mirror.h"
#include "nccl/back/nccl_abi.h"
#include "rules/rules.h"

namespace signccl::nccl_preload {

/// The arguments, owned by the caller.
struct AllReduce {
  const void* send = nullptr;
  void* recv = nullptr;
  std::size_t count = 0;
  DataType type{};
  RedOp op{};
  Comm comm = nullptr;
  Stream stream = nullptr;
  const CollConfig* config = nullptr;
  bool has_config = false;  ///< of ncclAllReduceConfig(), whose configuration may be null
};

/// A call that is taken: all that is needed to carry it out later.
struct TakenCall {
  AllReduce arguments;  ///< without the configuration, which may be gone
  std::shared_ptr<Mirror> mirror;
  std::size_t rule_index = 0;
  rules::Action action{};
  rules::ZeroRule zero{};
  rules::TieRule tie{};
};

/// The call as rules see it, but for the number of ranks, the communicator's name and the mark.
rules::Call describe(const AllReduce& call);

/// The stream, in whose order the call is also where its buffers are in host memory: SignCCL takes a null stream and
/// such buffers for a call without a stream.
Stream streamOf(const AllReduce& call);

/// Calls the real function.
Result forward(const RealNccl& nccl, const AllReduce& call);

/// Enqueues the call on its stream, or notes it in SignCCL's open group. Throws Failure.
void carryOut(const TakenCall& call);

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_ALL_REDUCE_H_
