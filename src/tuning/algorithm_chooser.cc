#include "tuning/algorithm_chooser.h"

#include <utility>

#include "base/log.h"
#include "kernels/word.h"
#include "schedule/choose.h"

namespace signccl {

AlgorithmChooser::AlgorithmChooser(Rank rank, const Topology& topology, const CostModel& model,
                                   std::optional<Algorithm> forced, std::shared_ptr<const TuningTable> tuning)
    : rank_(rank), topology_(topology), model_(model), forced_(forced), tuning_(std::move(tuning)) {}

Algorithm AlgorithmChooser::fastest(const CountRules& rules, std::size_t count) const {
  if (tuning_) {
    if (const auto measured = tuning_->choose(rules.op, topology_, count)) return *measured;
  }
  return chooseAlgorithm(topology_, rules, count, model_);
}

Algorithm AlgorithmChooser::choose(const CountRules& rules, std::size_t nwords) {
  if (forced_) return *forced_;
  const std::size_t hash = nwords * 8 + static_cast<std::size_t>(rules.op) * 4 +
                           static_cast<std::size_t>(rules.votes_per_rank) * 2 + (rules.ternary_result ? 1 : 0);
  RecentChoice& choice = recent_[(hash ^ (hash >> 17)) % recent_.size()];
  if (!choice.is_set || choice.nwords != nwords || choice.rules != rules) {
    choice = {nwords, rules, fastest(rules, nwords * kWordBits), true};
    log(LogLevel::kInfo, Subsystem::kTuning, rank_, rules.op == SignOp::kVote ? "vote" : "avg", " of ",
        nwords * kWordBits, " elements: ", algorithmName(choice.algorithm));
  }
  return choice.algorithm;
}

}  // namespace signccl
