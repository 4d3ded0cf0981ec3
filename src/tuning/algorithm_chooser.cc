// SPDX-License-Identifier: Apache-2.0
#include "tuning/algorithm_chooser.h"

#include <utility>

#include "base/log.h"
#include "kernels/word.h"
#include "schedule/choose.h"

namespace signccl {

AlgorithmChooser::AlgorithmChooser(Rank rank, const Topology& topology, const CostModel& model,
                                   std::optional<Algorithm> forced, std::shared_ptr<const TuningTable> tuning)
    : rank_(rank), topology_(topology), model_(model), forced_(forced), tuning_(std::move(tuning)) {}

std::optional<Algorithm> AlgorithmChooser::measured(SignOp op, std::size_t count) const {
  return tuning_ ? tuning_->choose(op, topology_, count) : std::nullopt;
}

Algorithm AlgorithmChooser::choose(const CountRules& rules, std::size_t nwords) {
  if (forced_) return *forced_;
  const std::size_t hash = nwords * 8 + static_cast<std::size_t>(rules.op) * 4 +
                           static_cast<std::size_t>(rules.votes_per_rank) * 2 + (rules.ternary_result ? 1 : 0);
  RecentChoice& choice = recent_[(hash ^ (hash >> 17)) % recent_.size()];
  if (!choice.is_set || choice.nwords != nwords || choice.rules != rules) {
    const std::size_t count = nwords * kWordBits;
    const std::optional<Algorithm> from_table = measured(rules.op, count);
    const Algorithm algorithm = from_table ? *from_table : chooseAlgorithm(topology_, rules, count, model_);
    choice = {nwords, rules, algorithm, true};
    log(LogLevel::kInfo, Subsystem::kTuning, rank_, rules.op == SignOp::kVote ? "vote" : "avg", " of ", count,
        " elements: ", algorithmName(algorithm), from_table ? ", by the tuning file" : ", by the cost model");
  }
  return choice.algorithm;
}

}  // namespace signccl
