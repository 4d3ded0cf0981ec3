// SPDX-License-Identifier: Apache-2.0
// A sum of signs whose values decide whether it is taken. The host waits until all ranks know what the values of all
// are; where they do not fit, nothing has been written and NCCL can sum them.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_SUM_OF_SIGNS_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_SUM_OF_SIGNS_H_

#include <cstdint>

#include "nccl/back/all_reduce.h"
#include "nccl/back/nccl_abi.h"
#include "rules/report.h"
#include "rules/rules.h"

namespace signccl::nccl_preload {

/// What became of it. The same on all ranks.
struct SumAttempt {
  enum class Result : std::uint8_t {
    kTaken,        ///< the stream will write the sums
    kOnProbation,  ///< to be forwarded; nobody has looked at the values
    kFellBack      ///< to be forwarded; no rank has written anything
  };
  Result result = Result::kTaken;
  rules::FellBack fell_back{};  ///< of kFellBack, without the time
};

/// True if a rule takes calls only after a look at their values.
inline bool looksAtValues(const rules::Rule& rule) {
  return rule.action == rules::Action::kSignSum && !rule.options.trust;
}

/// Collective. `call` matches `rule`, whose values it must look at, and is in no group. It may be a mean that is exact,
/// which takes one exchange more. A rank whose buffers SignCCL cannot take lets all ranks fall back. Throws Failure.
SumAttempt sumOfSigns(const RealNccl& nccl, const TakenCall& call, const rules::Rule& rule);

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_SUM_OF_SIGNS_H_
