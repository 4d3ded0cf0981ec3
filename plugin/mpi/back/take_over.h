// SPDX-License-Identifier: Apache-2.0
// Carries out a call that a rule takes, through the communicator of SignCCL.
#ifndef SIGNCCL_PLUGIN_MPI_BACK_TAKE_OVER_H_
#define SIGNCCL_PLUGIN_MPI_BACK_TAKE_OVER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "mpi/back/mirror.h"
#include "rules/report.h"
#include "rules/rules.h"

namespace signccl::mpi {

/// A call of MPI_Allreduce(MPI_SUM) in the words of rules. In place: `send` is `recv`.
struct MatchedCall {
  const void* send = nullptr;
  void* recv = nullptr;
  std::size_t count = 0;
  rules::ElementType type{};
  std::size_t rule_index = 0;
  const rules::Rule* rule = nullptr;
};

/// What became of it. The same on all ranks but for kFailed, which other ranks may see at their next call.
struct TakeOver {
  enum class Result : std::uint8_t {
    kTaken,      ///< recv holds the result
    kForwarded,  ///< on probation: to be forwarded, nothing was exchanged
    kFellBack,   ///< to be forwarded, nothing was written
    kFailed      ///< recv is undefined
  };
  Result result = Result::kTaken;
  std::string reason;           ///< of kFailed
  rules::FellBack fell_back{};  ///< of kFellBack, without the time
};

/// Collective; the mirror must be attached.
TakeOver takeOver(Mirror& mirror, const MatchedCall& call, const NextCalls& next);

}  // namespace signccl::mpi

#endif  // SIGNCCL_PLUGIN_MPI_BACK_TAKE_OVER_H_
