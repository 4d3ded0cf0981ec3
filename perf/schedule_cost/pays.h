// SPDX-License-Identifier: Apache-2.0
// Whether a vote pays: how long the exchange of a training step takes beside all-reduces of float32 and bfloat16, and
// how long the step takes, where the exchange follows the backward pass and where it overlaps with it.
#ifndef SIGNCCL_PERF_SCHEDULE_COST_PAYS_H_
#define SIGNCCL_PERF_SCHEDULE_COST_PAYS_H_

#include <cstddef>
#include <functional>

#include "schedule/algorithm.h"
#include "schedule/cost.h"
#include "schedule/width.h"
#include "schedule_cost/options.h"
#include "topology/topology.h"

namespace signccl::perf {

/// An exchange of signs with what a rank does at both ends of it.
struct SignExchange {
  Algorithm algorithm = Algorithm::kOneShot;  ///< what the library chooses
  double network_us = 0;                      ///< messages and counting, by the cost model
  double local_us = 0;                        ///< encoding and decoding
  /// All of it. The slices of a vector overlap, so the longer of the two decides; of the shorter one the first slice is
  /// waited for.
  double total_us = 0;
};

/// Of `count` float32 elements: 4 bytes of each are read to encode it, and 4 written to decode the result.
SignExchange signExchange(const Topology& topology, const CountRules& rules, std::size_t count, const CostModel& model,
                          double memory_gb_per_s);

/// A step of training.
struct Step {
  double compute_us = 0;         ///< forward and backward pass; the backward pass is two thirds of it
  std::size_t count = 0;         ///< parameters
  std::size_t bucket_count = 1;  ///< gradients that are exchanged at once while others are still being computed
};

/// How long an exchange of so many elements takes, in us.
using ExchangeTime = std::function<double(std::size_t count)>;

/// The exchange follows the backward pass, in one piece.
double stepUs(const Step& step, const ExchangeTime& exchange);

/// Each bucket is exchanged once the backward pass has its gradients, one after the other. What the exchange takes from
/// the processor, and so from the backward pass of a CPU, is not counted.
double overlappedStepUs(const Step& step, const ExchangeTime& exchange);

/// Prints both tables.
void printPays(const CostOptions& options);

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SCHEDULE_COST_PAYS_H_
