#include "schedule/choose.h"

#include <limits>

namespace signccl {

Algorithm chooseAlgorithm(const Topology& topology, const CountRules& rules, std::size_t count,
                          const CostModel& model) {
  const bool has_levels = topology.nnodes() > 1 && topology.nnodes() < topology.nranks();
  Algorithm best = Algorithm::kOneShot;
  double best_us = std::numeric_limits<double>::infinity();
  for (const Algorithm algorithm : allAlgorithms()) {
    if (algorithm == Algorithm::kHierarchical && !has_levels) continue;
    const double time_us = estimate(algorithm, topology, rules, count, model).time_us;
    if (time_us < best_us) {
      best = algorithm;
      best_us = time_us;
    }
  }
  return best;
}

}  // namespace signccl
