// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/sum_of_signs.h"

#include <optional>

#include "nccl/back/failure.h"
#include "rules/sign_config.h"

namespace signccl::nccl_preload {

SumAttempt sumOfSigns(const TakenCall& call, const rules::Rule& rule) {
  const AllReduce& arguments = call.arguments;
  rules::Takeover& takeover = call.mirror->takeover();
  std::optional<rules::ZeroRule> zero = takeover.next(call.rule_index, rule, arguments.count);
  if (!zero) return {SumAttempt::Result::kOnProbation, {}};
  for (;;) {
    const signcclSignConfig_t config = rules::signConfigOf(*zero, call.tie);
    signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
    expectSigncclSuccess(signcclAllReduceSum(arguments.send, arguments.recv, arguments.count,
                                             static_cast<signcclDataType_t>(arguments.type), &config,
                                             call.mirror->get(), arguments.stream, &outcome),
                         "a sum taken from NCCL");
    const auto values = static_cast<rules::Values>(outcome.values);  // the enumerators are those of signcclValues_t
    switch (takeover.agreed(call.rule_index, rule, arguments.count, *zero, values)) {
      case rules::Verdict::kTaken:
        return {};
      case rules::Verdict::kAgain:
        zero = rules::ZeroRule::kTernary;
        break;
      case rules::Verdict::kFallBack:
        return {SumAttempt::Result::kFellBack, {values, outcome.firstIndex, outcome.firstValue, 0}};
    }
  }
}

}  // namespace signccl::nccl_preload
