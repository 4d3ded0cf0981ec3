// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <algorithm>
#include <chrono>
#include <mpi.h>

namespace baselines {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 != 0 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Times measure(Collective& collective, int warmup, int iters) {
  using Clock = std::chrono::steady_clock;
  using Microseconds = std::chrono::duration<double, std::micro>;
  for (int i = 0; i < warmup; ++i) collective.run();
  std::vector<double> own(static_cast<std::size_t>(iters));
  MPI_Barrier(MPI_COMM_WORLD);
  const Clock::time_point start = Clock::now();
  Clock::time_point before = start;
  for (double& time : own) {
    collective.run();
    const Clock::time_point after = Clock::now();
    time = Microseconds(after - before).count();
    before = after;
  }
  double mean = Microseconds(before - start).count() / iters;
  std::vector<double> longest(own.size());
  MPI_Allreduce(own.data(), longest.data(), iters, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  MPI_Allreduce(MPI_IN_PLACE, &mean, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return {mean, median(longest), *std::min_element(longest.begin(), longest.end())};
}

}  // namespace baselines
