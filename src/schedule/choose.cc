// SPDX-License-Identifier: Apache-2.0
#include "schedule/choose.h"

#include <limits>

#include "schedule/knomial.h"

namespace signccl {
namespace {

/// False where the algorithm's schedule is that of the direct exchange, up to the order of the messages.
bool isCandidate(Algorithm algorithm, const Topology& topology) {
  switch (algorithm) {
    case Algorithm::kOneShot:
    case Algorithm::kDirect:
    case Algorithm::kRing:
    case Algorithm::kTree:
      return true;
    case Algorithm::kKnomial:
      return topology.nranks() > kMaxRadix;
    case Algorithm::kHierarchical:
      return topology.nnodes() > 1 && topology.nnodes() < topology.nranks();
  }
  return false;
}

}  // namespace

Algorithm chooseAlgorithm(const Topology& topology, const CountRules& rules, std::size_t count,
                          const CostModel& model) {
  Algorithm best = Algorithm::kOneShot;
  double best_us = std::numeric_limits<double>::infinity();
  for (const Algorithm algorithm : allAlgorithms()) {
    if (!isCandidate(algorithm, topology)) continue;
    const double time_us = estimate(algorithm, topology, rules, count, model).time_us;
    if (time_us < best_us) {
      best = algorithm;
      best_us = time_us;
    }
  }
  return best;
}

}  // namespace signccl
