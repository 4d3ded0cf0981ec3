// Chooses the algorithm of an exchange and keeps the compiled plans of a communicator.
#ifndef SIGNCCL_COMM_PLANNER_H_
#define SIGNCCL_COMM_PLANNER_H_

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <tuple>

#include "comm/tuning_table.h"
#include "exec/plan.h"
#include "schedule/algorithm.h"
#include "schedule/cost.h"
#include "topology/topology.h"

namespace signccl {

class Planner {
 public:
  /// `forced`: the algorithm for everything; nothing: the tuning table chooses, and the cost model if there is no table
  /// or it says nothing of this topology.
  Planner(Rank rank, const Topology& topology, const CostModel& model, std::optional<Algorithm> forced,
          std::shared_ptr<const TuningTable> tuning = nullptr);

  /// The algorithm for `nwords` words of signs; the same on every rank.
  Algorithm choose(const CountRules& rules, std::size_t nwords);

  /// The plan of this rank. Built at the first call for these rules, kept as long as the planner.
  const Plan& plan(Algorithm algorithm, const CountRules& rules);

 private:
  using RulesKey = std::tuple<SignOp, int, bool>;
  static RulesKey keyOf(const CountRules& rules) { return {rules.op, rules.votes_per_rank, rules.ternary_result}; }

  [[nodiscard]] Algorithm fastest(const CountRules& rules, std::size_t count) const;

  struct Choice {
    std::size_t nwords = 0;
    RulesKey key;
    Algorithm algorithm = Algorithm::kDirect;
    bool is_set = false;
  };

  const Rank rank_;
  const Topology topology_;
  const CostModel model_;
  const std::optional<Algorithm> forced_;
  const std::shared_ptr<const TuningTable> tuning_;
  std::array<Choice, 64> recent_;  ///< by a hash of size and rules
  std::map<std::pair<Algorithm, RulesKey>, Plan> plans_;
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_PLANNER_H_
