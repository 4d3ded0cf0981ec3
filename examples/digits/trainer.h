// SPDX-License-Identifier: Apache-2.0
// One run: workers as threads of one process or of several, each with its shard, its optimizer and its own copy of the
// parameters.
#ifndef DIGITS_TRAINER_H_
#define DIGITS_TRAINER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "data.h"
#include "launch/job_comm.h"
#include "method.h"
#include "model.h"

namespace digits {

struct RunSettings {
  Method method;
  Sharding sharding = Sharding::kOwn;
  int workers = 4;        ///< a multiple of the number of processes
  std::string algorithm;  ///< by which signs travel; empty: the library chooses
  int steps = 1000;
  int batch = 8;           ///< digits per worker and step
  int eval_every = 25;     ///< steps between points of the curve
  std::uint64_t seed = 1;  ///< of the initial parameters, the shards and the batches
};

/// How the model does after `step` steps.
struct CurvePoint {
  int step;
  Score training;
  Score held_out;
};

struct RunResult {
  std::vector<CurvePoint> curve;  ///< in order; the last point is the end of the run. On process 0 only
  double bytes_per_step = 0;      ///< sent by a worker, mean over the workers; 0 where no signs travel
  double seconds = 0;
  bool replicas_agree = false;  ///< whether all workers ended with the same bits
};

/// Trains and returns when all workers have ended. Every process of `job` calls it, and has as many of the workers
/// as the others. Throws what the first failing worker of this process threw.
RunResult train(const RunSettings& settings, const Split& data, signccl::launch::JobComm& job);

}  // namespace digits

#endif  // DIGITS_TRAINER_H_
