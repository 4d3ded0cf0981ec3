// SPDX-License-Identifier: Apache-2.0
// Times of a collective.
#ifndef BASELINES_MEASURE_H_
#define BASELINES_MEASURE_H_

#include <vector>

#include "collective.h"

namespace baselines {

/// Microseconds of one collective; the same on every rank.
struct Times {
  double mean_us = 0;    ///< of the whole loop, on the rank for which it took longest: the measure of nccl-tests
  double median_us = 0;  ///< over iterations, of the longest time on any rank
  double min_us = 0;     ///< the same, of the shortest iteration
};

/// Runs `warmup` iterations and then times `iters` in one loop without barriers, so that ranks overlap as in a program
/// that calls nothing else.
Times measure(Collective& collective, int warmup, int iters);

/// Median of `values`, which must not be empty; the mean of the two in the middle if there are two.
double median(std::vector<double> values);

}  // namespace baselines

#endif  // BASELINES_MEASURE_H_
