// SPDX-License-Identifier: Apache-2.0
// Steps, messages, bytes and modelled time of every algorithm, as tables.
#ifndef SIGNCCL_PERF_SCHEDULE_COST_COSTS_H_
#define SIGNCCL_PERF_SCHEDULE_COST_COSTS_H_

#include "schedule_cost/options.h"

namespace signccl::perf {

/// Everything about every algorithm, and the all-reduces that sum elements.
void printCosts(const CostOptions& options);

/// The bits per element that the busiest rank sends, for the first count.
void printWire(const CostOptions& options);

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SCHEDULE_COST_COSTS_H_
